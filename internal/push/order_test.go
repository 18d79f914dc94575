package push

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// A script of numbers: what each one is, with patience and without.
func TestSequence(t *testing.T) {
	type step struct {
		n       uint64
		sum     byte
		want    verdict // patient
		then    verdict // out of patience
		refused bool    // the media was bad
	}
	steps := func(s ...step) []step { return s }
	for _, c := range []struct {
		name   string
		flying []uint64
		steps  []step
	}{
		{"in order", nil, steps(step{0, 1, follows, follows, false}, step{1, 2, follows, follows, false}, step{2, 3, follows, follows, false})},
		{"begins anywhere", nil, steps(step{700, 1, follows, follows, false}, step{701, 2, follows, follows, false})},
		{"again", nil, steps(step{0, 1, follows, follows, false}, step{1, 2, follows, follows, false},
			step{1, 2, repeats, repeats, false}, step{0, 1, repeats, repeats, false}, step{2, 3, follows, follows, false})},
		{"jump", nil, steps(step{0, 1, follows, follows, false}, step{1, 2, follows, follows, false},
			step{5, 3, waits, breaks, false}, step{6, 4, follows, follows, false},
			step{3, 9, late, late, false}, step{1, 2, repeats, repeats, false}, step{7, 5, follows, follows, false})},
		{"overtaken by the second", nil, steps(step{0, 1, follows, follows, false}, step{2, 2, waits, breaks, false})},
		{"numbers that count by two", nil, steps(step{0, 1, follows, follows, false}, step{2, 2, waits, breaks, false}, step{4, 3, breaks, breaks, false})},
		{"begins again at 0", nil, steps(step{8, 1, follows, follows, false}, step{9, 2, follows, follows, false},
			step{0, 3, breaks, breaks, false}, step{1, 4, follows, follows, false})},
		{"begins again at its last number", nil, steps(step{1, 1, follows, follows, false}, step{2, 2, follows, follows, false},
			step{2, 3, breaks, breaks, false}, step{3, 4, follows, follows, false})},
		{"begins again with the same bytes is not seen", nil, steps(step{0, 1, follows, follows, false}, step{1, 2, follows, follows, false}, step{0, 1, repeats, repeats, false})},
		{"bad media is not waited for", nil, steps(step{0, 1, follows, follows, false}, step{1, 2, follows, follows, false},
			step{2, 3, follows, follows, true}, step{3, 4, breaks, breaks, false})},
		{"overtaken at the beginning", []uint64{0}, steps(step{1, 1, waits, follows, false})},
		{"overtaken", []uint64{3}, steps(step{1, 1, follows, follows, false}, step{2, 2, follows, follows, false}, step{4, 3, waits, breaks, false})},
		{"an old upload hangs", []uint64{1}, steps(step{1, 1, follows, follows, false}, step{2, 2, follows, follows, false}, step{3, 3, follows, follows, false})},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sequence
			for _, n := range c.flying {
				s.depart(n)
			}
			for i, st := range c.steps {
				f := s.depart(st.n)
				v, _ := s.judge(st.n, digest{st.sum}, true)
				require.Equal(t, st.want, v, "step %d", i)
				v, again := s.judge(st.n, digest{st.sum}, false)
				require.Equal(t, st.then, v, "step %d", i)
				s.land(f)
				switch {
				case v == repeats:
					require.Equal(t, uint64(st.sum), again.seq)
				case v == late:
				case st.refused:
					s.fail()
				default:
					s.take(taken{n: st.n, sum: digest{st.sum}, seq: uint64(st.sum)})
				}
			}
			require.LessOrEqual(t, len(s.flying), len(c.flying))
		})
	}
}

func TestSequenceRemembers(t *testing.T) {
	var s sequence
	for n := range uint64(100) {
		s.take(taken{n: n, sum: digest{byte(n)}})
		require.LessOrEqual(t, len(s.recent), remembered)
	}
	v, _ := s.judge(84, digest{84}, true)
	require.Equal(t, repeats, v)
	v, _ = s.judge(83, digest{83}, true)
	require.Equal(t, breaks, v)
}

func TestGiveUp(t *testing.T) {
	var s sequence
	s.take(taken{n: 1})
	s.take(taken{n: 2})
	old := s.depart(3)
	s.depart(4)
	v, _ := s.judge(4, digest{1}, true)
	require.Equal(t, waits, v)
	s.giveUp(4)
	require.True(t, old.over)
	s.take(taken{n: 4})
	v, _ = s.judge(3, digest{1}, true)
	require.Equal(t, late, v)
}

func TestTimeline(t *testing.T) {
	const s = time.Second
	hd := stream.RenditionInfo{Codecs: "avc1", Width: 1280, Height: 720, FrameRate: 30}
	seg := func(start, d time.Duration) *media {
		return &media{start: start, duration: d, info: hd, probed: &ffmpeg.Info{}}
	}
	mp4 := func(start, d time.Duration) *media { m := seg(start, d); m.mp4 = true; return m }
	type step struct {
		m      *media
		broken bool
		start  time.Duration
		breaks bool
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"TS", []step{{seg(1400*time.Millisecond, 2*s), false, 1400 * time.Millisecond, false}, {seg(3400*time.Millisecond, 2*s), false, 3400 * time.Millisecond, false}}},
		{"TS with a little hole", []step{{seg(0, 2*s), false, 0, false}, {seg(2400*time.Millisecond, 2*s), false, 2400 * time.Millisecond, false}}},
		{"TS with a hole", []step{{seg(0, 2*s), false, 0, false}, {seg(2600*time.Millisecond, 2*s), false, 2600 * time.Millisecond, true}}},
		{"TS with an overlap", []step{{seg(0, 2*s), false, 0, false}, {seg(1700*time.Millisecond, 2*s), false, 1700 * time.Millisecond, true}}},
		{"TS from the beginning again", []step{{seg(50*s, 2*s), false, 50 * s, false}, {seg(0, 2*s), false, 0, true}}},
		{"TS that is known to be broken", []step{{seg(0, 2*s), false, 0, false}, {seg(2*s, 2*s), true, 2 * s, true}}},
		{"the first is never a break", []step{{seg(9*s, 2*s), true, 9 * s, false}}},
		{"MP4 with a clock of its own", []step{{mp4(66*time.Millisecond, 2*s), false, 10 * s, false}, {mp4(0, 2*s), false, 12 * s, false}, {mp4(66*time.Millisecond, 1*s), false, 14 * s, false}, {mp4(0, s), true, 15 * s, true}}},
		{"MP4 that goes on", []step{{mp4(0, 500*time.Millisecond), false, 10 * s, false}, {mp4(500*time.Millisecond, s), false, 10500 * time.Millisecond, false}, {mp4(1505*time.Millisecond, s), false, 11505 * time.Millisecond, false}}},
		{"MP4 with a clock that is far on", []step{{mp4(5000*s, 2*s), false, 5000 * s, false}, {mp4(5002*s, 2*s), false, 5002 * s, false}, {mp4(5006*s, 2*s), false, 5006 * s, true}}},
		{"MP4 behind TS", []step{{seg(100*s, 2*s), false, 100 * s, false}, {mp4(0, 2*s), false, 102 * s, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l timeline
			for i, st := range c.steps {
				p := l.place(st.m, st.broken)
				require.Equal(t, st.breaks, p.discontinuity, "step %d", i)
				require.InDelta(t, float64(st.start), float64(p.start), float64(time.Millisecond)/50, "step %d", i)
				require.False(t, p.changed)
				l.advance(st.m, p)
			}
		})
	}
	t.Run("another size", func(t *testing.T) {
		var l timeline
		m := seg(0, 2*s)
		p := l.place(m, false)
		l.advance(m, p)
		first := p.info
		m = seg(2*s, 2*s)
		m.info.FrameRate = 29.97 // is measured, and no reason
		p = l.place(m, false)
		require.Same(t, first, p.info)
		require.False(t, p.discontinuity || p.changed)
		l.advance(m, p)
		m = seg(4*s, 2*s)
		m.info.Width = 640
		p = l.place(m, false)
		require.True(t, p.discontinuity && p.changed)
		require.Equal(t, 640, p.info.Width)
	})
}

func TestTicks(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 89999, 90000, 90001, -90001, 1 << 33, -1 << 40} {
		require.Equal(t, n, ticks(fromTicks(n)))
	}
	require.Equal(t, 95443717*time.Millisecond, fromTicks(1<<33).Truncate(time.Millisecond))
}
