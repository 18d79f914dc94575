package admin

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMiddlewareCounts(t *testing.T) {
	const body = "0123456789"
	answer := func(status int, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			if status != 0 {
				w.WriteHeader(status)
			}
			_, _ = io.WriteString(w, body)
		}
	}
	const served, playlist = `lpms_stage_seconds_count{stage="served"} 1`, `lpms_playlist_seconds_count 1`
	for name, c := range map[string]struct {
		method, path string
		h            http.HandlerFunc
		want, not    []string
	}{
		"segment": {"GET", "/stream/a/source/1.ts", answer(200, "video/mp2t"),
			[]string{served, `lpms_http_sent_bytes_total{kind="segment"} 10`, `lpms_http_responses_total{class="2xx"} 1`}, []string{playlist}},
		"range": {"GET", "/stream/a/source/1.ts", answer(206, "video/mp2t"), []string{served, `lpms_http_responses_total{class="2xx"} 1`}, nil},
		"implicit status": {"GET", "/a/1.ts", answer(0, ""),
			[]string{served, `lpms_http_responses_total{class="2xx"} 1`}, nil},
		"segment that is gone": {"GET", "/a/1.ts", answer(404, "text/plain"),
			[]string{`lpms_http_sent_bytes_total{kind="segment"} 10`, `lpms_http_responses_total{class="4xx"} 1`}, []string{served}},
		"head": {"HEAD", "/a/1.ts", func(http.ResponseWriter, *http.Request) {},
			[]string{`lpms_http_responses_total{class="2xx"} 1`}, []string{served}},
		"playlist": {"GET", "/stream/a.m3u8", answer(200, "application/vnd.apple.mpegurl"),
			[]string{playlist, `lpms_http_sent_bytes_total{kind="playlist"} 10`}, []string{served}},
		"playlist unchanged": {"GET", "/stream/a.m3u8", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) },
			[]string{`lpms_http_responses_total{class="3xx"} 1`}, []string{playlist}},
		"pushed segment": {"PUT", "/live/a/1.ts", answer(200, "multipart/mixed"),
			[]string{`lpms_http_sent_bytes_total{kind="other"} 10`}, []string{served}},
		"page": {"GET", "/watch/a", answer(200, "text/html; charset=utf-8"),
			[]string{`lpms_http_sent_bytes_total{kind="page"} 10`}, []string{served, playlist}},
		"script": {"GET", "/x.js", answer(200, "text/javascript"), []string{`lpms_http_sent_bytes_total{kind="page"} 10`}, nil},
		"other":  {"GET", "/healthz", answer(200, "text/plain"), []string{`lpms_http_sent_bytes_total{kind="other"} 10`}, nil},
		"hint first": {"GET", "/a/1.ts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(500) },
			[]string{`lpms_http_responses_total{class="5xx"} 1`}, []string{served}},
		"two statuses": {"GET", "/a/1.ts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
			[]string{`lpms_http_responses_total{class="4xx"} 1`}, []string{served}},
		"flushed": {"GET", "/a/1.ts", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) },
			[]string{`lpms_http_responses_total{class="2xx"} 1`}, nil},
		"copied": {"GET", "/a/1.ts", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader(body)) },
			[]string{served, `lpms_http_sent_bytes_total{kind="segment"} 10`}, nil},
		"path changed on the way": {"GET", "/a/1.ts", func(w http.ResponseWriter, r *http.Request) { r.URL.Path = "/"; _, _ = w.Write([]byte("x")) },
			[]string{served, `lpms_http_sent_bytes_total{kind="segment"} 1`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMetrics(MetricsOptions{})
			m.Middleware(c.h).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, nil))
			lines := ours(scrape(t, m))
			for _, l := range c.want {
				require.Contains(t, lines, l)
			}
			for _, l := range c.not {
				require.NotContains(t, lines, l)
			}
		})
	}
}

func TestMiddlewareCountsWhatPanics(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	h := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	}))
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a/1.ts", nil))
	})
	lines := ours(scrape(t, m))
	require.Contains(t, lines, `lpms_http_sent_bytes_total{kind="segment"} 4`)
	require.Contains(t, lines, `lpms_stage_seconds_count{stage="served"} 0`)
}

// A real server's ResponseController works behind the middleware: a deadline that has
// passed stops the answer, and files go the short way.
func TestMiddlewareKeepsTheController(t *testing.T) {
	file := t.TempDir() + "/1.ts"
	require.NoError(t, os.WriteFile(file, make([]byte, 100_000), 0o600))
	m := NewMetrics(MetricsOptions{})
	var late, flushed error
	var readerFrom bool
	mux := http.NewServeMux()
	mux.HandleFunc("/late/1.ts", func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		flushed = c.Flush()
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			late = err
			return
		}
		_, late = w.Write(make([]byte, 1<<20))
	})
	mux.HandleFunc("/file/1.ts", func(w http.ResponseWriter, r *http.Request) {
		_, readerFrom = w.(interface{ Unwrap() http.ResponseWriter }).Unwrap().(io.ReaderFrom)
		http.ServeFile(w, r, file)
	})
	mux.HandleFunc("/duplex", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	srv := httptest.NewServer(m.Middleware(mux))
	defer srv.Close()

	get := func(path string) (int64, int, error) {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			return 0, 0, err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		return n, resp.StatusCode, errors.Join(err, resp.Body.Close())
	}
	_, _, err := get("/late/1.ts")
	require.Error(t, err)
	n, code, err := get("/file/1.ts")
	require.NoError(t, err)
	require.Equal(t, 200, code)
	require.EqualValues(t, 100_000, n)
	_, code, err = get("/duplex")
	require.NoError(t, err)
	require.Equal(t, 200, code)
	srv.Close() // the handlers have returned

	require.NoError(t, flushed)
	require.ErrorIs(t, late, os.ErrDeadlineExceeded)
	require.True(t, readerFrom)
	require.Contains(t, ours(scrape(t, m)), `lpms_http_responses_total{class="2xx"} 3`)
}

// A writer that cannot be flushed says so, as it does without the middleware.
func TestMiddlewareDoesNotHideErrors(t *testing.T) {
	type bare struct{ http.ResponseWriter }
	m := NewMetrics(MetricsOptions{})
	var err error
	h := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err = http.NewResponseController(w).Flush()
	}))
	h.ServeHTTP(bare{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
	require.ErrorIs(t, err, http.ErrNotSupported)
}

// sink is a ResponseWriter that costs nothing.
type sink struct{ head http.Header }

func (s *sink) Header() http.Header         { return s.head }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func bareHandler(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func TestMiddlewareAllocations(t *testing.T) {
	h := NewMetrics(MetricsOptions{}).Middleware(bareHandler(make([]byte, 500_000)))
	w, r := &sink{http.Header{}}, httptest.NewRequest("GET", "/stream/a/source/1.ts", nil)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }), 1.0)
}

func BenchmarkMiddleware(b *testing.B) {
	m := NewMetrics(MetricsOptions{})
	body := make([]byte, 500_000)
	for name, h := range map[string]http.Handler{"without": bareHandler(body), "with": m.Middleware(bareHandler(body))} {
		b.Run(name, func(b *testing.B) {
			w, r := &sink{http.Header{}}, httptest.NewRequest("GET", "/stream/a/source/1.ts", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
