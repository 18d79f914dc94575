//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/livepeer/lpms/internal/rtmp"
)

// crowd is a number of RTMP players of one stream. Most of them only read and count; a
// few, the meters, take messages apart and note when each was there.
type crowd struct {
	sent  func(timestamp uint32) (time.Time, bool)
	bytes atomic.Int64
	lost  atomic.Int64 // players whose connection ended before stop

	stopping atomic.Bool
	wg       sync.WaitGroup
	counters *counters

	mu        sync.Mutex
	meters    []*rtmp.Client
	arrivals  []arrival
	unmatched int // video messages of which nobody knows when they were sent
}

// arrival is a video message that a meter has.
type arrival struct {
	sent  time.Time
	delay time.Duration
}

// metersOf is how many of n players measure delay.
func metersOf(n int) int { return min(n, 20) }

// joinMany lets n players play url. sent says when a video message was sent.
func joinMany(ctx context.Context, url string, n int, sent func(uint32) (time.Time, bool)) (*crowd, error) {
	c := &crowd{sent: sent}
	var err error
	if c.counters, err = newCounters(&c.bytes, &c.lost); err != nil {
		return nil, err
	}
	c.wg.Go(c.counters.run)
	// Some at a time: an answer may take long where a server's small writes wait for
	// acknowledgements.
	const together = 32
	errs := make([]error, together)
	var joining sync.WaitGroup
	for w := range together {
		joining.Go(func() {
			for i := w; i < n && errs[w] == nil; i += together {
				if err := c.join(ctx, url, i < metersOf(n)); err != nil {
					errs[w] = fmt.Errorf("player %d of %d: %w", i+1, n, err)
				}
			}
		})
	}
	joining.Wait()
	if err := errors.Join(errs...); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *crowd) join(ctx context.Context, url string, meter bool) error {
	var o rtmp.ClientOptions
	if meter {
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &countedConn{nc, &c.bytes}, err
		}
	}
	client, err := rtmp.Dial(ctx, url, o)
	if err != nil {
		return err
	}
	if err := client.Play(ctx); err != nil {
		client.Close()
		return err
	}
	if meter {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.meters = append(c.meters, client)
		c.wg.Go(func() { c.meter(client) })
		return nil
	}
	return c.counters.take(client.NetConn().(*net.TCPConn))
}

func (c *crowd) meter(client *rtmp.Client) {
	for {
		m, err := client.ReadMessage()
		now := time.Now()
		if err != nil {
			if !c.stopping.Load() {
				c.lost.Add(1)
			}
			return
		}
		if m.Type != rtmp.TypeVideo {
			continue
		}
		if v, err := rtmp.ParseVideo(m.Payload); err != nil || v.Kind != rtmp.TagFrame {
			continue
		}
		at, ok := c.sent(m.Timestamp)
		c.mu.Lock()
		if ok {
			c.arrivals = append(c.arrivals, arrival{at, now.Sub(at)})
		} else {
			c.unmatched++
		}
		c.mu.Unlock()
	}
}

// delays of the messages that were sent in a time.
func (c *crowd) delays(from, to time.Time) ([]time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ds []time.Duration
	for _, a := range c.arrivals {
		if !a.sent.Before(from) && a.sent.Before(to) {
			ds = append(ds, a.delay)
		}
	}
	if len(ds) == 0 {
		return nil, fmt.Errorf("players got none of the video messages in the time measured (%d with a foreign timestamp)", c.unmatched)
	}
	return ds, nil
}

// stop ends all players.
func (c *crowd) stop() {
	c.stopping.Store(true)
	for _, m := range c.meters {
		m.Close()
	}
	c.counters.stop()
	c.wg.Wait()
}

// countedConn counts what is read from it.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// counters read and count from many sockets in one loop, with one buffer, so that the
// load takes little from the server beside it on the machine.
type counters struct {
	bytes, lost *atomic.Int64
	epoll       int
	quit        atomic.Bool

	mu  sync.Mutex
	fds []int
}

// counterRest is how long the loop sleeps between two rounds. A reader that wakes for
// every write makes the sender pay for waking it, which no player in a network does; and
// how often that happens is a race of the two cores.
const counterRest = 5 * time.Millisecond

func newCounters(bytes, lost *atomic.Int64) (*counters, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &counters{bytes: bytes, lost: lost, epoll: fd}, nil
}

// take takes a connection over. Its file is duplicated, so that Go's own poller does not
// watch it as well.
func (c *counters) take(nc *net.TCPConn) error {
	defer nc.Close()
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(old uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(old)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	}); err != nil {
		return err
	}
	if dupErr != nil {
		return dupErr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fds = append(c.fds, fd)
	return syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (c *counters) run() {
	buf := make([]byte, 256<<10)
	events := make([]syscall.EpollEvent, 1024)
	for !c.quit.Load() {
		n, err := syscall.EpollWait(c.epoll, events, 100)
		if err != nil && err != syscall.EINTR {
			return
		}
		for _, e := range events[:max(n, 0)] {
			got, err := syscall.Read(int(e.Fd), buf)
			switch {
			case got > 0:
				c.bytes.Add(int64(got))
			case err == syscall.EAGAIN || err == syscall.EINTR:
			default:
				c.lost.Add(1)
				c.drop(int(e.Fd))
			}
		}
		time.Sleep(counterRest)
	}
}

func (c *counters) drop(fd int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.fds, fd); i >= 0 {
		c.fds = slices.Delete(c.fds, i, i+1)
		syscall.Close(fd)
	}
}

// stop ends run, within 100 ms, and closes all connections.
func (c *counters) stop() {
	c.quit.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fd := range c.fds {
		syscall.Close(fd)
	}
	c.fds = nil
}
