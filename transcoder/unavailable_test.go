package transcoder

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/stream"
)

// Players change to the source as soon as nothing can be made, and back when it can.
func TestUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(1, func(ctx context.Context, c *call) error {
			if n := c.seq - firstSeq; n >= 2 && n < 5 {
				return ErrUnavailable
			}
			c.all()
			return nil
		})
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a", "b"), Retryable: func(error) bool { return false }})
		r.publish(2)
		require.Empty(t, r.kinds(Ended))
		r.publish(1)
		require.Len(t, r.kinds(Ended), 2)
		_, err := r.buf.MediaPlaylist(t.Context(), "b")
		require.ErrorIs(t, err, stream.ErrNotFound)
		r.publish(2)
		require.Len(t, r.kinds(Ended), 2, "said once")
		require.Empty(t, r.kinds(Returned))
		r.publish(1)
		require.Len(t, r.kinds(Returned), 2)
		require.Equal(t, []int{5}, listed(t, r.buf, "b"))
		require.Empty(t, aligned(t, r.buf, "a"))
		r.end()
	})
}

// An engine is given the segment before, as long as time goes on from there.
func TestSegmentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(1, func(ctx context.Context, c *call) error {
			c.all()
			return nil
		})
		r := start(t, e, newBuffer(), Options{Renditions: ladderOf("a")})
		r.publish(2)
		r.clock += 2 * s
		_, err := r.buf.Append(stream.Source, stream.Segment{Data: []byte("source"), Start: r.clock, Duration: 2 * s, Discontinuity: true, Independent: true})
		require.NoError(t, err)
		r.publish(1)
		r.end()
		require.Len(t, e.calls, 4)
		require.Nil(t, e.calls[0].before, "the first of all")
		require.Same(t, e.calls[0].seg, e.calls[1].before)
		require.Nil(t, e.calls[2].before, "time breaks")
		require.Same(t, e.calls[2].seg, e.calls[3].before)
	})
}
