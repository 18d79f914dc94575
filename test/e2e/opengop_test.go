package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livepeer/lpms/internal/testmedia"
)

// Open groups of pictures have an IDR at the very start only; later groups begin with an
// I-frame and a recovery point. HLS wants segments that begin with an IDR (Apple's rule
// 7.4), which such a source does not have: but it is played, live, and nothing is lost.
func TestHLSOpenGroups(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "open", testmedia.Clip{Seconds: 20, Size: "320x180", Rate: "25", Video: []string{
		"-preset", "veryfast", "-x264opts", "open-gop=1:keyint=50:min-keyint=50:scenecut=0:bframes=2", "-b:v", "300k",
	}})
	seen := watch(t, s, "open")
	publish(t, sent, s.publishURL("open")).succeed(t, time.Minute)
	v := seen()
	v.checkPlaylists(t)
	v.checkUnbroken(t)
	v.probe(t, false)
	v.segments.checkMedia(t, sent, whole)
	v.segments.checkContinuity(t)
	v.segments.decode(t, false)
	assert.Empty(t, v.refused, "the first request waits for the first segment")
	assert.Greater(t, len(v.segments), 5, "segments of 20 s with groups of 2 s")
}
