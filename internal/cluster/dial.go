package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/internal/servicecert"
)

var (
	// ErrSecret is a secret that the server does not accept.
	ErrSecret = errors.New("cluster: the secret is wrong: give all roles the same -orchSecret")
	// ErrServer is a server that no job queue can be on.
	ErrServer = errors.New("cluster: unusable server")
)

// Server is where the job queue is.
type Server struct {
	// Addrs are host:port of one orchestrator, or of the servers of one NATS cluster; a connection
	// that is lost goes on with the next. They may be URLs, nats:// or tls://, with a user.
	Addrs []string
	// Secret is what the server wants to hear. Addresses with a user do without.
	Secret string
	// TLS says which servers are trusted. It is used when the server wants TLS, and is
	// demanded of servers on other machines, and of all when Strict is set.
	TLS    *tls.Config
	Strict bool
	// External is a NATS server that is not our orchestrator: whatever has the right to makes the
	// queue there, and the server need not know our roles.
	External bool
	// InProcess connects to the orchestrator of this process instead.
	InProcess func() (net.Conn, error)
}

// String names the server for people: without passwords.
func (s *Server) String() string {
	if s.InProcess != nil {
		return "this process"
	}
	var names []string
	for _, a := range s.Addrs {
		names = append(names, hostOf(a))
	}
	return strings.Join(names, ",")
}

func hostOf(addr string) string {
	if u, err := url.Parse(addr); err == nil && strings.Contains(addr, "://") {
		return u.Host
	}
	return addr
}

// url is what nats.go connects to. TLS is demanded in front of all else that is sent.
func (s *Server) url(addr string) string {
	if strings.Contains(addr, "://") {
		return addr
	}
	if s.Strict || !loopback(addr) {
		return "tls://" + addr
	}
	return "nats://" + addr
}

// loopback reports whether an address leads to this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const (
	dialTimeout   = 5 * time.Second
	dialRetry     = time.Second
	reconnectWait = 250 * time.Millisecond
	pingInterval  = 2 * time.Second
	pingsOut      = 2
	// unsent is how much is kept for a server that is away, in bytes.
	unsent = 32 << 20
	// flushTimeout is how long a server may be at one message: 4 MiB in that is 7 Mbit/s.
	flushTimeout = 5 * time.Second
)

// hooks are told what becomes of a connection, by goroutines of nats.go.
type hooks struct {
	connected func() // again
	lost      func(error)
	closed    func(error) // for good
	complaint func(error) // of the server, or of too many messages: something did not arrive
}

func (s *Server) options(role Role, id string, h hooks) nats.Options {
	o := nats.GetDefaultOptions()
	for _, a := range s.Addrs {
		o.Servers = append(o.Servers, s.url(a))
	}
	o.NoRandomize = true // the first is the one that is meant
	o.Name = id
	o.InboxPrefix = inboxOf(role, id)
	o.Timeout = dialTimeout
	o.MaxReconnect = -1
	o.ReconnectWait, o.ReconnectJitter, o.ReconnectJitterTLS = reconnectWait, reconnectWait, reconnectWait
	o.PingInterval, o.MaxPingsOut = pingInterval, pingsOut
	o.ReconnectBufSize = unsent
	o.FlusherTimeout = flushTimeout
	o.RetryOnFailedConnect = false
	o.NoCallbacksAfterClientClose = true
	if s.TLS != nil {
		o.TLSConfig = s.TLS.Clone()
	}
	switch {
	case s.InProcess != nil:
		o.Servers = []string{"nats://127.0.0.1"}
		o.InProcessServer = inProcess(s.InProcess)
		o.User, o.Password = string(role), s.Secret
	case s.Secret != "":
		o.User, o.Password = string(role), s.Secret
		if s.External {
			o.Token = s.Secret // a server has either users or a token
		}
	}
	o.ReconnectedCB = func(*nats.Conn) { h.connected() }
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { h.lost(err) }
	o.ClosedCB = func(nc *nats.Conn) { h.closed(explain(nc.LastError())) }
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { h.complaint(err) }
	return o
}

// inProcess is a nats.InProcessConnProvider.
type inProcess func() (net.Conn, error)

func (f inProcess) InProcessConn() (net.Conn, error) { return f() }

// dial connects, and tries until ctx ends when the server is not there yet. waiting is told once
// that it does. What trying again does not help is returned at once.
func (s *Server) dial(ctx context.Context, role Role, id string, h hooks, waiting func(error)) (*nats.Conn, error) {
	o := s.options(role, id, h)
	told := false
	for {
		nc, err := o.Connect()
		if err == nil {
			return nc, nil
		}
		if errors.Is(err, nats.ErrNoServers) {
			err = s.reason(ctx, err)
		}
		if err = explain(err); final(err) {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		if !told {
			told = true
			waiting(err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(dialRetry):
		}
	}
}

// reason finds out why no server was there.
func (s *Server) reason(ctx context.Context, otherwise error) error {
	for _, a := range s.Addrs {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", hostOf(a))
		if err != nil {
			return err
		}
		conn.Close()
	}
	return otherwise
}

// seldom lets through one message in ten seconds: what goes wrong once goes wrong often.
type seldom struct {
	mu   sync.Mutex
	last time.Time
}

func (s *seldom) now() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.last) < 10*time.Second {
		return false
	}
	s.last = time.Now()
	return true
}

// explain makes errors of nats.go ones that say what to do.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return ErrSecret
	case errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrSecureConnRequired):
		return fmt.Errorf("%w: it has no TLS, and is not on this machine: give the orchestrator a certificate, or begin its address with nats:// in -natsURL", ErrServer)
	}
	return err
}

// final reports whether it is of no use to connect again.
func final(err error) bool {
	var untrusted *servicecert.UntrustedError
	var unknown *tls.CertificateVerificationError
	return errors.Is(err, ErrSecret) || errors.Is(err, ErrServer) || errors.As(err, &untrusted) || errors.As(err, &unknown)
}
