package backend

import (
	"context"
	"time"

	"github.com/livepeer/lpms/stream"
)

const (
	// Players read the master playlist once: one that is asked for when a stream begins waits
	// for the first segment, and then so long for the renditions.
	startWait  = 15 * time.Second
	ladderWait = 5 * time.Second
	// youngSegments is how many segments a source has at most when its renditions are waited
	// for: later, those that are missing have failed.
	youngSegments = 3
)

// awaitLadder blocks until the renditions of a stream that begins can be listed, for a time,
// or until ctx ends.
func (s *show) awaitLadder(ctx context.Context) {
	s.await(ctx, startWait, s.buf.Started)
	if s.buf.Started() {
		s.await(ctx, ladderWait, s.laddered)
	}
}

// await blocks until a condition of the presentation holds, for so long, or until ctx ends.
func (s *show) await(ctx context.Context, most time.Duration, holds func() bool) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		version := s.buf.Version()
		if holds() || s.buf.Ended() || !s.isLive() {
			return
		}
		if _, err := s.buf.Wait(ctx, version); err != nil {
			return
		}
	}
}

// laddered reports whether all renditions are listed that will be soon.
func (s *show) laddered() bool {
	segs := s.buf.SegmentsAfter(stream.Source, 0)
	if len(segs) == 0 || len(segs) > youngSegments {
		return true
	}
	for _, name := range s.expected(segs) {
		if !s.buf.Listed(name) {
			return false
		}
	}
	return true
}
