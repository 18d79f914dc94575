package push

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// What Options.Open may return, wrapped or not.
var (
	// ErrForbidden: this publisher may not use this name. 403.
	ErrForbidden = errors.New("push: not allowed")
	// ErrBusy: the name is live from another publisher, by RTMP for example. 409.
	ErrBusy = errors.New("push: the name is live from elsewhere")
	// ErrCapacity: there is no room for one more stream now. 503.
	ErrCapacity = errors.New("push: no capacity")
)

// Refuse makes an error for Options.Open and Options.Authorize that the client is told: status
// is that of HTTP, text a sentence for people.
func Refuse(status int, text string) error { return &refusal{status: status, text: text} }

// refusal is an error that the client may read.
type refusal struct {
	status int
	text   string
	cause  error // or nil
}

func (e *refusal) Error() string {
	if e.cause != nil {
		return "push: " + e.text + ": " + e.cause.Error()
	}
	return "push: " + e.text
}

func (e *refusal) Unwrap() error { return e.cause }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// because adds what is not for the client's eyes.
func because(cause error, status int, text string) error {
	return &refusal{status: status, text: text, cause: cause}
}

var (
	errClosing = refuse(http.StatusServiceUnavailable, "the server is stopping: send the segment again elsewhere or later")
	errMethod  = refuse(http.StatusMethodNotAllowed, "segments are sent with POST or PUT")
	errLate    = refuse(http.StatusConflict, "the segment came too late: others with higher numbers were taken without it")
	errEnded   = errors.New("push: the stream has ended") // for enter: begin another
)

// answerOf is the only place that turns errors into HTTP.
func answerOf(err error) (status int, text string) {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r.status, r.text
	case errors.Is(err, ErrForbidden):
		return http.StatusForbidden, "you may not publish under this name"
	case errors.Is(err, ErrBusy):
		return http.StatusConflict, "a stream of this name is live from another publisher: choose another name, or stop that one"
	case errors.Is(err, ErrCapacity):
		return http.StatusServiceUnavailable, "there is no capacity for another stream: try again later"
	}
	return http.StatusInternalServerError, "the server failed; its log says why"
}

// fail answers with an error. Nothing was written before.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := answerOf(err)
	h.opts.OnError(r, status, err)
	// The deadline may have passed while the client was slow.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusMethodNotAllowed:
		head.Set("Allow", allowed)
	case http.StatusServiceUnavailable:
		head.Set("Retry-After", "1")
	}
	head.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that has gone needs no answer
}

const allowed = "POST, PUT, OPTIONS"
