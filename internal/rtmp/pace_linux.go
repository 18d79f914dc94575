package rtmp

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// paceTick is how often a relaxed publisher is read. All of them are read at the same
// instants, so that one wake-up of a thread serves many.
const paceTick = 40 * time.Millisecond

// pacer reads a socket in batches. An encoder sends every frame by itself, and waking up
// for each costs more than reading it: the kernel is told not to wake us for less than a
// lot, and what has gathered is read at the next tick.
type pacer struct {
	raw     syscall.RawConn
	on      bool // the kernel holds back
	drained bool // the socket was empty after the last read

	read func(fd uintptr) bool // made once
	p    []byte
	n    int
	err  error
}

// newPacer returns nil for a connection that is not plain TCP.
func newPacer(nc net.Conn) *pacer {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &pacer{raw: raw}
	r.read = func(fd uintptr) bool {
		for {
			r.n, r.err = syscall.Read(int(fd), r.p)
			if !errors.Is(r.err, syscall.EINTR) {
				return true // also when there is nothing
			}
		}
	}
	return r
}

// hold tells the kernel from how many bytes on to wake us.
func (r *pacer) hold(on bool) {
	if r.on == on {
		return
	}
	r.on, r.drained = on, false
	low := 1
	if on {
		low = 64 << 10
	}
	r.raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, low)
	})
}

// next reads what is there, after waiting for the next tick when the last read emptied
// the socket. It returns 0 bytes and no error when nothing came.
func (r *pacer) next(p []byte) (int, error) {
	r.hold(true)
	if r.drained {
		now := time.Now()
		time.Sleep(now.Truncate(paceTick).Add(paceTick).Sub(now))
	}
	r.p = p
	err := r.raw.Read(r.read)
	r.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(r.err, syscall.EAGAIN):
		r.drained = true
		return 0, nil
	case r.err != nil:
		return 0, os.NewSyscallError("read", r.err)
	case r.n == 0:
		return 0, io.EOF
	}
	r.drained = r.n < len(p)
	return r.n, nil
}
