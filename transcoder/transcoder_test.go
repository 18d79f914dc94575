package transcoder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

func TestFillsAllRenditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(500*time.Millisecond)), newBuffer(), Options{Renditions: ladderOf("b", "a")})
		r.publish(6)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5}, numbers(r.buf, "a"), "each is there while the source goes on")
		r.end()
		for _, name := range []string{"a", "b"} {
			require.Empty(t, aligned(t, r.buf, name))
			list, ended := playlist(t, r.buf, name)
			require.Len(t, list, 6)
			require.True(t, ended)
			st := r.of(name)
			require.EqualValues(t, 6, st.Done)
			require.EqualValues(t, firstSeq+5, st.Last)
			require.Equal(t, 500*time.Millisecond, st.Lag)
			require.Equal(t, 500*time.Millisecond, st.Took)
			require.Equal(t, 0.25, st.Ratio)
			require.EqualValues(t, 6*len("a 100"), st.Bytes)
			require.Zero(t, st.Behind+int(st.BehindMedia)+int(st.Failed+st.Skipped))
		}
		for i, seg := range r.buf.SegmentsAfter("a", 0) {
			src := r.buf.SegmentsAfter(stream.Source, 0)[i]
			require.Equal(t, src.Start, seg.Start)
			require.Equal(t, src.Duration, seg.Duration)
			require.Equal(t, src.ProgramTime, seg.ProgramTime)
			require.True(t, seg.Independent)
			require.Equal(t, &stream.RenditionInfo{Codecs: "avc1.42c01e", Width: 321, Height: 180, FrameRate: 30}, seg.Info)
		}
		require.Equal(t, 1, r.engine.counts().opened, "one session for the whole stream")
		require.Len(t, r.kinds(Done), 12)
	})
}

// The machine needs 3 s for segments of 2 s: a third is left out, what is made is never
// older than allowed, and when the machine is fast again nothing more is left out.
func TestTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := 3 * s
		r := start(t, newEngine(1, func(ctx context.Context, c *call) error { return takes(slow)(ctx, c) }),
			newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(30)
		require.Len(t, numbers(r.buf, stream.Source), 30)
		st := r.of("a")
		require.Positive(t, st.Behind)
		require.Equal(t, time.Duration(st.Behind)*2*s, st.BehindMedia)
		require.Positive(t, r.Stats().Waiting)
		skipped := st.Skipped
		require.InDelta(t, 10, skipped, 4)
		for _, e := range r.kinds(Done) {
			require.LessOrEqual(t, e.Lag, 9*s)
		}
		slow = 500 * time.Millisecond
		r.publish(10)
		require.LessOrEqual(t, r.of("a").Skipped-skipped, uint64(2))
		require.LessOrEqual(t, r.of("a").Lag, 500*time.Millisecond, "it has caught up")
		r.end()
		gaps := aligned(t, r.buf, "a")
		require.Len(t, gaps, int(r.Stats().Skipped))
		require.Len(t, r.kinds(Skipped), len(gaps))
	})
}

// A publisher that sends all at once, or a network that held everything back, is no
// overload: nothing is left out as long as the work is faster than the playing.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(1500*time.Millisecond)), newBuffer(), Options{Renditions: ladderOf("a")})
		for range 30 {
			r.add()
		}
		r.end()
		require.Empty(t, aligned(t, r.buf, "a"))
		require.Len(t, numbers(r.buf, "a"), 30)
	})
}

// Many streams share few jobs: never more than that at once, and nobody gets more than others.
func TestStreamsShareJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(2, takes(1500*time.Millisecond))
		var rigs []*rig
		for i := range 7 {
			rigs = append(rigs, start(t, e, newBuffer(), Options{Stream: fmt.Sprint(i), Renditions: ladderOf("a")}))
		}
		for range 60 {
			for _, r := range rigs {
				r.add()
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(2*s - 7*10*time.Millisecond)
		}
		least, most := 60, 0
		for _, r := range rigs {
			n := len(numbers(r.buf, "a"))
			least, most = min(least, n), max(most, n)
			require.Len(t, numbers(r.buf, stream.Source), 60)
		}
		require.LessOrEqual(t, most-least, 2)
		require.InDelta(t, 120/1.5*2/7, most, 3, "the jobs were always busy")
		require.Equal(t, 2, e.counts().most)
		for _, r := range rigs {
			r.buf.End()
		}
		for _, r := range rigs {
			require.NoError(t, <-r.result)
			aligned(t, r.buf, "a")
			_, ended := playlist(t, r.buf, "a")
			require.True(t, ended)
		}
	})
}

// Several workers: results that come out of order are appended in order.
func TestParallelSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(3, func(ctx context.Context, c *call) error {
			d := 5 * s
			if c.seq%3 == 2 {
				d = s
			}
			return takes(d)(ctx, c)
		})
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a", "b"), Parallel: 3})
		r.publish(20)
		r.end()
		require.Equal(t, 3, e.counts().most)
		require.Equal(t, 1, e.counts().mostTurning, "a stream waits once")
		for _, name := range []string{"a", "b"} {
			require.Empty(t, aligned(t, r.buf, name))
			require.Len(t, numbers(r.buf, name), 20)
		}
	})
}

// A worker that never answers holds up the others until its segment is of no use, and no
// longer.
func TestStuckWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(3, func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 {
				<-ctx.Done()
				return ctx.Err()
			}
			return takes(s)(ctx, c)
		})
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a"), Parallel: 2})
		r.publish(7)
		require.Equal(t, []int{0, 1}, numbers(r.buf, "a"))
		r.publish(5)
		r.end()
		require.Equal(t, []int{2}, aligned(t, r.buf, "a"))
		require.Len(t, numbers(r.buf, "a"), 11)
		require.Len(t, r.kinds(Failed), 1)
		require.ErrorIs(t, r.kinds(Failed)[0].Err, context.DeadlineExceeded)
	})
}

func TestBrokenSegments(t *testing.T) {
	for _, c := range []struct {
		name     string
		script   func(ctx context.Context, c *call) error
		options  Options
		gaps     []int
		retried  uint64
		sessions int
	}{
		{"works the second time, in a new session", func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 && c.try == 1 {
				return errBroken
			}
			c.all()
			return nil
		}, Options{}, nil, 1, 2},
		{"fails twice", func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 {
				return errBroken
			}
			c.all()
			return nil
		}, Options{}, []int{2}, 1, 3},
		{"is not worth a second try", func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 {
				return errBroken
			}
			c.all()
			return nil
		}, Options{Retryable: func(err error) bool { return !errors.Is(err, errBroken) }}, []int{2}, 0, 2},
		{"panics", func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 {
				panic("a bug")
			}
			c.all()
			return nil
		}, Options{}, []int{2}, 1, 3},
		{"one rendition is there when it fails", func(ctx context.Context, c *call) error {
			if c.seq == firstSeq+2 {
				c.done(1, c.output(1))
				return errBroken
			}
			c.all()
			return nil
		}, Options{}, []int{2}, 1, 3},
		{"a rendition fails alone", func(ctx context.Context, c *call) error {
			c.done(1, c.output(1))
			out := c.output(0)
			if c.seq == firstSeq+2 {
				out = ffmpeg.Output{Err: errBroken}
			}
			c.done(0, out)
			return nil
		}, Options{}, []int{2}, 0, 1},
		{"a rendition is not answered", func(ctx context.Context, c *call) error {
			c.done(1, c.output(1))
			if c.seq != firstSeq+2 {
				c.done(0, c.output(0))
			}
			return nil
		}, Options{}, []int{2}, 0, 1},
		{"a rendition is empty", func(ctx context.Context, c *call) error {
			c.done(1, c.output(1))
			out := c.output(0)
			if c.seq == firstSeq+2 {
				out.Data = nil
			}
			c.done(0, out)
			return nil
		}, Options{}, []int{2}, 0, 1},
		{"answers that make no sense", func(ctx context.Context, c *call) error {
			c.done(-1, c.output(0))
			c.done(2, c.output(0))
			c.all()
			c.done(0, ffmpeg.Output{Data: []byte("a second answer")})
			c.done(1, ffmpeg.Output{Err: errBroken})
			time.AfterFunc(s, func() { c.done(0, ffmpeg.Output{Data: []byte("too late")}) })
			return nil
		}, Options{}, nil, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.options.Renditions = ladderOf("a", "b")
				r := start(t, newEngine(1, c.script), newBuffer(), c.options)
				r.publish(6)
				require.Equal(t, c.gaps, aligned(t, r.buf, "a"))
				r.end()
				require.Equal(t, c.retried, r.Stats().Retried)
				require.Equal(t, c.sessions, r.engine.counts().opened)
				require.EqualValues(t, len(c.gaps), r.of("a").Failed)
				require.EqualValues(t, 6-len(c.gaps), r.of("a").Done)
				for _, e := range r.kinds(Failed) {
					require.EqualValues(t, firstSeq+2, e.Seq)
					require.Error(t, e.Err)
					require.NotEmpty(t, e.String())
				}
				require.Len(t, r.kinds(Failed), len(c.gaps))
			})
		})
	}
}

// A panic anywhere in an engine is an error of a segment.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(1, takes(s))
		n := 0
		e.fail = func([]ffmpeg.Rendition) error {
			if n++; n <= 2 {
				panic("in Open")
			}
			return nil
		}
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(3)
		r.end()
		require.Equal(t, []int{1, 2}, numbers(r.buf, "a"))
		require.ErrorContains(t, r.kinds(Failed)[0].Err, "in Open")
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer()
		e := brokenEngine{}
		tr, err := New(b, Options{Engine: e, Renditions: ladderOf("a")})
		require.NoError(t, err)
		_, err = b.Append(stream.Source, stream.Segment{Data: []byte("x"), Duration: 2 * s})
		require.NoError(t, err)
		b.End()
		require.NoError(t, tr.Run(t.Context()))
		require.EqualValues(t, 1, tr.Stats().Renditions[0].Failed)
	})
}

type brokenEngine struct{ Engine }

func (brokenEngine) Turn(context.Context) (func(), error) { panic("in Turn") }

// A rendition that fails again and again leaves the presentation, is tried on, and is back
// when it works.
func TestRenditionThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(1, func(ctx context.Context, c *call) error {
			c.done(0, c.output(0))
			out := c.output(1)
			if n := c.seq - firstSeq; n >= 2 && n < 10 {
				out = ffmpeg.Output{Err: errBroken}
			}
			c.done(1, out)
			return nil
		})
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a", "b")})
		r.publish(6)
		require.False(t, r.of("b").Ended)
		_, err := r.buf.MediaPlaylist(t.Context(), "b")
		require.NoError(t, err, "four in a row are gaps")
		r.publish(1)
		require.True(t, r.of("b").Ended)
		require.Len(t, r.kinds(Ended), 1)
		_, err = r.buf.MediaPlaylist(t.Context(), "b")
		require.ErrorIs(t, err, stream.ErrNotFound)
		r.publish(3)
		require.Len(t, r.kinds(Ended), 1)
		require.Empty(t, r.kinds(Returned))
		require.Equal(t, 8, r.of("b").Behind)
		r.publish(1)
		require.False(t, r.of("b").Ended)
		require.Len(t, r.kinds(Returned), 1)
		require.Equal(t, []int{10}, listed(t, r.buf, "b"), "its playlist begins anew")
		require.Empty(t, aligned(t, r.buf, "b"))
		r.end()
		require.Empty(t, aligned(t, r.buf, "a"))
	})
}

// A presentation has no place for all renditions: those that fit are made.
func TestMoreRenditionsThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stream.NewHLSBufferWithConfig(stream.HLSConfig{MaxRenditions: 3, FirstSequence: firstSeq, MinSegments: 100})
		r := start(t, newEngine(1, takes(s)), b, Options{Renditions: ladderOf("a", "b", "c")})
		r.publish(7)
		r.end()
		require.Equal(t, []string{"source", "a", "b"}, b.Renditions())
		require.Empty(t, aligned(t, r.buf, "b"))
		require.EqualValues(t, 7, r.of("c").Failed)
		require.True(t, r.of("c").Ended)
	})
}

func TestRefusedRenditions(t *testing.T) {
	other := func(change func(*ffmpeg.Rendition)) []ffmpeg.Rendition {
		l := ladderOf("a")
		change(&l[0])
		return l
	}
	for name, l := range map[string][]ffmpeg.Rendition{
		"named like the source": ladderOf("a", stream.Source),
		"twice the same":        ladderOf("a", "b", "a"),
		"no name":               ladderOf(""),
		"not a name":            ladderOf("../a"),
		"MP4":                   other(func(r *ffmpeg.Rendition) { r.Profile.Format = ffmpeg.FormatMP4 }),
		"VP9":                   other(func(r *ffmpeg.Rendition) { r.Profile.Encoder = ffmpeg.VP9 }),
		"cut":                   other(func(r *ffmpeg.Rendition) { r.To = s }),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(1, takes(s))
			_, err := New(newBuffer(), Options{Engine: e, Renditions: l})
			require.ErrorIs(t, err, ErrRenditions)
			tr, err := New(newBuffer(), Options{Engine: e, Renditions: ladderOf("z")})
			require.NoError(t, err)
			require.ErrorIs(t, tr.SetRenditions(l), ErrRenditions)
			require.Equal(t, ladderOf("z"), tr.Renditions())
		})
	}
	_, err := New(newBuffer(), Options{})
	require.Error(t, err, "without an engine")
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		r.add()
		time.Sleep(s / 2)
		r.cancel(cause)
		require.ErrorIs(t, r.wait(), cause)
		require.Empty(t, r.kinds(Failed), "what was stopped has not failed")
		_, err := r.buf.MediaPlaylist(t.Context(), "a")
		require.ErrorIs(t, err, stream.ErrNotFound, "players change to the source")
		_, err = r.buf.MediaPlaylist(t.Context(), stream.Source)
		require.NoError(t, err)
		require.ErrorIs(t, r.Run(contextWith(cause)), cause)

		go func() { r.result <- r.Run(t.Context()) }()
		r.publish(2)
		r.end()
		require.Equal(t, []int{3, 4}, listed(t, r.buf, "a"), "a new Run goes on")
		require.Empty(t, aligned(t, r.buf, "a"))
	})
}

func contextWith(cause error) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ctx
}

func TestEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  time.Duration
		before int // segments at once before the end
		made   []int
	}{
		{"nothing is left", s, 0, []int{0, 1}},
		{"what lags is completed", 2 * s, 3, []int{0, 1, 2, 3, 4}},
		{"what lags too much is not", 7 * s, 3, []int{0, 1, 2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				delay := s
				r := start(t, newEngine(1, func(ctx context.Context, c *call) error { return takes(delay)(ctx, c) }),
					newBuffer(), Options{Renditions: ladderOf("a"), MaxLag: 8 * s})
				r.publish(2)
				delay = c.takes
				for range c.before {
					r.add()
					time.Sleep(s)
				}
				r.end()
				require.Equal(t, c.made, numbers(r.buf, "a"))
				_, ended := playlist(t, r.buf, "a")
				require.True(t, ended)
				aligned(t, r.buf, "a")
				require.NoError(t, r.Run(t.Context()), "nothing is left to do")
			})
		})
	}
}

// An engine that takes no jobs does not keep an ended presentation open.
func TestEndWithoutTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(1, takes(s))
		release, err := e.Turn(t.Context())
		require.NoError(t, err)
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		began := time.Now()
		r.end()
		require.Less(t, time.Since(began), 7*s)
		require.EqualValues(t, 2, r.of("a").Skipped)
		release()
	})
}

func TestPresentationWithoutMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{Renditions: ladderOf("a")})
		time.Sleep(10 * time.Minute)
		r.end()
		require.Zero(t, r.engine.counts().opened)
	})
}

// A publisher that was lost comes back: the same Run goes on. Nothing is kept open meanwhile.
func TestResumeAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		r.buf.Suspend()
		time.Sleep(2 * idleTime)
		require.Equal(t, 1, r.engine.counts().closed, "encoders are not held for nobody")
		r.buf.Resume()
		r.publish(2)
		r.end()
		require.Empty(t, aligned(t, r.buf, "a"))
		require.True(t, r.buf.SegmentsAfter("a", firstSeq+1)[0].Discontinuity)
		require.Equal(t, 2, r.engine.counts().opened)
	})
}

// A publisher returns after the end while the last segments of the old presentation are still
// at work: the same Run goes on, and a second one waits for it.
func TestResumeAfterEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(1500*time.Millisecond)), newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		r.add()
		r.add()
		r.buf.End()
		synctest.Wait()
		r.buf.Resume()
		second := make(chan error, 1)
		go func() { second <- r.Run(t.Context()) }()
		r.publish(3)
		require.Equal(t, []int{4, 5, 6}, numbers(r.buf, "a"))
		require.Equal(t, 1, r.engine.counts().most, "two never work at once")
		r.end()
		require.NoError(t, <-second)
		require.Empty(t, aligned(t, r.buf, "a"))

		r.buf.Resume()
		go func() { r.result <- r.Run(t.Context()) }()
		synctest.Wait()
		r.publish(2)
		r.end()
		require.Equal(t, []int{7, 8}, numbers(r.buf, "a"))
		require.Empty(t, r.kinds(Failed))
	})
}

// The source begins again behind a hole in its numbers.
func TestSourceJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		_, err := r.buf.Append(stream.Source, stream.Segment{Seq: firstSeq + 50, Data: []byte("x"), Start: 100 * s, Duration: 2 * s})
		require.NoError(t, err)
		time.Sleep(2 * s)
		r.publish(1)
		r.end()
		require.Empty(t, aligned(t, r.buf, "a"))
		list, _ := playlist(t, r.buf, "a")
		require.Len(t, list, 2)
		require.Zero(t, r.of("a").Behind)
	})
}

// Segments leave the window before their turn comes.
func TestExpiredSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stream.NewHLSBufferWithConfig(stream.HLSConfig{MinSegments: 3, FirstSequence: firstSeq, TargetDuration: 2 * s})
		r := start(t, newEngine(1, takes(40*s)), b, Options{Renditions: ladderOf("a"), MaxLag: time.Hour})
		r.publish(60)
		r.end()
		st := r.of("a")
		require.Positive(t, st.Skipped)
		require.EqualValues(t, 60, st.Done+st.Skipped+st.Failed)
		require.LessOrEqual(t, len(b.SegmentsAfter(stream.Source, 0)), 10)
		_, ended := playlist(t, b, stream.Source)
		require.True(t, ended)
	})
}

func TestSetRenditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{})
		r.publish(3)
		require.Zero(t, r.engine.counts().opened, "nothing is wanted, nothing is done")
		require.Zero(t, r.Stats().Queue)

		r.add()
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, r.SetRenditions(ladderOf("a")))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, []int{3}, numbers(r.buf, "a"), "the newest is made at once")
		require.NoError(t, r.SetRenditions(ladderOf("b", "a")))
		r.publish(2)
		require.NoError(t, r.SetRenditions(ladderOf("b", "a")))
		r.publish(1)
		require.Equal(t, 2, r.engine.counts().opened, "nothing changed the second time")
		require.Equal(t, []int{4, 5, 6}, numbers(r.buf, "b"))
		require.Equal(t, []int{3, 4, 5, 6}, numbers(r.buf, "a"))

		r.add() // 7: at work when a is not wanted any more
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, r.SetRenditions(ladderOf("b")))
		_, err := r.buf.MediaPlaylist(t.Context(), "a")
		require.ErrorIs(t, err, stream.ErrNotFound)
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, []int{4, 5, 6, 7}, numbers(r.buf, "b"))
		_, err = r.buf.MediaPlaylist(t.Context(), "a")
		require.ErrorIs(t, err, stream.ErrNotFound, "a result that comes later does not bring it back")

		r.publish(2) // 8, 9
		require.NoError(t, r.SetRenditions(ladderOf("a", "b")))
		r.publish(1) // 10
		require.Equal(t, []int{10}, listed(t, r.buf, "a"), "its playlist begins anew")
		require.Empty(t, aligned(t, r.buf, "b"))

		require.NoError(t, r.SetRenditions(nil))
		require.Equal(t, r.engine.counts().opened, r.engine.counts().closed)
		r.publish(2)
		require.Equal(t, 8, r.engine.counts().calls)
		r.end()
		require.Empty(t, r.kinds(Failed))
		require.Empty(t, r.kinds(Skipped))
	})
}

// The end of a presentation for which nothing is wanted, or nothing any more.
func TestSetRenditionsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(3*s)), newBuffer(), Options{Renditions: ladderOf("a")})
		r.add()
		r.add()
		r.buf.End()
		synctest.Wait()
		require.NoError(t, r.SetRenditions(nil))
		require.NoError(t, r.wait())
		_, err := r.buf.MediaPlaylist(t.Context(), "a")
		require.ErrorIs(t, err, stream.ErrNotFound)
	})
}

// What the events and statistics say may be asked for, and renditions may be changed, from
// within the hook.
func TestHookMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer()
		var tr *Transcoder
		var once sync.Once
		tr, err := New(b, Options{Engine: newEngine(1, takes(s)), Renditions: ladderOf("a", "b"), OnEvent: func(e Event) {
			_ = tr.Stats()
			once.Do(func() { require.NoError(t, tr.SetRenditions(ladderOf("a"))) })
		}})
		require.NoError(t, err)
		for range 3 {
			_, err = b.Append(stream.Source, stream.Segment{Data: []byte("x"), Duration: 2 * s})
			require.NoError(t, err)
		}
		b.End()
		require.NoError(t, tr.Run(t.Context()))
		require.Len(t, numbers(b, "a"), 3)
	})
}

// The sound of a source without a picture can be decoded from anywhere; a segment without
// a keyframe whose packets are passed on cannot.
func TestIndependent(t *testing.T) {
	for _, c := range []struct {
		source, copied bool
		width          int
		want           bool
	}{
		{source: true, want: true},
		{source: false, width: 320, want: true},
		{source: false, width: 0, want: false},
		{source: false, copied: true, width: 320, want: false},
		{source: true, copied: true, width: 320, want: true},
	} {
		tr := &Transcoder{}
		s := &slot{copied: c.copied, job: &job{item: item{seg: &stream.Segment{Independent: c.source}}}}
		s.out.Info.Width = c.width
		require.Equal(t, c.want, tr.segment(&rendition{}, s).Independent, "%+v", c)
	}
}

func TestEventString(t *testing.T) {
	require.Equal(t, "segment 7 of all renditions: skipped, 1.5s behind the source", Event{Kind: Skipped, Seq: 7, Lag: 1500 * time.Millisecond}.String())
	require.Equal(t, "segment 7 of a: failed, 0s behind the source: broken segment", Event{Kind: Failed, Seq: 7, Rendition: "a", Err: errBroken}.String())
	seen := make(map[string]bool)
	for k := Done; k <= Returned+1; k++ {
		require.False(t, seen[k.String()])
		seen[k.String()] = true
	}
}

// What was kept while nothing was wanted, and is gone when something is, was not too late.
func TestNothingWantedNothingSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{})
		r.publish(3)
		r.buf.End()
		require.NoError(t, r.wait())
		time.Sleep(30 * s)
		r.buf.Resume()
		require.NoError(t, r.SetRenditions(ladderOf("a")))
		require.Zero(t, r.Stats().Waiting)
		go func() { r.result <- r.Run(t.Context()) }()
		r.publish(3)
		require.Equal(t, []int{3, 4, 5}, listed(t, r.buf, "a"))
		r.end()
		require.Zero(t, r.Stats().Skipped)
		require.Empty(t, r.kinds(Skipped))
	})
}

// What was kept for whoever comes is made late, but nobody has waited for it.
func TestKeptSegmentIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newEngine(1, takes(s)), newBuffer(), Options{})
		r.publish(1)
		r.add()
		time.Sleep(1900 * time.Millisecond)
		require.NoError(t, r.SetRenditions(ladderOf("a")))
		time.Sleep(900 * time.Millisecond)
		st := r.Stats()
		require.Equal(t, 1, st.Working)
		require.Zero(t, st.Waiting)
		r.add()
		time.Sleep(s / 2)
		require.Equal(t, s/2, r.Stats().Waiting)
		time.Sleep(5 * s)
		r.end()
	})
}
