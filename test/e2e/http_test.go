package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a CDN and a player want of the answers (HLS.md: A 8.18, 10.1, 10.4), during the
// stream and after it.
func TestHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "short", short)
	publisher := publish(t, sent, s.publishURL("web"))
	s.live(t, "web", 1)
	wait(t, "two segments", func() bool { return len(s.playlist(t, "web").segments) >= 2 })
	checkHTTP(t, s, "web")
	publisher.succeed(t, time.Minute)
	wait(t, "the end", func() bool { return s.playlist(t, "web").ended })
	checkHTTP(t, s, "web")
	for _, path := range []string{"nothing.m3u8", "nothing/source.m3u8", "web/720p.m3u8", "web/source/1.ts", "web/source/x.ts", "web", "", "../etc/passwd"} {
		assert.Equal(t, http.StatusNotFound, s.status(t, "http://"+s.http+"/stream/"+path), path)
	}
}

func checkHTTP(t *testing.T, s *server, name string) {
	t.Helper()
	c := client(t)
	defer c.CloseIdleConnections()
	ask := func(method, url string, header ...string) (*http.Response, []byte) {
		t.Helper()
		resp, body, err := get(t.Context(), c, method, url, header...)
		require.NoError(t, err, url)
		assert.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), "%s %s", method, url)
		return resp, body
	}
	base := "http://" + s.http + "/stream/" + name
	list := s.playlist(t, name)
	segment := base + "/" + list.segments[0].uri

	_, one := ask("GET", base+".m3u8")
	_, other := ask("GET", base+"_hls.m3u8")
	assert.Equal(t, strings.ReplaceAll(string(one), "\n"+name+"/", "\n"+name+"_hls/"), string(other), "both names show the same")

	for _, url := range []string{base + ".m3u8", base + "/source.m3u8"} {
		plain, text := ask("GET", url, "Accept-Encoding", "identity")
		assert.Equal(t, http.StatusOK, plain.StatusCode)
		assert.Equal(t, "application/vnd.apple.mpegurl", plain.Header.Get("Content-Type"))
		assert.Empty(t, plain.Header.Get("Content-Encoding"))
		assert.Contains(t, plain.Header.Get("Cache-Control"), "max-age=")
		assert.NotContains(t, plain.Header.Get("Cache-Control"), "no-")
		assert.Contains(t, plain.Header.Get("Vary"), "Accept-Encoding")
		assert.NotEmpty(t, plain.Header.Get("ETag"))
		assert.Empty(t, plain.Header.Get("Set-Cookie"))

		zipped, body := ask("GET", url, "Accept-Encoding", "gzip, deflate, br")
		assert.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
		zr, err := gzip.NewReader(bytes.NewReader(body))
		require.NoError(t, err)
		unzipped, err := io.ReadAll(zr)
		require.NoError(t, err)
		if list.ended {
			assert.Equal(t, string(text), string(unzipped))
			same, body := ask("GET", url, "Accept-Encoding", "gzip", "If-None-Match", zipped.Header.Get("ETag"))
			assert.Equal(t, http.StatusNotModified, same.StatusCode)
			assert.Empty(t, body)
		}
	}

	whole, data := ask("GET", segment, "Accept-Encoding", "gzip")
	assert.Equal(t, http.StatusOK, whole.StatusCode)
	assert.Equal(t, "video/mp2t", whole.Header.Get("Content-Type"))
	assert.Empty(t, whole.Header.Get("Content-Encoding"))
	assert.Contains(t, whole.Header.Get("Cache-Control"), "max-age=")
	head, body := ask("HEAD", segment)
	assert.Equal(t, whole.ContentLength, head.ContentLength)
	assert.Empty(t, body)
	part, body := ask("GET", segment, "Range", "bytes=188-375")
	assert.Equal(t, http.StatusPartialContent, part.StatusCode)
	assert.Equal(t, data[188:376], body)

	preflight, _ := ask("OPTIONS", segment, "Origin", "http://example.com", "Access-Control-Request-Method", "GET")
	assert.Less(t, preflight.StatusCode, 300)
	assert.Contains(t, preflight.Header.Get("Access-Control-Allow-Methods"), "GET")
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		refused, _ := ask(method, segment)
		assert.Equal(t, http.StatusMethodNotAllowed, refused.StatusCode)
		assert.Contains(t, refused.Header.Get("Allow"), "GET")
	}
}

// Several streams at once do not mix, by HLS or by RTMP.
func TestThreeStreams(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var ends []func()
	for i, size := range []string{"160x90", "320x180", "90x160"} {
		name := []string{"a", "b", "c"}[i]
		c := short
		c.Size = size
		sent := makeClip(t, "short-"+size, c)
		seen := watch(t, s, name)
		publisher := publish(t, sent, s.publishURL(name))
		s.live(t, name, 1)
		player, path := record(t, s.publishURL(name))
		ends = append(ends, func() {
			publisher.succeed(t, time.Minute)
			player.succeed(t, patience)
			checkRecording(t, path, sent)
			v := seen()
			v.checkPlaylists(t)
			v.probe(t, true)
			v.segments.checkMedia(t, sent, whole)
			assert.Contains(t, v.master, "RESOLUTION="+size)
			assert.Contains(t, v.master, "\n"+name+"/source.m3u8\n")
		})
	}
	for _, end := range ends {
		end()
	}
}
