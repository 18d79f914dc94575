package lpms_test

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"
)

// countTS demuxes all segments of a playlist, one behind the other, with a reader that
// is not ours, and counts the access units of video and audio.
func countTS(t testing.TB, base, playlist string) (video, audio int) {
	var all bytes.Buffer
	for _, m := range segmentLine.FindAllString(playlist, -1) {
		all.WriteString(get(t, base+m, func(status int, _ string) bool { return status == 200 }))
	}
	r := &mpegts.Reader{R: &all}
	require.NoError(t, r.Initialize())
	for _, track := range r.Tracks() {
		switch track.Codec.(type) {
		case *codecs.H264:
			last := int64(-1)
			r.OnDataH264(track, func(_, dts int64, _ [][]byte) error {
				if last >= 0 {
					const wrap = 1 << 33 // ISO/IEC 13818-1 2.4.3.7
					step := (dts - last) & (wrap - 1)
					require.True(t, step > 0 && step < 90_000, "decoding times rise over all segments: %d after %d", dts, last)
				}
				last = dts
				video++
				return nil
			})
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(track, func(_ int64, aus [][]byte) error {
				audio += len(aus)
				return nil
			})
		}
	}
	for r.Read() == nil {
	}
	return video, audio
}
