package segmenter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simulate feeds keyframes at the given times (with frames in between) to a planner
// and returns the durations of the segments and the target duration.
func simulate(p *planner, frame time.Duration, keys ...time.Duration) (cuts []time.Duration, target time.Duration) {
	p.open(keys[0])
	p.keyframe(keys[0])
	cut := func(at time.Duration) {
		cuts = append(cuts, at-p.start)
		target = p.cut(at - p.start)
		p.open(at)
	}
	for i := 1; i < len(keys); i++ {
		for at := keys[i-1] + frame; at < keys[i]-frame/2; at += frame {
			if p.mustCut(at + frame) {
				cut(at)
			}
		}
		if p.keyframe(keys[i]) || p.mustCut(keys[i]+frame) {
			cut(keys[i])
		}
	}
	return cuts, target
}

func every(d time.Duration, n int) (keys []time.Duration) {
	for i := range n {
		keys = append(keys, time.Duration(i)*d)
	}
	return keys
}

const s = time.Second

func TestPlanner(t *testing.T) {
	for _, c := range []struct {
		name    string
		want    time.Duration
		promise time.Duration // what the encoder says of its longest group
		frame   time.Duration
		keys    []time.Duration
		cuts    []time.Duration
		target  time.Duration
	}{
		{"groups as wanted", 2 * s, 0, 40 * time.Millisecond, every(2*s, 5), []time.Duration{2 * s, 2 * s, 2 * s, 2 * s}, 2 * s},
		{"short groups: the first segment is short, the rest as wanted", 2 * s, 0, 40 * time.Millisecond, every(s, 8), []time.Duration{s, 2 * s, 2 * s, 2 * s}, 2 * s},
		{"groups of 1.5 s are not added up past the target", 2 * s, 0, 40 * time.Millisecond, every(1500*time.Millisecond, 5), []time.Duration{1500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond}, 2 * s},
		{"groups of 10 s", 2 * s, 0, 40 * time.Millisecond, every(10*s, 4), []time.Duration{10 * s, 10 * s, 10 * s}, 10 * s},
		{"5 frames a second", 2 * s, 0, 200 * time.Millisecond, every(2*s, 4), []time.Duration{2 * s, 2 * s, 2 * s}, 2 * s},
		{"intra only", 2 * s, 0, 40 * time.Millisecond, every(40*time.Millisecond, 101), []time.Duration{40 * time.Millisecond, 2 * s}, 2 * s},
		{"irregular, the longest announced: all cuts at keyframes", 2 * s, 9 * s, 40 * time.Millisecond,
			[]time.Duration{0, 1 * s, 4 * s, 5 * s, 13 * s, 14 * s, 22 * s, 23 * s, 24 * s},
			[]time.Duration{1 * s, 3 * s, 1 * s, 8 * s, 1 * s, 8 * s, 1 * s, 1 * s}, 9 * s},
		{"29.97 rounds to its target", 2 * s, 0, 33367 * time.Microsecond, every(2002*time.Millisecond, 4), []time.Duration{2002 * time.Millisecond, 2002 * time.Millisecond, 2002 * time.Millisecond}, 2 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlanner(c.want, 30*s, 0)
			p.announce(c.promise)
			cuts, target := simulate(p, c.frame, c.keys...)
			require.Equal(t, c.target, target)
			require.Equal(t, c.cuts, cuts)
		})
	}
}

// A group that turns out longer than anything before it is cut at the limit, and the
// target duration stays what it was.
func TestPlannerLongerGroupLater(t *testing.T) {
	p := newPlanner(2*s, 30*s, 0)
	cuts, target := simulate(p, 40*time.Millisecond, 0, 2*s, 4*s, 11*s, 13*s)
	require.Equal(t, 2*s, target)
	var sum time.Duration
	for _, c := range cuts {
		require.LessOrEqual(t, c.Round(time.Second), target)
		sum += c
	}
	require.Equal(t, 13*s, sum, "nothing is lost between cuts")
}

// A group without any end is cut at the limit that is for that.
func TestPlannerGroupWithoutEnd(t *testing.T) {
	p := newPlanner(2*s, 30*s, 0)
	p.open(0)
	p.keyframe(0)
	require.False(t, p.mustCut(30*s))
	require.True(t, p.mustCut(30*s+40*time.Millisecond))
	require.Equal(t, 30*s, p.cut(30*s))
}

// A presentation that goes on after its publisher came back keeps its target.
func TestPlannerKeepsAGivenTarget(t *testing.T) {
	p := newPlanner(2*s, 30*s, 2*s)
	cuts, target := simulate(p, 40*time.Millisecond, every(4*s, 4)...)
	require.Equal(t, 2*s, target)
	for _, c := range cuts {
		require.LessOrEqual(t, c.Round(time.Second), target)
	}
}

// FuzzPlanner: whatever the keyframes are, no segment is longer than its target allows
// and the target never changes.
func FuzzPlanner(f *testing.F) {
	f.Add([]byte{10, 20, 30, 200, 1, 1, 1})
	f.Fuzz(func(t *testing.T, gops []byte) {
		p := newPlanner(2*s, 30*s, 0)
		keys := []time.Duration{0}
		for _, g := range gops {
			keys = append(keys, keys[len(keys)-1]+time.Duration(int(g)+1)*100*time.Millisecond)
		}
		cuts, target := simulate(p, 100*time.Millisecond, keys...)
		for i, c := range cuts {
			if c <= 0 || c.Round(time.Second) > target {
				t.Fatalf("segment %d of %v with a target of %v", i, c, target)
			}
		}
	})
}
