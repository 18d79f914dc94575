package admin

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
)

// fixture is a process with everything, and what was set in it.
type fixture struct {
	settings []Settings
	level    int
	refuse   error
}

func (f *fixture) options() Options {
	return Options{
		Addr:    "127.0.0.1:7935",
		Status:  sample,
		Metrics: NewMetrics(MetricsOptions{Status: sample}),
		Config: func() map[string]any {
			return map[string]any{"maxSessions": 10, "transcodingOptions": "P144p30fps16x9"}
		},
		SetConfig:          func(s Settings) error { f.settings = append(f.settings, s); return f.refuse },
		TranscodingOptions: func() []string { return []string{"P144p30fps16x9", "P240p30fps16x9"} },
		LogLevel:           func() int { return f.level },
		SetLogLevel:        func(n int) error { f.level = n; return f.refuse },
	}
}

// ask sends a request as curl does, to the default address.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:7935"+target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMethods(t *testing.T) {
	const read, write = "GET, HEAD", "POST"
	for path, allow := range map[string]string{
		"/":                               read,
		"/healthz":                        read,
		"/status":                         read,
		"/metrics":                        read,
		"/getBroadcastConfig":             read,
		"/getAvailableTranscodingOptions": read,
		"/getLogLevel":                    read,
		"/setBroadcastConfig":             write,
		"/setLogLevel":                    write,
		"/debug/pprof/":                   read,
		"/debug/pprof/heap":               read,
		"/debug/pprof/goroutine?debug=1":  read,
		"/debug/pprof/profile":            read,
		"/debug/pprof/trace":              read,
		"/debug/pprof/symbol":             "GET, HEAD, POST",
	} {
		t.Run(path, func(t *testing.T) {
			h := New((&fixture{}).options())
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				target := path
				switch {
				case path == "/setLogLevel":
					target += "?loglevel=6"
				case path == "/setBroadcastConfig":
					target += "?maxSessions=6"
				case strings.HasSuffix(path, "/profile"), strings.HasSuffix(path, "/trace"):
					if strings.Contains(allow, method) {
						continue // it takes a second at least
					}
				}
				w := ask(h, method, target, "")
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"), method)
				require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), method)
				if strings.Contains(allow, method) {
					require.Equal(t, http.StatusOK, w.Code, "%s: %s", method, w.Body)
				} else {
					require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
					require.ElementsMatch(t, strings.Split(allow, ", "), strings.Split(w.Header().Get("Allow"), ", "), method)
				}
			}
		})
	}
}

func TestNotThere(t *testing.T) {
	full, empty := New((&fixture{}).options()), New(Options{})
	for name, c := range map[string]struct {
		h              http.Handler
		method, target string
		says           string
	}{
		"unknown path":         {full, "GET", "/stream/x.m3u8", "not found"},
		"below a path":         {full, "GET", "/status/x", "not found"},
		"unknown profile":      {full, "GET", "/debug/pprof/nothing", "Unknown profile"},
		"command line":         {full, "GET", "/debug/pprof/cmdline", "secrets"},
		"without monitor":      {empty, "GET", "/metrics", "start with -monitor"},
		"without status":       {empty, "GET", "/status", "no streams"},
		"without config":       {empty, "GET", "/getBroadcastConfig", "-broadcaster"},
		"without set config":   {empty, "POST", "/setBroadcastConfig?maxSessions=1", "-broadcaster"},
		"without presets":      {empty, "GET", "/getAvailableTranscodingOptions", "-broadcaster"},
		"without level":        {empty, "GET", "/getLogLevel", "level"},
		"without setting it":   {empty, "POST", "/setLogLevel?loglevel=1", "level"},
		"not the default mux":  {full, "GET", "/debug/vars", "not found"},
		"path out of the tree": {full, "GET", "/%2e%2e/etc/passwd", "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(c.h, c.method, c.target, "")
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Contains(t, w.Body.String(), c.says)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		})
	}
	require.Equal(t, http.StatusOK, ask(empty, "GET", "/healthz", "").Code)
}

func TestIndexNamesEveryRoute(t *testing.T) {
	full := ask(New((&fixture{}).options()), "GET", "/", "").Body.String()
	for _, rt := range (&admin{}).routes() {
		require.Contains(t, full, " "+rt.path+" ")
	}
	require.NotContains(t, full, "start with -monitor")
	require.Contains(t, ask(New(Options{}), "GET", "/", "").Body.String(), "start with -monitor")
}

func TestStatusIsJSONForPeople(t *testing.T) {
	s := sample()
	s.Streams[0].Renditions[1].Lag = 1.23456789
	s.Streams[0].Uptime = math.NaN()
	s.Machine.CPU = math.Inf(1)
	s.Workers[0].Speed, s.Workers[0].Seen, s.Workers[1].Speed = 3.14159, 0.98765, math.Inf(1)
	s.Streams[0].Advice = []string{"shorter groups <of pictures>"}
	h := New(Options{Status: func() status.Status { return s }})
	w := ask(h, "GET", "/status", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	text := w.Body.String()
	require.Contains(t, text, "\n  \"streams\": [\n")
	require.Contains(t, text, `"lag": 1.235`)
	require.Contains(t, text, `shorter groups <of pictures>`)
	require.Contains(t, text, `"speed": 3.142`)
	require.Contains(t, text, `"seen": 0.988`)
	require.Equal(t, 1.23456789, s.Streams[0].Renditions[1].Lag, "the snapshot belongs to the caller")
	require.Equal(t, 3.14159, s.Workers[0].Speed, "the snapshot belongs to the caller")
	require.Nil(t, s.Workers[1].Encoders, "the snapshot belongs to the caller")

	var got status.Status
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, s.Streams[0].Name, got.Streams[0].Name)
	require.Zero(t, got.Streams[0].Uptime)
	require.Zero(t, got.Workers[1].Speed)
	require.NotNil(t, got.Workers[1].Encoders)
	require.Equal(t, s.Engines, got.Engines)

	none := ask(New(Options{Status: func() status.Status { return status.Status{} }}), "GET", "/status", "").Body.String()
	require.Contains(t, none, `"streams": []`)
	require.Contains(t, none, `"roles": []`)
	require.NotContains(t, none, "null")
}

func TestConfigThatIsNoJSON(t *testing.T) {
	h := New(Options{Config: func() map[string]any { return map[string]any{"f": func() {}} }})
	w := ask(h, "GET", "/getBroadcastConfig", "")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "JSON")
}

func TestProfiles(t *testing.T) {
	h := New((&fixture{}).options())
	w := ask(h, "GET", "/debug/pprof/", "")
	require.Contains(t, w.Header().Get("Content-Type"), "text/html")
	for _, name := range []string{"goroutine", "heap", "mutex", "allocs"} {
		require.Contains(t, w.Body.String(), name)
	}
	require.Contains(t, ask(h, "GET", "/debug/pprof/goroutine?debug=2", "").Body.String(), "TestProfiles")
	gzip := ask(h, "GET", "/debug/pprof/heap", "").Body.String()
	require.True(t, strings.HasPrefix(gzip, "\x1f\x8b"), "protobuf is compressed")

	for _, seconds := range []string{"301", "1e9", "NaN", "+Inf"} {
		for _, path := range []string{"profile", "trace", "heap"} {
			w := ask(h, "GET", "/debug/pprof/"+path+"?seconds="+url.QueryEscape(seconds), "")
			require.Equal(t, http.StatusBadRequest, w.Code)
			require.Contains(t, w.Body.String(), "300")
		}
	}
	w = ask(h, "GET", "/debug/pprof/profile?seconds=1", "", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, w.Code)
}

func TestProfilesAreLimited(t *testing.T) {
	a := &admin{profiles: make(chan struct{}, maxProfiles)}
	var inner []error
	var h func(http.ResponseWriter, *http.Request) error
	h = a.profile(func(w http.ResponseWriter, r *http.Request) { inner = append(inner, h(w, r)) })
	require.NoError(t, h(httptest.NewRecorder(), httptest.NewRequest("GET", "/debug/pprof/", nil)))
	require.Len(t, inner, maxProfiles)
	require.ErrorContains(t, inner[0], "try again")
	require.Empty(t, a.profiles)
}

// A server as it runs: the header is that of a real connection.
func TestOverTCP(t *testing.T) {
	srv := httptest.NewServer(New((&fixture{}).options()))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/healthz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "ok\n", string(body))

	resp, err = srv.Client().Get(srv.URL + "/debug/pprof/trace?seconds=0.01")
	require.NoError(t, err)
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.True(t, strings.HasPrefix(string(body), "go 1."), "a trace begins with its version")

	req, err := http.NewRequest("GET", srv.URL+"/status", nil)
	require.NoError(t, err)
	req.Host = "attacker.example"
	resp, err = srv.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

var errRefused = errors.New("no preset is called P9000: see /getAvailableTranscodingOptions")
