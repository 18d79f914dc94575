package stream

import (
	"context"
	"io"
	"slices"
	"time"
)

// ReaderOptions of NewReader.
type ReaderOptions struct {
	// Lazy is for a reader that works on whole groups of pictures: it is woken at
	// keyframes, breaks and the end, and otherwise only when this much media time
	// or LazyBytes have gathered. Zero wakes it for each packet.
	Lazy time.Duration
	// LazyBytes defaults to 1 MiB.
	LazyBytes int
	// Lossless starts at the oldest packet that is held, whether a decoder can start
	// there or not, and loses nothing until it is 64 MiB behind. It is for a reader that
	// is as fast as the machine, such as a segmenter, and not for one behind a network.
	Lossless bool
}

// Reader is a cursor in a stream. One goroutine reads; Close may come from any.
type Reader struct {
	s    *VideoStream
	opts ReaderOptions
	wake chan struct{}

	// Below: under s.mu.
	next    uint64
	waiting bool // for a start point
	gap     bool
	lost    uint64

	idle      bool // blocked in Read
	gathered  int
	gatherEnd time.Duration
}

// NewReader starts a reader at the newest keyframe of the stream, or, when there is
// none yet, at the first that comes. The caller closes it.
func (s *VideoStream) NewReader(o ReaderOptions) *Reader {
	if o.LazyBytes <= 0 {
		o.LazyBytes = 1 << 20
	}
	r := &Reader{s: s, opts: o, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o.Lossless:
		r.next = s.ring.base
	case s.ring.hasStart:
		r.next = s.ring.start
	default:
		r.next, r.waiting = s.ring.head, true
	}
	s.readers = append(s.readers, r)
	if o.Lazy == 0 {
		s.eager.Add(1)
	}
	return r
}

// Close takes the reader out of the stream. It is idempotent.
func (r *Reader) Close() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	at := slices.Index(r.s.readers, r)
	if at < 0 {
		return
	}
	r.s.readers = slices.Delete(r.s.readers, at, at+1)
	if r.opts.Lazy == 0 {
		r.s.eager.Add(-1)
	}
}

// Lost is how many packets the reader has skipped because it was too slow.
func (r *Reader) Lost() uint64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.lost
}

// Read waits for packets and copies up to len(batch) of them (not their bytes). It
// returns io.EOF after the last packet of an ended stream, or the cause of ctx.
func (r *Reader) Read(ctx context.Context, batch []Packet) (int, error) {
	for {
		n, err := r.TryRead(batch)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// TryRead is Read without waiting: 0 packets mean that there are none now, and that
// Wake will have a value when there are.
func (r *Reader) TryRead(batch []Packet) (int, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r.catchUp()
	n := 0
	for r.next < s.ring.head && n < len(batch) {
		batch[n] = *s.ring.at(r.next)
		batch[n].Gap, r.gap = r.gap, false
		r.next++
		n++
	}
	if n == 0 && s.ended {
		return 0, io.EOF
	}
	r.idle = r.next == s.ring.head
	r.gathered = 0
	if r.idle && r.opts.Lazy > 0 && s.ring.head > s.ring.base {
		r.gatherEnd = s.ring.at(s.ring.head-1).Time + r.opts.Lazy
	}
	return n, nil
}

// Wake has a value when TryRead is worth calling after it returned nothing.
func (r *Reader) Wake() <-chan struct{} { return r.wake }

// catchUp moves a reader that has lost packets, or that waits for its first, to
// a start point. It runs under the lock.
func (r *Reader) catchUp() {
	ring := &r.s.ring
	if r.next < ring.base {
		r.waiting, r.gap = true, true
		if ring.hasStart {
			r.lost += ring.start - r.next
			r.next, r.waiting = ring.start, false
			return
		}
		r.lost += ring.head - r.next
		r.next = ring.head
		return
	}
	if !r.waiting {
		return
	}
	if ring.hasStart && ring.start >= r.next {
		if r.gap {
			r.lost += ring.start - r.next
		}
		r.next, r.waiting = ring.start, false
	} else {
		if r.gap {
			r.lost += ring.head - r.next
		}
		r.next = ring.head
	}
}

// notify wakes the reader when the new packet is worth it. It runs under the lock.
func (r *Reader) notify(p *Packet) {
	if !r.idle {
		return
	}
	if r.opts.Lazy > 0 && !p.IsKeyFrame && !p.Discontinuity {
		r.gathered += len(p.Data)
		if r.gathered < r.opts.LazyBytes && p.Time < r.gatherEnd {
			return
		}
	}
	r.idle = false
	r.wakeUp()
}

func (r *Reader) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
