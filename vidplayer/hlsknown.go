package vidplayer

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/stream"
)

// knownPath is a presentation that Buffer returned.
type knownPath struct {
	reqPath string // of the master playlist, without query
	name    string // last element of the stem
	buf     *stream.HLSBuffer
	used    atomic.Int64 // unix seconds
}

// find returns the presentation that a playlist belongs to, and its rendition if it is a
// media playlist.
func (h *HLSHandler) find(r *http.Request, p hlsPath) (known *knownPath, rendition string, err error) {
	if p.parent != "" {
		if known := h.lookup(p.parent); known != nil && known.buf.Has(p.rendition) {
			known, err := h.fetch(r, p.parent)
			return known, p.rendition, err
		}
	}
	known, err = h.fetch(r, p.stem)
	if err == nil || p.parent == "" || !errors.Is(err, stream.ErrNotFound) && !isForbidden(err) {
		return known, "", err
	}
	known, parentErr := h.fetch(r, p.parent)
	if parentErr != nil && !errors.Is(parentErr, stream.ErrNotFound) {
		err = parentErr
	}
	if parentErr != nil {
		return nil, "", err
	}
	return known, p.rendition, nil
}

// fetch asks the callbacks for a presentation, and remembers the answer.
func (h *HLSHandler) fetch(r *http.Request, stem string) (*knownPath, error) {
	known := h.lookup(stem)
	var reqPath string
	if known != nil {
		reqPath = withQuery(known.reqPath, r)
	} else {
		reqPath = withQuery(stem+playlistExt, r)
	}
	if err := h.authorize(r, reqPath); err != nil {
		return nil, err
	}
	buf, err := h.opts.Buffer(reqPath)
	switch {
	case err == nil && buf != nil:
		if known == nil || known.buf != buf {
			known = h.remember(stem, buf)
		}
		return known, nil
	case err == nil:
		err = stream.ErrNotFound
	case !errors.Is(err, stream.ErrNotFound):
		return nil, err
	}
	if known == nil {
		return nil, err
	}
	ended := known.buf.EndedAt()
	if !known.buf.Publishing() && (ended.IsZero() || h.now().Sub(ended) < h.opts.EndedRetention) {
		return known, nil // the publisher has gone; viewers see the end, or its return
	}
	h.forget(stem, known)
	return nil, err
}

func (h *HLSHandler) authorize(r *http.Request, reqPath string) error {
	if err := h.opts.Authorize(r, reqPath); err != nil {
		return forbidden{err}
	}
	return nil
}

func withQuery(path string, r *http.Request) string {
	if r.URL.RawQuery == "" {
		return path
	}
	return path + "?" + r.URL.RawQuery
}

func (h *HLSHandler) lookup(stem string) *knownPath {
	h.mu.RLock()
	known := h.known[stem]
	h.mu.RUnlock()
	if known != nil {
		if now := h.now().Unix(); known.used.Load() != now {
			known.used.Store(now)
		}
	}
	return known
}

func (h *HLSHandler) remember(stem string, buf *stream.HLSBuffer) *knownPath {
	stem = strings.Clone(stem) // not the whole path of the request
	_, name := cutLast(stem)
	known := &knownPath{reqPath: stem + playlistExt, name: name, buf: buf}
	now := h.now()
	known.used.Store(now.Unix())
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.known[stem]; !ok && len(h.known) >= h.opts.MaxPaths {
		h.evict(now)
	}
	h.known[stem] = known
	if h.timer == nil {
		h.timer = time.AfterFunc(h.sweepEvery(), h.sweep)
	}
	return known
}

func (h *HLSHandler) forget(stem string, known *knownPath) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[stem] == known {
		delete(h.known, stem)
	}
}

// evict makes room: for what has ended and expired, or else in place of what was not asked
// for for the longest time.
func (h *HLSHandler) evict(now time.Time) {
	before := len(h.known)
	h.expire(now)
	if len(h.known) < before {
		return
	}
	var oldest string
	var oldestUse int64
	for stem, known := range h.known {
		if used := known.used.Load(); oldest == "" || used < oldestUse {
			oldest, oldestUse = stem, used
		}
	}
	delete(h.known, oldest)
}

// minIdle is how long a presentation is remembered at least that nobody asks for.
const minIdle = time.Minute

func (h *HLSHandler) expire(now time.Time) {
	idle := now.Add(-max(minIdle, h.opts.EndedRetention)).Unix()
	for stem, known := range h.known {
		ended := known.buf.EndedAt()
		if !ended.IsZero() && now.Sub(ended) >= h.opts.EndedRetention || known.used.Load() < idle {
			delete(h.known, stem)
		}
	}
}

func (h *HLSHandler) sweepEvery() time.Duration {
	return min(max(h.opts.EndedRetention/4, time.Second), 15*time.Second)
}

// sweep lets go of presentations, whose segments are in memory as long as the handler knows
// them. It runs on a timer that stops when nothing is left.
func (h *HLSHandler) sweep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire(h.now())
	if len(h.known) == 0 {
		h.timer = nil
		return
	}
	h.timer.Reset(h.sweepEvery())
}
