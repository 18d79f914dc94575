package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// More threads than renditions: the decoder and the largest encoder use several.
func TestLadderThreads(t *testing.T) {
	segments := recorded(t).segments(t)
	for _, continuous := range []bool{false, true} {
		l, err := NewLadder(LadderOptions{Continuous: continuous, Threads: 8, Renditions: []Rendition{{Profile: P240p30fps4x3}, {Profile: P144p15fps16x9}}})
		require.NoError(t, err)
		defer l.Close()
		for _, s := range segments {
			res, err := l.Transcode(t.Context(), Input{Data: s}, nil)
			require.NoError(t, err)
			for i, frames := range []int{60, 30} {
				require.NoError(t, res.Outputs[i].Err)
				require.Equal(t, frames, res.Outputs[i].Media.Frames)
				p := ffprobe(t, res.Outputs[i].Data)
				require.Equal(t, res.Decoded.Frames, 60)
				n := 0
				for _, q := range p.Packets {
					if p.Streams[q.Stream].CodecType == "video" {
						n++
					}
				}
				require.Equal(t, frames, n)
			}
		}
	}
}
