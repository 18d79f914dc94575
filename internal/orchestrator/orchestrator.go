package orchestrator

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/status"
)

// Options are the settings of an Orchestrator. Addr and Secret are needed.
type Options struct {
	// Addr is host:port to listen on; port 0 takes a free one.
	Addr string
	// Secret is what the others must know.
	Secret string
	// TLS, when set, is demanded of all connections.
	TLS *tls.Config
	// MaxConnections is how many there may be. Default 4096.
	MaxConnections int
	// Queue is how much may wait.
	Queue cluster.QueueOptions
	// Infof and Warnf are told what an operator wants to know. Default: nobody.
	Infof, Warnf func(format string, args ...any)
}

const (
	defaultConnections = 4096
	startTime          = 10 * time.Second
	tlsTime            = 5 * time.Second
	// connectTime is how long others of this process wait for it to be up.
	connectTime = 2 * time.Second
	// pingInterval and pingsOut are how soon a connection that is cut off is noticed.
	pingInterval = 3 * time.Second
	pingsOut     = 2
	// maxPending is how much may wait for a connection that takes too little, before it is closed.
	maxPending = 64 << 20
	// writeDeadline is how long a connection may take nothing.
	writeDeadline = 10 * time.Second
	// maxSubscriptions is of one connection; a worker has one for each lane, and a few more.
	maxSubscriptions = 512
)

// Orchestrator is a job queue.
type Orchestrator struct {
	opts  Options
	auth  *access
	seen  *cluster.Observer
	fatal chan error // of the server; room for one
	ready chan struct{}

	mu     sync.Mutex
	server *server.Server // while it is up
}

// New makes an orchestrator; it listens in Run.
func New(o Options) (*Orchestrator, error) {
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultConnections
	}
	nobody := func(string, ...any) {}
	if o.Infof == nil {
		o.Infof = nobody
	}
	if o.Warnf == nil {
		o.Warnf = nobody
	}
	if o.Secret == "" {
		return nil, errors.New("orchestrator: Options.Secret is missing")
	}
	if _, _, err := hostPort(o.Addr); err != nil {
		return nil, err
	}
	return &Orchestrator{
		opts: o, auth: newAccess(o.Secret), seen: cluster.NewObserver(o.Infof, o.Warnf),
		fatal: make(chan error, 1), ready: make(chan struct{}),
	}, nil
}

func hostPort(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	number, portErr := strconv.ParseUint(text, 10, 16)
	if err := errors.Join(err, portErr); err != nil {
		return "", 0, fmt.Errorf("orchestrator: the address %q: %w", addr, err)
	}
	if port = int(number); port == 0 {
		port = server.RANDOM_PORT
	}
	return cmp.Or(host, "0.0.0.0"), port, nil
}

// newServer makes a server that keeps nothing but what JetStream writes into dir about itself.
func (o *Orchestrator) newServer(dir string) (*server.Server, error) {
	host, port, err := hostPort(o.opts.Addr)
	if err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: "lpms-" + rand.Text()[:8],
		Host:       host, Port: port,
		NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, DisableJetStreamBanner: true,
		JetStreamMaxMemory: 2 * max(o.opts.Queue.MaxBytes, cluster.DefaultQueueBytes), JetStreamMaxStore: 1 << 20,
		MaxPayload: cluster.MaxPayload, MaxPending: maxPending, MaxConn: o.opts.MaxConnections, MaxSubs: maxSubscriptions,
		PingInterval: pingInterval, MaxPingsOut: pingsOut, WriteDeadline: writeDeadline,
		CustomClientAuthentication: o.auth,
	}
	if o.opts.TLS != nil {
		opts.TLS, opts.TLSConfig, opts.TLSTimeout = true, o.opts.TLS, tlsTime.Seconds()
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("orchestrator: %w", err)
	}
	s.SetLogger(&logger{o}, false, false)
	return s, nil
}

// Ready is closed when others may connect.
func (o *Orchestrator) Ready() <-chan struct{} { return o.ready }

// Addr is where it listens; nil while it does not.
func (o *Orchestrator) Addr() net.Addr {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil {
		return nil
	}
	return o.server.Addr()
}

var errDown = errors.New("orchestrator: it is not up")

// Server is how others of this process reach it.
func (o *Orchestrator) Server() cluster.Server {
	return cluster.Server{Secret: o.opts.Secret, InProcess: o.connect}
}

func (o *Orchestrator) connect() (net.Conn, error) {
	select {
	case <-o.ready:
	case <-time.After(connectTime): // those who connect try again
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil {
		return nil, errDown
	}
	return o.server.InProcessConn()
}

// Run serves until ctx ends, and returns nil then, or why it could not. It can be called once.
func (o *Orchestrator) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lpms-orchestrator-")
	if err != nil {
		return fmt.Errorf("orchestrator: %w", err)
	}
	defer os.RemoveAll(dir) // nothing in it is of use afterwards
	s, err := o.newServer(dir)
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if err := o.awaitServer(ctx, s); err != nil {
		return err
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo(ownUser, o.auth.own),
		nats.Name(ownUser), nats.CustomInboxPrefix("_INBOX."+ownUser))
	if err != nil {
		return fmt.Errorf("orchestrator: %w", err)
	}
	defer nc.Close()
	starting, cancel := context.WithTimeout(ctx, startTime)
	err = cluster.Setup(starting, nc, o.opts.Queue)
	cancel()
	if err != nil {
		return err
	}
	o.set(s)
	defer o.set(nil)
	close(o.ready)
	var keeping sync.WaitGroup
	during, stop := context.WithCancel(ctx)
	keeping.Go(func() { o.keepQueue(during, nc) })
	defer keeping.Wait()
	defer stop()
	return o.seen.Run(ctx, nc)
}

// keepInterval is how often the queue is looked after.
const keepInterval = 10 * time.Second

// keepQueue makes the queue again should it be gone.
func (o *Orchestrator) keepQueue(ctx context.Context, nc *nats.Conn) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := cluster.Setup(ctx, nc, o.opts.Queue); err != nil && ctx.Err() == nil {
				o.opts.Warnf("%v", err)
			}
		}
	}
}

// awaitServer returns when the server can be connected to.
func (o *Orchestrator) awaitServer(ctx context.Context, s *server.Server) error {
	for deadline := time.Now().Add(startTime); !s.ReadyForConnections(50 * time.Millisecond); {
		select {
		case err := <-o.fatal:
			return fmt.Errorf("cannot listen on %s: %w (is another lpms running? -serviceAddr chooses another address)", o.opts.Addr, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		if time.Now().After(deadline) {
			return errors.New("orchestrator: the server does not start")
		}
	}
	return nil
}

func (o *Orchestrator) set(s *server.Server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.server = s
}

// Workers are those that are connected.
func (o *Orchestrator) Workers() []status.Worker { return o.seen.Workers() }

// Queue is how many segments are waiting for a worker, or are with one.
func (o *Orchestrator) Queue() (int, error) {
	o.mu.Lock()
	s := o.server
	o.mu.Unlock()
	if s == nil {
		return 0, errDown
	}
	info, err := s.Jsz(nil)
	if err != nil {
		return 0, fmt.Errorf("orchestrator: %w", err)
	}
	return int(info.Messages), nil
}

// Engine says whether it is up.
func (o *Orchestrator) Engine() status.Engine {
	e := status.Engine{Addr: o.opts.Addr}
	if a := o.Addr(); a != nil {
		e.Addr, e.Connected = a.String(), true
		e.Queue, _ = o.Queue() // 0 when it is just going down
	}
	return e
}
