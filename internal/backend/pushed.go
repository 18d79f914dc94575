package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/push"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
)

// pushedShow is a show whose segments come by HTTP.
type pushedShow struct{ *show }

// authorizePush decides on every segment before its body is read: whoever knows a name must
// not add to its stream. The webhook is asked about a stream once, and tells publishers apart:
// who goes on comes with the same query. Without one, all who may publish are the same.
func (b *Backend) authorizePush(r *http.Request, name string) (t push.Ticket, err error) {
	path := pushPath(r, name)
	ask := func(ctx context.Context) (admission, error) { return b.authorize(ctx, "http://"+r.Host, path) }
	var a admission
	if b.opts.AuthWebhookURL == "" {
		a, err = ask(r.Context())
	} else {
		t.Owner = path
		if b.isPushed(path) {
			return t, nil
		}
		a, err = b.asked.ask(r.Context(), path, ask)
	}
	if err != nil {
		return t, pushRefusal(err)
	}
	t.Value = a
	return t, nil
}

// isPushed reports whether a publisher who pushes is live.
func (b *Backend) isPushed(path string) bool {
	for _, s := range b.all() { // the webhook may have given it another name
		if s.goesOn(path) {
			return true
		}
	}
	return false
}

// pushPath is the path of a publisher that pushes, without the number, and its query.
func pushPath(r *http.Request, name string) string {
	if r.URL.RawQuery == "" {
		return livePrefix + name
	}
	return livePrefix + name + "?" + r.URL.RawQuery
}

// pushRefusal is what the client is told.
func pushRefusal(err error) error {
	switch {
	case errors.Is(err, ErrForbidden):
		return fmt.Errorf("%w: %w", push.ErrForbidden, err)
	case errors.Is(err, lpms.ErrLive):
		return fmt.Errorf("%w: %w", push.ErrBusy, err)
	case errors.Is(err, ErrTooMany):
		return fmt.Errorf("%w: %w", push.ErrCapacity, err)
	case errors.Is(err, ErrName):
		return push.Refuse(http.StatusConflict, err.Error())
	}
	return err
}

// openPush makes the presentation of a publisher that pushes, and was admitted.
func (b *Backend) openPush(ctx context.Context, r push.Request) (push.Show, error) {
	defer b.asked.forget(r.Ticket.Owner)
	a, ok := r.Ticket.Value.(admission)
	if !ok { // its stream ended while this segment was on its way
		var err error
		if a, err = b.authorize(ctx, "http://"+r.HTTP.Host, pushPath(r.HTTP, r.Name)); err != nil {
			return nil, pushRefusal(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Renditions != nil {
		a.renditions = r.Renditions
	}
	s, err := b.open(a.name, status.Push, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
	if err != nil {
		return nil, pushRefusal(err)
	}
	if s.buf.Ended() { // one that goes on
		s.buf.Resume()
	}
	s.begin(nil, a, time.Now())
	b.opts.Infof("stream %s: pushed from %s", a.name, clientAddr(r.HTTP))
	return pushedShow{s}, nil
}

func (b *Backend) pushFailed(r *http.Request, code int, err error) {
	b.opts.Warnf("push %.200q from %s: %d: %v", r.URL.Path, clientAddr(r), code, err)
}

// Buffer implements push.Show.
func (s pushedShow) Buffer() *stream.HLSBuffer { return s.buf }

// Renditions implements push.Show: those that are made now.
func (s pushedShow) Renditions() []string {
	return s.expected(s.buf.SegmentsAfter(stream.Source, 0))
}

func namesOf(rs []ffmpeg.Rendition) []string {
	names := make([]string, 0, len(rs))
	for _, r := range rs {
		names = append(names, r.Profile.Name)
	}
	return names
}

// Changed implements push.Show. The goroutine of the show sees a change by itself.
func (s pushedShow) Changed(*ffmpeg.Info) {}

// Close implements push.Show.
func (s pushedShow) Close(bool) {
	s.buf.End()
	s.end()
	s.opts.Infof("stream %s: ended", s.name)
}
