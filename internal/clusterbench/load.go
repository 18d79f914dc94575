package clusterbench

import (
	"context"
	"sync"
	"time"
)

// LoadResult is what came of a load. Offered is the sum of Done, Failed and LeftOut.
type LoadResult struct {
	Options // as they were, with defaults

	Offered int // segments that were due
	Done    int // those that came back in all renditions
	Late    int // of these: not within the length of a segment
	Failed  int
	LeftOut int   // not handed over, because four of their stream were still on their way
	Calls   int64 // how often a worker began a segment: more than Done are second attempts
	Err     error // the first failure

	Elapsed time.Duration // from the first segment to the last result
	Bytes   int64         // of the segments and renditions that are done, each counted once
	// Overhead is from handing a segment to the engine to the last of its renditions, without
	// Options.Work: it has the wait for a worker in it, and that a sleep is longer than asked for.
	Overhead Quantiles
	PaceLag  time.Duration // how late a segment was offered at most: this process had no time for it
	Usage
}

// Load feeds the engine as live streams do: each of them gives a segment every Options.Segment,
// spread evenly, whether or not the last one is back. It returns when all results are in; a segment
// has six times its length for that, at least 12 s. It blocks until then, or until ctx ends.
func Load(ctx context.Context, o Options) (LoadResult, error) {
	o, err := o.filled()
	if err != nil {
		return LoadResult{}, err
	}
	r, err := newRig(ctx, &o)
	if err != nil {
		return LoadResult{}, err
	}
	defer r.stop()
	l := &load{rig: r, result: LoadResult{Options: o}}
	usage := watch()
	began := time.Now()
	var streams sync.WaitGroup
	for i := range o.Streams {
		streams.Go(func() { l.stream(i, began) })
	}
	streams.Wait()
	l.result.Elapsed = time.Since(began)
	l.result.Usage = usage.stop()
	if r.ctx.Err() != nil {
		return LoadResult{}, context.Cause(r.ctx)
	}
	l.result.Calls, l.result.Overhead = r.calls.Load(), quantilesOf(l.samples)
	l.result.Bytes = int64(l.result.Done) * int64(o.Size+o.Renditions*o.Result)
	return l.result, nil
}

// load is a run of Load.
type load struct {
	rig *rig

	mu      sync.Mutex
	result  LoadResult
	samples []time.Duration
}

// stream gives the segments of one stream, and returns when their results are in.
func (l *load) stream(i int, began time.Time) {
	o := l.rig.opts
	s, err := l.rig.open(i)
	if err != nil {
		l.rig.cancel(err)
		return
	}
	defer s.Close()
	room := make(chan struct{}, l.rig.origins[0].Parallel())
	var jobs sync.WaitGroup
	defer jobs.Wait()
	end := began.Add(o.Duration)
	due := began.Add(o.Segment * time.Duration(i) / time.Duration(o.Streams))
	for n := 0; due.Before(end) && l.sleep(due); n, due = n+1, due.Add(o.Segment) {
		select {
		case room <- struct{}{}:
		default:
			l.offer(due, true)
			continue
		}
		l.offer(due, false)
		jobs.Go(func() {
			took, err := l.rig.job(s, i, n)
			l.note(took, err)
			<-room
		})
	}
}

// sleep returns at that time; false when the run is over before.
func (l *load) sleep(due time.Time) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.rig.ctx.Done():
		return false
	}
}

func (l *load) offer(due time.Time, leftOut bool) {
	lag := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Offered++
	l.result.PaceLag = max(l.result.PaceLag, lag)
	if leftOut {
		l.result.LeftOut++
	}
}

func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.result.Failed++
		if l.result.Err == nil {
			l.result.Err = err
		}
		return
	}
	l.result.Done++
	if took > l.rig.opts.Segment {
		l.result.Late++
	}
	l.samples = append(l.samples, took-l.rig.opts.Work)
}
