//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// The measurements, for -only.
const (
	timing    = "time"
	quality   = "quality"
	parts     = "parts"
	profiling = "profile"
)

var measurements = []string{timing, quality, parts, profiling}

// bench is what every measurement needs.
type bench struct {
	dir    string // for files, in memory when they fit there; removed at the end
	self   string // this program
	preset string
	repeat int
	quick  bool
	begin  time.Time
	others float64 // cores that other programs took during the worst of the timed runs
	waited time.Duration
	notes  []string
}

// note adds a line below the tables, once.
func (b *bench) note(format string, a ...any) {
	if n := fmt.Sprintf(format, a...); !slices.Contains(b.notes, n) {
		b.notes = append(b.notes, n)
	}
}

// say tells on stderr how far the run is.
func (b *bench) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(b.begin).Seconds(), fmt.Sprintf(format, a...))
}

func main() {
	child := flag.Bool("child", false, "internal: transcode as stdin says")
	clipFile := flag.String("clip", "", "measure this video (landscape) in place of the generated ones")
	only := flag.String("only", "", "only these, separated by commas: of the clips "+strings.Join(clipNames(), ", ")+", and of the measurements "+strings.Join(measurements, ", "))
	b := &bench{begin: time.Now()}
	flag.BoolVar(&b.quick, "quick", false, "6 s of each 720p clip, every run once: rough figures in less than two minutes")
	flag.StringVar(&b.preset, "preset", "superfast", "preset of x264, for all contenders")
	flag.IntVar(&b.repeat, "repeat", 0, "how many times each timed run is made (default 3, with -quick 1)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *child {
		err = runChild(ctx, os.Stdin, os.Stdout)
	} else {
		err = b.run(ctx, *clipFile, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms-bench-transcode:", err)
		stop()
		os.Exit(1)
	}
}

// selection is what -only asks for. Of the two kinds of names, one that is not mentioned is
// meant as a whole.
func selection(only string, quick bool) (clips, measured []string, err error) {
	for _, n := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		switch {
		case slices.Contains(clipNames(), n):
			clips = append(clips, n)
		case slices.Contains(measurements, n):
			measured = append(measured, n)
		default:
			return nil, nil, fmt.Errorf("-only %q: there are %s, %s", n, strings.Join(clipNames(), ", "), strings.Join(measurements, ", "))
		}
	}
	if clips == nil {
		for _, g := range generated {
			if !quick || g.height <= 720 {
				clips = append(clips, g.name)
			}
		}
	}
	if measured == nil {
		measured = measurements
	}
	return clips, measured, nil
}

var errIncomplete = errors.New("something could not be measured: see the tables")

func (b *bench) run(ctx context.Context, clipFile, only string) error {
	if b.repeat <= 0 {
		b.repeat = 3
		if b.quick {
			b.repeat = 1
		}
	}
	names, measured, err := selection(only, b.quick)
	if err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = tempDir(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if clipFile != "" {
		names = []string{clipFile}
	}
	var reports []*report
	failed := false
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		r, err := b.measure(ctx, name, clipFile != "", measured)
		reports = append(reports, r)
		if err != nil {
			failed = true
			r.rows = append(r.rows, row{what: "could not run", figure: err.Error()})
			b.say("%s: %v", name, err)
		}
	}
	b.say("done")
	printReports(os.Stdout, b, reports)
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed {
		return errIncomplete
	}
	return nil
}

// measure makes the tables of one clip. With an error, they are what there is.
func (b *bench) measure(ctx context.Context, name string, given bool, measured []string) (*report, error) {
	r := &report{title: name}
	b.say("%s: making the clip", name)
	var c *clip
	var err error
	if given {
		c, err = b.convertClip(ctx, name)
	} else {
		c, err = b.generateClip(ctx, name)
	}
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(c.dir)
	r.title = c.String()
	of := newContenders(b, c)
	for _, m := range measurements {
		if !slices.Contains(measured, m) {
			continue
		}
		b.say("%s: %s", name, m)
		switch m {
		case timing:
			err = measureTime(ctx, b, c, of, r)
		case quality:
			err = measureQuality(ctx, b, c, of, r)
		case parts:
			err = measureParts(ctx, b, c, of, r)
		case profiling:
			err = measureProfile(ctx, b, of, r)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", m, err)
		}
	}
	return r, nil
}

// calm waits until other programs leave the cores alone; not for ever, and not for long in
// all.
func (b *bench) calm(ctx context.Context) error {
	const sample = 200 * time.Millisecond
	patience := time.Minute
	if b.quick {
		patience = 15 * time.Second
	}
	for b.waited < patience {
		foreign := benchhost.ForeignTime()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(sample):
		}
		if (benchhost.ForeignTime()-foreign).Seconds()/sample.Seconds() < maxOthers {
			return nil
		}
		b.waited += sample
	}
	return nil
}

// enough reports whether a measurement that began then and was made n times is repeated no
// more: so often as was asked for, but on a busy machine not for ever.
func (b *bench) enough(n, times int, begin time.Time) bool {
	limit := 80 * time.Second
	if b.quick {
		limit = 20 * time.Second
	}
	return n >= times || n > 0 && time.Since(begin) > limit
}

// tempDir is a folder in memory, so that reading raw pictures costs little, or on disk when
// there is less memory than the largest clip's pictures need.
func tempDir() (string, error) {
	const shm, need = "/dev/shm", 6 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs(shm, &st); err == nil && st.Bavail*uint64(st.Bsize) > need {
		return os.MkdirTemp(shm, "lpms-bench-transcode-")
	}
	return os.MkdirTemp("", "lpms-bench-transcode-")
}
