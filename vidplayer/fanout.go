package vidplayer

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/livepeer/lpms/stream"
)

// fanout serves the plain TCP players of one stream. One goroutine, run, reads the
// stream, encodes each packet once and writes it to every player without blocking. A
// player whose socket is full gets a goroutine of its own until it has caught up, so
// that the loop never waits.
type fanout struct {
	stream   *stream.VideoStream
	coalesce time.Duration // 0: every packet at once
	stuck    time.Duration // a socket that takes nothing for so long is closed
	stop     chan struct{} // closed when the last player has left
	users    int           // under Players.mu
	waiters  sync.WaitGroup

	mu      sync.Mutex
	log     *sendLog
	players []*player
	ended   time.Time // when the stream ended
	// The pieces for players that are in step, made once for each flush.
	stepFrom, stepTo uint64
	step             [][]byte
	iov              iovecs
}

// writeFunc writes without blocking, with iov as its room to work. A short count means
// that the socket is full.
type writeFunc func(bufs [][]byte, iov *iovecs) (int, error)

// player is one viewer of a fanout. All fields are under fanout.mu.
type player struct {
	sock    *socket
	ctrl    [][]byte // whole messages of the connection itself
	pending [][]byte // to be sent before the log: the rest of an entry, headers
	next    uint64   // the entry to send after pending
	waiting bool     // for a start point
	headers *stream.Headers
	blocked bool // its goroutine waits for room
	partial bool // pending begins inside a message
	err     error
	gone    bool
	done    chan struct{}
}

func newFanout(s *stream.VideoStream, chunkSize int, coalesce, stuck time.Duration) *fanout {
	return &fanout{stream: s, coalesce: coalesce, stuck: stuck, stop: make(chan struct{}), log: newSendLog(chunkSize)}
}

// join adds a player, who gets the stream from its newest keyframe at once.
func (f *fanout) join(sock *socket) *player {
	p := &player{sock: sock, done: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.players = append(f.players, p)
	p.waiting = true
	f.begin(p)
	f.flushPlayer(p)
	if !f.ended.IsZero() && !p.blocked {
		f.drop(p, nil)
	}
	return p
}

// begin sets a waiting player to the newest start point, if there is one.
func (f *fanout) begin(p *player) {
	if !f.log.hasStart || f.log.start < p.next {
		p.next = f.log.head
		return
	}
	p.waiting, p.next = false, f.log.start
	e := f.log.at(p.next)
	if p.headers != e.headers {
		p.headers = e.headers
		p.pending = append(p.pending, f.log.headersBefore(p.next))
	}
}

// leave takes a player out. Nothing is written to it once leave has returned; broken
// says that a message to it was cut short.
func (f *fanout) leave(p *player) (broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(p, nil)
	return p.partial || p.err != nil
}

func (f *fanout) drop(p *player, err error) {
	if p.gone {
		return
	}
	p.gone, p.err = true, err
	p.pending, p.ctrl = nil, nil
	f.players = slices.DeleteFunc(f.players, func(o *player) bool { return o == p })
	if p.blocked {
		p.sock.interrupt()
	}
	close(p.done)
}

// control queues a message of the connection itself.
func (f *fanout) control(p *player, b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.gone {
		return stream.ErrClosed
	}
	if len(p.ctrl) < maxBuffers { // a peer that asks without reading is not answered
		p.ctrl = append(p.ctrl, b)
	}
	f.flushPlayer(p)
	return nil
}

// run serves until stop is closed, or the stream ends and every player has all of it
// or is given up.
func (f *fanout) run() {
	r := f.stream.NewReader(stream.ReaderOptions{})
	defer r.Close()
	defer f.waiters.Wait()
	defer f.recovered()
	batch := make([]stream.Packet, 64)
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	due := false
	for first := true; ; {
		n, err := f.read(r, batch)
		switch {
		case err != nil: // io.EOF
			f.finish()
			return
		case n > 0 && (first || f.coalesce == 0 || n == len(batch)):
			f.flush()
			first = false
		case n > 0 && !due:
			due = true
			timer.Reset(f.coalesce)
		}
		if n > 0 {
			continue // Wake is worth waiting for when there is nothing
		}
		select {
		case <-f.stop:
			return
		case <-r.Wake():
		case <-timer.C:
			due = false
			f.flush()
		}
	}
}

// recovered ends every player after a panic: a bug ends the play of one stream and not
// the process.
func (f *fanout) recovered() {
	r := recover()
	if r == nil {
		return
	}
	err := fmt.Errorf("panic: %v\n%s", r, debug.Stack())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = time.Now()
	for _, p := range slices.Clone(f.players) {
		f.drop(p, err)
	}
}

// read encodes what the stream has.
func (f *fanout) read(r *stream.Reader, batch []stream.Packet) (int, error) {
	n, err := r.TryRead(batch)
	if n == 0 {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	needed, ready := f.log.head, f.log.head
	for _, p := range f.players {
		needed = min(needed, p.next)
		if !p.blocked {
			ready = min(ready, p.next)
		}
	}
	for i := range batch[:n] {
		f.log.add(&batch[i], needed, ready)
	}
	clear(batch[:n])
	return n, err
}

// flush sends every player what it can take.
func (f *fanout) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < len(f.players); {
		p := f.players[i]
		f.flushPlayer(p)
		if i < len(f.players) && f.players[i] == p {
			i++
		}
	}
}

// finish ends every player. At the end of the stream each is given time to take
// what is left.
func (f *fanout) finish() {
	f.flush()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = time.Now()
	for _, p := range slices.Clone(f.players) {
		if !p.blocked {
			f.drop(p, nil)
		}
		// The goroutine of a blocked player ends it.
	}
}

// flushPlayer writes until the player has everything, its socket is full or broken.
func (f *fanout) flushPlayer(p *player) {
	if p.gone || p.blocked {
		return
	}
	if p.blocked = f.write(p, p.sock.write); p.blocked {
		f.waiters.Go(func() { f.drain(p) })
	}
}

// drain waits for room in a player's socket and writes, until it has caught up. The
// player is blocked for everybody else until drain returns.
func (f *fanout) drain(p *player) {
	defer f.recovered()
	for {
		full := false
		err := p.sock.whenWritable(f.stuck, func(write writeFunc) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			full = !p.gone && f.write(p, write)
			return !full
		})
		if f.drained(p, full, err) {
			return
		}
	}
}

// drained decides after an attempt of drain whether that was all.
func (f *fanout) drained(p *player, full bool, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case p.gone:
	case err != nil:
		f.drop(p, err)
	case !f.ended.IsZero() && time.Since(f.ended) > f.stuck:
		f.drop(p, os.ErrDeadlineExceeded)
	case full || f.prepare(p):
		return false
	case !f.ended.IsZero():
		f.drop(p, nil)
	}
	p.blocked = false
	return true
}

// write sends what p lacks and reports whether its socket is full.
func (f *fanout) write(p *player, write writeFunc) (full bool) {
	for f.prepare(p) {
		bufs, next := f.pieces(p)
		want := 0
		for _, b := range bufs {
			want += len(b)
		}
		n, err := write(bufs, &f.iov)
		if err != nil {
			f.drop(p, err)
			return false
		}
		own := len(p.pending)
		p.next = next
		if n < want {
			if n > 0 {
				f.sentPart(p, bufs, own, n)
			} else {
				f.rewind(p, bufs[own:], 0)
			}
			return true
		}
		p.pending, p.partial = nil, false
	}
	return false
}

// prepare moves a player that is too far behind, or that waits, to a start point.
// It reports whether there is anything to send.
func (f *fanout) prepare(p *player) bool {
	if p.next < f.log.base {
		p.waiting = true
		p.headers = nil
	}
	if p.waiting {
		f.begin(p)
	}
	// Messages of the connection go between two entries.
	if len(p.ctrl) > 0 {
		p.pending = append(p.pending, p.ctrl...)
		p.ctrl = nil
	}
	return len(p.pending) > 0 || p.next < f.log.head
}

// pieces is what to write now, and the entry after it. Players in step share it.
func (f *fanout) pieces(p *player) ([][]byte, uint64) {
	if len(p.pending) == 0 {
		if p.next != f.stepFrom || f.stepTo != f.log.head || len(f.step) == 0 {
			clear(f.step)
			f.step, f.stepTo = f.log.gather(p.next, f.step[:0])
			f.stepFrom = p.next
		}
		f.seen(p, f.stepTo)
		return f.step, f.stepTo
	}
	if len(p.pending) >= maxBuffers/2 {
		return p.pending, p.next
	}
	bufs, next := f.log.gather(p.next, slices.Clone(p.pending))
	f.seen(p, next)
	return bufs, next
}

// seen notes the headers that a player has after the entries before next.
func (f *fanout) seen(p *player, next uint64) {
	if next > p.next {
		p.headers = f.log.at(next - 1).headers
	}
}

// sentPart keeps what was gathered for a player and not taken: the rest of the entry
// or message that is on its way, which must go out first, and then everything else from
// the log again. own is the number of pieces that did not come from the log.
func (f *fanout) sentPart(p *player, bufs [][]byte, own, n int) {
	i := 0
	for n >= len(bufs[i]) {
		n -= len(bufs[i])
		i++
	}
	if i < own {
		rest := append([][]byte{bufs[i][n:]}, bufs[i+1:own]...)
		f.rewind(p, bufs[own:], 0)
		p.pending, p.partial = rest, n > 0
		return
	}
	p.pending = nil
	tail := f.rewind(p, bufs[i:], n)
	if p.partial = tail != nil; p.partial {
		p.pending = [][]byte{tail}
	}
}

// rewind sets p.next back over the pieces in bufs, of which n bytes were sent, and
// returns the rest of the entry that was sent in part.
func (f *fanout) rewind(p *player, bufs [][]byte, n int) (tail []byte) {
	left := -n
	for _, b := range bufs {
		left += len(b)
	}
	for left > 0 {
		e := f.log.at(p.next - 1)
		size := e.end - e.off
		if size > left {
			return e.slab.b[e.end-left : e.end]
		}
		left -= size
		p.next--
	}
	return nil
}
