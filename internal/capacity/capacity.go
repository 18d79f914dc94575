package capacity

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/livepeer/lpms/internal/backend"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/testsignal"
)

// Options of Run.
type Options struct {
	// Backend is what is measured: its ladder and the settings of its transcoder count.
	Backend backend.Options
	// Signal is the source: its size, rate and bitrate.
	Signal testsignal.Options
	// Step is how long each number of streams is tried, beyond a time to start. Default
	// 15 s.
	Step time.Duration
	// Max is the largest number that is tried. Default 64.
	Max int
	// OnTrial is told of each result. Default: nobody.
	OnTrial func(Trial)
}

// Trial is what came of one number of streams.
type Trial struct {
	Streams int
	Carried bool
	Why     string  // it was not
	CPU     float64 // cores in use
	Lag     float64 // seconds behind the source, of the slowest rendition
	Memory  int64   // resident, in bytes
	Made    int     // renditions for each stream
}

const (
	recorded = 20 * time.Second
	// startTime is how long encoders and decoders have to open.
	startTime = 6 * time.Second
	maxTrials = 12
	// mostLag is how far behind the source a rendition may be: a segment of the signal. More is
	// a queue, which grows.
	mostLag = 2.0 // seconds
)

// Run tries numbers of streams, and returns the trial with the largest that was carried; its
// Streams is 0 when not even one was.
func Run(ctx context.Context, o Options) (Trial, error) {
	if o.Step <= 0 {
		o.Step = 15 * time.Second
	}
	if o.Max <= 0 {
		o.Max = 64
	}
	if o.OnTrial == nil {
		o.OnTrial = func(Trial) {}
	}
	rec, err := record(o.Signal, recorded)
	if err != nil {
		return Trial{}, err
	}
	var best Trial
	var failure error
	search(o.Max, func(n int) (bool, float64) {
		t, err := try(ctx, &o, rec, n)
		if err != nil {
			failure = err
			return false, 0
		}
		o.OnTrial(t)
		if t.Carried {
			best = t
		}
		return t.Carried, t.CPU / float64(n)
	}, func() bool { return failure != nil || ctx.Err() != nil })
	return best, errors.Join(failure, ctx.Err())
}

// search finds the largest number up to most that carries, from what one costs: a guess
// first, then the numbers beside it, by larger steps where the guess was far off.
func search(most int, carries func(n int) (ok bool, coresEach float64), stopped func() bool) int {
	good, bad := 0, most+1
	n := 1
	for trial := 0; good+1 < bad && trial < maxTrials && !stopped(); trial++ {
		ok, each := carries(n)
		if ok {
			good = n
		} else {
			bad = n
		}
		guess := (good + bad) / 2
		if each > 0 && bad > most {
			guess = int(float64(runtime.GOMAXPROCS(0)) / each)
			if guess <= good { // it costs less than it seemed
				guess = good + max(good/4, 1)
			}
		}
		n = min(max(guess, good+1), bad-1)
	}
	return good
}

// try runs so many streams in a back-end of their own.
func try(ctx context.Context, o *Options, rec *recording, n int) (Trial, error) {
	opts := o.Backend
	opts.RTMPAddr, opts.HTTPAddr = "off", "off"
	opts.MaxStreams, opts.TestSignals, opts.WatchPage, opts.HTTPIngest = n, nil, false, false
	b, err := backend.New(opts)
	if err != nil {
		return Trial{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var running error
	wg.Go(func() {
		defer cancel()
		running = b.Run(ctx)
	})
	for i := range n {
		src := rec.play(startTime / 3 * time.Duration(i) / time.Duration(n))
		wg.Go(func() { _ = b.Publish(ctx, fmt.Sprintf("bench%d", i), src) })
	}
	t := watch(ctx, b, n, o.Step)
	cancel()
	wg.Wait()
	return t, running
}

// watch looks at the streams until one falls behind, or the time is over.
func watch(ctx context.Context, b *backend.Backend, n int, step time.Duration) Trial {
	t := Trial{Streams: n}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begin := time.Now()
	var cpu float64
	var samples int
	for {
		select {
		case <-ctx.Done():
			t.Why = "stopped"
			return t
		case <-tick.C:
		}
		st := b.Status()
		t.Memory = max(t.Memory, st.Machine.Memory)
		if time.Since(begin) < startTime {
			continue
		}
		cpu += st.Machine.CPU
		samples++
		t.CPU = cpu / float64(samples)
		t.Why = behind(&st, &t, n)
		if t.Why != "" || time.Since(begin) >= startTime+step {
			t.Carried = t.Why == ""
			return t
		}
	}
}

// behind says what does not keep up, and notes what else there is to see.
func behind(st *status.Status, t *Trial, n int) string {
	if len(st.Streams) < n {
		return fmt.Sprintf("only %d streams came up", len(st.Streams))
	}
	if st.Machine.Sheds > 0 {
		return "renditions were shed"
	}
	for _, s := range st.Streams {
		if s.Skipped > 0 {
			return "segments were left out"
		}
		t.Made = max(t.Made, len(s.Renditions)-1)
		for _, r := range s.Renditions[min(1, len(s.Renditions)):] {
			t.Lag = max(t.Lag, r.Lag)
			if r.State != status.Live {
				return fmt.Sprintf("%s of a stream is %s", r.Name, r.State)
			}
			if r.Lag > mostLag {
				return fmt.Sprintf("%s of a stream is %.1f s behind", r.Name, r.Lag)
			}
		}
	}
	return ""
}
