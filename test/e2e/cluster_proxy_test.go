package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowProxy forwards connections to another address as a long way would: what is sent arrives
// after a delay, in order, and one part of a hundred as late as a lost packet.
type slowProxy struct {
	addr  string // host:port
	to    string
	delay time.Duration
	wg    sync.WaitGroup

	mu     sync.Mutex
	conns  []net.Conn
	closed bool
}

// lostDelay is how late a packet is that had to be sent again: the least that Linux waits.
const lostDelay = 200 * time.Millisecond

func newSlowProxy(t testing.TB, listen, to string, delay time.Duration) *slowProxy {
	t.Helper()
	ln, err := net.Listen("tcp", listen)
	require.NoError(t, err)
	p := &slowProxy{addr: ln.Addr().String(), to: to, delay: delay}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		p.closed = true
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// keep remembers a connection, and reports whether it may be used.
func (p *slowProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
	if p.closed {
		c.Close()
	}
	return !p.closed
}

func (p *slowProxy) serve(c net.Conn) {
	defer c.Close()
	other, err := net.DialTimeout("tcp", p.to, 5*time.Second)
	if err != nil || !p.keep(c) || !p.keep(other) {
		return
	}
	defer other.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, other}, {other, c}} {
		both.Go(func() {
			p.carry(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
}

type parcel struct {
	data []byte
	due  time.Time
}

// carry copies until one side ends.
func (p *slowProxy) carry(from io.Reader, to io.Writer) {
	way := make(chan parcel, 4096)
	failed := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(failed)
		for part := range way {
			time.Sleep(time.Until(part.due))
			if _, err := to.Write(part.data); err != nil {
				return
			}
		}
	})
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if err != nil {
			break
		}
		delay := p.delay
		if rand.IntN(100) == 0 {
			delay += lostDelay
		}
		select {
		case way <- parcel{b[:n], time.Now().Add(delay)}:
			continue
		case <-failed:
		}
		break
	}
	close(way)
	wg.Wait()
}
