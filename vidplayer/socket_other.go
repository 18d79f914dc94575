//go:build !linux

package vidplayer

import (
	"net"
	"time"
)

// socket is not available here: every player is served by a goroutine.
type socket struct{}

type iovecs struct{}

func newSocket(net.Conn) *socket { return nil }

func (s *socket) write([][]byte, *iovecs) (int, error) { panic("unreachable: newSocket returned nil") }

func (s *socket) whenWritable(time.Duration, func(writeFunc) bool) error {
	panic("unreachable: newSocket returned nil")
}

func (s *socket) interrupt() {}
