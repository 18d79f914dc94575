package rtmp

import (
	"bufio"
	"fmt"
	"net"
	"time"
)

// Kind is what a client asks for.
type Kind uint8

const (
	Publish Kind = iota + 1
	Play
)

func (k Kind) String() string {
	if k == Publish {
		return "publish"
	}
	return "play"
}

// Request is a client's wish to publish or play.
type Request struct {
	Kind     Kind
	Path     string // "/app/name", unescaped as it came, not checked
	Query    string // without "?"
	TcURL    string
	StreamID uint32 // the message stream it asked on
}

// ServerConn is the server's side of one connection.
type ServerConn struct {
	*Conn
	connected bool
	app       string
	tcURL     string
	created   uint32
	req       Request
}

// NewServerConn wraps an accepted connection. It does no I/O.
func NewServerConn(nc net.Conn, l Limits) *ServerConn {
	return &ServerConn{Conn: newConn(nc, l)}
}

// Handshake does the handshake within Limits.HandshakeTimeout and gives the peer
// Limits.CommandTimeout from then on to publish or play.
func (c *ServerConn) Handshake() error {
	deadline := time.Now().Add(c.limits.HandshakeTimeout)
	c.nc.SetWriteDeadline(deadline)
	c.setReadDeadline(deadline)
	if err := serverHandshake(c.br, c.nc); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	c.nc.SetWriteDeadline(time.Time{}) // each write sets its own
	c.setReadDeadline(time.Now().Add(c.limits.CommandTimeout))
	return nil
}

// NextRequest reads commands until the peer asks to publish or to play. The
// caller answers it with AcceptPublish, AcceptPlay or Refuse. After a stream has
// ended with ErrUnpublished, the peer may ask again.
func (c *ServerConn) NextRequest() (Request, error) {
	if c.req.Kind != 0 { // a further one
		c.req = Request{}
		c.idle = false
		c.setReadDeadline(time.Now().Add(c.limits.CommandTimeout))
		c.cr.maxMessage, c.cr.maxPartial = c.limits.CommandMessage, c.limits.CommandPartial
	}
	for n := 0; n < c.limits.Commands; {
		m, err := c.read()
		if err != nil {
			return Request{}, err
		}
		if m.Type != TypeCommandAMF0 {
			continue // what is left of the stream before
		}
		n++
		cm, err := parseCommand(m.Payload)
		if err != nil {
			return Request{}, err
		}
		if err := c.command(m.StreamID, &cm); err != nil {
			return Request{}, err
		}
		if c.req.Kind != 0 {
			return c.req, nil
		}
	}
	return Request{}, limitf("%d commands without publish or play", c.limits.Commands)
}

// command answers one command before publish or play.
func (c *ServerConn) command(streamID uint32, cm *cmd) error {
	if !c.connected && cm.name != "connect" {
		return protocolf("command %.32q before connect", cm.name)
	}
	switch cm.name {
	case "connect":
		return c.onConnect(cm)
	case "createStream":
		if c.created == uint32(c.limits.CreateStreams) {
			return limitf("more than %d createStream", c.limits.CreateStreams)
		}
		c.created++
		return c.write(command(0, "_result", cm.transaction, nil, float64(c.created)))
	case "publish", "play":
		return c.onRequest(streamID, cm)
	case "FCPublish":
		return c.write(
			command(0, "_result", cm.transaction, nil, Undefined{}),
			command(0, "onFCPublish", 0.0, nil, Object{
				{"level", "status"}, {"code", "NetStream.Publish.Start"}, {"description", cm.stringArg(0)},
			}))
	case "FCSubscribe":
		return c.write(command(0, "onFCSubscribe", 0.0, nil, Object{
			{"level", "status"}, {"code", "NetStream.Play.Start"}, {"description", cm.stringArg(0)},
		}))
	case "releaseStream", "FCUnpublish", "deleteStream", "closeStream":
		return c.answer(cm, Undefined{})
	case "getStreamLength":
		return c.answer(cm, 0.0) // live
	case "_result", "_error", "onStatus":
		return nil
	}
	return c.unknown(cm)
}

// answer gives a _result to those who asked for one.
func (c *ServerConn) answer(cm *cmd, v any) error {
	if cm.transaction == 0 {
		return nil
	}
	return c.write(command(0, "_result", cm.transaction, nil, v))
}

func (c *ServerConn) unknown(cm *cmd) error {
	if cm.transaction == 0 {
		return nil
	}
	return c.write(command(0, "_error", cm.transaction, nil, Object{
		{"level", "error"}, {"code", "NetConnection.Call.Failed"}, {"description", "unknown command"},
	}))
}

func (c *ServerConn) onConnect(cm *cmd) error {
	if c.connected {
		return protocolf("connect twice")
	}
	o := cm.object()
	c.app, _ = o.Get("app").(string)
	c.tcURL, _ = o.Get("tcUrl").(string)
	encoding, _ := o.Get("objectEncoding").(float64)
	c.connected = true
	return c.write(
		control(TypeWindowAckSize, windowAckSize),
		&Message{Type: TypeSetPeerBandwidth, Payload: append(control(0, windowAckSize).Payload, 2)},
		control(TypeSetChunkSize, uint32(c.limits.OutChunkSize)),
		command(0, "_result", cm.transaction,
			Object{{"fmsVer", "FMS/3,0,1,123"}, {"capabilities", 31.0}},
			Object{
				{"level", "status"}, {"code", "NetConnection.Connect.Success"},
				{"description", "Connection succeeded."}, {"objectEncoding", encoding},
			}))
}

func (c *ServerConn) onRequest(streamID uint32, cm *cmd) error {
	c.req = Request{Kind: Publish, TcURL: c.tcURL, StreamID: streamID}
	if cm.name == "play" {
		c.req.Kind = Play
	}
	c.req.Path, c.req.Query = splitPath(c.app, cm.stringArg(0))
	return nil
}

// AcceptPublish tells the publisher to go on. From here the limits of media hold.
func (c *ServerConn) AcceptPublish() error {
	c.cr.maxMessage, c.cr.maxPartial = c.limits.MediaMessage, c.limits.MediaPartial
	err := c.write(
		userControl(eventStreamBegin, c.req.StreamID),
		status(c.req.StreamID, "status", "NetStream.Publish.Start", "publishing "+c.req.Path))
	c.setIdle(true)
	return err
}

// AcceptPlay tells the player that media follows.
func (c *ServerConn) AcceptPlay() error {
	err := c.write(
		userControl(eventStreamBegin, c.req.StreamID),
		status(c.req.StreamID, "status", "NetStream.Play.Reset", "playing "+c.req.Path),
		status(c.req.StreamID, "status", "NetStream.Play.Start", "playing "+c.req.Path),
		&Message{Type: TypeDataAMF0, StreamID: c.req.StreamID, Payload: AppendAMF0(nil, "|RtmpSampleAccess", true, true)})
	c.setIdle(false)
	c.shrink()
	return err
}

// shrink gives back the buffers that a player does not need: it says little.
func (c *ServerConn) shrink() {
	const little = 256
	if c.br.Buffered() == 0 {
		c.br = bufio.NewReaderSize((*meteredReader)(c.Conn), little)
		c.cr.r = c.br
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.wbuf = nil
}

// Relax lets a publisher be read in batches, up to 40 ms late, while when returns true:
// this takes a fraction of the processor time. It is for plain TCP on Linux, and does
// nothing elsewhere. It is called before ReadMedia, on whose goroutine when is called.
func (c *ServerConn) Relax(when func() bool) {
	if c.pace = newPacer(c.nc); c.pace != nil {
		c.relaxed = when
	}
}

// Refuse answers the request with an error: code is one of the NetStream codes,
// such as NetStream.Publish.BadName or NetStream.Play.StreamNotFound.
func (c *ServerConn) Refuse(code, description string) error {
	return c.write(status(c.req.StreamID, "error", code, description))
}

// SayEnd tells a player that the stream has ended.
func (c *ServerConn) SayEnd() error {
	return c.write(
		status(c.req.StreamID, "status", "NetStream.Play.UnpublishNotify", c.req.Path+" is no longer published"),
		status(c.req.StreamID, "status", "NetStream.Play.Stop", "stopped "+c.req.Path),
		userControl(eventStreamEOF, c.req.StreamID))
}

// SayShutdown tells a publisher that the server goes away.
func (c *ServerConn) SayShutdown() error {
	return c.write(status(c.req.StreamID, "error", "NetConnection.Connect.AppShutdown", "the server is shutting down"))
}

// ReadMedia returns the publisher's next audio, video or data message. It answers
// commands on the way. ErrUnpublished is the publisher's wish to stop; ErrIdle its
// silence.
func (c *ServerConn) ReadMedia() (Message, error) {
	for {
		m, err := c.read()
		if err != nil {
			return Message{}, err
		}
		if m.Type != TypeCommandAMF0 {
			return m, nil
		}
		if err := c.duringStream(&m); err != nil {
			return Message{}, err
		}
	}
}

// ServePlayer answers a player's commands until it leaves (ErrUnpublished), its
// connection breaks or Interrupt is called.
func (c *ServerConn) ServePlayer() error {
	for {
		m, err := c.read()
		if err != nil {
			return err
		}
		if m.Type == TypeCommandAMF0 {
			if err := c.duringStream(&m); err != nil {
				return err
			}
		}
	}
}

// Drain reads what the peer still sends until it closes, for at most d, even after
// Interrupt: a connection that is closed with bytes unread takes back bytes that are
// on their way.
func (c *ServerConn) Drain(d time.Duration) {
	c.idle = false
	c.nc.SetReadDeadline(time.Now().Add(d))
	for n := 0; n < c.limits.MediaPartial; {
		k, err := c.br.Discard(c.br.Size())
		if err != nil {
			return
		}
		n += k
	}
}

// duringStream answers a command of a publisher or player.
func (c *ServerConn) duringStream(m *Message) error {
	cm, err := parseCommand(m.Payload)
	if err != nil {
		return err
	}
	switch cm.name {
	case "FCUnpublish":
		// FMLE and OBS follow it with deleteStream; the end is the same.
		c.write(
			command(0, "onFCUnpublish", 0.0, nil, Object{
				{"level", "status"}, {"code", "NetStream.Unpublish.Success"}, {"description", cm.stringArg(0)},
			}),
			status(c.req.StreamID, "status", "NetStream.Unpublish.Success", "stopped "+c.req.Path))
		return ErrUnpublished
	case "closeStream", "deleteStream":
		return ErrUnpublished
	case "createStream":
		return c.command(m.StreamID, &cm)
	case "pause":
		code := "NetStream.Unpause.Notify"
		if paused, _ := cm.arg(0).(bool); paused {
			code = "NetStream.Pause.Notify" // live goes on: the player keeps what it gets
		}
		return c.write(status(c.req.StreamID, "status", code, "live"))
	case "publish", "play":
		return c.write(status(m.StreamID, "error", "NetStream.Failed", "this connection already has a stream"))
	}
	return c.answer(&cm, Undefined{})
}
