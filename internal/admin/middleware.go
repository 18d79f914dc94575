package admin

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// kind is what a response is, for the bytes sent.
type kind int

const (
	segmentKind kind = iota
	playlistKind
	pageKind // HTML with its scripts and style sheets
	otherKind
)

// kindNames are the values of the label, by kind.
var kindNames = [...]string{"segment", "playlist", "page", "other"}

// Middleware measures what next answers: the class of the status, the bytes of the body,
// and the time of GETs that succeed, for segments (a path in .ts) and for playlists
// (.m3u8). Other than GET and HEAD they are not: segments are also pushed to .ts. The time
// ends when next returns; up to 4 KiB may then be in the server's buffer and leave it at
// once. next writes through to the connection, with http.ResponseController, http.Flusher
// and io.ReaderFrom. The middleware of a nil *Metrics is next.
func (m *Metrics) Middleware(next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		m.serve(&response{ResponseWriter: w}, r, next, start)
	})
}

func (m *Metrics) serve(w *response, r *http.Request, next http.Handler, start time.Time) {
	what := requested(r)
	defer func() { // a handler may panic to cut the connection
		m.HTTPResponse(w.code())
		if what == otherKind && isPage(w.Header()) {
			what = pageKind
		}
		m.sent[what].Add(float64(w.sent))
	}()
	next.ServeHTTP(w, r)
	if r.Method != http.MethodGet || w.code()/100 != 2 {
		return
	}
	switch what {
	case segmentKind:
		m.ObserveServed(time.Since(start))
	case playlistKind:
		observe(m.playlist, time.Since(start))
	}
}

// requested is what the path says, which next may change.
func requested(r *http.Request) kind {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		switch {
		case strings.HasSuffix(r.URL.Path, ".ts"):
			return segmentKind
		case strings.HasSuffix(r.URL.Path, ".m3u8"):
			return playlistKind
		}
	}
	return otherKind
}

func isPage(head http.Header) bool {
	if types := head["Content-Type"]; len(types) == 1 {
		t, _, _ := strings.Cut(types[0], ";")
		return t == "text/html" || t == "text/css" || t == "text/javascript"
	}
	return false
}

// response counts what goes through. It belongs to one request, on one goroutine.
type response struct {
	http.ResponseWriter
	sent   int64
	status int // 0 until the header is written
}

// code returns the status: what is not said is 200.
func (w *response) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational headers come before the one
// that counts.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, so that files can be sent by the kernel.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	n, err := io.Copy(w.ResponseWriter, src)
	w.sent += n
	return n, err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// begin notes that the header goes out: what is not said by then is 200.
func (w *response) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}
