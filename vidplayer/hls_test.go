package vidplayer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/stream"
)

var hlsEpoch = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func testSegment(seq uint64, size int) stream.Segment {
	return stream.Segment{
		Seq: seq, Data: bytes.Repeat([]byte{byte(seq)}, size), Independent: true,
		Start: time.Duration(seq) * 2 * time.Second, Duration: 2 * time.Second,
		ProgramTime: hlsEpoch.Add(time.Duration(seq) * 2 * time.Second),
	}
}

// testBuffer holds the segments 1 to n of 1000 bytes, in the source and in 720p.
func testBuffer(t testing.TB, n int) *stream.HLSBuffer {
	b := stream.NewHLSBufferWithConfig(stream.HLSConfig{
		FirstSequence: 1, TargetDuration: 4 * time.Second, Now: func() time.Time { return hlsEpoch },
	})
	for i := range n {
		for _, rendition := range []string{stream.Source, "720p"} {
			_, err := b.Append(rendition, testSegment(uint64(i+1), 1000))
			require.NoError(t, err)
		}
	}
	return b
}

// buffers is the embedder: a map from reqPath, and a count of the calls.
type buffers struct {
	mu    sync.Mutex
	byReq map[string]*stream.HLSBuffer
	calls []string
}

func newBuffers(path string, b *stream.HLSBuffer) *buffers {
	return &buffers{byReq: map[string]*stream.HLSBuffer{path: b}}
}

func (bs *buffers) get(reqPath string) (*stream.HLSBuffer, error) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.calls = append(bs.calls, reqPath)
	path, _, _ := strings.Cut(reqPath, "?")
	if b := bs.byReq[path]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("no %s: %w", path, stream.ErrNotFound)
}

func (bs *buffers) set(path string, b *stream.HLSBuffer) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.byReq[path] = b
}

func (bs *buffers) taken() []string {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	calls := bs.calls
	bs.calls = nil
	return calls
}

// site is a real server, and a client that hides nothing: no compression, no redirects.
type site struct {
	t      *testing.T
	addr   string
	client *http.Client
}

func serveHLS(t *testing.T, h http.Handler) *site {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, WriteTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		<-done
	})
	return &site{t, l.Addr().String(), &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *site) do(method, path string, headers ...string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.addr+path, nil)
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp, body
}

// describe is a response without what differs from run to run.
func describe(resp *http.Response) map[string]string {
	head := map[string]string{"status": strconv.Itoa(resp.StatusCode)}
	for name, values := range resp.Header {
		head[name] = strings.Join(values, " | ")
	}
	delete(head, "Date")
	if head["Etag"] != "" {
		head["Etag"] = "some"
	}
	return head
}

var everyResponse = map[string]string{
	"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
	"Access-Control-Expose-Headers": "Accept-Ranges, Age, Content-Encoding, Content-Length, Content-Range, Date, ETag, Last-Modified, Retry-After",
}

func with(base map[string]string, pairs ...string) map[string]string {
	out := maps.Clone(base)
	for i := 0; i < len(pairs); i += 2 {
		if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(out, pairs[i])
		}
	}
	return out
}

func TestHLSResponses(t *testing.T) {
	bufs := newBuffers("/live/x.m3u8", testBuffer(t, 8))
	ended := testBuffer(t, 2)
	ended.End()
	bufs.set("/ended.m3u8", ended)
	s := serveHLS(t, NewHLS(HLSOptions{Buffer: bufs.get}))

	playlist := with(everyResponse, "status", "200", "Content-Type", "application/vnd.apple.mpegurl",
		"Cache-Control", "public, max-age=2", "Vary", "Accept-Encoding", "Etag", "some",
		"Last-Modified", "Sat, 01 Mar 2025 12:00:00 GMT")
	segment := with(everyResponse, "status", "200", "Content-Type", "video/mp2t", "Content-Length", "1000",
		"Cache-Control", "public, max-age=86400, immutable", "Accept-Ranges", "bytes", "Etag", "some")
	missing := with(everyResponse, "status", "404", "Content-Type", "text/plain; charset=utf-8",
		"Content-Length", "10", "Cache-Control", "max-age=1")
	partial := with(segment, "status", "206", "Content-Length", "100")
	_, raw := s.do("GET", "/live/x/720p.m3u8")
	require.Contains(t, string(raw), "720p/8.ts")
	media := with(playlist, "Content-Length", strconv.Itoa(len(raw)))
	resp, raw := s.do("GET", "/live/x.m3u8")
	require.Contains(t, string(raw), "x/720p.m3u8")
	masterTag := resp.Header.Get("ETag")
	master := with(playlist, "Content-Length", strconv.Itoa(len(raw)))
	resp, _ = s.do("GET", "/live/x/source/5.ts")
	segmentTag := resp.Header.Get("ETag")

	for _, c := range []struct {
		name, method, path string
		headers            []string
		want               map[string]string
	}{
		{"master", "GET", "/live/x.m3u8", nil, master},
		{"master with query", "GET", "/live/x.m3u8?token=1", nil, master},
		{"media", "GET", "/live/x/720p.m3u8", nil, media},
		{"ended", "GET", "/ended.m3u8", nil, with(playlist, "Content-Length", "-", "Cache-Control", "public, max-age=60")},
		{"known etag", "GET", "/live/x.m3u8", []string{"If-None-Match", masterTag},
			with(playlist, "status", "304", "Content-Type", "")},
		{"one of many etags", "GET", "/live/x.m3u8", []string{"If-None-Match", `"a" , W/` + masterTag},
			with(playlist, "status", "304", "Content-Type", "")},
		{"other etag", "GET", "/live/x.m3u8", []string{"If-None-Match", `"a"`}, master},
		{"date is not enough", "GET", "/live/x.m3u8", []string{"If-Modified-Since", "Sat, 01 Mar 2025 12:00:00 GMT"}, master},
		{"range of a playlist", "GET", "/live/x.m3u8", []string{"Range", "bytes=0-1"}, master},
		{"segment", "GET", "/live/x/720p/5.ts", nil, segment},
		{"range", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=100-199"}, with(partial, "Content-Range", "bytes 100-199/1000")},
		{"suffix", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=-100"}, with(partial, "Content-Range", "bytes 900-999/1000")},
		{"open range", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=900-"}, with(partial, "Content-Range", "bytes 900-999/1000")},
		{"range beyond", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=1000-"}, with(everyResponse, "status", "416",
			"Content-Range", "bytes */1000", "Content-Type", "text/plain; charset=utf-8", "Content-Length", "33", "Accept-Ranges", "bytes")},
		{"not a range", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=b-a"}, with(everyResponse, "status", "416",
			"Content-Type", "text/plain; charset=utf-8", "Content-Length", "14", "Accept-Ranges", "bytes")},
		{"too many ranges", "GET", "/live/x/720p/5.ts", []string{"Range", "bytes=0-0" + strings.Repeat(",0-0", 100)}, segment},
		{"if-range", "GET", "/live/x/source/5.ts", []string{"Range", "bytes=0-99", "If-Range", segmentTag}, with(partial, "Content-Range", "bytes 0-99/1000")},
		{"if-range of other bytes", "GET", "/live/x/source/5.ts", []string{"Range", "bytes=0-99", "If-Range", `"other"`}, segment},
		{"segment that is known", "GET", "/live/x/source/5.ts", []string{"If-None-Match", segmentTag},
			with(segment, "status", "304", "Content-Type", "", "Content-Length", "")},
		{"future segment", "GET", "/live/x/720p/9.ts", nil, missing},
		{"segment of no rendition", "GET", "/live/x/480p/5.ts", nil, missing},
		{"no rendition", "GET", "/live/x/480p.m3u8", nil, missing},
		{"no stream", "GET", "/live/y.m3u8", nil, missing},
		{"segment of no stream", "GET", "/live/y/source/1.ts", nil, missing},
		{"root", "GET", "/", nil, missing},
		{"post", "POST", "/live/x.m3u8", nil, map[string]string{"status": "405", "Allow": "GET, HEAD, OPTIONS", "Content-Length": "19",
			"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store",
			"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}},
		{"preflight", "OPTIONS", "/live/x.m3u8", []string{"Access-Control-Request-Method", "GET"}, map[string]string{"status": "204",
			"Allow": "GET, HEAD, OPTIONS", "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Max-Age": "86400",
			"Access-Control-Allow-Headers": allowedHeaders[0],
			"Access-Control-Allow-Origin":  "*", "X-Content-Type-Options": "nosniff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &site{t, s.addr, s.client}
			resp, body := s.do(c.method, c.path, c.headers...)
			got := describe(resp)
			if c.want["Content-Length"] == "-" {
				got["Content-Length"] = "-"
			}
			assert.Equal(t, c.want, got)
			if c.method == "GET" {
				head, nothing := s.do("HEAD", c.path, c.headers...)
				assert.Empty(t, nothing)
				want := describe(resp)
				if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable { // net/http has its own idea
					want["Content-Length"] = describe(head)["Content-Length"]
				}
				assert.Equal(t, want, describe(head), "HEAD")
			}
			if resp.StatusCode == http.StatusOK && strings.HasSuffix(c.path, ".ts") {
				assert.Equal(t, bytes.Repeat([]byte{5}, 1000), body)
			}
		})
	}
	t.Run("ranges", func(t *testing.T) {
		resp, body := s.do("GET", "/live/x/source/5.ts", "Range", "bytes=0-9,990-")
		require.Equal(t, http.StatusPartialContent, resp.StatusCode)
		_, boundary, _ := strings.Cut(resp.Header.Get("Content-Type"), "boundary=")
		parts := multipart.NewReader(bytes.NewReader(body), boundary)
		for _, want := range []string{"bytes 0-9/1000", "bytes 990-999/1000"} {
			part, err := parts.NextPart()
			require.NoError(t, err)
			assert.Equal(t, want, part.Header.Get("Content-Range"))
			assert.Equal(t, "video/mp2t", part.Header.Get("Content-Type"))
		}
	})
}

func TestHLSGzip(t *testing.T) {
	bufs := newBuffers("/x.m3u8", testBuffer(t, 8))
	s := serveHLS(t, NewHLS(HLSOptions{Buffer: bufs.get}))
	plain, raw := s.do("GET", "/x/source.m3u8")
	zipped, body := s.do("GET", "/x/source.m3u8", "Accept-Encoding", "gzip, deflate, br")
	assert.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
	assert.Equal(t, "Accept-Encoding", zipped.Header.Get("Vary"))
	assert.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"))
	assert.EqualValues(t, len(body), zipped.ContentLength)
	assert.Less(t, len(body), len(raw))
	zr, err := gzip.NewReader(bytes.NewReader(body))
	require.NoError(t, err)
	text, err := io.ReadAll(zr)
	require.NoError(t, err)
	assert.Equal(t, raw, text)

	head, _ := s.do("HEAD", "/x/source.m3u8", "Accept-Encoding", "gzip")
	assert.Equal(t, describe(zipped), describe(head))
	same, body := s.do("GET", "/x/source.m3u8", "Accept-Encoding", "gzip", "If-None-Match", zipped.Header.Get("ETag"))
	assert.Equal(t, http.StatusNotModified, same.StatusCode)
	assert.Empty(t, body)
	other, _ := s.do("GET", "/x/source.m3u8", "Accept-Encoding", "gzip", "If-None-Match", plain.Header.Get("ETag"))
	assert.Equal(t, http.StatusOK, other.StatusCode, "those bytes are others")
	seg, _ := s.do("GET", "/x/source/5.ts", "Accept-Encoding", "gzip")
	assert.Empty(t, seg.Header.Get("Content-Encoding"))
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZip": true, "x-gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=0.001": true, "*": true, "*;q=0": false,
		"identity": false, "gzip;q=0, *": false, "*;q=0, gzip": true, "gzip;q=0.5, identity": false,
		"gzip;q=0.5, identity;q=0.4": true, "identity;q=0": false, "gzip, identity;q=0": true,
		"gzip;q=2": false, "gzip;q=NaN": false, "gzip;q=-1": false, "gzip;q=x": false, "gzip;level=3": true,
		"gzip;level=3;Q=0": false, "br": false, "gzipped": false, ",,,": false, ";": false, "gzip ;q=1": true, "gzip\t": true,
	} {
		assert.Equal(t, want, acceptsGzip([]string{header}), "%q", header)
	}
	assert.False(t, acceptsGzip(nil))
	assert.True(t, acceptsGzip([]string{"br", "gzip"}), "two headers")
}

// What is not a canonical path of valid names is 404 and reaches no callback.
func TestHLSBadPaths(t *testing.T) {
	bufs := newBuffers("/x.m3u8", testBuffer(t, 1))
	h := NewHLS(HLSOptions{
		Buffer:    bufs.get,
		Authorize: func(*http.Request, string) error { t.Error("authorized"); return nil },
	})
	s := serveHLS(t, h)
	for _, path := range []string{
		"/", "//", "//x.m3u8", "/x.m3u8/", "/./x.m3u8", "/../x.m3u8", "/a/../x.m3u8", "/x", "/x.ts", "/x/1.ts", "/.m3u8",
		"/.x.m3u8", "/x/.m3u8", "/%2e/x.m3u8", "/%2e%2e/x.m3u8", "/a%2fx.m3u8", "/%78.m3u8", "/x%00.m3u8", "/x%0a.m3u8", "/x%20y.m3u8",
		"/x.M3U8", "/x.m3u8%00", "/%c3%a4.m3u8", "/x/source/01.ts", "/x/source/+1.ts", "/x/source/-1.ts",
		"/x/source/1.5.ts", "/x/source/x.ts", "/x/source/.ts", "/x/source/18446744073709551616.ts", "/x/source/1.mp4",
		"/x/source//1.ts", "/x/.source/1.ts", "/x\\y.m3u8", "/~x.m3u8", "/x;y.m3u8",
		"/" + strings.Repeat("x", 129) + ".m3u8", "/" + strings.Repeat("x/", 700) + "x.m3u8", strings.Repeat("/x", 17) + ".m3u8",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp, _ := s.do(method, path)
			assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
			assert.Equal(t, "max-age=1", resp.Header.Get("Cache-Control"))
		}
	}
	assert.Empty(t, bufs.taken())
}

func TestHLSCallbacks(t *testing.T) {
	b := testBuffer(t, 8)
	bufs := newBuffers("/live/x.m3u8", b)
	s := serveHLS(t, NewHLS(HLSOptions{Buffer: bufs.get}))
	get := func(path string, status int, calls ...string) {
		t.Helper()
		resp, _ := s.do("GET", path)
		assert.Equal(t, status, resp.StatusCode)
		assert.Equal(t, calls, bufs.taken(), path)
	}
	// Before anything is known.
	get("/live/x/source/5.ts", 200, "/live/x.m3u8")
	get("/live/x/source/6.ts", 200)
	get("/live/x/source/99.ts", 404)
	get("/live/x.m3u8?key=1", 200, "/live/x.m3u8?key=1")
	get("/live/x/720p.m3u8?a=b", 200, "/live/x.m3u8?a=b")
	get("/live/x/480p.m3u8", 404, "/live/x/480p.m3u8", "/live/x.m3u8")
	// A presentation below another one, whose name is no rendition of that.
	nested := testBuffer(t, 1)
	bufs.set("/live/x/inner.m3u8", nested)
	get("/live/x/inner.m3u8", 200, "/live/x/inner.m3u8")
	get("/live/x/inner/source.m3u8", 200, "/live/x/inner.m3u8")
	get("/live/x/inner/source/1.ts", 200)
	// A new presentation takes the place of the old one.
	bufs.set("/live/x.m3u8", testBuffer(t, 1))
	get("/live/x/source/5.ts", 200)
	get("/live/x.m3u8", 200, "/live/x.m3u8")
	get("/live/x/source/5.ts", 404)
	// The first request may be for a media playlist.
	bufs.set("/new.m3u8", b)
	get("/new/720p.m3u8", 200, "/new/720p.m3u8", "/new.m3u8")
	get("/new/720p.m3u8", 200, "/new.m3u8")
	// What Buffer does not know any more, and has not ended, is gone.
	bufs.set("/new.m3u8", nil)
	get("/new/720p.m3u8", 404, "/new.m3u8")
	get("/new/source/5.ts", 404, "/new.m3u8")
}

func TestHLSErrors(t *testing.T) {
	secret := errors.New("the database password is 1234")
	for _, c := range []struct {
		name   string
		opts   HLSOptions
		status int
	}{
		{"no callback", HLSOptions{}, 404},
		{"callback returns nothing", HLSOptions{Buffer: func(string) (*stream.HLSBuffer, error) { return nil, nil }}, 404},
		{"callback fails", HLSOptions{Buffer: func(string) (*stream.HLSBuffer, error) { return nil, secret }}, 500},
		{"forbidden", HLSOptions{Authorize: func(*http.Request, string) error { return secret }}, 403},
		{"hidden", HLSOptions{Authorize: func(*http.Request, string) error { return fmt.Errorf("%w: %w", secret, stream.ErrNotFound) }}, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveHLS(t, NewHLS(c.opts))
			for _, path := range []string{"/a/x.m3u8", "/x.m3u8", "/a/x/source/1.ts"} {
				resp, body := s.do("GET", path)
				assert.Equal(t, c.status, resp.StatusCode)
				assert.Equal(t, http.StatusText(c.status)+"\n", string(body), "no more than the kind")
				if c.status != 404 {
					assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
				}
			}
		})
	}
}

func TestHLSAuthorize(t *testing.T) {
	bufs := newBuffers("/live/x.m3u8", testBuffer(t, 8))
	s := serveHLS(t, NewHLS(HLSOptions{
		Buffer: bufs.get,
		Authorize: func(r *http.Request, reqPath string) error {
			path, _, _ := strings.Cut(reqPath, "?")
			if r.Header.Get("X-Key") != "k" || path != "/live/x.m3u8" {
				return errors.New("no")
			}
			return nil
		},
	}))
	for _, path := range []string{"/live/x/source/5.ts", "/live/x.m3u8", "/live/x/720p.m3u8", "/live/x/720p/5.ts", "/live/x/720p.m3u8?q=1"} {
		resp, _ := s.do("GET", path)
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, path)
		resp, _ = s.do("GET", path, "X-Key", "k")
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
	}
	resp, _ := s.do("GET", "/live/y.m3u8", "X-Key", "k")
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	for _, call := range bufs.taken() {
		assert.True(t, strings.HasPrefix(call, "/live/x.m3u8"), call)
	}
}

// request serves without a network, for tests with a fake clock.
func request(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestHLSEndedRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stream.NewHLSBufferWithConfig(stream.HLSConfig{FirstSequence: 1})
		_, err := b.Append(stream.Source, testSegment(1, 100))
		require.NoError(t, err)
		bufs := newBuffers("/x.m3u8", b)
		h := NewHLS(HLSOptions{Buffer: bufs.get, EndedRetention: time.Minute})
		paths := []string{"/x.m3u8", "/x/source.m3u8", "/x/source/1.ts"}
		all := func(want int) {
			t.Helper()
			for _, path := range paths {
				assert.Equal(t, want, request(h, path).Code, path)
			}
		}
		all(200)
		time.Sleep(30 * time.Second)
		all(200)
		b.End()
		bufs.set("/x.m3u8", nil)
		all(200)
		assert.Contains(t, request(h, "/x/source.m3u8").Body.String(), "#EXT-X-ENDLIST")
		time.Sleep(time.Minute - 1)
		all(200)
		time.Sleep(time.Nanosecond)
		all(404)

		// Still known to Buffer: served for as long as it likes.
		bufs.set("/x.m3u8", b)
		all(200)
		time.Sleep(time.Hour)
		all(200)
	})
}

func TestHLSForgetsWhatNobodyAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHLS(HLSOptions{Buffer: func(string) (*stream.HLSBuffer, error) { return testBuffer(t, 1), nil }})
		for i := range 10 {
			require.Equal(t, 200, request(h, fmt.Sprintf("/%d.m3u8", i)).Code)
		}
		known := func() (n int, timer bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.known), h.timer != nil
		}
		for range 10 {
			time.Sleep(30 * time.Second)
			require.Equal(t, 200, request(h, "/3/source/1.ts").Code)
		}
		n, timer := known()
		assert.Equal(t, 1, n)
		assert.True(t, timer)
		h.mu.Lock()
		ref := weak.Make(h.known["/3"].buf)
		h.mu.Unlock()
		time.Sleep(2 * time.Minute)
		n, timer = known()
		assert.Zero(t, n)
		assert.False(t, timer, "nothing keeps the handler alive")
		runtime.GC()
		assert.Nil(t, ref.Value(), "the media is let go of")
	})
}

func TestHLSRemembersAFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended sync.Map
		bufs := map[string]*stream.HLSBuffer{}
		h := NewHLS(HLSOptions{MaxPaths: 4, EndedRetention: time.Hour, Buffer: func(p string) (*stream.HLSBuffer, error) {
			if _, gone := ended.Load(p); gone {
				return nil, stream.ErrNotFound
			}
			if bufs[p] == nil {
				bufs[p] = stream.NewHLSBuffer()
				_, err := bufs[p].Append(stream.Source, testSegment(1, 10))
				require.NoError(t, err)
			}
			return bufs[p], nil
		}})
		names := func() []string {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.Sorted(maps.Keys(h.known))
		}
		get := func(name string) {
			t.Helper()
			require.Equal(t, 200, request(h, name+".m3u8").Code)
			time.Sleep(2 * time.Second)
		}
		for _, name := range []string{"/a", "/b", "/c", "/d"} {
			get(name)
		}
		get("/a")
		get("/e")
		assert.Equal(t, []string{"/a", "/c", "/d", "/e"}, names(), "least recently used")
		bufs["/d.m3u8"].End()
		h.mu.Lock()
		h.opts.EndedRetention = time.Second
		h.mu.Unlock()
		time.Sleep(time.Second)
		get("/f")
		assert.Equal(t, []string{"/a", "/c", "/e", "/f"}, names(), "what has expired goes first")
		for i := range 100 {
			get(fmt.Sprint("/", i))
			require.LessOrEqual(t, len(names()), 4)
		}
	})
}

func TestHLSWaitsForTheFirstSegment(t *testing.T) {
	b := stream.NewHLSBufferWithConfig(stream.HLSConfig{FirstSequence: 1})
	asked := make(chan struct{}, 8)
	s := serveHLS(t, NewHLS(HLSOptions{FirstSegmentWait: time.Minute, Buffer: func(p string) (*stream.HLSBuffer, error) {
		if p != "/x.m3u8" {
			return nil, stream.ErrNotFound
		}
		asked <- struct{}{}
		return b, nil
	}}))
	var wg sync.WaitGroup
	for _, path := range []string{"/x.m3u8", "/x/source.m3u8"} {
		wg.Go(func() {
			resp, err := s.client.Get("http://" + s.addr + path)
			if !assert.NoError(t, err) {
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Contains(t, string(body), "source")
		})
	}
	<-asked
	<-asked
	_, err := b.Append(stream.Source, testSegment(1, 10))
	require.NoError(t, err)
	wg.Wait()
}

func TestHLSDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stream.NewHLSBuffer()
		h := NewHLS(HLSOptions{Buffer: newBuffers("/x.m3u8", b).get})
		for _, path := range []string{"/x.m3u8", "/x/source.m3u8"} {
			began := time.Now()
			w := request(h, path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.NotEmpty(t, w.Header().Get("Retry-After"))
			assert.Equal(t, 20*time.Second, time.Since(began))
		}
		assert.Equal(t, http.StatusNotFound, request(h, "/x/source/1.ts").Code, "segments do not wait")

		// The client goes away.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x.m3u8", nil).WithContext(ctx))
		assert.Equal(t, time.Second, time.Since(began))

		// It ends without media.
		time.AfterFunc(time.Second, b.End)
		assert.Equal(t, http.StatusNotFound, request(h, "/x.m3u8").Code)
	})
}

// deadlines records what the handler asks of the connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Duration
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		d.set = append(d.set, 0)
	} else {
		d.set = append(d.set, time.Until(t))
	}
	return nil
}

func TestHLSWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBuffer(t, 1)
		seg := testSegment(2, 409_600)
		_, err := b.Append(stream.Source, seg)
		require.NoError(t, err)
		bufs := newBuffers("/x.m3u8", b)
		bufs.set("/empty.m3u8", stream.NewHLSBuffer())
		h := NewHLS(HLSOptions{Buffer: bufs.get})
		try := func(srv *http.Server, path string, headers ...string) []time.Duration {
			r := httptest.NewRequest("GET", path, nil)
			if len(headers) > 0 {
				r.Header.Set(headers[0], headers[1])
			}
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, srv)))
			return w.set
		}
		own, none := &http.Server{WriteTimeout: time.Second}, &http.Server{}
		slow := 30*time.Second + 100*time.Second // 400 KiB at 4 KiB/s
		assert.Equal(t, []time.Duration{slow}, try(own, "/x/source/2.ts"))
		assert.Equal(t, []time.Duration{slow}, try(own, "/x/source/2.ts", "Range", "bytes=0-1"))
		assert.Equal(t, []time.Duration{slow, 0}, try(none, "/x/source/2.ts"), "left to the next request it would hurt")
		assert.Equal(t, []time.Duration{50 * time.Second}, try(own, "/empty.m3u8"))
		assert.Equal(t, []time.Duration{50 * time.Second, 0}, try(none, "/empty.m3u8"))
		assert.Empty(t, try(own, "/x/source/3.ts"))
	})
}

func TestHLSConcurrentClients(t *testing.T) {
	b := testBuffer(t, 1)
	var calls atomic.Int64
	h := NewHLS(HLSOptions{MaxPaths: 8, Buffer: func(p string) (*stream.HLSBuffer, error) {
		calls.Add(1)
		if !strings.HasPrefix(p, "/p") || strings.Count(p, "/") > 1 {
			return nil, stream.ErrNotFound
		}
		return b, nil
	}})
	s := serveHLS(t, h)
	stop := make(chan struct{})
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for seq := uint64(2); ; seq++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, rendition := range []string{stream.Source, "720p"} {
				if _, err := b.Append(rendition, testSegment(seq, 1000)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 8 {
		readers.Go(func() {
			for j := range 60 {
				stem := fmt.Sprintf("/p%d", (i+j)%12)
				for _, path := range []string{stem + ".m3u8", stem + "/720p.m3u8", stem + "/source/1.ts"} {
					req, _ := http.NewRequest("GET", "http://"+s.addr+path, nil)
					if j%2 == 0 {
						req.Header.Set("Accept-Encoding", "gzip")
					}
					resp, err := s.client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					n, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || n != resp.ContentLength {
						t.Error(path, err, n, resp.ContentLength)
					}
					if resp.StatusCode != http.StatusOK && !strings.HasSuffix(path, ".ts") {
						t.Error(path, resp.Status)
					}
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writer.Wait()
	assert.Positive(t, calls.Load())
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]hlsPath{
		"/x.m3u8":             {stem: "/x"},
		"/a/b/x.m3u8":         {stem: "/a/b/x", parent: "/a/b", rendition: "x"},
		"/a/x/720p.m3u8":      {stem: "/a/x/720p", parent: "/a/x", rendition: "720p"},
		"/a/x/720p/123.ts":    {segment: true, parent: "/a/x", rendition: "720p", seq: 123},
		"/x/source/0.ts":      {segment: true, parent: "/x", rendition: "source"},
		"/x.m3u8/y/1.ts":      {segment: true, parent: "/x.m3u8", rendition: "y", seq: 1},
		"/x.m3u8/source.m3u8": {stem: "/x.m3u8/source", parent: "/x.m3u8", rendition: "source"},
		"/x/s/18446744073709551615.ts": {
			segment: true, parent: "/x", rendition: "s", seq: 1<<64 - 1},
	} {
		got, ok := parsePath(path)
		assert.True(t, ok, path)
		assert.Equal(t, want, got, path)
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/x.m3u8", "/a/x/720p.m3u8", "/a/x/720p/123.ts", "/x/source/0.ts", "//x.m3u8", "/../x.m3u8", "/x/source/01.ts", "", "/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, ok := parsePath(path)
		if !ok {
			return
		}
		var again string
		if p.segment {
			again = fmt.Sprintf("%s/%s/%d.ts", p.parent, p.rendition, p.seq)
		} else {
			again = p.stem + ".m3u8"
			if p.parent != "" && p.stem != p.parent+"/"+p.rendition {
				t.Fatalf("%q: %+v", path, p)
			}
		}
		if again != path {
			t.Fatalf("%q is also %q", path, again)
		}
		if len(path) > maxPath || path[0] != '/' {
			t.Fatalf("%q", path)
		}
		for name := range strings.SplitSeq(path[1:], "/") {
			if !stream.ValidName(name) {
				t.Fatalf("%q has an invalid name", path)
			}
		}
	})
}

// nullWriter is a connection that takes everything.
type nullWriter struct{ head http.Header }

func (w *nullWriter) Header() http.Header              { return w.head }
func (w *nullWriter) Write(b []byte) (int, error)      { return len(b), nil }
func (w *nullWriter) WriteHeader(int)                  {}
func (w *nullWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *nullWriter) Flush()                           {}

func BenchmarkHLS(b *testing.B) {
	buf := testBuffer(b, 8)
	h := NewHLS(HLSOptions{Buffer: func(p string) (*stream.HLSBuffer, error) {
		if p == "/live/x.m3u8" {
			return buf, nil
		}
		return nil, stream.ErrNotFound
	}})
	for _, path := range []string{"/live/x.m3u8", "/live/x/source.m3u8", "/live/x/source/7.ts", "/live/y/source/7.ts"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Accept-Encoding", "gzip, deflate, br")
				w := &nullWriter{make(http.Header)}
				h.ServeHTTP(w, r)
				for pb.Next() {
					h.ServeHTTP(w, r)
				}
			})
		})
	}
}
