package vidplayer

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// socket writes to a TCP connection without blocking and without the scheduler's
// part in a net.Conn write, which is half of the cost of a small one.
type socket struct {
	nc  *net.TCPConn
	raw syscall.RawConn

	once func(fd uintptr) bool // made once: a closure for each write would be garbage
	bufs [][]byte
	iov  *iovecs
	n    int
	err  error

	mu          sync.Mutex
	interrupted bool
}

// iovecs is the room for the pieces of one write, shared by the sockets of a fanout: on
// the stack of each player's goroutine it would be the largest thing there.
type iovecs [maxBuffers]syscall.Iovec

const (
	tcpNotSentLowAt = 25 // TCP_NOTSENT_LOWAT, tcp(7)
	notSentLimit    = 128 << 10
)

// newSocket returns nil for a connection that cannot be written to in this way.
func newSocket(nc net.Conn) *socket {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	// Little may lie unsent in the kernel: a slow player is behind in our log, from which it
	// can jump, and its socket is writable again soon after it has read.
	raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, notSentLimit)
	})
	s := &socket{nc: tc, raw: raw}
	s.once = func(fd uintptr) bool {
		s.n, s.err = writeFD(fd, s.bufs, s.iov)
		return true
	}
	return s
}

// write sends what the socket takes now. A short count means that it is full.
func (s *socket) write(bufs [][]byte, iov *iovecs) (int, error) {
	s.bufs, s.iov = bufs, iov
	err := s.raw.Write(s.once)
	s.bufs, s.iov = nil, nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// whenWritable calls try with a non-blocking write until it returns true; between
// the calls it waits for room. It gives up when there is none for the time given.
func (s *socket) whenWritable(stuck time.Duration, try func(writeFunc) bool) error {
	s.mu.Lock()
	if s.interrupted {
		s.mu.Unlock()
		return os.ErrDeadlineExceeded
	}
	s.nc.SetWriteDeadline(time.Now().Add(stuck))
	s.mu.Unlock()
	err := s.raw.Write(func(fd uintptr) bool {
		progress := false
		done := try(func(bufs [][]byte, iov *iovecs) (int, error) {
			n, err := writeFD(fd, bufs, iov)
			progress = progress || n > 0
			return n, err
		})
		return done || progress // progress: wait anew, with a new deadline
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.interrupted {
		s.nc.SetWriteDeadline(time.Time{})
	}
	return err
}

// interrupt ends whenWritable.
func (s *socket) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupted = true
	s.nc.SetWriteDeadline(time.Unix(1, 0))
}

// writeFD writes to a non-blocking socket. The raw system call does not hand the
// processor to another goroutine: it returns within microseconds.
func writeFD(fd uintptr, bufs [][]byte, iov *iovecs) (int, error) {
	for {
		var n uintptr
		var errno syscall.Errno
		if len(bufs) == 1 {
			b := bufs[0]
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		} else {
			k := 0
			for _, b := range bufs[:min(len(bufs), maxBuffers)] {
				iov[k].Base = &b[0]
				iov[k].SetLen(len(b))
				k++
			}
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(k))
			clear(iov[:k]) // holds no memory of the past
		}
		switch {
		case errno == 0:
			return int(n), nil
		case errors.Is(errno, syscall.EINTR):
			continue
		case errors.Is(errno, syscall.EAGAIN):
			return 0, nil
		}
		return 0, os.NewSyscallError("write", errno)
	}
}
