package watch

import (
	"net/http"
	"strings"
	"time"

	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
)

// Options of New. The zero value shows that nothing is live.
type Options struct {
	// Status says what is live. It is called at most four times a second, by one goroutine
	// at a time, while others wait for it: it must return promptly. Of what it returns only
	// the fields of /streams.json are shown; streams whose name is not a stream.ValidName are
	// left out.
	Status func() status.Status
	// Thumbnail returns the newest picture of a stream and when it was taken. It is called
	// from many goroutines, also for each stream whenever Status is, so it must give what is
	// there and not start to work. The bytes are shared and not changed. Default: no pictures.
	Thumbnail func(name string) (jpeg []byte, at time.Time, ok bool)
	// RTMPPort is the port in the RTMP addresses that the pages show. Default 0: RTMP is off,
	// and no such address is shown.
	RTMPPort int
	// PublishKey says that publishers must give a key (NAME?key=KEY). It is never shown.
	PublishKey bool
}

// handler serves the pages.
type handler struct {
	opts   Options
	assets *assets
	pages  *pages
	feed   *feed
	mux    http.ServeMux
}

// New makes the handler. It needs no Close.
func New(o Options) http.Handler {
	if o.Status == nil {
		o.Status = func() status.Status { return status.Status{Now: time.Now()} }
	}
	if o.Thumbnail == nil {
		o.Thumbnail = func(string) ([]byte, time.Time, bool) { return nil, time.Time{}, false }
	}
	a := loadAssets()
	h := &handler{opts: o, assets: a, pages: newPages(a.prefix), feed: &feed{opts: o}}
	h.mux.HandleFunc("/{$}", h.serveList)
	h.mux.HandleFunc("/watch/{name}", h.serveWatch)
	h.mux.HandleFunc("/streams.json", h.serveStreams)
	h.mux.HandleFunc("/thumbnail/{file}", h.serveThumbnail)
	h.mux.HandleFunc("/assets/{hash}/{file}", h.serveAsset)
	h.mux.HandleFunc("/", h.serveNothing)
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plainError(w, http.StatusMethodNotAllowed)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *handler) serveList(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache") // asked again each time, answered with 304
	h.pages.list.serve(w, r)
}

// serveWatch answers for each valid name: the page waits for a stream that is not there.
func (h *handler) serveWatch(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !stream.ValidName(name) {
		h.serveNothing(w, r)
		return
	}
	embed := r.URL.Query().Get("embed") == "1"
	if embed {
		allowFrames(w.Header())
	}
	w.Header().Set("Cache-Control", "no-cache")
	h.pages.watch(name, embed).serve(w, r)
}

func (h *handler) serveStreams(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	h.feed.newest().serve(w, r)
}

func (h *handler) serveThumbnail(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".jpg")
	if !ok || !stream.ValidName(name) {
		plainError(w, http.StatusNotFound)
		return
	}
	jpeg, at, ok := h.opts.Thumbnail(name)
	if !ok {
		plainError(w, http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=2")
	newPicture(jpeg, at).serve(w, r)
}

func (h *handler) serveAsset(w http.ResponseWriter, r *http.Request) {
	file, ok := h.assets.files[r.PathValue("file")]
	if !ok || r.PathValue("hash") != h.assets.hash {
		plainError(w, http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	file.serve(w, r)
}

func (h *handler) serveNothing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	h.pages.nothing.serveAs(w, r, http.StatusNotFound)
}
