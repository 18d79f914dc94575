package clusterbench

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// LatencyRow is what came of segments of one size.
type LatencyRow struct {
	Size, Result int       // bytes; there is one rendition
	Overhead     Quantiles // as in LoadResult
	Usage
}

// latencySlots is what a worker on a small machine has.
const latencySlots = 2

// Latency has so many jobs done one after the other, for each size of a segment, and tells row of
// each size. Results have a quarter of it. Of the options, Work, Workers (default 1), Slots (default 2) and Segment
// count. It ends with the first job that fails.
func Latency(ctx context.Context, o Options, sizes []int, jobs int, row func(LatencyRow)) error {
	if jobs < 1 || jobs > maxJobs {
		return outOfRange("jobs", int64(jobs), 1, maxJobs, false)
	}
	o.Streams, o.Renditions, o.Origins, o.Result, o.Workers = 1, 1, 1, 0, cmp.Or(o.Workers, 1)
	o.Slots = cmp.Or(o.Slots, latencySlots)
	for _, size := range sizes {
		o.Size = size
		o, err := o.filled()
		if err != nil {
			return err
		}
		r, err := latency(ctx, &o, jobs)
		if err != nil {
			return fmt.Errorf("segments of %d bytes: %w", size, err)
		}
		row(r)
	}
	return nil
}

func latency(ctx context.Context, o *Options, jobs int) (LatencyRow, error) {
	row := LatencyRow{Size: o.Size, Result: o.Result}
	r, err := newRig(ctx, o)
	if err != nil {
		return row, err
	}
	defer r.stop()
	s, err := r.open(0)
	if err != nil {
		return row, err
	}
	defer s.Close()
	usage := watch()
	overhead := make([]time.Duration, 0, jobs)
	for n := range jobs {
		var took time.Duration
		if took, err = r.job(s, 0, n); err != nil {
			break
		}
		overhead = append(overhead, took-o.Work)
	}
	row.Usage = usage.stop()
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	row.Overhead = quantilesOf(overhead)
	return row, err
}
