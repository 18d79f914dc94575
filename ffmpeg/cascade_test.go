package ffmpeg

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rendition that is made of a larger one starts where the source does, also at a rate so low that
// the larger one leaves the first pictures out.
func TestCascadeStart(t *testing.T) {
	b, err := os.ReadFile(madeFile(t, "-f lavfi -i testsrc2=size=320x180:rate=60 -t 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "in.ts"))
	require.NoError(t, err)
	at := func(size string) Rendition {
		return Rendition{Profile: VideoProfile{Name: size, Resolution: size, Bitrate: "100k", Framerate: 10}}
	}
	l, err := NewLadder(LadderOptions{Renditions: []Rendition{at("320x180"), at("160x90"), at("80x44")}})
	require.NoError(t, err)
	defer l.Close()
	res, err := l.Transcode(t.Context(), Input{Data: b}, nil)
	require.NoError(t, err)
	for _, o := range res.Outputs {
		require.NoError(t, o.Err)
		require.Equal(t, res.Outputs[0].Start, o.Start)
		require.Equal(t, 10, o.Media.Frames)
	}
}

// Pictures of another size in the middle of interlaced ones get filters of their own.
func TestFilterChange(t *testing.T) {
	var all []byte
	for _, size := range []string{"320x240", "64x48"} {
		b, err := os.ReadFile(madeFile(t, "-f lavfi -i testsrc2=size="+size+":rate=25 -frames:v 12 -c:v libx264 -preset ultrafast -flags +ilme+ildct -x264-params tff=1 -pix_fmt yuv420p", size+".ts"))
		require.NoError(t, err)
		all = append(all, b...)
	}
	l, err := NewLadder(LadderOptions{Renditions: []Rendition{{Profile: P144p25fps16x9}}})
	require.NoError(t, err)
	defer l.Close()
	res, err := l.Transcode(t.Context(), Input{Data: all}, nil)
	require.NoError(t, err)
	require.Equal(t, 24, res.Decoded.Frames)
	require.NoError(t, res.Outputs[0].Err)
	require.Positive(t, res.Outputs[0].Media.Frames)
}
