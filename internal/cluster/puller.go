package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// puller asks the queues for jobs while there is room for them.
//
// A request that waits is answered by the first job that comes. When room was made in a full
// worker, jobs may be waiting in all lanes: then the live lanes are asked alone first, and the
// others only when they are empty.
type puller struct {
	worker  *Worker
	nc      *nats.Conn
	inbox   string
	arrive  chan *nats.Msg
	done    chan struct{} // one token for each job that has ended; has room for all
	jobs    sync.WaitGroup
	stopped chan struct{} // closed when run has returned

	busy    int
	pending map[string]*pull // by inbox
	next    int
	quiet   time.Time // the queue is not there: do not ask before
	urgent  bool      // the live lanes are being asked alone
}

// pull is a request for one job.
type pull struct {
	lane lane
	sub  *nats.Subscription
	end  time.Time // it is not answered any more
}

const (
	// pullTime is how long a request waits for a job. A worker that hangs is given at most one job
	// of each lane after that.
	pullTime = 2 * time.Second
	// pullSlack is how much later the answer may come. A queue that is not there does not answer.
	pullSlack = 500 * time.Millisecond
	// quietTime is how long a queue that is not there is left alone.
	quietTime = 200 * time.Millisecond
)

func newPuller(w *Worker, nc *nats.Conn) *puller {
	return &puller{
		worker: w, nc: nc, inbox: inboxOf(Transcoder, w.id) + "." + rand.Text() + ".",
		arrive: make(chan *nats.Msg, 64), done: make(chan struct{}, w.opts.Capacity), stopped: make(chan struct{}), pending: make(map[string]*pull),
	}
}

// run asks for jobs until ctx ends, and starts those that come in working.
func (p *puller) run(ctx, working context.Context) {
	defer close(p.stopped)
	defer p.drop()
	full := true
	for {
		now := time.Now()
		p.expire(now)
		ready, benched := p.worker.ready(now)
		again := now.Add(pullTime)
		switch {
		case ctx.Err() != nil:
			return
		case !ready, p.busy >= p.worker.opts.Capacity:
			p.drop()
			full = true
			if benched.After(now) {
				again = benched
			}
		case now.Before(p.quiet):
			again = p.quiet
		case full && p.urgent && len(p.pending) > 0:
			// their answers come at once
		case full && !p.urgent:
			p.urgent = true
			p.ask(now, true)
		default:
			full, p.urgent = false, false
			p.ask(now, false)
		}
		for _, r := range p.pending {
			again = earlier(again, r.end)
		}
		timer := time.NewTimer(max(time.Until(again), time.Millisecond))
		select {
		case m := <-p.arrive:
			if p.take(working, m) {
				full = full && !p.urgent
				p.urgent = false
			}
		case <-p.done:
			p.busy--
		case <-p.worker.changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// ask sends requests to the lanes that have none. Urgent ones go to the live lanes, and do not wait.
func (p *puller) ask(now time.Time, urgent bool) {
	asked := make(map[lane]bool)
	for _, r := range p.pending {
		asked[r.lane] = true
	}
	for _, l := range p.worker.lanes {
		if asked[l] || urgent && l.pushed {
			continue
		}
		p.next++
		inbox := p.inbox + strconv.Itoa(p.next)
		sub, err := p.nc.ChanSubscribe(inbox, p.arrive)
		if err != nil {
			return // the connection is closed, which Run hears of
		}
		_ = sub.AutoUnsubscribe(1)
		request := map[string]any{"batch": 1}
		r := &pull{lane: l, sub: sub, end: now.Add(pullTime + pullSlack)}
		if urgent {
			request["no_wait"] = true
			r.end = now.Add(pullSlack)
		} else {
			request["expires"] = pullTime
		}
		text, _ := json.Marshal(request) // of numbers
		p.pending[inbox] = r
		_ = p.nc.PublishRequest(nextPrefix+l.name(), inbox, text)
	}
}

// expire forgets requests that were not answered.
func (p *puller) expire(now time.Time) {
	for inbox, r := range p.pending {
		if now.After(r.end) {
			_ = r.sub.Unsubscribe()
			delete(p.pending, inbox)
		}
	}
}

// drop takes all requests back. A job that is on its way already still arrives.
func (p *puller) drop() {
	for inbox, r := range p.pending {
		_ = r.sub.Drain()
		delete(p.pending, inbox)
	}
	p.urgent = false
}

func (p *puller) giveBack(m *nats.Msg) { _ = p.nc.Publish(m.Reply, []byte("-NAK")) }

// take handles an answer, and reports whether it is a job that was begun.
func (p *puller) take(working context.Context, m *nats.Msg) bool {
	delete(p.pending, m.Sub.Subject)
	if !strings.HasPrefix(m.Reply, ackPrefix) {
		if s := m.Header.Get(statusHeader); s != "404" && s != "408" { // neither empty nor timed out
			p.quiet = time.Now().Add(quietTime)
		}
		return false
	}
	if ready, _ := p.worker.ready(time.Now()); p.busy >= p.worker.opts.Capacity || !ready {
		p.giveBack(m)
		return false
	}
	a := p.worker.begin(working, p.nc, m)
	if a == nil {
		return false
	}
	p.busy++
	p.jobs.Go(func() {
		a.run(func() { p.done <- struct{}{} })
	})
	return true
}

// wait returns when run has, and all jobs have ended.
func (p *puller) wait() {
	<-p.stopped
	p.jobs.Wait()
}
