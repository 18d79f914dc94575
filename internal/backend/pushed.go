package backend

import (
	"context"
	"errors"
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

// authorizePush decides on every segment: whoever knows a name must not add to its stream.
func (b *Backend) authorizePush(r *http.Request, _ string) error {
	if b.opts.PublishKey != "" && !sameKey(r.URL.Query().Get("key"), b.opts.PublishKey) {
		return push.ErrForbidden
	}
	return nil
}

// openPush makes the presentation of a publisher that pushes.
func (b *Backend) openPush(ctx context.Context, r push.Request) (push.Show, error) {
	path := livePrefix + r.Name
	if r.HTTP.URL.RawQuery != "" {
		path += "?" + r.HTTP.URL.RawQuery
	}
	a, err := b.authorize(ctx, path)
	switch {
	case errors.Is(err, ErrForbidden):
		return nil, errors.Join(push.ErrForbidden, err)
	case err != nil:
		return nil, err
	}
	if r.Renditions != nil {
		if err := checkLadder(r.Renditions); err != nil {
			return nil, err
		}
		a.renditions = r.Renditions
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.shows[a.name]; old != nil && old.ingest == status.Push && old.buf.Ended() {
		old.buf.Resume()
	}
	s, err := b.open(a.name, status.Push, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
	switch {
	case errors.Is(err, lpms.ErrLive):
		return nil, push.ErrBusy
	case errors.Is(err, ErrTooMany):
		return nil, push.ErrCapacity
	case err != nil:
		return nil, err
	}
	s.begin(nil, a, time.Now())
	b.newest = a.name
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if segs := s.buf.SegmentsAfter(stream.Source, 0); len(segs) > 0 {
		s.planFor(segs[len(segs)-1].Info) // an answer may come before the show has looked
	}
	made, _, _ := s.wanted(time.Now())
	return namesOf(made)
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
