package lpms

import (
	"sync"
	"time"

	"github.com/livepeer/lpms/stream"
)

// presentations keeps each HLS presentation over the comings and goings of its
// publisher: a publisher that comes back goes on where the last one stopped, for the
// viewers who hold the old URL.
type presentations struct {
	reconnectWait time.Duration
	retention     time.Duration

	mu     sync.Mutex
	byID   map[string]*presentation
	closed bool
}

type presentation struct {
	id    string
	buf   *stream.HLSBuffer
	live  bool
	since time.Time // when it was last live
	timer *time.Timer
}

// maxIdle is how many presentations without publisher are remembered. They hold no
// media after the retention, only their place in the numbering.
const maxIdle = 1024

func newPresentations(reconnectWait, retention time.Duration) *presentations {
	return &presentations{reconnectWait: reconnectWait, retention: retention, byID: make(map[string]*presentation)}
}

// open returns the presentation that a publisher's segments go to: the stream's own, or
// the one of an earlier publisher of the same name, which the stream's own then shows.
func (ps *presentations) open(s stream.Stream) *stream.HLSBuffer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[s.ID()]
	if p == nil {
		p = &presentation{id: s.ID(), buf: s.HLS()}
		ps.byID[s.ID()] = p
	} else {
		p.stopTimer()
		p.buf.Resume()
		s.HLS().Attach(p.buf)
	}
	p.live = true
	return p.buf
}

// close is told that the publisher has gone. One that said so ends the presentation;
// one that was lost may come back.
func (ps *presentations) close(id string, buf *stream.HLSBuffer, clean bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[id]
	if p == nil || p.buf != buf {
		buf.End()
		return
	}
	p.live, p.since = false, time.Now()
	p.stopTimer()
	if clean || ps.reconnectWait == 0 || ps.closed {
		ps.end(p)
	} else {
		p.buf.Suspend()
		p.timer = time.AfterFunc(ps.reconnectWait, func() { ps.expire(p, ps.end) })
	}
	ps.evict()
}

// end ends a presentation, whose segments are let go of after the retention. It runs
// under the lock.
func (ps *presentations) end(p *presentation) {
	p.buf.End()
	p.timer = time.AfterFunc(ps.retention, func() { ps.expire(p, func(p *presentation) { p.buf.Expire() }) })
}

// expire is what a timer does, unless the publisher came back or the server stopped.
func (ps *presentations) expire(p *presentation, f func(*presentation)) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !p.live && !ps.closed && ps.byID[p.id] == p {
		f(p)
	}
}

// evict forgets the presentation that is idle for the longest time when there are too
// many.
func (ps *presentations) evict() {
	var oldest *presentation
	idle := 0
	for _, p := range ps.byID {
		if p.live {
			continue
		}
		idle++
		if oldest == nil || p.since.Before(oldest.since) {
			oldest = p
		}
	}
	if idle > maxIdle {
		oldest.stopTimer()
		oldest.buf.End()
		delete(ps.byID, oldest.id)
	}
}

// closeAll ends every presentation when the server stops.
func (ps *presentations) closeAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for _, p := range ps.byID {
		p.stopTimer()
		p.buf.End()
	}
}

func (p *presentation) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
