package stream

import (
	"bytes"
	"testing"
	"time"

	"github.com/livepeer/m3u8"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decodeM3U8 reads what viewers get with the m3u8 package.
func decodeM3U8(t testing.TB, raw []byte) *m3u8.MediaPlaylist {
	t.Helper()
	p, kind, err := m3u8.DecodeFrom(bytes.NewReader(raw), true)
	require.NoError(t, err)
	require.Equal(t, m3u8.MEDIA, kind)
	return p.(*m3u8.MediaPlaylist)
}

func TestM3U8(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{TargetDuration: 2 * time.Second, FirstSequence: 7})
	_, err := b.M3U8(Source)
	require.ErrorIs(t, err, ErrNotFound)
	appendN(t, b, 0, 5, 2400*time.Millisecond)
	b.Resume()
	appendN(t, b, time.Hour, 4, 1300*time.Millisecond)

	for range 2 {
		raw, err := b.MediaPlaylist(t.Context(), Source)
		require.NoError(t, err)
		want := decodeM3U8(t, raw.Raw)
		got, err := b.M3U8(Source)
		require.NoError(t, err)
		assert.Equal(t, 2.0, got.TargetDuration)
		assert.Equal(t, want.Live, got.Live)
		assert.Equal(t, want.SeqNo, got.SeqNo)
		require.Equal(t, want.Count(), got.Count())
		for i, w := range want.Segments[:want.Count()] {
			g := got.Segments[i]
			assert.Equal(t, got.SeqNo+uint64(i), g.SeqId)
			assert.Equal(t, w.URI, g.URI)
			assert.InDelta(t, w.Duration, g.Duration, 1e-9)
			assert.True(t, w.ProgramDateTime.Equal(g.ProgramDateTime))
			// The decoder takes EXT-X-DISCONTINUITY-SEQUENCE for a discontinuity.
			assert.Equal(t, w.Discontinuity && i > 0, g.Discontinuity)
		}
		again := decodeM3U8(t, got.Encode().Bytes())
		assert.Equal(t, got.Count(), again.Count())
		got.Segments[0].URI = "mine" // a copy
		b.End()
	}
}

func TestMasterPlaylistDecodes(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	seg := segmentAt(0, time.Second)
	seg.Info = &RenditionInfo{Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25}
	_, err := b.Append(Source, seg)
	require.NoError(t, err)
	p, err := b.MasterPlaylist(t.Context(), "x")
	require.NoError(t, err)
	list, kind, err := m3u8.DecodeFrom(bytes.NewReader(p.Raw), true)
	require.NoError(t, err)
	require.Equal(t, m3u8.MASTER, kind)
	require.Len(t, list.(*m3u8.MasterPlaylist).Variants, 1)
	v := list.(*m3u8.MasterPlaylist).Variants[0]
	assert.Equal(t, "x/source.m3u8", v.URI)
	assert.Equal(t, "1280x720", v.Resolution)
	assert.Equal(t, "avc1.64001f,mp4a.40.2", v.Codecs)
}
