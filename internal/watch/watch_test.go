package watch_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/watch"
)

// ask sends a request with headers as pairs.
func ask(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func get(h http.Handler, target string, headers ...string) *http.Response {
	return ask(h, http.MethodGet, target, headers...)
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

var taken = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)

func thumbnail(name string) ([]byte, time.Time, bool) {
	return []byte("picture of " + name), taken, name == "hello"
}

func TestAnswers(t *testing.T) {
	h := watch.New(watch.Options{Thumbnail: thumbnail})
	long := strings.Repeat("n", 128)
	for _, c := range []struct {
		name, path string
		code       int
		kind       string
		contains   string
	}{
		{"list", "/", 200, "text/html; charset=utf-8", "Nothing is live yet"},
		{"player", "/watch/hello_world", 200, "text/html; charset=utf-8", `data-name="hello_world"`},
		{"longest name", "/watch/" + long, 200, "text/html; charset=utf-8", long},
		{"name too long", "/watch/" + long + "n", 404, "text/html; charset=utf-8", "no such page"},
		{"leading dot", "/watch/.hidden", 404, "text/html; charset=utf-8", "no such page"},
		{"markup for a name", "/watch/%3Cscript%3E", 404, "text/html; charset=utf-8", "no such page"},
		{"slash in a name", "/watch/a%2Fb", 404, "text/html; charset=utf-8", "no such page"},
		{"no name", "/watch/", 404, "text/html; charset=utf-8", "no such page"},
		{"below a player", "/watch/hello/x", 404, "text/html; charset=utf-8", "no such page"},
		{"unknown page", "/nothing", 404, "text/html; charset=utf-8", "no such page"},
		{"streams", "/streams.json", 200, "application/json", `"streams":[]`},
		{"thumbnail", "/thumbnail/hello.jpg", 200, "image/jpeg", "picture of hello"},
		{"no thumbnail", "/thumbnail/other.jpg", 404, "text/plain; charset=utf-8", "Not Found"},
		{"thumbnail with another extension", "/thumbnail/hello.png", 404, "text/plain; charset=utf-8", "Not Found"},
		{"thumbnail with a bad name", "/thumbnail/..jpg", 404, "text/plain; charset=utf-8", "Not Found"},
		{"asset with another hash", "/assets/0000000000000000/base.css", 404, "text/plain; charset=utf-8", "Not Found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := get(h, c.path)
			assert.Equal(t, c.code, r.StatusCode)
			assert.Equal(t, c.kind, r.Header.Get("Content-Type"))
			body := text(t, r)
			assert.Contains(t, body, c.contains)
			assert.NotContains(t, body, "<script>")
			head := ask(h, http.MethodHead, c.path)
			assert.Equal(t, c.code, head.StatusCode)
			assert.Equal(t, r.Header, head.Header)
		})
	}
}

func TestMethods(t *testing.T) {
	h := watch.New(watch.Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"} {
		for _, path := range []string{"/", "/watch/hello", "/streams.json", "/nothing"} {
			r := ask(h, method, path)
			assert.Equal(t, http.StatusMethodNotAllowed, r.StatusCode, "%s %s", method, path)
			assert.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
		}
	}
}

const policy = "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data:; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'"

func TestSecurityHeaders(t *testing.T) {
	h := watch.New(watch.Options{Thumbnail: thumbnail})
	for _, path := range []string{"/", "/watch/hello", "/watch/hello?embed=0", "/streams.json", "/thumbnail/hello.jpg", "/?embed=1", "/nothing?embed=1", "/watch/.x?embed=1"} {
		r := get(h, path)
		assert.Equal(t, policy+"; frame-ancestors 'none'", r.Header.Get("Content-Security-Policy"), path)
		assert.Equal(t, "DENY", r.Header.Get("X-Frame-Options"), path)
		assert.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "same-origin", r.Header.Get("Referrer-Policy"), path)
	}
	r := get(h, "/watch/hello?embed=1")
	assert.Equal(t, policy, r.Header.Get("Content-Security-Policy"), "any site may show it")
	assert.Empty(t, r.Header.Get("X-Frame-Options"))
	body := text(t, r)
	assert.Contains(t, body, `class="embed"`)
	assert.NotContains(t, body, "Watch elsewhere")
}

var (
	reference = regexp.MustCompile(`(?:src|href)="(/[^"]*)"`)
	module    = regexp.MustCompile(`from '\./([a-z]+\.js)'`)
)

// Whatever a page names is there, for ever under the same address, and nothing stands inside a
// page that the policy forbids.
func TestAssets(t *testing.T) {
	h := watch.New(watch.Options{})
	seen := map[string]bool{}
	for _, page := range []string{"/", "/watch/hello", "/watch/hello?embed=1", "/nothing"} {
		body := text(t, get(h, page))
		assert.NotRegexp(t, `<script(?:[^>]*[^-])?>[^<]|<style| style=| on[a-z]+=`, body, page)
		assert.NotRegexp(t, `https?://`, body, page)
		for _, m := range reference.FindAllStringSubmatch(body, -1) {
			seen[m[1]] = true
		}
	}
	var dir string
	for path := range seen {
		if strings.HasPrefix(path, "/assets/") {
			dir = path[:strings.LastIndex(path, "/")+1]
		}
	}
	require.Regexp(t, `^/assets/[0-9a-f]{16}/$`, dir)
	for _, name := range []string{"base.css", "list.css", "watch.css", "player.css", "icon.svg", "list.js", "watch.js", "hls.light.min.js", "hls.LICENSE.txt"} {
		assert.Contains(t, seen, dir+name)
	}
	for len(seen) > 0 {
		for path := range seen {
			delete(seen, path)
			r := get(h, path)
			assert.Equal(t, 200, r.StatusCode, path)
			if !strings.HasPrefix(path, "/assets/") {
				continue
			}
			assert.Equal(t, "public, max-age=31536000, immutable", r.Header.Get("Cache-Control"), path)
			body := text(t, r)
			assert.NotContains(t, body, "sourceMappingURL", path)
			for _, m := range module.FindAllStringSubmatch(body, -1) {
				seen[dir+m[1]] = true
			}
		}
	}
	kinds := map[string]string{"list.js": "text/javascript; charset=utf-8", "base.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml", "hls.LICENSE.txt": "text/plain; charset=utf-8"}
	for name, kind := range kinds {
		assert.Equal(t, kind, get(h, dir+name).Header.Get("Content-Type"), name)
	}
}

// Every asset is reached from some page: none is left over.
func TestNoAssetIsLeftOver(t *testing.T) {
	entries, err := os.ReadDir("assets")
	require.NoError(t, err)
	var all strings.Builder
	for _, dir := range []string{"assets", "pages"} {
		files, err := filepath.Glob(dir + "/*")
		require.NoError(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			all.Write(b)
		}
	}
	for _, e := range entries {
		assert.Contains(t, all.String(), "/"+e.Name())
	}
}

func TestCompression(t *testing.T) {
	h := watch.New(watch.Options{})
	plain := get(h, "/")
	whole := text(t, plain)
	for accept, zipped := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "identity": false, "gzip;q=0": false, "gzip; q=0.0, br": false, "x-gzip-2": false,
	} {
		r := get(h, "/", "Accept-Encoding", accept)
		assert.Equal(t, "Accept-Encoding", r.Header.Get("Vary"), accept)
		assert.Equal(t, zipped, r.Header.Get("Content-Encoding") == "gzip", accept)
		assert.Equal(t, zipped, r.Header.Get("Etag") != plain.Header.Get("Etag"), accept)
		if zipped {
			z, err := gzip.NewReader(r.Body)
			require.NoError(t, err)
			b, err := io.ReadAll(z)
			require.NoError(t, err)
			assert.Equal(t, whole, string(b), accept)
		}
	}
	assert.Empty(t, get(h, "/", "Accept-Encoding", "gzip", "Range", "bytes=0-9").Header.Get("Content-Encoding"))
}

func TestConditionalRequests(t *testing.T) {
	h := watch.New(watch.Options{Thumbnail: thumbnail})
	for path, caching := range map[string]string{
		"/": "no-cache", "/watch/hello": "no-cache", "/streams.json": "no-cache", "/thumbnail/hello.jpg": "public, max-age=2",
	} {
		r := get(h, path)
		assert.Equal(t, caching, r.Header.Get("Cache-Control"), path)
		tag := r.Header.Get("Etag")
		require.Regexp(t, `^".+"$`, tag, path)
		again := get(h, path, "If-None-Match", tag)
		assert.Equal(t, http.StatusNotModified, again.StatusCode, path)
		assert.Empty(t, text(t, again), path)
		assert.Equal(t, 200, get(h, path, "If-None-Match", `"other"`).StatusCode, path)
	}
	modified := get(h, "/thumbnail/hello.jpg").Header.Get("Last-Modified")
	assert.Equal(t, "Tue, 03 Feb 2026 04:05:06 GMT", modified)
	assert.Equal(t, http.StatusNotModified, get(h, "/thumbnail/hello.jpg", "If-Modified-Since", modified).StatusCode)
	assert.NotEqual(t, get(h, "/watch/a").Header.Get("Etag"), get(h, "/watch/b").Header.Get("Etag"))
}

// full is a status in which every field has a value.
func full() status.Status {
	return status.Status{
		Version: "1.2.3", Now: taken.Add(time.Second), Started: taken, RTMPAddr: "10.1.2.3:1935", HTTPAddr: "10.1.2.3:8935",
		Machine: status.Machine{Cores: 7001, CPU: 7002, Memory: 7003, Goroutines: 7004, Overloaded: true, Shed: 7005, Sheds: 7006},
		Streams: []status.Stream{{
			Name: "hello", Ingest: status.RTMP, Live: true, Since: taken, Uptime: 1.5, Viewers: status.Viewers{HLS: 2, RTMP: 3},
			Bitrate: 2_500_000, Width: 1280, Height: 720, FrameRate: 30, Codecs: "avc1.64001f,mp4a.40.2", Advice: []string{"secret advice"},
			Queue: 7007, Working: 7008, Waiting: 7009, Segments: 7010, Skipped: 7011, Retried: 7012,
			Renditions: []status.Rendition{{
				Name: "source", State: status.Live, Width: 1280, Height: 720, FrameRate: 30, Codecs: "hidden codecs",
				Bandwidth: 3_000_000, AverageBandwidth: 2_500_000, First: 7013, Last: 7014, Held: 7015, Bytes: 7016,
				Done: 7017, Failed: 7018, Skipped: 7019, Lag: 7020, Took: 7021, Behind: 7022, BehindMedia: 7023,
			}},
		}, {Name: "../etc"}, {Name: "quiet", Ingest: status.Test, Uptime: math.NaN(), FrameRate: math.Inf(1)}},
	}
}

func TestStreams(t *testing.T) {
	h := watch.New(watch.Options{Status: full, Thumbnail: thumbnail, RTMPPort: 1935, PublishKey: true})
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, []byte(text(t, get(h, "/streams.json"))), "", "  "))
	golden, err := os.ReadFile("testdata/streams.json")
	require.NoError(t, err)
	assert.Equal(t, string(golden), out.String())
	for _, hidden := range []string{`\b70\d\d\b`, "secret", `10\.1\.2\.3`, "hidden", "etc", "machine"} {
		assert.NotRegexp(t, hidden, out.String())
	}
}

// However many ask, the status is taken four times a second.
func TestStreamsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		h := watch.New(watch.Options{Status: func() status.Status { calls++; return status.Status{Now: time.Now()} }})
		first := get(h, "/streams.json")
		body := text(t, first)
		time.Sleep(249 * time.Millisecond)
		second := get(h, "/streams.json")
		assert.Equal(t, body, text(t, second))
		assert.Equal(t, first.Header.Get("Etag"), second.Header.Get("Etag"))
		assert.Equal(t, 1, calls)
		time.Sleep(time.Millisecond)
		third := get(h, "/streams.json")
		assert.NotEqual(t, body, text(t, third))
		assert.NotEqual(t, first.Header.Get("Etag"), third.Header.Get("Etag"))
		assert.Equal(t, 2, calls)
	})
}

// A date that JSON cannot say breaks neither the server nor the pages.
func TestStreamsWithImpossibleDate(t *testing.T) {
	h := watch.New(watch.Options{Status: func() status.Status { return status.Status{Now: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)} }})
	r := get(h, "/streams.json")
	assert.Equal(t, 200, r.StatusCode)
	assert.Equal(t, "{}", text(t, r))
}
