package vidplayer

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/stream"
)

// HLSOptions of NewHLS. Every field but Buffer has a sound default.
type HLSOptions struct {
	// Buffer returns the presentation for reqPath, the path of its master playlist with
	// the query of the request, or stream.ErrNotFound. It is called for every playlist;
	// segments come from the presentation that it returned last for the path. It is
	// called from many goroutines. Without it nothing is found.
	//
	// /a/name/x.m3u8 can be a media playlist of /a/name.m3u8 or a master playlist: unless
	// the first is known to exist, Buffer is asked for the path itself before it is asked
	// for /a/name.m3u8. Players send no query with what a playlist names.
	Buffer func(reqPath string) (*stream.HLSBuffer, error)
	// Authorize refuses requests, segments included, before Buffer is called. An error
	// is answered with 403, stream.ErrNotFound with 404. Default: all are welcome.
	Authorize func(r *http.Request, reqPath string) error
	// FirstSegmentWait is how long the request for a playlist waits for the first segment
	// of its presentation. Default 20 s, for groups of pictures of 10 s. When it is shorter than the first segment takes,
	// players that come early see an error.
	FirstSegmentWait time.Duration
	// EndedRetention is how long after its end a presentation is still served although
	// Buffer does not know it any more, so that viewers see the end. Its segments stay in
	// memory for as long. Default 60 s.
	EndedRetention time.Duration
	// MaxPaths limits how many presentations are remembered. Default 4096. For more,
	// Buffer is called more often.
	MaxPaths int
	// SlowestClient in bytes per second: a response may take 30 s and the time that its
	// size takes at this speed. Default 4096.
	SlowestClient int
}

func (o HLSOptions) withDefaults() HLSOptions {
	if o.Buffer == nil {
		o.Buffer = func(string) (*stream.HLSBuffer, error) { return nil, stream.ErrNotFound }
	}
	if o.Authorize == nil {
		o.Authorize = func(*http.Request, string) error { return nil }
	}
	if o.FirstSegmentWait <= 0 {
		o.FirstSegmentWait = 20 * time.Second
	}
	if o.EndedRetention <= 0 {
		o.EndedRetention = time.Minute
	}
	if o.MaxPaths <= 0 {
		o.MaxPaths = 4096
	}
	if o.SlowestClient <= 0 {
		o.SlowestClient = 4096
	}
	return o
}

// HLSHandler serves presentations over HTTP: playlists and segments, with CORS, caching,
// compression and ranges. It never redirects.
type HLSHandler struct {
	opts HLSOptions
	now  func() time.Time
	seed maphash.Seed

	presets [presetSlots]atomic.Pointer[preset]

	mu    sync.RWMutex
	known map[string]*knownPath // by stem
	timer *time.Timer           // sweeps; nil while nothing is known
}

// NewHLS makes a handler. It keeps a timer while it remembers presentations and needs no
// Close.
func NewHLS(o HLSOptions) *HLSHandler {
	return &HLSHandler{
		opts: o.withDefaults(), now: time.Now, seed: maphash.MakeSeed(),
		known: make(map[string]*knownPath),
	}
}

// Header values that never change are shared by all responses.
var (
	anyOrigin      = []string{"*"}
	exposedHeaders = []string{"Accept-Ranges, Age, Content-Encoding, Content-Length, Content-Range, Date, ETag, Last-Modified, Retry-After"}
	allowedMethods = []string{"GET, HEAD, OPTIONS"}
	allowedHeaders = []string{"Accept, Accept-Encoding, Authorization, Cache-Control, Content-Type, If-Modified-Since, If-None-Match, If-Range, Origin, Range, X-Requested-With"}
	preflightAge   = []string{"86400"}
	nosniff        = []string{"nosniff"}
	acceptEncoding = []string{"Accept-Encoding"}
	gzipEncoding   = []string{"gzip"}
	byteRanges     = []string{"bytes"}
	plainText      = []string{"text/plain; charset=utf-8"}

	// Never from the table of the host, where .ts may be a program in TypeScript.
	playlistType = []string{"application/vnd.apple.mpegurl"}
	segmentType  = []string{"video/mp2t"}

	// The bytes of a segment's URL never change.
	segmentCaching  = []string{"public, max-age=86400, immutable"}
	notFoundCaching = []string{"max-age=1"}
	noStore         = []string{"no-store"}
	retryAfter      = []string{"1"}
)

var errMethod = errors.New("vidplayer: method not allowed")

// ServeHTTP implements http.Handler.
func (h *HLSHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head["Access-Control-Allow-Origin"] = anyOrigin
	head["X-Content-Type-Options"] = nosniff
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		head["Access-Control-Expose-Headers"] = exposedHeaders
		err = h.serve(w, r)
	case http.MethodOptions:
		head["Allow"] = allowedMethods
		head["Access-Control-Allow-Methods"] = allowedMethods
		head["Access-Control-Allow-Headers"] = allowedHeaders
		head["Access-Control-Max-Age"] = preflightAge
		w.WriteHeader(http.StatusNoContent)
	default:
		err = errMethod
	}
	if err != nil {
		fail(w, err)
	}
}

// serve returns an error only when nothing was written.
func (h *HLSHandler) serve(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawPath != "" { // something is escaped that needs no escape, or must not be there
		return stream.ErrNotFound
	}
	p, ok := parsePath(r.URL.Path)
	switch {
	case !ok:
		return stream.ErrNotFound
	case p.segment:
		return h.serveSegment(w, r, p)
	}
	return h.servePlaylist(w, r, p)
}

// forbidden is an error of Authorize.
type forbidden struct{ error }

func (f forbidden) Unwrap() error { return f.error }

func isForbidden(err error) bool {
	var f forbidden
	return errors.As(err, &f)
}

// statusOf is the only place that turns errors into HTTP.
func statusOf(err error) int {
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return http.StatusNotFound
	case isForbidden(err):
		return http.StatusForbidden
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with an error, of which the client learns the kind and no more.
func fail(w http.ResponseWriter, err error) {
	status := statusOf(err)
	head := w.Header()
	head["Content-Type"] = plainText
	head["Cache-Control"] = noStore
	switch status {
	case http.StatusNotFound:
		head["Cache-Control"] = notFoundCaching
	case http.StatusMethodNotAllowed:
		head["Allow"] = allowedMethods
	case http.StatusServiceUnavailable:
		head["Retry-After"] = retryAfter
	}
	text := http.StatusText(status) + "\n"
	head["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (h *HLSHandler) servePlaylist(w http.ResponseWriter, r *http.Request, p hlsPath) error {
	known, rendition, err := h.find(r, p)
	if err != nil {
		return err
	}
	ctx, buf := r.Context(), known.buf
	if !buf.Started() || rendition != "" && buf.Resting(rendition) {
		allow(w, h.opts.FirstSegmentWait+baseTime)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.opts.FirstSegmentWait)
		defer cancel()
	}
	var list *stream.Playlist
	if rendition == "" {
		list, err = buf.MasterPlaylist(ctx, known.name)
	} else {
		list, err = buf.MediaPlaylist(ctx, rendition)
	}
	if err != nil {
		restore(w, r, false)
		return err
	}
	h.sendPlaylist(w, r, list)
	return nil
}

func (h *HLSHandler) sendPlaylist(w http.ResponseWriter, r *http.Request, list *stream.Playlist) {
	body, tag := list.Raw, list.ETag
	head := w.Header()
	head["Vary"] = acceptEncoding
	if acceptsGzip(r.Header["Accept-Encoding"]) {
		body, tag = list.Gzip(), list.GzipETag
		head["Content-Encoding"] = gzipEncoding
	}
	pre := h.preset(tag, len(body), list)
	head["Content-Type"] = playlistType
	head["Etag"] = pre.tag[:]
	head["Last-Modified"] = pre.modified[:]
	head["Cache-Control"] = pre.caching[:]
	// No answer to If-Modified-Since: a playlist may change twice in the same second.
	if matches(r.Header["If-None-Match"], tag) {
		delete(head, "Content-Encoding")
		delete(head, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head["Content-Length"] = pre.length[:]
	h.send(w, r, body)
}

func (h *HLSHandler) serveSegment(w http.ResponseWriter, r *http.Request, p hlsPath) error {
	known := h.lookup(p.parent)
	var err error
	if known == nil {
		known, err = h.fetch(r, p.parent)
	} else {
		err = h.authorize(r, withQuery(known.reqPath, r))
	}
	if err != nil {
		return err
	}
	seg, err := known.buf.Segment(p.rendition, p.seq)
	if err != nil {
		return err
	}
	pre := h.preset(seg.ETag(), len(seg.Data), nil)
	head := w.Header()
	head["Content-Type"] = segmentType
	head["Cache-Control"] = segmentCaching
	head["Accept-Ranges"] = byteRanges
	head["Etag"] = pre.tag[:]
	if isConditional(r.Header) {
		h.sendContent(w, r, seg.Data)
	} else {
		head["Content-Length"] = pre.length[:]
		h.send(w, r, seg.Data)
	}
	return nil
}

func isConditional(head http.Header) bool {
	return head["Range"] != nil || head["If-None-Match"] != nil || head["If-Match"] != nil ||
		head["If-Range"] != nil || head["If-Modified-Since"] != nil || head["If-Unmodified-Since"] != nil
}

// maxRanges is how many ranges a request may ask for and get them; each costs a header.
const maxRanges = 16

func (h *HLSHandler) sendContent(w http.ResponseWriter, r *http.Request, body []byte) {
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	allow(w, h.timeFor(len(body)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	restore(w, r, true)
}

// send writes shared bytes in one call.
func (h *HLSHandler) send(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	if len(body) <= smallBody && limited(r) {
		_, _ = w.Write(body)
		return
	}
	allow(w, h.timeFor(len(body)))
	_, _ = w.Write(body)
	restore(w, r, true)
}

// smallBody fits into the buffer of any socket: the deadline of the server will do.
const smallBody = 16 << 10

// limited reports whether the server has a deadline for every response.
func limited(r *http.Request) bool {
	s, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return s != nil && s.WriteTimeout > 0
}

// baseTime is what every response may take; see HLSOptions.SlowestClient.
const baseTime = 30 * time.Second

func (h *HLSHandler) timeFor(size int) time.Duration {
	return baseTime + time.Duration(size)*time.Second/time.Duration(h.opts.SlowestClient)
}

// allow sets the deadline for writing the response.
func allow(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// restore takes the deadline away where nobody else does: a server without WriteTimeout
// would keep it for the next request on the connection, to whatever handler. What was
// written is sent before, under the deadline.
func restore(w http.ResponseWriter, r *http.Request, written bool) {
	if limited(r) {
		return
	}
	c := http.NewResponseController(w)
	if written {
		_ = c.Flush()
	}
	_ = c.SetWriteDeadline(time.Time{})
}

// preset holds header values of a body, made once for all the requests for it.
type preset struct {
	tag, length, modified, caching [1]string

	size int
	when time.Time
	age  time.Duration
}

const presetSlots = 1024

// preset returns the headers for a body with this entity tag.
func (h *HLSHandler) preset(tag string, size int, list *stream.Playlist) *preset {
	slot := &h.presets[maphash.String(h.seed, tag)%presetSlots]
	p := slot.Load()
	if p != nil && p.tag[0] == tag && p.size == size && (list == nil || p.when.Equal(list.Modified) && p.age == list.MaxAge) {
		return p
	}
	p = &preset{tag: [1]string{tag}, length: [1]string{strconv.Itoa(size)}, size: size}
	if list != nil {
		p.when, p.age = list.Modified, list.MaxAge
		p.modified[0] = list.Modified.UTC().Format(http.TimeFormat)
		p.caching[0] = "public, max-age=" + strconv.Itoa(int(max(list.MaxAge/time.Second, 1)))
	}
	slot.Store(p)
	return p
}
