package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// session is one stream with one set of renditions.
type session struct {
	origin *Origin
	stream string
	specs  []ffmpeg.Rendition
	lane   lane

	mu      sync.Mutex
	usual   usual // how long a worker is at a segment
	local   transcoder.Session
	looked  []looked      // by rendition
	thumbed bool          // a picture was asked for
	thumbAt time.Duration // the start of the last segment that it was asked for
}

// thumbnailInterval is that of transcoder.LocalOptions.
const thumbnailInterval = 2 * time.Second

// Transcode implements transcoder.Session.
func (s *session) Transcode(ctx context.Context, in transcoder.Input, done func(int, ffmpeg.Output)) error {
	t := newTask(s, in, done)
	return t.run(ctx)
}

// Close implements transcoder.Session.
func (s *session) Close() {
	if s.local != nil {
		s.local.Close()
	}
}

// here is the session of this process.
func (s *session) here() (transcoder.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local == nil {
		opened, err := s.origin.local.Open(s.stream, s.specs)
		if err != nil {
			return nil, err
		}
		s.local = opened
	}
	return s.local, nil
}

func (s *session) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usual.note(d)
}

func (s *session) usually() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usual.most()
}

// wantsThumbnail reports whether a picture of a segment is due.
func (s *session) wantsThumbnail(seg *stream.Segment) bool {
	if s.origin.thumb == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	since := seg.Start - s.thumbAt
	if s.thumbed && since >= 0 && since < thumbnailInterval-thumbnailInterval/10 {
		return false
	}
	s.thumbed, s.thumbAt = true, seg.Start
	return true
}
