package stream

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func restingBuffer(t *testing.T) (b *HLSBuffer, add func(seq uint64), master func() string) {
	b = NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 3, time.Second)
	add = func(seq uint64) {
		seg := segmentAt(time.Duration(seq-1)*time.Second, time.Second)
		seg.Seq, seg.Info = seq, &RenditionInfo{Codecs: "avc1.64001f", Width: 256, Height: 144}
		_, err := b.Append("a", seg)
		require.NoError(t, err)
	}
	master = func() string {
		p, err := b.MasterPlaylist(t.Context(), "x")
		require.NoError(t, err)
		return string(p.Raw)
	}
	return b, add, master
}

// A rendition that rests is listed with what was measured, and its playlist waits.
func TestRestRendition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, add, master := restingBuffer(t)
		require.ErrorIs(t, b.RestRendition("a"), ErrNotFound, "nothing is known of it")
		require.ErrorIs(t, b.RestRendition(Source), ErrNotFound)
		add(1)
		add(2)
		before := master()
		require.Contains(t, before, "RESOLUTION=256x144")
		require.NoError(t, b.RestRendition("a"))
		require.NoError(t, b.RestRendition("a"))
		require.Equal(t, before, master())
		require.True(t, b.Resting("a"))
		require.False(t, b.Resting(Source))
		_, err := b.Segment("a", 2)
		require.ErrorIs(t, err, ErrNotFound, "its segments are let go of")
		require.Zero(t, b.Stats().Renditions[1].Bytes)
		require.True(t, b.Stats().Renditions[1].Resting)

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.MediaPlaylist(short, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)

		appendN(t, b, 3*time.Second, 40, time.Second)
		require.Contains(t, master(), "x/a.m3u8", "however long it rests")
		got := make(chan *Playlist, 1)
		go func() {
			p, err := b.MediaPlaylist(t.Context(), "a")
			if err == nil {
				got <- p
			}
			close(got)
		}()
		synctest.Wait()
		require.Empty(t, got)
		add(43)
		p := parsePlaylist(t, (<-got).Raw)
		require.EqualValues(t, 43, p.sequence, "it begins anew: no gaps for the time between")
		require.Len(t, p.segments, 1)
		require.False(t, b.Resting("a"))
		require.False(t, p.segments[0].brk)
	})
}

func TestRestingRenditionEnds(t *testing.T) {
	t.Run("by itself", func(t *testing.T) {
		b, add, master := restingBuffer(t)
		add(1)
		require.NoError(t, b.RestRendition("a"))
		require.NoError(t, b.EndRendition("a"))
		require.NotContains(t, master(), "a.m3u8")
		_, err := b.MediaPlaylist(t.Context(), "a")
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, b.RestRendition("a"), ErrNotFound)
		add(3)
		require.Contains(t, master(), "a.m3u8")
	})
	t.Run("with the presentation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, add, master := restingBuffer(t)
			add(1)
			require.NoError(t, b.RestRendition("a"))
			failed := make(chan error, 1)
			go func() {
				_, err := b.MediaPlaylist(t.Context(), "a")
				failed <- err
			}()
			synctest.Wait()
			b.End()
			require.ErrorIs(t, <-failed, ErrNotFound, "who waits learns that nothing comes")
			require.NotContains(t, master(), "a.m3u8")
			require.Contains(t, master(), "source.m3u8")
			require.NoError(t, b.EndRendition("a"))
			require.NotContains(t, master(), "a.m3u8", "it has nothing that could be watched")
		})
	})
}

// What a rendition that rested lists obeys the rules from one playlist to the next.
func TestRestingObservesTheRules(t *testing.T) {
	b, add, _ := restingBuffer(t)
	o := newObserver(t, b)
	for seq := uint64(1); seq < 60; seq++ {
		if seq > 3 {
			appendN(t, b, time.Duration(seq-1)*time.Second, 1, time.Second)
		}
		switch seq % 20 {
		case 10:
			require.NoError(t, b.RestRendition("a"))
			o.last["a"] = nil // a new window
		case 11, 12, 13, 14:
		default:
			add(seq)
			o.check("a")
		}
		o.check(Source)
	}
}

// Changes that show in no playlist wake those who wait, too.
func TestSuspendAndResumeAreChanges(t *testing.T) {
	b := NewHLSBuffer()
	appendN(t, b, 0, 1, time.Second)
	v := b.Version()
	b.Suspend()
	require.NotEqual(t, v, b.Version())
	require.False(t, b.Publishing())
	v = b.Version()
	b.Suspend()
	require.Equal(t, v, b.Version())
	b.Resume()
	require.NotEqual(t, v, b.Version())
	require.True(t, strings.HasPrefix(string(must(b.MediaPlaylist(t.Context(), Source)).Raw), "#EXTM3U"))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A rendition that left before the end is not what the presentation ended with.
func TestRenditionThatLeftBeforeTheEnd(t *testing.T) {
	b, add, master := restingBuffer(t)
	add(1)
	add(2)
	require.NoError(t, b.EndRendition("a"))
	appendN(t, b, 3*time.Second, 2, time.Second)
	b.End()
	require.NoError(t, b.EndRendition("a"))
	require.NotContains(t, master(), "x/a.m3u8")
	require.False(t, b.Listed("a"))
	_, err := b.MediaPlaylist(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = b.Segment("a", 2)
	require.NoError(t, err, "a player may be about to fetch it")
}

// A presentation that follows another one at the same URLs goes on with its numbers when the
// clock is behind them.
func TestBeginAt(t *testing.T) {
	now := time.Unix(1000, 0)
	config := HLSConfig{Now: func() time.Time { return now }}
	old := NewHLSBufferWithConfig(config)
	sequence, breaks := old.Next()
	require.Zero(t, sequence)
	require.Zero(t, breaks)
	appendN(t, old, 0, 50, time.Second) // faster than life
	old.End()
	for _, expired := range []bool{false, true} {
		if expired {
			old.Expire()
		}
		sequence, breaks = old.Next()
		require.EqualValues(t, 1050, sequence)
		require.EqualValues(t, 1, breaks)
	}
	follower := NewHLSBufferWithConfig(config)
	follower.BeginAt(sequence, breaks)
	next, _ := follower.Next()
	require.Equal(t, sequence, next)
	appendN(t, follower, 0, 1, time.Second)
	list := mediaPlaylist(t, follower, Source)
	require.EqualValues(t, 1050, list.sequence)
	require.EqualValues(t, 1, list.breaks)

	now = time.Unix(2000, 0)
	later := NewHLSBufferWithConfig(config)
	later.BeginAt(sequence, breaks)
	appendN(t, later, 0, 1, time.Second)
	require.EqualValues(t, 2000, mediaPlaylist(t, later, Source).sequence, "the clock is past them")
}
