package clusterbench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
)

// Every segment that was due is in the result, by what became of it.
func TestLoad(t *testing.T) {
	for name, o := range map[string]Options{
		"small": {Streams: 7, Segment: 200 * time.Millisecond, Size: 1000, Work: time.Millisecond, Workers: 2, Duration: time.Second},
		"large": {Streams: 2, Segment: 500 * time.Millisecond, Size: 7 << 20, Renditions: 2, Workers: 1, Slots: 2, Duration: time.Second},
		"two broadcasters": {
			Streams: 4, Segment: 250 * time.Millisecond, Size: 5000, Renditions: 10, Result: 16, Workers: 1, Slots: 1, Origins: 2, Duration: 500 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o.Warnf = t.Logf
			r, err := Load(t.Context(), o)
			require.NoError(t, err)
			require.NoError(t, r.Err)
			require.Equal(t, int(r.Duration/r.Segment)*r.Streams, r.Offered)
			require.Equal(t, r.Offered, r.Done+r.LeftOut)
			require.Positive(t, r.Done)
			require.GreaterOrEqual(t, r.Calls, int64(r.Done))
			require.Equal(t, int64(r.Done)*int64(r.Size+r.Renditions*r.Result), r.Bytes)
			q := r.Overhead
			require.Positive(t, q.P50, "a sleep is never too short")
			require.True(t, q.P50 <= q.P90 && q.P90 <= q.P99 && q.P99 <= q.Max)
			require.Positive(t, r.Elapsed)
			require.Positive(t, r.CPU)
			require.Positive(t, r.Memory)
		})
	}
}

// A stream whose segments do not come back leaves some out, and the run ends all the same.
func TestLoadLeavesOut(t *testing.T) {
	r, err := Load(t.Context(), Options{
		Streams: 2, Segment: 50 * time.Millisecond, Size: 100, Work: 300 * time.Millisecond, Workers: 1, Slots: 1, Duration: time.Second, Warnf: t.Logf,
	})
	require.NoError(t, err)
	require.Positive(t, r.LeftOut)
	require.Equal(t, r.Offered, r.Done+r.Failed+r.LeftOut)
	require.Positive(t, r.Late)
}

func TestLoadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := Load(ctx, Options{Streams: 10, Work: 5 * time.Second})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Load(ctx, Options{Streams: 10})
	require.ErrorIs(t, err, context.Canceled)
}

func TestLatency(t *testing.T) {
	var rows []LatencyRow
	err := Latency(t.Context(), Options{Warnf: t.Logf}, []int{100, 100 << 10, 8 << 20}, 5, func(r LatencyRow) { rows = append(rows, r) })
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, 25<<10, rows[1].Result)
	for _, r := range rows {
		require.Positive(t, r.Overhead.P50)
		require.LessOrEqual(t, r.Overhead.P50, r.Overhead.Max)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Latency(ctx, Options{}, []int{100, 100}, 5, func(LatencyRow) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}

func TestScaling(t *testing.T) {
	var steps []ScalingStep
	o := Options{Size: 1000, Work: 10 * time.Millisecond, Duration: 200 * time.Millisecond, Warnf: t.Logf}
	require.NoError(t, Scaling(t.Context(), o, []int{1, 3}, func(s ScalingStep) { steps = append(steps, s) }))
	require.Len(t, steps, 2)
	require.Equal(t, 1, steps[0].Workers)
	require.Equal(t, 20, steps[0].Jobs)
	require.Equal(t, 60, steps[1].Jobs)
	require.Equal(t, 1.0, steps[0].OfFirst)
	require.Positive(t, steps[1].OfFirst)
	require.Less(t, steps[1].OfIdeal, 1.0, "nobody is faster than the work")

	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, Scaling(ctx, o, []int{1, 2}, func(ScalingStep) { cancel() }), context.Canceled)
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"streams":           {Streams: -1},
		"many streams":      {Streams: maxStreams + 1},
		"short segments":    {Segment: time.Millisecond},
		"no bytes":          {Size: -1},
		"large":             {Size: maxSize + 1},
		"renditions":        {Renditions: ffmpeg.MaxRenditions + 1},
		"small result":      {Result: minResult - 1},
		"results together":  {Renditions: 10, Result: 30 << 20},
		"work":              {Work: -1},
		"much work":         {Work: maxWork + 1},
		"workers":           {Workers: maxMachines + 1},
		"slots":             {Slots: maxSlots + 1},
		"origins":           {Origins: -1},
		"duration":          {Duration: -time.Second},
		"too many segments": {Streams: 100_000, Segment: 10 * time.Millisecond, Duration: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), o)
			require.ErrorIs(t, err, ErrOptions)
			t.Log(err)
		})
	}
	require.ErrorIs(t, Latency(t.Context(), Options{}, nil, 0, nil), ErrOptions)
	require.ErrorIs(t, Latency(t.Context(), Options{}, []int{maxSize + 1}, 1, nil), ErrOptions)
	require.ErrorIs(t, Scaling(t.Context(), Options{}, []int{maxMachines + 1}, nil), ErrOptions)

	o, err := Options{Work: 200 * time.Millisecond}.filled()
	require.NoError(t, err)
	require.Equal(t, 15, o.Slots, "100 segments are in work at the same time, and ten workers have room for 150")
	require.Equal(t, 12_500, o.Result)
}

// What is not what was sent is found, on both sides.
func TestMedia(t *testing.T) {
	o, err := Options{Size: 5000, Result: 100}.filled()
	require.NoError(t, err)
	m := newMedia(&o)
	seg, ladder := m.segment(3, 4), m.ladder()
	require.Len(t, seg.Data, 5000)
	require.NotEqual(t, seg.Seq, m.segment(4, 3).Seq)
	in := cluster.Segment{Seq: seg.Seq, Data: seg.Data, Renditions: ladder}
	var outs []ffmpeg.Output
	require.NoError(t, m.work(t.Context(), in, func(_ int, out ffmpeg.Output) { outs = append(outs, out) }))
	require.Len(t, outs, 3)
	for i := range outs {
		require.NoError(t, m.check(&outs[i], &ladder[i], seg))
	}
	require.ErrorIs(t, m.check(&outs[0], &ladder[1], seg), errMedia, "another rendition")
	require.ErrorIs(t, m.check(&outs[0], &ladder[0], m.segment(3, 5)), errMedia, "another segment")
	outs[0].Data[99]++
	require.ErrorIs(t, m.check(&outs[0], &ladder[0], seg), errMedia, "another byte")
	outs[1].Data = outs[1].Data[:99]
	require.ErrorIs(t, m.check(&outs[1], &ladder[1], seg), errMedia, "too short")

	in.Data = append([]byte{}, in.Data...)
	in.Data[4999]++
	require.ErrorIs(t, m.work(t.Context(), in, nil), errMedia)
	in.Data = seg.Data[:4999]
	require.ErrorIs(t, m.work(t.Context(), in, nil), errMedia)

	gone, cancel := context.WithCancelCause(t.Context())
	unwanted := errors.New("unwanted")
	cancel(unwanted)
	o.Work, in.Data = time.Second, seg.Data
	require.ErrorIs(t, m.work(gone, in, nil), unwanted)
}

func TestQuantiles(t *testing.T) {
	require.Zero(t, quantilesOf(nil))
	require.Equal(t, Quantiles{7, 7, 7, 7}, quantilesOf([]time.Duration{7}))
	var samples []time.Duration
	for i := range 200 {
		samples = append(samples, time.Duration(200-i))
	}
	require.Equal(t, Quantiles{100, 180, 198, 200}, quantilesOf(samples))
	require.Equal(t, Quantiles{2, 3, 3, 3}, quantilesOf([]time.Duration{3, 1, 2}))
}
