package vidplayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// DefaultCoalesce is how long packets are gathered for RTMP players before they are
// written. One write for three packets costs a third of three.
const DefaultCoalesce = 30 * time.Millisecond

// PlayersOptions of NewPlayers.
type PlayersOptions struct {
	// Coalesce is how long packets are gathered before they are written to the
	// players of a stream. Default DefaultCoalesce; negative writes every packet at
	// once, for about three times the processor time.
	Coalesce time.Duration
}

// Players serves RTMP players.
type Players struct {
	coalesce time.Duration

	mu   sync.Mutex
	fans map[*stream.VideoStream]*fanout
	wg   sync.WaitGroup
}

// NewPlayers makes a server of players. It starts goroutines only while there are
// players; Wait waits for them.
func NewPlayers(o PlayersOptions) *Players {
	if o.Coalesce == 0 {
		o.Coalesce = DefaultCoalesce
	}
	return &Players{coalesce: max(o.Coalesce, 0), fans: make(map[*stream.VideoStream]*fanout)}
}

// Wait returns when every player has left and nothing of them is left behind.
func (ps *Players) Wait() { ps.wg.Wait() }

// Serve answers an accepted connection's play request by calling play with a muxer
// that writes to the player, until play returns or the player leaves. play returns
// stream.ErrNotFound before it writes anything when there is no such stream. Serve
// returns nil when the player left or the stream ended; the connection is then of no
// further use.
func (ps *Players) Serve(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request, play func(context.Context, av.MuxCloser) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := &playerMux{players: ps, conn: conn, req: req, ctx: ctx, left: cancel}
	err := play(ctx, m)
	left := errors.Is(context.Cause(ctx), errLeft)
	m.stop()
	switch {
	case !m.accepted:
		if err == nil {
			err = stream.ErrNotFound // the callback did nothing
		}
		conn.Refuse(refusalCode(err), refusalText(err, req))
		return err
	case left:
		return nil
	}
	if !m.broken && conn.SayEnd() == nil {
		conn.Drain(endTime)
	}
	return err
}

// endTime is how long a player has to close its connection after the end.
const endTime = time.Second

// errLeft is the cause of the context of a player that has left.
var errLeft = errors.New("vidplayer: the player left")

func refusalCode(err error) string {
	if errors.Is(err, stream.ErrNotFound) {
		return "NetStream.Play.StreamNotFound"
	}
	return "NetStream.Play.Failed"
}

func refusalText(err error, req rtmp.Request) string {
	if errors.Is(err, stream.ErrNotFound) {
		return fmt.Sprintf("nothing is published at %.200q", req.Path)
	}
	return "cannot play"
}

// playerMux is the av.MuxCloser of one player. A stream that knows
// stream.PacketSink reads through ReadStream; anybody else writes packet by packet.
type playerMux struct {
	players  *Players
	conn     *rtmp.ServerConn
	req      rtmp.Request
	ctx      context.Context // ends when the player leaves
	left     context.CancelCauseFunc
	accepted bool
	broken   bool          // the last message was sent in part, or the socket is stuck
	serving  chan struct{} // closed when commands may be answered
	reading  sync.WaitGroup

	headers *stream.Headers
	video   []bool // by track index
	buf     []byte
	scratch []byte
}

// accept tells the player that media follows and starts to answer its commands, once
// serving is closed. It is the goroutine for those that tells: the one that waits for
// the end of the play, deep in the callback, keeps a small stack.
func (m *playerMux) accept() error {
	if m.accepted {
		return nil
	}
	m.accepted = true
	told := make(chan error, 1)
	m.serving = make(chan struct{})
	m.reading.Go(func() {
		err := m.conn.AcceptPlay()
		told <- err
		if err == nil {
			<-m.serving
			err = m.readCommands()
		}
		m.left(fmt.Errorf("%w: %w", errLeft, err))
		if !errors.Is(err, os.ErrDeadlineExceeded) { // not by stop
			m.conn.Close() // ends a write, whatever context the callback looks at
		}
	})
	return <-told
}

func (m *playerMux) readCommands() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return m.conn.ServePlayer()
}

// serve lets commands be answered. What the connection writes for them must not come
// between the pieces of a message: either the fan-out writes it, or m does, under the
// connection's lock.
func (m *playerMux) serve() {
	select {
	case <-m.serving:
	default:
		close(m.serving)
	}
}

// stop ends the goroutine that answers commands.
func (m *playerMux) stop() {
	if m.accepted {
		m.serve()
		m.conn.Interrupt()
		m.reading.Wait()
	}
}

// ReadStream implements stream.PacketSink.
func (m *playerMux) ReadStream(ctx context.Context, s *stream.VideoStream) error {
	if err := m.accept(); err != nil {
		return err
	}
	sock := newSocket(m.conn.NetConn())
	if sock == nil || m.req.StreamID != streamID {
		return m.readAlone(ctx, s)
	}
	m.conn.NetConn().SetWriteDeadline(time.Time{}) // a player that is blocked gets its own
	f, p := m.players.join(s, sock, m.conn.Limits())
	m.conn.SetSink(func(b []byte) error { return f.control(p, b) })
	m.serve()
	defer m.conn.SetSink(nil)
	defer func() { m.broken = m.players.leave(f, p) }()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.ctx.Done():
		return context.Cause(m.ctx)
	case <-p.done:
		return p.err
	}
}

// join adds a player to the fanout of a stream and starts that when it is the first.
func (ps *Players) join(s *stream.VideoStream, sock *socket, l rtmp.Limits) (*fanout, *player) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	f := ps.fans[s]
	if f == nil {
		f = newFanout(s, l.OutChunkSize, ps.coalesce, l.WriteTimeout)
		ps.fans[s] = f
		ps.wg.Go(f.run)
	}
	f.users++
	return f, f.join(sock)
}

// leave takes a player out, and reports whether it was in the middle of a message; the
// last one ends the fanout.
func (ps *Players) leave(f *fanout, p *player) (broken bool) {
	broken = f.leave(p)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if f.users--; f.users == 0 {
		delete(ps.fans, f.stream)
		close(f.stop)
	}
	return broken
}

// readAlone serves a player that cannot share: behind TLS, or on a message stream of
// its own choice.
func (m *playerMux) readAlone(ctx context.Context, s *stream.VideoStream) error {
	m.serve()
	r := s.NewReader(stream.ReaderOptions{})
	defer r.Close()
	batch := make([]stream.Packet, 32)
	for {
		n, err := r.Read(ctx, batch)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range batch[:n] {
			m.add(&batch[i])
			if len(m.buf) < aloneWrite && i < n-1 {
				continue
			}
			if err := m.conn.WriteRaw(m.buf); err != nil {
				m.broken = true
				return err
			}
			m.buf = m.buf[:0]
		}
		clear(batch[:n])
	}
}

// aloneWrite is how much is gathered for one write to a player that cannot share: each
// write has a deadline of its own.
const aloneWrite = 64 << 10

func (m *playerMux) add(p *stream.Packet) {
	size := m.conn.Limits().OutChunkSize
	if p.Headers != m.headers {
		m.headers = p.Headers
		m.buf = appendHeaders(m.buf, p.Headers, p.Time, m.req.StreamID, size)
	}
	m.buf = appendPacket(m.buf, p, m.req.StreamID, size, &m.scratch)
}

// WriteHeader implements av.Muxer. It may be called again when a header changes.
func (m *playerMux) WriteHeader(streams []av.CodecData) error {
	if err := m.accept(); err != nil {
		return err
	}
	m.serve()
	h := new(stream.Headers)
	m.video = m.video[:0]
	for _, c := range streams {
		switch c := c.(type) {
		case h264parser.CodecData:
			h.Video = c
			m.video = append(m.video, true)
		case aacparser.CodecData:
			h.Audio = c
			m.video = append(m.video, false)
		default:
			return fmt.Errorf("vidplayer: codec %v cannot be played over RTMP", c.Type())
		}
	}
	m.headers = h
	return m.conn.WriteRaw(appendHeaders(nil, h, 0, m.req.StreamID, m.conn.Limits().OutChunkSize))
}

// WritePacket implements av.Muxer.
func (m *playerMux) WritePacket(p av.Packet) error {
	if int(p.Idx) < 0 || int(p.Idx) >= len(m.video) {
		return fmt.Errorf("vidplayer: packet of track %d, the header has %d", p.Idx, len(m.video))
	}
	m.buf = m.buf[:0]
	m.add(&stream.Packet{Packet: p, Headers: m.headers, Audio: !m.video[p.Idx]})
	return m.conn.WriteRaw(m.buf)
}

// WriteTrailer implements av.Muxer.
func (m *playerMux) WriteTrailer() error { return nil }

// Close implements av.MuxCloser: it ends the connection.
func (m *playerMux) Close() error { return m.conn.Close() }
