package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// ClientOptions of Dial. The zero value is a sound default.
type ClientOptions struct {
	// Digest uses the digest handshake; the plain one is the default.
	Digest bool
	Limits Limits
	// DialContext opens the connection. Default: a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client is a client's connection: to relay, to test, to make load.
type Client struct {
	*Conn
	name string
	id   uint32 // message stream
	kind Kind
}

// Dial connects to rtmp://host[:port]/app/name[?query] up to the answer to connect.
// A path of one element is a name without an application, as in ffmpeg.
func Dial(ctx context.Context, rawURL string, opts ClientOptions) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "rtmp" || u.Host == "" {
		return nil, fmt.Errorf("rtmp: %q is not a URL of the form rtmp://host/app/name", rawURL)
	}
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), "1935")
	}
	dial := opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rtmp: %w", err)
	}
	path := strings.TrimPrefix(u.Path, "/")
	at := strings.LastIndex(path, "/")
	app, name := "", path
	if at >= 0 {
		app, name = path[:at], path[at+1:]
	}
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	c := &Client{Conn: newConn(nc, opts.Limits), name: name}
	if err := c.connect(ctx, app, "rtmp://"+u.Host+"/"+app, opts.Digest); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// abortable closes the connection when ctx ends before the returned function is
// called.
func (c *Client) abortable(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

func (c *Client) connect(ctx context.Context, app, tcURL string, digest bool) error {
	defer c.abortable(ctx)()
	c.nc.SetDeadline(time.Now().Add(c.limits.HandshakeTimeout))
	if err := clientHandshake(c.br, c.nc, digest); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	err := c.write(
		control(TypeSetChunkSize, uint32(c.limits.OutChunkSize)),
		command(0, "connect", 1.0, Object{
			{"app", app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; LPMS)"}, {"tcUrl", tcURL},
		}))
	if err != nil {
		return err
	}
	_, err = c.result(1)
	return err
}

// result waits for the answer to a transaction.
func (c *Client) result(transaction float64) (cmd, error) {
	for range c.limits.Commands {
		m, err := c.read()
		if err != nil {
			return cmd{}, err
		}
		if m.Type != TypeCommandAMF0 {
			continue
		}
		cm, err := parseCommand(m.Payload)
		if err != nil {
			return cmd{}, err
		}
		if cm.transaction != transaction {
			continue
		}
		switch cm.name {
		case "_result":
			return cm, nil
		case "_error":
			return cmd{}, refusal(cm.arg(0))
		}
	}
	return cmd{}, limitf("no answer among %d commands", c.limits.Commands)
}

func refusal(info any) error {
	o, _ := info.(Object)
	code, _ := o.Get("code").(string)
	description, _ := o.Get("description").(string)
	return fmt.Errorf("%w: %s: %s", ErrRefused, code, description)
}

// Publish asks to publish and returns when the server has agreed. Then
// WriteMessage and WriteRaw send media, and Serve must run to answer the server.
func (c *Client) Publish(ctx context.Context) error { return c.request(ctx, Publish) }

// Play asks to play and returns when the server has agreed. Then ReadMessage
// receives media.
func (c *Client) Play(ctx context.Context) error { return c.request(ctx, Play) }

func (c *Client) request(ctx context.Context, kind Kind) error {
	defer c.abortable(ctx)()
	if kind == Publish {
		err := c.write(
			command(0, "releaseStream", 2.0, nil, c.name),
			command(0, "FCPublish", 3.0, nil, c.name))
		if err != nil {
			return err
		}
	}
	if err := c.write(command(0, "createStream", 4.0, nil)); err != nil {
		return err
	}
	r, err := c.result(4)
	if err != nil {
		return err
	}
	id, ok := r.arg(0).(float64)
	if !ok || id < 1 {
		return protocolf("createStream answered without a stream")
	}
	c.id, c.kind = uint32(id), kind
	ask := command(c.id, "publish", 5.0, nil, c.name, "live")
	if kind == Play {
		ask = command(c.id, "play", 5.0, nil, c.name, -2000.0)
	}
	if err := c.write(ask); err != nil {
		return err
	}
	if err := c.started(); err != nil {
		return err
	}
	c.cr.maxMessage, c.cr.maxPartial = c.limits.MediaMessage, c.limits.MediaPartial
	c.nc.SetDeadline(time.Time{})
	return nil
}

// started waits for the status that says that the stream begins.
func (c *Client) started() error {
	for range c.limits.Commands {
		m, err := c.read()
		if err != nil {
			return err
		}
		if m.Type != TypeCommandAMF0 {
			continue
		}
		cm, err := parseCommand(m.Payload)
		if err != nil {
			return err
		}
		if cm.name != "onStatus" {
			continue
		}
		o, _ := cm.arg(0).(Object)
		if level, _ := o.Get("level").(string); level == "error" {
			return refusal(o)
		}
		switch code, _ := o.Get("code").(string); code {
		case "NetStream.Publish.Start", "NetStream.Play.Start":
			return nil
		}
	}
	return limitf("no answer among %d commands", c.limits.Commands)
}

// WriteMessage sends one audio, video or data message.
func (c *Client) WriteMessage(m *Message) error {
	m.StreamID = c.id
	return c.write(m)
}

// ReadMessage returns the next audio, video or data message. ErrUnpublished is the
// server's word that the stream has ended; an error status is ErrRefused.
func (c *Client) ReadMessage() (Message, error) {
	for {
		m, err := c.read()
		if err != nil || m.Type != TypeCommandAMF0 {
			return m, err
		}
		cm, err := parseCommand(m.Payload)
		if err != nil {
			return Message{}, err
		}
		if cm.name != "onStatus" {
			continue
		}
		o, _ := cm.arg(0).(Object)
		if level, _ := o.Get("level").(string); level == "error" {
			return Message{}, refusal(o)
		}
		if code, _ := o.Get("code").(string); code == "NetStream.Play.Stop" {
			return Message{}, ErrUnpublished
		}
	}
}

// Serve reads until the connection ends, for a publisher, which must answer
// acknowledgements and pings. It returns the reason.
func (c *Client) Serve() error {
	for {
		if _, err := c.ReadMessage(); err != nil {
			return err
		}
	}
}

// Close says goodbye, waits up to a second until the server has read it, and closes
// the connection: closing with bytes unread would take back what is on its way.
func (c *Client) Close() error {
	var bye error
	if c.id != 0 {
		if c.kind == Publish {
			bye = c.write(command(0, "FCUnpublish", 6.0, nil, c.name))
		}
		bye = errors.Join(bye, c.write(command(0, "deleteStream", 7.0, nil, float64(c.id))))
	}
	if tc, ok := c.nc.(*net.TCPConn); ok && bye == nil {
		tc.CloseWrite()
		c.nc.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, c.nc)
	}
	return errors.Join(bye, c.nc.Close())
}
