package rtmp

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is one RTMP connection, of either side. One goroutine reads it; writes may
// come from several.
type Conn struct {
	nc     net.Conn
	limits Limits
	br     *bufio.Reader
	cr     *chunkReader
	split  []Message // the rest of an aggregate message

	// Of the reading goroutine.
	idle       bool // a silent peer is pinged, then ended
	asked      bool // it was pinged and has not sent anything since
	lastRead   time.Time
	lastSet    time.Time // when the read deadline was moved
	received   uint32
	acked      uint32
	peerWindow uint32
	relaxed    func() bool
	pace       *pacer

	interrupted atomic.Bool

	wmu  sync.Mutex
	wbuf []byte
	sink func([]byte) error
}

func newConn(nc net.Conn, l Limits) *Conn {
	c := &Conn{nc: nc, limits: l.withDefaults(), peerWindow: windowAckSize}
	c.br = bufio.NewReaderSize((*meteredReader)(c), c.limits.ReadBuffer)
	c.cr = newChunkReader(c.br, &c.limits)
	return c
}

// NetConn is the connection below, for its addresses and its TLS state. A player's
// bytes are written to it past the Conn, between whole messages.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Limits are those of the connection, with the defaults filled in.
func (c *Conn) Limits() Limits { return c.limits }

// Close closes the connection below and so unblocks every call.
func (c *Conn) Close() error { return c.nc.Close() }

// meteredReader counts what is received, acknowledges it, and ends silent peers.
// It moves the read deadline at most once a second: that is a system call's worth
// of work saved for each read.
type meteredReader Conn

func (r *meteredReader) Read(p []byte) (int, error) {
	c := (*Conn)(r)
	// Whoever asks for more has got what came before: this is when the peer was last heard.
	// A wait goes on below without moving it.
	if c.idle {
		if now := time.Now(); now.Sub(c.lastSet) > time.Second {
			c.lastSet, c.lastRead = now, now
			c.setReadDeadline(now.Add(c.limits.PingAfter))
		}
	}
	for {
		n, err := c.readNow(p)
		if n > 0 {
			if c.asked {
				c.asked, c.lastSet = false, time.Time{} // it is there: watch anew
			}
			return n, c.acknowledge(n)
		}
		if c.interrupted.Load() || err != nil && (!c.idle || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return 0, cmp.Or(err, os.ErrDeadlineExceeded)
		}
		if err == nil {
			continue // nothing at this tick
		}
		if err := c.askWhetherAlive(); err != nil {
			return 0, err
		}
	}
}

// readNow reads once: at the next tick when nobody is in a hurry, else as soon as there is
// something.
func (c *Conn) readNow(p []byte) (int, error) {
	if c.pace == nil {
		return c.nc.Read(p)
	}
	if c.idle && c.relaxed() {
		return c.pace.next(p)
	}
	c.pace.hold(false)
	return c.nc.Read(p)
}

func (c *Conn) acknowledge(n int) error {
	c.received += uint32(n) // wraps, as the wire's counter does
	if c.received-c.acked < c.peerWindow/2 {
		return nil
	}
	c.acked = c.received
	return c.write(control(TypeAck, c.received))
}

// askWhetherAlive pings a peer that was silent for PingAfter, and ends one that was
// silent for IdleTimeout.
func (c *Conn) askWhetherAlive() error {
	now := time.Now()
	left := c.limits.IdleTimeout - now.Sub(c.lastRead)
	if left <= 0 {
		return ErrIdle
	}
	c.asked, c.lastSet = true, now.Add(left) // no new deadline before this one
	c.setReadDeadline(now.Add(left))
	return c.write(userControl(eventPingRequest, uint32(now.UnixMilli())))
}

// setIdle turns the watch over silent peers on or off.
func (c *Conn) setIdle(on bool) {
	c.idle, c.lastSet = on, time.Time{}
	if !on {
		c.setReadDeadline(time.Time{})
	}
}

// Interrupt ends the read that is going on and every later one, with
// os.ErrDeadlineExceeded; writing goes on.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// setReadDeadline sets a deadline that does not undo Interrupt.
func (c *Conn) setReadDeadline(t time.Time) {
	c.nc.SetReadDeadline(t)
	if c.interrupted.Load() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// SetSink hands everything that the connection itself has to send (acknowledgements,
// answers to pings) to f, as whole messages, until SetSink(nil). It is for a player
// whose bytes another goroutine writes.
func (c *Conn) SetSink(f func([]byte) error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.sink = f
}

// write sends messages in one system call.
func (c *Conn) write(ms ...*Message) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.wbuf = c.wbuf[:0]
	for _, m := range ms {
		// Our chunk size holds from the first message that could be longer than
		// the 128 bytes in force before: both sides announce it in their first write.
		c.wbuf = AppendMessage(c.wbuf, chunkStreamOf(m.Type), m, c.limits.OutChunkSize)
	}
	err := c.writeRaw(c.wbuf)
	if cap(c.wbuf) > 8<<10 {
		c.wbuf = nil
	}
	return err
}

// WriteRaw sends bytes that are whole messages already.
func (c *Conn) WriteRaw(b []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.writeRaw(b)
}

func (c *Conn) writeRaw(b []byte) error {
	if c.sink != nil {
		return c.sink(append([]byte(nil), b...))
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.limits.WriteTimeout))
	_, err := c.nc.Write(b)
	return err
}

// read returns the next message that is not the connection's own business:
// commands, data, audio and video. Aggregates come apart into their parts.
func (c *Conn) read() (Message, error) {
	for {
		if len(c.split) > 0 {
			m := c.split[0]
			c.split = c.split[1:]
			return m, nil
		}
		m, err := c.cr.next()
		if err != nil {
			return Message{}, err
		}
		switch m.Type {
		case TypeAudio, TypeVideo, TypeDataAMF0, TypeCommandAMF0:
			return m, nil
		case TypeCommandAMF3, TypeDataAMF3:
			// The AMF3 envelope: one byte, then AMF0 values.
			if len(m.Payload) > 0 {
				m.Payload = m.Payload[1:]
			}
			m.Type += TypeCommandAMF0 - TypeCommandAMF3 // 17 -> 20, 15 -> 18
			return m, nil
		case TypeAggregate:
			c.split, err = splitAggregate(&m)
		default:
			err = c.control(&m)
		}
		if err != nil {
			return Message{}, err
		}
	}
}

// control acts on a protocol control message (RTMP 5.4, 7.1.7). Unknown types
// are skipped.
func (c *Conn) control(m *Message) error {
	word := func(at int) (uint32, error) {
		if len(m.Payload) < at+4 {
			return 0, protocolf("control message %d of %d bytes", m.Type, len(m.Payload))
		}
		return binary.BigEndian.Uint32(m.Payload[at:]), nil
	}
	switch m.Type {
	case TypeSetChunkSize:
		n, err := word(0)
		if err != nil {
			return err
		}
		return c.cr.setChunkSize(n)
	case TypeAbort:
		id, err := word(0)
		if err != nil {
			return err
		}
		c.cr.abort(id)
	case TypeWindowAckSize:
		n, err := word(0)
		if err != nil {
			return err
		}
		// A tiny window would make us write for every byte that we read.
		c.peerWindow = max(n, 64<<10)
	case TypeUserControl:
		if len(m.Payload) < 2 {
			return protocolf("user control message of %d bytes", len(m.Payload))
		}
		if binary.BigEndian.Uint16(m.Payload) == eventPingRequest {
			n, err := word(2)
			if err != nil {
				return err
			}
			return c.write(userControl(eventPingResponse, n))
		}
	}
	return nil
}

// splitAggregate takes an aggregate message apart (RTMP 7.1.6). The times of the
// parts are moved so that the first has the aggregate's time.
func splitAggregate(m *Message) ([]Message, error) {
	const header, back = 11, 4
	var out []Message
	var shift uint32
	for b := m.Payload; len(b) > 0; {
		if len(b) < header {
			return nil, protocolf("aggregate message is cut short")
		}
		size := int(be24(b[1:]))
		ts := be24(b[4:]) | uint32(b[7])<<24
		if len(b) < header+size {
			return nil, protocolf("aggregate message is cut short")
		}
		if len(out) == 0 {
			shift = m.Timestamp - ts
		}
		switch t := MessageType(b[0] & 0x1f); t {
		case TypeAudio, TypeVideo, TypeDataAMF0:
			out = append(out, Message{Type: t, Timestamp: ts + shift, StreamID: m.StreamID, Payload: b[header : header+size : header+size]})
		}
		b = b[header+size:]
		// The last back pointer is left out by some senders.
		b = b[min(back, len(b)):]
	}
	return out, nil
}
