package push

import (
	"crypto/sha256"
	"time"
)

// sequence decides what a publisher's number means. It knows no clock and no lock.
type sequence struct {
	begun  bool
	last   uint64
	steady bool // the last segment was the one after that before it, or the first: numbers mean something
	// Numbers from missedFrom to before missedTo were left out by the newest jump.
	missedFrom, missedTo uint64
	recent               []taken // oldest first
	flying               []*flight
}

// taken is a segment that was appended.
type taken struct {
	n        uint64
	sum      digest
	seq      uint64 // its number in the buffer
	duration time.Duration
}

type digest [sha256.Size]byte

// flight is a segment that is not appended yet.
type flight struct {
	n    uint64
	over bool // nobody waits for it any more
}

// remembered is how many segments are known again.
const remembered = 16

type verdict int

const (
	follows verdict = iota // it goes on, or begins
	breaks                 // it does not go on: a discontinuity
	repeats                // it was taken already
	late                   // it was left out
	waits                  // others should come first
)

// judge says what to do with a segment. With patient it may wait for others.
func (s *sequence) judge(n uint64, sum digest, patient bool) (verdict, taken) {
	for _, t := range s.recent {
		if t.n == n && t.sum == sum {
			return repeats, t
		}
	}
	switch {
	case s.begun && s.missedFrom <= n && n < s.missedTo:
		return late, taken{}
	case patient && !s.ready(n):
		return waits, taken{}
	case !s.begun || n == s.last+1:
		return follows, taken{}
	}
	return breaks, taken{}
}

// ready reports whether nothing is expected before n.
func (s *sequence) ready(n uint64) bool {
	if s.begun && n == s.last+1 {
		return true
	}
	for _, f := range s.flying {
		if f.n < n && !f.over && !(s.begun && f.n <= s.last && n > s.last) {
			return false
		}
	}
	return !s.begun || n <= s.last || !s.steady
}

// take notes that a segment was appended.
func (s *sequence) take(t taken) {
	s.steady = !s.begun || t.n == s.last+1
	switch {
	case !s.begun || t.n <= s.last: // a beginning
		s.missedFrom, s.missedTo = 0, 0
	case t.n > s.last+1:
		s.missedFrom, s.missedTo = s.last+1, t.n
	}
	s.begun, s.last = true, t.n
	if len(s.recent) == remembered {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, t)
}

// fail notes that a segment was refused: nobody waits for it.
func (s *sequence) fail() { s.steady = false }

// depart says that n is on its way.
func (s *sequence) depart(n uint64) *flight {
	f := &flight{n: n}
	s.flying = append(s.flying, f)
	return f
}

// land says that it is not any more.
func (s *sequence) land(f *flight) {
	for i, g := range s.flying {
		if g == f {
			s.flying = append(s.flying[:i], s.flying[i+1:]...)
			return
		}
	}
}

// giveUp says that the segments before n were waited for long enough.
func (s *sequence) giveUp(n uint64) {
	for _, f := range s.flying {
		f.over = f.over || f.n < n
	}
}
