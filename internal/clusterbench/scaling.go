package clusterbench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ScalingStep is what so many workers did, with one slot each.
type ScalingStep struct {
	Workers, Jobs int
	Elapsed       time.Duration // from the first segment to the last result
	Rate          float64       // jobs in a second
	// OfFirst is the rate divided by what as many times one worker of the first step would do; OfIdeal
	// by that of workers who do nothing but the work, and is 0 when that takes no time.
	OfFirst, OfIdeal float64
	Usage
}

const (
	// queued is how many streams there are for each worker, each with one segment on its way: so
	// many jobs are there that none has to wait for one.
	queued = 3
	// leastJobs is how many a worker does at least in a step.
	leastJobs = 10
	// leastWork is about what a job takes that is no work.
	leastWork = time.Millisecond
)

// Scaling measures the throughput of each number of workers, and tells step of it. Of the options,
// Size, Renditions, Result, Work, Segment and Duration count. It ends with the first job that fails.
func Scaling(ctx context.Context, o Options, counts []int, step func(ScalingStep)) error {
	var one float64 // what a worker of the first step does in a second
	for _, n := range counts {
		o.Workers, o.Slots, o.Streams, o.Origins = n, 1, max(queued*n, 1), 1
		o, err := o.filled()
		if err != nil {
			return err
		}
		s, err := scale(ctx, &o)
		if err != nil {
			return fmt.Errorf("%d workers: %w", n, err)
		}
		if one == 0 {
			one = s.Rate / float64(n)
		}
		s.OfFirst = s.Rate / (float64(n) * one)
		s.OfIdeal = s.Rate / float64(n) * o.Work.Seconds()
		step(s)
	}
	return nil
}

// scale keeps the workers busy with a number of jobs that takes Options.Duration when all goes well.
func scale(ctx context.Context, o *Options) (ScalingStep, error) {
	each := min(max(int(o.Duration/max(o.Work, leastWork)), leastJobs), maxJobs/o.Workers)
	r, err := newRig(ctx, o)
	if err != nil {
		return ScalingStep{}, err
	}
	defer r.stop()
	s := ScalingStep{Workers: o.Workers, Jobs: each * o.Workers}
	left := atomic.Int64{}
	left.Store(int64(s.Jobs))
	usage := watch()
	began := time.Now()
	var streams sync.WaitGroup
	for i := range o.Streams {
		streams.Go(func() {
			if err := r.drain(i, &left); err != nil {
				r.cancel(err)
			}
		})
	}
	streams.Wait()
	s.Elapsed = time.Since(began)
	s.Usage = usage.stop()
	if r.ctx.Err() != nil {
		return s, context.Cause(r.ctx)
	}
	s.Rate = float64(s.Jobs) / s.Elapsed.Seconds()
	return s, nil
}

// drain does jobs of one stream, one after the other, as long as there are any left.
func (r *rig) drain(i int, left *atomic.Int64) error {
	s, err := r.open(i)
	if err != nil {
		return err
	}
	defer s.Close()
	for n := 0; left.Add(-1) >= 0; n++ {
		if _, err := r.job(s, i, n); err != nil {
			return err
		}
	}
	return nil
}
