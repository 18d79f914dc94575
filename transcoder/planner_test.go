package transcoder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/stream"
)

const s = time.Second

// at is a moment of a test of the planner.
func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

// segs are segments of 2 s.
func segs(first, last uint64) (out []*stream.Segment) {
	for n := first; n <= last; n++ {
		out = append(out, &stream.Segment{Seq: n, Duration: 2 * s})
	}
	return out
}

func numbersOf(items []item) (out []uint64) {
	for _, it := range items {
		out = append(out, it.seg.Seq)
	}
	return out
}

// A step is told to the planner, or asked of it.
type step struct {
	at          time.Duration
	first, last uint64   // held by the source, if there is one
	gone        bool     // the source holds nothing
	ask         bool     // for the next segment
	ended       bool     // the source
	want        uint64   // the answer, 0: nothing
	late        []uint64 // those left out or lost
}

func TestPlanner(t *testing.T) {
	for _, c := range []struct {
		name   string
		maxLag time.Duration
		steps  []step
	}{
		{"in order", 0, []step{
			{first: 1, last: 1}, {ask: true, want: 1}, {ask: true},
			{at: 2 * s, first: 1, last: 2}, {at: 4 * s, first: 1, last: 3},
			{at: 4 * s, ask: true, want: 2}, {at: 5 * s, ask: true, want: 3}, {at: 5 * s, ask: true},
		}},
		{"the oldest is done as long as it is in time", 0, []step{
			{first: 1, last: 1}, {at: 2 * s, first: 1, last: 2}, {at: 4 * s, first: 1, last: 3}, {at: 6 * s, first: 1, last: 4},
			{at: 6 * s, ask: true, want: 1}, {at: 7 * s, ask: true, want: 2},
		}},
		{"late: goes on with the first that has half of its time left", 0, []step{
			{first: 1, last: 1}, {at: 2 * s, first: 1, last: 2}, {at: 4 * s, first: 1, last: 3}, {at: 6 * s, first: 1, last: 4},
			{at: 6*s + 1, ask: true, want: 3, late: []uint64{1, 2}},
		}},
		{"late: the newest is done as long as it is in time", 0, []step{
			{first: 1, last: 1}, {at: 2 * s, first: 1, last: 2},
			{at: 7 * s, ask: true, want: 2, late: []uint64{1}},
		}},
		{"all are late", 0, []step{
			{first: 1, last: 1}, {at: 2 * s, first: 1, last: 2},
			{at: 9 * s, ask: true, late: []uint64{1, 2}},
			{at: 10 * s, first: 1, last: 3}, {at: 10 * s, ask: true, want: 3},
		}},
		{"the source has ended: only what is late is left out", 0, []step{
			{first: 1, last: 1}, {at: 2 * s, first: 1, last: 2}, {at: 4 * s, first: 1, last: 3},
			{at: 7 * s, ask: true, ended: true, want: 2, late: []uint64{1}},
			{at: 9 * s, ask: true, ended: true, want: 3},
		}},
		{"another limit", 20 * s, []step{
			{first: 1, last: 1}, {at: 20 * s, ask: true, want: 1},
			{at: 20 * s, first: 1, last: 2}, {at: 41 * s, ask: true, late: []uint64{2}},
		}},
		{"a burst is due as it is played", 0, []step{
			{first: 1, last: 10},
			{at: 5 * s, ask: true, want: 1}, {at: 7 * s, ask: true, want: 2}, {at: 9 * s, ask: true, want: 3},
			{at: 22 * s, ask: true, want: 10, late: []uint64{4, 5, 6, 7, 8, 9}},
		}},
		{"what the source does not hold any more is lost", 0, []step{
			{first: 1, last: 3}, {first: 3, last: 5, late: []uint64{1, 2}}, {ask: true, want: 3},
			{gone: true, late: []uint64{4, 5}}, {ask: true},
			{first: 6, last: 6}, {ask: true, want: 6},
		}},
		{"numbers that jump", 0, []step{
			{first: 1, last: 2}, {first: 100, last: 101, late: []uint64{1, 2}}, {ask: true, want: 100}, {ask: true, want: 101},
		}},
		{"another presentation, with lower numbers", 0, []step{
			{first: 100, last: 102}, {ask: true, want: 100},
			{first: 5, last: 6, late: []uint64{101, 102}}, {ask: true, want: 5}, {ask: true, want: 6},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planner{maxLag: c.maxLag}
			for i, st := range c.steps {
				if !st.ask {
					var held []*stream.Segment
					if !st.gone {
						held = segs(st.first, st.last)
					}
					require.Equal(t, st.late, numbersOf(p.observe(at(st.at), held)), "step %d: lost", i)
					continue
				}
				it, late, ok := p.next(at(st.at), st.ended)
				require.Equal(t, st.late, numbersOf(late), "step %d: left out", i)
				require.Equal(t, st.want != 0, ok, "step %d", i)
				if ok {
					require.Equal(t, st.want, it.seg.Seq, "step %d", i)
				}
			}
		})
	}
}

func TestPlannerDefaultLag(t *testing.T) {
	var p planner
	p.observe(at(0), []*stream.Segment{{Seq: 1, Duration: s}})
	require.Equal(t, 6*s, p.last.maxLag)
	p.observe(at(0), []*stream.Segment{{Seq: 2, Duration: 10 * s}})
	require.Equal(t, 30*s, p.last.maxLag)
	p.observe(at(0), []*stream.Segment{{Seq: 3, Duration: s}})
	require.Equal(t, 30*s, p.last.maxLag, "a short segment in between changes nothing")
}

func TestPlannerIdle(t *testing.T) {
	var p planner
	p.idle()
	p.observe(at(0), segs(1, 5))
	p.idle()
	require.Equal(t, []uint64{5}, numbersOf(p.queue))
}

// A machine that does less than the source sends: segments that are made are never older
// than their limit, and stretches of them follow each other.
func TestPlannerSteadyOverload(t *testing.T) {
	var p planner
	var made, missed int
	now := at(0)
	for n := uint64(1); n < 500; {
		for ; now.Sub(at(0)) >= time.Duration(n)*2*s; n++ {
			p.observe(at(time.Duration(n)*2*s), segs(max(n, 12)-11, n))
		}
		it, late, ok := p.next(now, false)
		missed += len(late)
		if !ok {
			now = now.Add(s / 10)
			continue
		}
		made++
		require.LessOrEqual(t, now.Sub(it.appended), 6*s)
		now = now.Add(3 * s)
	}
	require.InDelta(t, 500*2/3, made, 5, "the machine is always at work")
	require.InDelta(t, 500/3, missed, 5)
}
