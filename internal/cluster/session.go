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
	thumbed bool          // a picture was asked for
	thumbAt time.Duration // the start of the last segment that it was asked for
}

// thumbnailInterval is that of transcoder.LocalOptions.
const thumbnailInterval = 2 * time.Second

// soundBefore is how much sound of the segment before a worker needs, so that what it encodes
// goes on where another one ended.
const soundBefore = 300 * time.Millisecond

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

// maxBefore is how large a segment may be that is sent in front of another one.
const maxBefore = 16 << 20

// before is what a worker must know of the segment before: its last sound when sound is encoded,
// or all of it when the segment begins with pictures that refer to it. Without it, the segment
// still can be made, less well.
func (s *session) before(in transcoder.Input) []byte {
	if in.Before == nil || in.Before.Format != in.Segment.Format {
		return nil
	}
	if !in.Segment.Independent && len(in.Before.Data) <= maxBefore {
		return in.Before.Data
	}
	for _, r := range s.specs {
		if r.Audio.Name == "aac" {
			return nil // TODO Tail

		}
	}
	return nil
}
