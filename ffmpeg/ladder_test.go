package ffmpeg

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLadderSmoke(t *testing.T) {
	m := recorded(t)
	l, err := NewLadder(LadderOptions{Continuous: true, Renditions: []Rendition{{Profile: P144p30fps16x9, Audio: ComponentOptions{Name: "drop"}}, {Profile: P240p30fps4x3, Audio: ComponentOptions{Name: "drop"}}}})
	require.NoError(t, err)
	defer l.Close()
	for i, s := range m.segments(t) {
		res, err := l.Transcode(t.Context(), Input{Data: s}, nil)
		require.NoError(t, err)
		t.Logf("%+v", res.Decoded)
		for _, o := range res.Outputs {
			require.NoError(t, o.Err)
			t.Logf("%d bytes %+v %v %v %+v", len(o.Data), o.Media, o.Start, o.Duration, o.Info)
			if i == 0 {
				os.WriteFile("/tmp/o.ts", o.Data, 0o644)
			}
		}
	}
}
