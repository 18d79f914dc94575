package admin

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/livepeer/lpms/internal/status"
)

// Options of New. All functions are called from many goroutines at once, and a request waits
// for them. What is nil is answered with 404 and the reason.
type Options struct {
	// Addr is the "host:port" that is listened on, the value of -cliAddr. Its host is a
	// name under which requests are welcome. When it stands for more than loopback, as
	// ":7935" and "192.0.2.1:7935" do, requests under every name are. Default: loopback
	// without a name of its own.
	Addr string
	// Status is what /status shows. The value is not changed.
	Status func() status.Status
	// Metrics is nil without -monitor.
	Metrics *Metrics
	// Config is what /getBroadcastConfig shows, as JSON. It must hold no secret.
	Config func() map[string]any
	// SetConfig takes over what is not nil, all of it or, with an error, nothing. The error
	// is for the user and answered with 400.
	SetConfig func(Settings) error
	// TranscodingOptions names the presets that exist.
	TranscodingOptions func() []string
	// LogLevel and SetLogLevel are about glog's -v, 0 to 99.
	LogLevel    func() int
	SetLogLevel func(int) error
}

// maxBody is how many bytes the body of a request may have.
const maxBody = 64 << 10

// route is one line of the index.
type route struct {
	methods []string // GET is HEAD too
	path    string
	about   string
	missing string // why there is nothing here; empty when there is
	serve   func(w http.ResponseWriter, r *http.Request) error
}

var (
	get  = []string{http.MethodGet}
	post = []string{http.MethodPost}
)

// admin holds the handlers.
type admin struct {
	opts     Options
	profiles chan struct{} // a token for each profile that is being made
}

// New makes the handler of the admin interface. It needs no Close.
func New(o Options) http.Handler {
	a := &admin{opts: o, profiles: make(chan struct{}, maxProfiles)}
	routes := a.routes()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", textHandler(index(routes)))
	for _, rt := range routes {
		for _, method := range rt.methods {
			mux.Handle(method+" "+rt.path, rt)
		}
	}
	return newGuard(o.Addr, mux)
}

func (a *admin) routes() []route {
	const noBroadcaster = "this process is no broadcaster: ask the one that was started with -broadcaster"
	o := a.opts
	routes := []route{
		{get, "/healthz", "ok, as long as the process answers", "", func(w http.ResponseWriter, _ *http.Request) error {
			return writeText(w, "ok\n")
		}},
		{get, "/status", "streams, viewers, renditions, workers and the machine", missing(o.Status == nil, "this process has no streams"), a.status},
		{get, "/metrics", "for Prometheus", missing(o.Metrics == nil, "there are no metrics: start with -monitor"), a.metrics()},
		{get, "/getBroadcastConfig", "the settings", missing(o.Config == nil, noBroadcaster), a.getConfig},
		{post, "/setBroadcastConfig", "changes " + settingNames(), missing(o.SetConfig == nil, noBroadcaster), a.setConfig},
		{get, "/getAvailableTranscodingOptions", "the presets for transcodingOptions", missing(o.TranscodingOptions == nil, noBroadcaster), a.transcodingOptions},
		{get, "/getLogLevel", "the level of -v", missing(o.LogLevel == nil, "the log has no level here"), a.getLogLevel},
		{post, "/setLogLevel", "changes it: ?loglevel=0 to 99", missing(o.SetLogLevel == nil, "the log has no level here"), a.setLogLevel},
	}
	return append(routes, a.profileRoutes()...)
}

func missing(is bool, why string) string {
	if is {
		return why
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (rt route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	if rt.missing != "" {
		err = &failure{http.StatusNotFound, rt.missing}
	} else {
		err = rt.serve(w, r)
	}
	if err != nil {
		fail(w, err)
	}
}

// index is the text of "/".
func index(routes []route) string {
	var b strings.Builder
	_, _ = fmt.Fprint(&b, "LPMS, the admin interface\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, rt := range routes {
		about := rt.about
		if rt.missing != "" {
			about = "not here: " + rt.missing
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", strings.Join(rt.methods, ", "), rt.path, about)
	}
	_ = t.Flush()
	return b.String()
}

func textHandler(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = writeText(w, text)
	})
}

func (a *admin) metrics() func(http.ResponseWriter, *http.Request) error {
	h := a.opts.Metrics.handler()
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

func (a *admin) status(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, readable(a.opts.Status()))
}
