package backend

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/watch"
	"github.com/livepeer/lpms/stream"
)

const (
	streamPrefix = "/stream/"
	livePrefix   = "/live/"
	currentPath  = streamPrefix + "current.m3u8"
)

// wrapHTTP puts the pages and HTTP push beside HLS.
func (b *Backend) wrapHTTP(hls http.Handler) http.Handler {
	pages := hls // answers 404
	if b.opts.WatchPage {
		pages = watch.New(watch.Options{Status: b.Status, Thumbnail: b.thumbnail, RTMPPort: port(b.server.RTMPAddr()), PublishKey: b.opts.PublishKey != ""})
	}
	return b.opts.Metrics.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case strings.HasPrefix(path, streamPrefix):
			b.serveStream(hls, w, r)
		case path == "/healthz":
			serveHealth(w, r)
		case strings.HasPrefix(path, cluster.SegmentPath) && b.opts.Workers != nil:
			b.opts.Workers.ServeHTTP(w, r)
		case strings.HasPrefix(path, livePrefix) && b.pushed != nil:
			b.pushed.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	}))
}

// port is that of a TCP address, 0 without one.
func port(a net.Addr) int {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return 0
}

// serveStream serves HLS, and notes who watches what.
func (b *Backend) serveStream(hls http.Handler, w http.ResponseWriter, r *http.Request) {
	if b.opts.CurrentManifest && r.URL.Path == currentPath {
		if newest := b.newest(); newest != "" {
			// What it lists is relative: the streams that it names stay what they are when
			// another becomes the newest.
			other, url := *r, *r.URL
			url.Path, url.RawPath = streamPrefix+newest+".m3u8", ""
			other.URL, r = &url, &other
		}
	}
	if name, rendition, ok := watched(r.URL.Path); ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if s := b.find(name); s != nil {
			now := time.Now()
			s.touch(rendition, now)
			if r.Method == http.MethodGet {
				s.viewers.touch(r, now, s.watchTime())
			}
		}
	}
	if name, ok := master(r.URL.Path); ok {
		if s := b.find(name); s != nil {
			s.awaitLadder(r.Context())
		}
	}
	hls.ServeHTTP(w, r)
}

// master reads /stream/name.m3u8.
func master(path string) (name string, ok bool) {
	name, ok = strings.CutPrefix(path, streamPrefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, ".m3u8")
}

// newest names the stream that began last, of those that are live and have media if there are
// any.
func (b *Backend) newest() (name string) {
	var since time.Time
	alive := false
	for _, s := range b.all() {
		at, live := s.startedAt()
		if !s.buf.Started() || alive && !live {
			continue
		}
		if live && !alive || at.After(since) {
			name, since, alive = s.name, at, live
		}
	}
	return name
}

// watched reads /stream/name/rendition.m3u8 and /stream/name/rendition/n.ts.
func watched(path string) (name, rendition string, ok bool) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(path, streamPrefix), "/")
	if !ok || !stream.ValidName(name) {
		return "", "", false
	}
	if rendition, _, ok = strings.Cut(rest, "/"); !ok {
		rendition, ok = strings.CutSuffix(rest, ".m3u8")
	}
	return name, rendition, ok && stream.ValidName(rendition)
}

func serveHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}
