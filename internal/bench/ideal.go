//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/livepeer/lpms/internal/rtmp"
)

// idealOptions are those of a sender that does nothing but write: the machine's own
// limit, beside which a server's cost is seen.
type idealOptions struct {
	addr   string
	file   string        // the clip
	epoch  int64         // when the clip begins, in nanoseconds since 1970
	gather time.Duration // 0: one write for each message
}

func (o *idealOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.addr, "ideal-addr", "", "internal: where the ideal sender listens")
	fs.StringVar(&o.file, "ideal-clip", "", "internal: what the ideal sender sends")
	fs.Int64Var(&o.epoch, "ideal-epoch", 0, "internal: when the ideal sender's clip begins")
	fs.DurationVar(&o.gather, "ideal-gather", 0, "internal: how long the ideal sender gathers messages")
}

// startIdeal starts an ideal sender as a process of its own. Its message with timestamp
// t is due t milliseconds after epoch.
func (b *bench) startIdeal(ctx context.Context, gather time.Duration) (s *server, epoch time.Time, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, epoch, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, epoch, err
	}
	epoch = time.Now()
	p, err := startProcess(b.dir, self, "-role", "ideal", "-ideal-addr", addr, "-ideal-clip", b.clipFile,
		"-ideal-epoch", strconv.FormatInt(epoch.UnixNano(), 10), "-ideal-gather", gather.String())
	if err != nil {
		return nil, epoch, err
	}
	if err := p.ready(ctx, addr); err != nil {
		p.stop()
		return nil, epoch, err
	}
	return &server{process: p, rtmpAddr: addr}, epoch, nil
}

// idealSender writes a clip to everybody who connected, from one loop.
type idealSender struct {
	buf  []byte // all messages of the loop, encoded
	msgs []idealMessage

	mu    sync.Mutex
	conns []*idealConn
}

// idealMessage is buf[off:end], due at at in each loop.
type idealMessage struct {
	off, end int
	at       uint32
}

type idealConn struct {
	conn *rtmp.ServerConn // kept, as its file is used
	fd   uintptr
	left []byte // what the socket did not take; it goes first
}

func runIdeal(ctx context.Context, o idealOptions) error {
	c, err := readClip(o.file)
	if err != nil {
		return err
	}
	s := newIdealSender(c)
	debug.FreeOSMemory() // or what players cost would hide in what the file has left
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	go s.accept(l)
	return s.send(ctx, c.period, o)
}

func newIdealSender(c *clip) *idealSender {
	s := new(idealSender)
	for _, t := range c.tags {
		csid := uint8(rtmp.VideoChunkStream)
		if t.typ == rtmp.TypeAudio {
			csid = rtmp.AudioChunkStream
		}
		off := len(s.buf)
		s.buf = rtmp.AppendMessage(s.buf, csid, &rtmp.Message{Type: t.typ, Timestamp: t.at, StreamID: 1, Payload: t.data}, idealChunk)
		s.msgs = append(s.msgs, idealMessage{off, len(s.buf), t.at})
	}
	return s
}

// idealChunk is rtmp's default chunk size, which it announces.
const idealChunk = 65536

func (s *idealSender) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if err := s.serve(nc); err != nil {
				nc.Close()
			}
		}()
	}
}

func (s *idealSender) serve(nc net.Conn) error {
	conn := rtmp.NewServerConn(nc, rtmp.Limits{OutChunkSize: idealChunk})
	if err := conn.Handshake(); err != nil {
		return err
	}
	if _, err := conn.NextRequest(); err != nil {
		return err
	}
	if err := conn.AcceptPlay(); err != nil {
		return err
	}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	c := &idealConn{conn: conn}
	if err := raw.Control(func(fd uintptr) { c.fd = fd }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return nil
}

// send writes each message when it is due, or gathers messages and writes them
// together.
func (s *idealSender) send(ctx context.Context, period uint32, o idealOptions) error {
	if len(s.msgs) == 0 || period == 0 {
		return errors.New("the clip is empty")
	}
	epoch := time.Unix(0, o.epoch)
	ms := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	for base := uint32(0); ctx.Err() == nil; base += period {
		for i := 0; i < len(s.msgs); {
			due := epoch.Add(ms(base + s.msgs[i].at))
			if o.gather > 0 {
				due = due.Add(o.gather)
			}
			wait := time.Until(due)
			if wait > 0 {
				time.Sleep(wait)
			}
			if ctx.Err() != nil {
				return nil
			}
			first := s.msgs[i]
			end := first.end
			s.stamp(first, base)
			for i++; i < len(s.msgs) && o.gather > 0 && ms(s.msgs[i].at-first.at) <= o.gather; i++ {
				end = s.msgs[i].end
				s.stamp(s.msgs[i], base)
			}
			if wait > -time.Second { // else it is catching up at its start
				s.write(s.buf[first.off:end])
			}
		}
	}
	return nil
}

// stamp sets the timestamp of an encoded message, which is in its first header.
func (s *idealSender) stamp(m idealMessage, base uint32) {
	ts := min(base+m.at, 0xFFFFFE)
	b := s.buf[m.off:]
	b[1], b[2], b[3] = byte(ts>>16), byte(ts>>8), byte(ts)
}

func (s *idealSender) write(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(s.conns); {
		if c := s.conns[i]; !c.write(b) {
			c.conn.Close()
			s.conns[i] = s.conns[len(s.conns)-1]
			s.conns = s.conns[:len(s.conns)-1]
			continue
		}
		i++
	}
}

// maxLeft is what a connection may be behind.
const maxLeft = 8 << 20

// write reports whether the connection is good.
func (c *idealConn) write(b []byte) bool {
	if len(c.left) > 0 {
		c.left = append(c.left, b...)
		n, ok := writeNow(c.fd, c.left)
		c.left = c.left[n:]
		return ok && len(c.left) < maxLeft
	}
	n, ok := writeNow(c.fd, b)
	if n < len(b) {
		c.left = append([]byte(nil), b[n:]...)
	}
	return ok
}

// writeNow is write(2) on a non-blocking socket, without the scheduler's part in Go's own.
func writeNow(fd uintptr, b []byte) (n int, ok bool) {
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(r), true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true
		default:
			fmt.Fprintln(os.Stderr, "write:", errno)
			return 0, false
		}
	}
}
