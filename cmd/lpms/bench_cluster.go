package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/livepeer/lpms/internal/clusterbench"
	"github.com/livepeer/lpms/internal/machine"
)

// asksForCluster reports whether the arguments of bench are those of benchCluster, which has other
// flags.
func asksForCluster(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name := strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-")
		return name != a && (name == "cluster" || name == "cluster=true")
	})
}

// The figures of -latency and -scaling.
var (
	latencySizes  = []int{100 << 10, 1 << 20, 4 << 20} // bytes
	scalingCounts = []int{1, 2, 4, 8}
)

const (
	latencyJobs = 200
	// benchGC is how much garbage there may be, in percent of what is in use, which is little here.
	benchGC = 400
	// scalingDuration is that of each step, when no other is wanted.
	scalingDuration = 10 * time.Second
	// goodScaling is what a number of workers should do of as many times what one does.
	goodScaling = 0.9
)

// clusterFlags are those of bench -cluster.
type clusterFlags struct {
	*flag.FlagSet
	options          clusterbench.Options
	latency, scaling bool
}

func newClusterFlags() *clusterFlags {
	f := &clusterFlags{FlagSet: flag.NewFlagSet("lpms bench -cluster", flag.ContinueOnError)}
	o := &f.options
	f.Bool("cluster", true, "measure the way to workers")
	f.IntVar(&o.Streams, "streams", 1000, "live streams")
	f.DurationVar(&o.Segment, "segment", 2*time.Second, "length of a segment: how often a stream gives one")
	f.IntVar(&o.Size, "size", 50_000, "`bytes` of a segment")
	f.IntVar(&o.Renditions, "renditions", 3, "renditions of a segment")
	f.IntVar(&o.Result, "result", 0, "`bytes` of a rendition (default: a quarter of -size)")
	f.DurationVar(&o.Work, "work", 200*time.Millisecond, "how long a worker is at a segment; 0 for -latency, unless it is given")
	f.IntVar(&o.Workers, "workers", 0, "workers (default: 10, and 1 for -latency)")
	f.IntVar(&o.Slots, "slots", 0, "segments that a worker takes at a time (default: half as many again as are needed)")
	f.DurationVar(&o.Duration, "duration", 30*time.Second, "how long segments are given (default of each step of -scaling: 10s)")
	f.IntVar(&o.Origins, "origins", 1, "processes that the streams come from")
	f.BoolVar(&f.latency, "latency", false, "instead, one job after the other, with segments of several sizes")
	f.BoolVar(&f.scaling, "scaling", false, "instead, what 1, 2, 4 and 8 workers with one slot each do")
	f.Usage = func() {
		fmt.Fprint(f.Output(), "lpms bench -cluster measures the way of segments to workers and back: an orchestrator, broadcasters and\n"+
			"workers in this process, with TCP between them. Workers sleep instead of transcoding.\n\nFlags:\n")
		f.PrintDefaults()
	}
	return f
}

func (f *clusterFlags) given(name string) (is bool) {
	f.Visit(func(g *flag.Flag) { is = is || g.Name == name })
	return is
}

// check refuses what would count for nothing, and sets what is different in some measurements.
func (f *clusterFlags) check() (err error) {
	counts := func(measurement string, names ...string) {
		names = append(names, "cluster", measurement)
		f.Visit(func(g *flag.Flag) {
			if err == nil && !slices.Contains(names, g.Name) {
				err = fmt.Errorf("-%s does not go with -%s", g.Name, measurement)
			}
		})
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("%q is not a flag: write -name value", f.Arg(0))
	case f.latency:
		counts("latency", "work", "workers", "slots", "segment")
		if !f.given("work") {
			f.options.Work = 0
		}
	case f.scaling:
		counts("scaling", "work", "size", "renditions", "result", "segment", "duration")
		if !f.given("duration") {
			f.options.Duration = scalingDuration
		}
	}
	return err
}

// benchCluster measures what it costs to have segments transcoded by workers.
func benchCluster(ctx context.Context, args []string, out io.Writer) int {
	f := newClusterFlags()
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := f.check(); err != nil {
		fmt.Fprintln(os.Stderr, "lpms bench:", err)
		return 2
	}
	run := benchLoad
	switch {
	case f.latency:
		run = benchLatency
	case f.scaling:
		run = benchScaling
	}
	f.options.Warnf = firstWarnings(os.Stderr)
	// Processes of their own have the windows of their streams in memory, and collect garbage less often.
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(benchGC))
	}
	fmt.Fprintf(out, "An orchestrator, broadcasters and workers in this process (GOGC=%d), over TCP on 127.0.0.1; %d cores.\n", benchGC, machine.Cores())
	err := run(ctx, f.options, out)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "lpms bench:", err)
	if errors.Is(err, clusterbench.ErrOptions) {
		return 2
	}
	return 1
}

// maxWarnings is how many are shown.
const maxWarnings = 20

// firstWarnings prints what the engine warns of; that may be much when it is overloaded.
func firstWarnings(out io.Writer) func(format string, args ...any) {
	var n atomic.Int64
	return func(format string, args ...any) {
		switch i := n.Add(1); {
		case i <= maxWarnings:
			fmt.Fprintf(out, "warning: "+format+"\n", args...)
		case i == maxWarnings+1:
			fmt.Fprintln(out, "warning: and so on")
		}
	}
}

func benchLoad(ctx context.Context, o clusterbench.Options, out io.Writer) error {
	r, err := clusterbench.Load(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d streams of %d broadcasters give a segment of %d bytes every %v, for %v; %d renditions of %d bytes.\n",
		r.Streams, r.Origins, r.Size, r.Segment, r.Duration, r.Renditions, r.Result)
	fmt.Fprintf(out, "%d workers take %d segments at a time each, and sleep for %v.\n\n", r.Workers, r.Slots, r.Work)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, value any, about string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\t"+about+"\n", append([]any{name, value}, args...)...)
	}
	seconds := r.Elapsed.Seconds()
	line("offered", "%d", r.Offered, "segments that were due; at worst, one was given %v late", rounded(r.PaceLag))
	line("done", "%d", r.Done, "back in all renditions")
	line("late", "%d", r.Late, "of these, after more than %v", r.Segment)
	line("failed", "%d", r.Failed, "%s", firstError(r.Err))
	line("left out", "%d", r.LeftOut, "not sent, because four segments of the stream were on their way")
	line("worked at", "%d", r.Calls, "by workers: beyond those done, second attempts and what nobody waited for")
	line("jobs/s", "%.1f", float64(r.Done)/seconds, "done, from the first segment to the last result: %.1f s", seconds)
	line("MB/s", "%.1f", float64(r.Bytes)/seconds/1e6, "of segments out and renditions back, each counted once")
	line("overhead p50", "%v", rounded(r.Overhead.P50), "from handing over a segment to its last rendition, less %v of work;", r.Work)
	line("p90", "%v", rounded(r.Overhead.P90), "the wait for a worker is in it, and what a sleep takes too long")
	line("p99", "%v", rounded(r.Overhead.P99), "")
	line("max", "%v", rounded(r.Overhead.Max), "of %d segments that are done", r.Done)
	line("cores", "%.2f", r.CPU, "in use by this process: broadcasters, orchestrator, workers and the measuring")
	line("others", "%.2f", r.Others, "cores in use by other programs")
	line("memory", "%d MB", r.Memory>>20, "the most that this process had")
	return w.Flush()
}

func firstError(err error) string {
	if err == nil {
		return "late, lost or refused for good"
	}
	return "the first: " + err.Error()
}

// rounded is a time with three digits or so.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d.Round(time.Microsecond / 100)
}

func benchLatency(ctx context.Context, o clusterbench.Options, out io.Writer) error {
	fmt.Fprintf(out, "%d jobs, one after the other; workers are at each for %v; one rendition of a quarter of the size.\n\n", latencyJobs, o.Work)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tRENDITION\tP50\tP90\tP99\tMAX\tCORES\tOTHERS")
	err := clusterbench.Latency(ctx, o, latencySizes, latencyJobs, func(r clusterbench.LatencyRow) {
		q := r.Overhead
		fmt.Fprintf(w, "%d KiB\t%d KiB\t%v\t%v\t%v\t%v\t%.2f\t%.2f\n", r.Size>>10, r.Result>>10,
			rounded(q.P50), rounded(q.P90), rounded(q.P99), rounded(q.Max), r.CPU, r.Others)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nFrom handing over a segment to its rendition, less %v of work; cores in use by this process and by others.\n", o.Work)
	return w.Flush()
}

func benchScaling(ctx context.Context, o clusterbench.Options, out io.Writer) error {
	fmt.Fprintf(out, "Workers with one slot, which sleep for %v, and always have jobs waiting.\n\n", o.Work)
	fmt.Fprintf(out, "%8s  %8s  %8s  %12s  %14s  %6s  %6s\n", "workers", "jobs", "jobs/s", "of N times 1", "of no overhead", "cores", "others")
	least, busiest := 1.0, 0.0
	err := clusterbench.Scaling(ctx, o, scalingCounts, func(s clusterbench.ScalingStep) {
		least, busiest = min(least, s.OfFirst), max(busiest, s.CPU+s.Others)
		ideal := "-"
		if s.OfIdeal > 0 {
			ideal = fmt.Sprintf("%.3f", s.OfIdeal)
		}
		fmt.Fprintf(out, "%8d  %8d  %8.2f  %12.3f  %14s  %6.2f  %6.2f\n", s.Workers, s.Jobs, s.Rate, s.OfFirst, ideal, s.CPU, s.Others)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nAt least %.3f of N times what one does; %.1f is the goal.\n", least, goodScaling)
	if least < goodScaling && busiest > 0.9*float64(machine.Cores()) {
		fmt.Fprintln(out, "The machine had no time: measure again when other programs do less.")
	}
	return nil
}
