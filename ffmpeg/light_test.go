package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The 2G rung is 800 times lighter than a source of 10 Mbit/s, with its container.
func TestLightRung(t *testing.T) {
	l, err := NewLadder(LadderOptions{Continuous: true, Renditions: []Rendition{{Profile: P72p2fps16x9, Audio: LightAudio()}}})
	require.NoError(t, err)
	defer l.Close()
	segments := recorded(t).segments(t)
	size := 0
	for _, s := range segments {
		res, err := l.Transcode(t.Context(), Input{Data: s}, nil)
		require.NoError(t, err)
		require.NoError(t, res.Outputs[0].Err)
		require.Equal(t, 4, res.Outputs[0].Media.Frames)
		require.Equal(t, "avc1.64000a,mp4a.40.2", res.Outputs[0].Info.Codecs)
		size += len(res.Outputs[0].Data)
	}
	require.Less(t, size*8/(2*len(segments)), 12500, "bits per second")
}
