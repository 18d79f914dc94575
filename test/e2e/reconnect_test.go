package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An encoder that dies and comes back goes on at the same URL, for viewers who notice a
// discontinuity and never an end.
func TestPublisherKilled(t *testing.T) {
	t.Parallel()
	s := serve(t)
	before, after := makeClip(t, "natural", natural), makeClip(t, "short", short)
	seen := watch(t, s, "again")
	first := publish(t, before, s.publishURL("again"))
	s.live(t, "again", 1)
	wait(t, "three segments", func() bool { return len(s.playlist(t, "again").segments) >= 3 })
	first.kill()
	s.ended(t, "again", 1)
	assert.False(t, s.playlist(t, "again").ended, "ENDLIST while the publisher may come back")
	publish(t, after, s.publishURL("again")).succeed(t, time.Minute)

	v := seen()
	v.checkPlaylists(t)
	v.probe(t, true)
	v.checkIndependent(t)
	v.checkEnd(t, s, "again")
	runs := v.segments.runs()
	require.Len(t, runs, 2, "one discontinuity")
	runs[0].checkMedia(t, before, head)
	runs[1].checkMedia(t, after, whole)
	for _, r := range runs {
		r.checkContinuity(t)
		r.decode(t, true)
	}
	assert.Positive(t, runs[1][0].date.Compare(runs[0][len(runs[0])-1].date), "the time of day goes on")
}

// playlist is the newest media playlist.
func (s *server) playlist(t testing.TB, name string) *playlist {
	t.Helper()
	c := client(t)
	defer c.CloseIdleConnections()
	resp, body, err := get(t.Context(), c, http.MethodGet, s.mediaURL(name))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	p, err := parsePlaylist(string(body))
	require.NoError(t, err)
	return p
}
