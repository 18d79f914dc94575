package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/testmedia"
)

// natural is what encoders send most: B-frames, a key frame every 2 s, AAC at 48 kHz.
var natural = testmedia.Clip{Seconds: 20, Size: "320x180"}

// scenes turns the picture into its negative and back at irregular times: x264 sees a
// change of the scene and sends a key frame.
const scenes = "negate=enable='between(t,1.2,4.3)+between(t,5.1,7.9)+between(t,8.6,16.4)'"

// TestHLS publishes clips of many kinds and follows each from before its publisher comes
// until after its end.
func TestHLS(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, c := range []struct {
		name   string
		clip   testmedia.Clip
		target time.Duration
		size   string
		rate   string
		cut    bool // in the middle of a group of pictures
		late   bool // the first segment is
	}{
		{
			name: "natural", clip: natural, target: 2 * time.Second, size: "320x180", rate: "30.000",
		},
		{
			// x264 as it is when nobody says anything: groups of up to 250 frames, a key
			// frame where the scene changes. The longest group that may come is
			// announced in the first frame.
			name: "scene cuts", target: 10 * time.Second, size: "320x180", rate: "25.000",
			clip: testmedia.Clip{Seconds: 26, Size: "320x180", Rate: "25", Video: []string{"-preset", "veryfast", "-b:v", "300k", "-vf", scenes}},
		},
		{
			// Whoever comes at the start of the first group is told to ask again: it is longer
			// than a request may wait.
			name: "groups of 12 s", target: 12 * time.Second, size: "320x180", rate: "25.000", late: true,
			clip: testmedia.Clip{Seconds: 26, Size: "320x180", Rate: "25", Video: []string{"-g", "300", "-keyint_min", "300", "-sc_threshold", "0", "-bf", "2", "-b:v", "300k"}},
		},
		{
			// Nothing announces that a group of 9 s follows short ones: it is cut where
			// the target duration ends, and the playlist does not promise otherwise.
			name: "a long group without notice", target: 2 * time.Second, size: "320x180", rate: "30.000", cut: true,
			clip: testmedia.Clip{Seconds: 20, Size: "320x180", Video: []string{
				"-force_key_frames", "0,2,4,13,15,17", "-g", "600", "-keyint_min", "600", "-sc_threshold", "0", "-bf", "2", "-b:v", "300k",
				"-bsf:v", "filter_units=remove_types=6",
			}},
		},
		{
			name: "5 frames a second", target: 2 * time.Second, size: "320x180", rate: "5.000",
			clip: testmedia.Clip{Seconds: 20, Size: "320x180", Rate: "5", Video: []string{"-g", "10", "-bf", "2", "-sc_threshold", "0", "-b:v", "200k"}},
		},
		{
			name: "video only", target: 2 * time.Second, size: "320x180", rate: "30.000",
			clip: testmedia.Clip{Seconds: 16, Size: "320x180", NoAudio: true},
		},
		{
			name: "audio only", target: 2 * time.Second,
			clip: testmedia.Clip{Seconds: 20},
		},
		{
			name: "44.1 kHz mono", target: 2 * time.Second, size: "320x180", rate: "30.000",
			clip: testmedia.Clip{Seconds: 16, Size: "320x180", Audio: []string{"-ar", "44100", "-ac", "1"}},
		},
		{
			name: "portrait, NTSC", target: 2 * time.Second, size: "180x320", rate: "29.970",
			clip: testmedia.Clip{Seconds: 16, Size: "180x320", Rate: "30000/1001"},
		},
		{
			name: "groups of 1 s", target: 2 * time.Second, size: "320x180", rate: "30.000",
			clip: testmedia.Clip{Seconds: 16, Size: "320x180", Video: []string{"-g", "30", "-bf", "2", "-sc_threshold", "0", "-b:v", "300k"}},
		},
		{
			// Without B-frames the first sound, which the encoder primes with silence,
			// comes 21 ms before the first picture.
			name: "sound first", target: 2 * time.Second, size: "320x180", rate: "30.000",
			clip: testmedia.Clip{Seconds: 16, Size: "320x180", Video: []string{"-g", "60", "-bf", "0", "-sc_threshold", "0", "-b:v", "300k"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := streamName(t)
			sent := makeClip(t, name, c.clip)
			seen := watch(t, s, name)
			publish(t, sent, s.publishURL(name)).succeed(t, time.Minute)
			v := seen()
			v.checkPlaylists(t)
			v.checkUnbroken(t)
			if len(v.segments) > 8 {
				assert.NotEmpty(t, v.gone, "old segments leave the playlist")
			}
			v.probe(t, !c.cut)
			if c.cut {
				assert.False(t, v.playlists[len(v.playlists)-1].independent, "INDEPENDENT-SEGMENTS would be a lie")
			} else {
				v.checkIndependent(t)
			}
			v.segments.checkMedia(t, sent, whole)
			v.segments.checkContinuity(t)
			v.checkEnd(t, s, name)
			v.segments.decode(t, !c.cut)
			assert.Equal(t, c.target, v.playlists[0].target, "TARGETDURATION")
			if c.late {
				assert.Subset(t, []string{"503 Service Unavailable"}, v.refused)
			} else {
				assert.Empty(t, v.refused, "the first request waits for the first segment")
			}

			resp, body, err := get(t.Context(), v.client, http.MethodGet, s.masterURL(name))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			want := map[string]string{"CODECS": `"` + sent.codecs + `"`}
			if c.size != "" {
				want["RESOLUTION"], want["FRAME-RATE"] = c.size, c.rate
			}
			v.checkMaster(t, string(body), want)
		})
	}
}
