package lpms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Off as an address keeps a port closed.
const Off = "off"

// Options of New. The zero value is a sound default.
type Options struct {
	// RTMPAddr is the TCP address for publishers and RTMP players, such as
	// "127.0.0.1:1935". Default ":1935", on all interfaces; Off opens no port.
	RTMPAddr string
	// HTTPAddr is the TCP address for HLS. Default ":8000"; Off opens no port, for
	// programs that mount Handler on a server of their own.
	HTTPAddr string
	// RTMPListener and HTTPListener, when set, are used in place of the addresses,
	// for example behind TLS. Start closes them.
	RTMPListener, HTTPListener net.Listener

	// WrapHTTP, when set, makes what is served at HTTPAddr of the handler for HLS: to add
	// pages, or to measure. It is called once, by Start.
	WrapHTTP func(hls http.Handler) http.Handler

	// Authorize, when set, decides on every request before any callback: an error
	// refuses it. It may block; ctx ends when the server stops, and for HTTP when the
	// peer has gone.
	Authorize func(ctx context.Context, r AccessRequest) error

	// SegmentDuration is how long HLS segments should be; the source's keyframes
	// decide. Default 2 s, at most 30 s.
	SegmentDuration time.Duration
	// ReconnectWait is how long a presentation waits for a publisher whose
	// connection broke before it ends. Default 10 s; negative does not wait.
	ReconnectWait time.Duration
	// EndedRetention is how long an ended presentation is still served.
	// Default 60 s.
	EndedRetention time.Duration
	// FirstSegmentWait is how long the first HLS request of a stream waits for its
	// first segment. Default 20 s, for groups of pictures of 10 s and more.
	FirstSegmentWait time.Duration
	// Realtime writes each packet to RTMP players at once. By default packets are
	// gathered for 30 ms, which takes a third of the processor time.
	Realtime bool
	// MaxConnections limits RTMP connections; more are closed at once.
	// Default 10,000.
	MaxConnections int
}

// Action is what a peer wants.
type Action string

const (
	PublishRTMP Action = "publish-rtmp"
	PlayRTMP    Action = "play-rtmp"
	PlayHLS     Action = "play-hls"
)

// AccessRequest is what Options.Authorize decides on.
type AccessRequest struct {
	Action Action
	// Path and its query are as the peer sent them: check what you use. For HLS it
	// is the path of the presentation's master playlist.
	Path       string
	RemoteAddr string
	TLS        *tls.ConnectionState // nil without TLS
	Header     http.Header          // of an HTTP request, else nil
}

// ErrOptions is a setting that cannot work.
var ErrOptions = errors.New("lpms: bad option")

// validate fills in defaults and checks everything that can be checked before
// anything starts.
func (o Options) validate() (Options, error) {
	bad := func(format string, a ...any) (Options, error) {
		return o, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, a...)...)
	}
	if o.RTMPAddr == "" {
		o.RTMPAddr = ":1935"
	}
	if o.HTTPAddr == "" {
		o.HTTPAddr = ":8000"
	}
	for name, addr := range map[string]string{"RTMPAddr": o.RTMPAddr, "HTTPAddr": o.HTTPAddr} {
		if addr == Off {
			continue
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return bad("%s %q is not of the form host:port or :port", name, addr)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return bad("%s %q: the port must be a number from 0 to 65535", name, addr)
		}
	}
	switch {
	case o.SegmentDuration < 0 || o.SegmentDuration > 30*time.Second:
		return bad("SegmentDuration %v: must be at most 30 s (and 0 means 2 s)", o.SegmentDuration)
	case o.EndedRetention < 0:
		return bad("EndedRetention %v is negative", o.EndedRetention)
	case o.FirstSegmentWait < 0:
		return bad("FirstSegmentWait %v is negative", o.FirstSegmentWait)
	case o.MaxConnections < 0:
		return bad("MaxConnections %d is negative", o.MaxConnections)
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.SegmentDuration, 2*time.Second)
	def(&o.ReconnectWait, 10*time.Second)
	def(&o.EndedRetention, 60*time.Second)
	def(&o.FirstSegmentWait, 20*time.Second)
	o.ReconnectWait = max(o.ReconnectWait, 0)
	if o.MaxConnections == 0 {
		o.MaxConnections = 10_000
	}
	return o, nil
}
