package transcoder

import (
	"fmt"
	"sync"
	"time"
)

// sessions keeps one session open, for the newest set of renditions.
type sessions struct {
	engine Engine
	stream string

	mu      sync.Mutex
	current *session
}

// session is open as long as it is current or used.
type session struct {
	Session
	generation uint64 // of the set
	users      int
	used       time.Time
}

// get opens a session for a set when there is none. It must be given back.
func (ss *sessions) get(s *set) (*session, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.current == nil || ss.current.generation != s.generation {
		ss.leave()
		var opened Session
		err := guard("Open", func() (err error) {
			opened, err = ss.engine.Open(ss.stream, s.specs)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("transcoder: opening a session: %w", err)
		}
		ss.current = &session{Session: opened, generation: s.generation}
	}
	ss.current.users++
	return ss.current, nil
}

// put gives a session back. One that is broken is not used again.
func (ss *sessions) put(s *session, broken bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.users--
	s.used = time.Now()
	switch {
	case s != ss.current:
		s.closeUnused()
	case broken:
		ss.leave()
	}
}

// retire closes the session, or leaves that to its last user.
func (ss *sessions) retire() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.leave()
}

// closeIdle closes the session when nobody has used it for some time.
func (ss *sessions) closeIdle(unused time.Duration) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.current; s != nil && s.users == 0 && time.Since(s.used) >= unused {
		ss.leave()
	}
}

// leave makes the current session an old one. The caller holds mu.
func (ss *sessions) leave() {
	if old := ss.current; old != nil {
		ss.current = nil
		old.closeUnused()
	}
}

func (s *session) closeUnused() {
	if s.users > 0 {
		return // the last user closes it
	}
	_ = guard("Close", func() error { // there is nothing to save
		s.Close()
		return nil
	})
}
