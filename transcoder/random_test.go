package transcoder

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// chaos is an engine that does anything an engine may do, and some things that it may not.
type chaos struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (c *chaos) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

func (c *chaos) delay(most time.Duration) time.Duration { return time.Duration(c.below(int(most))) }

func (c *chaos) transcode(ctx context.Context, call *call) error {
	if err := sleep(ctx, c.delay(s)); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	switch c.below(20) {
	case 0:
		return errBroken
	case 1:
		panic("at random")
	case 2:
		<-ctx.Done()
		return ctx.Err()
	case 3:
		_ = sleep(ctx, 8*s)
	}
	for i := range call.renditions {
		switch c.below(20) {
		case 0:
			call.done(i, ffmpeg.Output{Err: errBroken})
		case 1: // no answer
		case 2: // an answer after the end
			time.AfterFunc(c.delay(5*s), func() { call.done(i, call.output(i)) })
		case 3: // two answers
			call.done(i, call.output(i))
			fallthrough
		default:
			wg.Go(func() {
				if sleep(ctx, c.delay(2*s)) == nil {
					call.done(i, call.output(i))
				}
			})
		}
	}
	return nil
}

// Whatever the engine does, the source is as it would be without a transcoder, the
// renditions have its numbers and times, every number is there or a gap, all is counted,
// and there is an end.
func TestRandomEngine(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tryRandomEngine(t, seed) })
		})
	}
}

func tryRandomEngine(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	c := &chaos{rnd: rand.New(rand.NewPCG(seed, 2))}
	config := stream.HLSConfig{MinSegments: 6, FirstSequence: firstSeq, TargetDuration: 3 * s}
	if seed%2 == 0 {
		config.MinSegments = 1000
	}
	buf, alone := stream.NewHLSBufferWithConfig(config), stream.NewHLSBufferWithConfig(config)
	config.MinSegments = 1000
	whole := stream.NewHLSBufferWithConfig(config) // lists what was ever there
	names := []string{"a", "b", "c"}
	r := start(t, newEngine(1+rnd.IntN(2), c.transcode), buf, Options{Renditions: ladderOf(names...), Parallel: 1 + rnd.IntN(3)})
	changes := seed%3 == 0
	var clock time.Duration
	n := 20 + rnd.IntN(20)
	for range n {
		d := s + time.Duration(rnd.IntN(int(2*s)))
		seg := stream.Segment{
			Data: []byte("source"), Start: clock, Duration: d,
			Discontinuity: rnd.IntN(10) == 0, Independent: rnd.IntN(10) > 0,
		}
		clock += d
		if rnd.IntN(10) == 0 {
			for _, b := range []*stream.HLSBuffer{buf, alone, whole} {
				b.Suspend()
				b.Resume()
			}
		}
		for _, b := range []*stream.HLSBuffer{buf, alone, whole} {
			_, err := b.Append(stream.Source, seg)
			require.NoError(t, err)
		}
		if rnd.IntN(5) > 0 {
			time.Sleep(d)
		}
		if changes && rnd.IntN(4) == 0 {
			require.NoError(t, r.SetRenditions(ladderOf(names[rnd.IntN(3):]...)))
		}
		same(t, alone, buf)
		source, _ := playlist(t, whole, stream.Source)
		for _, name := range r.buf.Renditions()[1:] {
			if _, err := r.buf.MediaPlaylist(t.Context(), name); err == nil {
				alignedTo(t, source, r.buf, name)
			}
		}
	}
	buf.End()
	alone.End()
	require.NoError(t, r.wait())
	same(t, alone, buf)
	source, _ := playlist(t, whole, stream.Source)
	for _, name := range buf.Renditions() {
		if !buf.Listed(name) { // it had left when the source ended
			_, err := buf.MediaPlaylist(t.Context(), name)
			require.ErrorIs(t, err, stream.ErrNotFound)
			continue
		}
		_, ended := playlist(t, buf, name)
		require.True(t, ended, name)
		if name != stream.Source {
			alignedTo(t, source, buf, name)
		}
	}
	st := r.Stats()
	require.Zero(t, st.Queue+st.Working)
	require.EqualValues(t, n, st.Segments+st.Skipped)
	for _, rs := range st.Renditions {
		if !changes {
			require.EqualValues(t, n, rs.Done+rs.Failed+rs.Skipped)
		}
		require.GreaterOrEqual(t, rs.Behind, 0)
	}
	time.Sleep(10 * s) // for the answers that come after the end
}

func same(t *testing.T, want, got *stream.HLSBuffer) {
	w, err := want.MediaPlaylist(t.Context(), stream.Source)
	require.NoError(t, err)
	g, err := got.MediaPlaylist(t.Context(), stream.Source)
	require.NoError(t, err)
	require.Equal(t, string(w.Raw), string(g.Raw))
}
