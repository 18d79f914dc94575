package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/internal/status"
)

// maxOrders is how many orders to workers may wait.
const maxOrders = 256

// link is an origin's connection to one job queue.
type link struct {
	origin     *Origin
	server     *Server
	members    *members
	complaints seldom
	missing    chan struct{}  // one token: see whether the queue is there
	orders     chan *nats.Msg // that wait to be sent

	mu  sync.Mutex
	nc  *nats.Conn // nil before the first time
	up  bool
	err error // why it is not up
}

func newLink(o *Origin, s *Server) *link {
	return &link{origin: o, server: s, members: newMembers(), missing: make(chan struct{}, 1), orders: make(chan *nats.Msg, maxOrders), err: errors.New("not connected yet")}
}

// run connects, and stays connected until ctx ends. The error is final: it says that there is no
// queue to begin with. One that was there, or is beside others, is tried again.
func (l *link) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := l.connect(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		l.set(nil, false, err)
		if final(err) && !l.origin.hasBeenUp() {
			return err
		}
		l.origin.opts.Warnf("no job queue at %s: %v; it is tried again in %v", l.server, err, refusedRetry)
		select {
		case <-ctx.Done():
		case <-time.After(refusedRetry):
		}
	}
	return nil
}

// refusedRetry is how long a server is left alone that does not want us.
const refusedRetry = 10 * time.Second

// connect connects, and stays connected until ctx ends, or the connection does for good.
func (l *link) connect(ctx context.Context) error {
	warn := l.origin.opts.Warnf
	closed := make(chan error, 1)
	again := make(chan struct{}, 1)
	nc, err := l.server.dial(ctx, Broadcaster, l.origin.id, hooks{
		connected: func() {
			select {
			case again <- struct{}{}:
			default:
			}
		},
		lost: func(err error) {
			l.set(nil, false, err)
			warn("the connection to %s is lost: %v; it is tried again", l.server, err)
		},
		closed: func(err error) { closed <- err },
		complaint: func(err error) {
			if l.complaints.now() {
				warn("%s: %v", l.server, err)
			}
		},
	}, func(err error) {
		l.set(nil, false, err)
		warn("no job queue at %s yet: %v; it is tried again every second", l.server, err)
	})
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := l.subscribe(nc); err != nil {
		return err
	}
	unusable := make(chan error, 1)
	var helpers sync.WaitGroup
	during, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		helpers.Wait()
	}()
	if l.server.External {
		helpers.Go(func() { unusable <- l.makeQueue(during, nc) })
	}
	helpers.Go(func() { l.sendOrders(during, nc) })
	l.begin(nc)
	l.origin.opts.Infof("connected to the job queue at %s", l.server)
	return l.keep(ctx, nc, closed, unusable, again)
}

// keep looks after a connection.
func (l *link) keep(ctx context.Context, nc *nats.Conn, closed, unusable <-chan error, again <-chan struct{}) error {
	tick := time.NewTicker(memberInterval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.set(nc, false, context.Cause(ctx))
			return nil
		case err := <-closed:
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			return fmt.Errorf("%s: %w", l.server, err)
		case err := <-unusable:
			if err != nil {
				return err
			}
		case <-again:
			l.begin(nc)
			l.origin.opts.Infof("connected to the job queue at %s again", l.server)
			for _, a := range l.origin.all(l) {
				a.forget() // if it was restarted
			}
		case now := <-tick.C:
			for _, news := range l.members.expire(now) {
				l.origin.opts.Warnf("%s", news)
			}
		}
	}
}

func (l *link) subscribe(nc *nats.Conn) error {
	o := l.origin
	results, err := nc.Subscribe(resultPrefix+o.id+".*", func(m *nats.Msg) { l.report(m) })
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	// Results that wait to be looked at: what comes beyond that is lost, and made again.
	if err := results.SetPendingLimits(-1, 2*maxResults); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	_, err = nc.Subscribe(getPrefix+o.id, func(m *nats.Msg) { l.serve(m) })
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	_, err = l.members.listen(nc, o.opts.Infof)
	return err
}

// lookAgain says that the queue may not be there.
func (l *link) lookAgain() {
	select {
	case l.missing <- struct{}{}:
	default:
	}
}

// begin makes the link usable after it was connected.
func (l *link) begin(nc *nats.Conn) {
	l.set(nc, true, nil)
	if !l.server.External { // whose queue may be impossible
		l.origin.noteUp()
	}
	l.lookAgain()
	_ = nc.Publish(helloSubject, nil) // workers speak once a second anyway
}

const (
	setupTimeout = 10 * time.Second
	setupRetry   = 2 * time.Second
	// setupPause is between two looks at least.
	setupPause = 500 * time.Millisecond
	// setupAgain is how often a queue that somebody else keeps is looked after: it may be gone.
	setupAgain = 30 * time.Second
)

// makeQueue makes the job queue on a server that somebody else runs, and makes it again should it be
// gone, until ctx ends. That others made it and we may not is fine. The error is final.
func (l *link) makeQueue(ctx context.Context, nc *nats.Conn) error {
	told := false
	for ctx.Err() == nil {
		trying, cancel := context.WithTimeout(ctx, setupTimeout)
		err := Setup(trying, nc, l.origin.opts.Queue)
		cancel()
		again := setupAgain
		switch {
		case errors.Is(err, ErrServer) && !l.origin.hasBeenUp():
			return fmt.Errorf("%s: %w", l.server, err)
		case err != nil && ctx.Err() == nil:
			if !told {
				l.origin.opts.Warnf("%v; it is tried again, and jobs wait unless somebody else made the queue", err)
			}
			told, again = true, setupRetry
		default:
			told = false
			l.origin.noteUp()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(setupPause):
		}
		select {
		case <-ctx.Done():
		case <-l.missing:
		case <-time.After(again):
		}
	}
	return nil
}

func (l *link) set(nc *nats.Conn, up bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if nc != nil {
		l.nc = nc
	}
	l.up, l.err = up, err
}

func (l *link) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && l.nc != nil && l.nc.IsConnected()
}

func (l *link) conn() *nats.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nc
}

func (l *link) status() status.Engine {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := status.Engine{Addr: l.server.String(), Connected: l.up}
	if !l.up && l.err != nil {
		s.Error = printable(l.err.Error(), maxErrorText)
	}
	return s
}

// report takes what a worker says, and answers to its first and last word of a job.
func (l *link) report(m *nats.Msg) {
	r, err := decodeReport(m)
	if err == nil && m.Subject != resultPrefix+l.origin.id+"."+r.Worker {
		err = fmt.Errorf("%w: a worker that says it is another one", ErrMessage)
	}
	if err != nil {
		if l.complaints.now() {
			l.origin.opts.Warnf("a message at %s is refused: %v", l.server, err)
		}
		return
	}
	var answer receipt
	if a := l.origin.find(r.Job); a != nil && a.link == l {
		a.report(r, m.Data)
		if r.Kind == kindDone {
			answer.Missing = a.missing(r.Worker)
		}
	} else {
		answer.Unwanted = true
	}
	if text, err := encode(answer); err == nil && isInbox(m.Reply) {
		_ = m.Respond(text) // if it is lost, the worker asks again
	}
}

// order tells a worker something, soon. That it may be lost is fine. It does not block.
func (l *link) order(worker string, o order) {
	m, err := encode(o)
	if err != nil || !ValidID(worker) {
		return
	}
	select {
	case l.orders <- &nats.Msg{Subject: workerPrefix + worker, Data: m}:
	default:
	}
}

// sendOrders sends them, until ctx ends and there are none.
func (l *link) sendOrders(ctx context.Context, nc *nats.Conn) {
	for {
		select {
		case m := <-l.orders:
			_ = nc.PublishMsg(m)
			continue
		default:
		}
		select {
		case m := <-l.orders:
			_ = nc.PublishMsg(m)
		case <-ctx.Done():
			return
		}
	}
}

// serve gives a worker a part of a segment that is too large for its job.
func (l *link) serve(m *nats.Msg) {
	var f fetch
	if err := decode(m.Data, &f); err != nil || !isInbox(m.Reply) {
		return
	}
	a := l.origin.find(f.Job)
	if a == nil || a.link != l || f.Offset < 0 {
		_ = m.Respond(nil)
		return
	}
	at := f.Offset
	for _, b := range a.fetched() {
		if at < len(b) {
			_ = m.Respond(b[at:min(len(b), at+l.partSize())])
			return
		}
		at -= len(b)
	}
	_ = m.Respond(nil)
}

// partSize is how much of media travels in one message.
func (l *link) partSize() int { return partSize(l.conn()) }

func partSize(nc *nats.Conn) int {
	return int(max(min(nc.MaxPayload()-messageRoom, maxPart), minPart))
}

// messageRoom is for what travels beside a part in its message.
const messageRoom = 16 << 10
