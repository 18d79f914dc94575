package push

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// publication is one stream. Whoever has set busy has its media to himself.
type publication struct {
	id streamID

	// Guarded by Handler.mu. show is set by whoever is busy, who may read it without.
	users    int // requests
	sequence sequence
	busy     bool
	ending   bool          // nobody becomes busy any more
	changed  chan struct{} // closed when those who wait should look again
	gone     chan struct{} // closed when the name is free
	show     Show          // nil before it begins
	timer    *time.Timer
	newest   time.Time // when the last segment was appended

	// For whoever is busy.
	remuxer    remuxer
	timeline   timeline
	continuity ffmpeg.Continuity
}

func newPublication(id streamID) *publication {
	return &publication{id: id, changed: make(chan struct{}), gone: make(chan struct{})}
}

// announce lets those who wait look again. The caller holds Handler.mu.
func (p *publication) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// push puts a segment into its stream, or finds that it is there already.
func (h *Handler) push(q *request, data []byte, said time.Duration) (taken, Show, error) {
	sum := digest(sha256.Sum256(data))
	for {
		v, t, err := h.turn(q, sum)
		if errors.Is(err, errEnded) {
			if err := h.reenter(q); err != nil {
				return taken{}, nil, err
			}
			continue
		}
		if err == nil && v != repeats {
			t, err = h.take(q, data, sum, said, v == breaks)
		}
		if err != nil {
			return taken{}, nil, err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		return t, q.p.show, nil
	}
}

// reenter goes from a stream that has ended to the next of the same name.
func (h *Handler) reenter(q *request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, flight := q.p, q.f
	if err := h.enter(q); err != nil {
		return err
	}
	old.sequence.land(flight)
	old.users--
	return nil
}

// turn waits until a segment may be taken, and makes the caller busy with the stream, or
// says that it was taken already. errEnded is a stream that ended meanwhile.
func (h *Handler) turn(q *request, sum digest) (verdict, taken, error) {
	p := q.p
	timer := time.NewTimer(h.opts.OrderWait)
	defer timer.Stop()
	patient := true
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var wakened <-chan struct{} = p.changed
		if p.ending {
			wakened = p.gone
		} else {
			v, t := p.sequence.judge(q.n, sum, patient)
			switch {
			case v == repeats:
				return v, t, nil
			case v == late:
				return v, t, errLate
			case v != waits && !p.busy:
				p.busy = true
				p.sequence.land(q.f)
				return v, t, nil
			}
		}
		h.mu.Unlock()
		var err error
		select {
		case <-wakened:
		case <-timer.C:
			patient = false
		case <-q.ctx.Done():
			err = context.Cause(q.ctx)
		}
		h.mu.Lock()
		switch {
		case err != nil:
			return 0, taken{}, err
		case p.ending && wakened == p.gone:
			select {
			case <-p.gone:
				return 0, taken{}, errEnded
			default:
			}
		case !patient:
			p.sequence.giveUp(q.n)
		}
	}
}

// take appends a segment. The caller is busy, and is not any more when it returns.
func (h *Handler) take(q *request, data []byte, sum digest, said time.Duration, broken bool) (t taken, err error) {
	p := q.p
	returned := false
	defer func() {
		if !returned { // a callback panicked
			err = errPanic
		}
		h.finish(p, t, err)
	}()
	t, err = h.process(q, data, said, broken)
	t.sum = sum
	returned = true
	return t, err
}

// process measures a segment and appends it. The caller is busy.
func (h *Handler) process(q *request, data []byte, said time.Duration, broken bool) (taken, error) {
	p := q.p
	arrived := time.Now()
	select {
	case h.work <- struct{}{}:
	case <-q.ctx.Done():
		return taken{}, context.Cause(q.ctx)
	}
	m, err := p.remuxer.read(q.ctx, data, said)
	<-h.work
	if err != nil {
		return taken{}, err
	}
	if p.show == nil {
		if err = h.begin(q, m); err != nil {
			return taken{}, err
		}
	}
	stored, err := p.append(m, broken, arrived)
	if err != nil {
		return taken{}, err
	}
	return taken{n: q.n, seq: stored.Seq, duration: stored.Duration}, nil
}

var errPanic = errors.New("push: a callback panicked")

// finish makes way for the next segment.
func (h *Handler) finish(p *publication, t taken, err error) {
	h.mu.Lock()
	p.busy = false
	ended := errors.Is(err, stream.ErrClosed) && p.show != nil
	switch {
	case err != nil:
		p.sequence.fail()
	default:
		p.sequence.take(t)
		p.newest = time.Now()
		if p.timer == nil {
			p.timer = time.AfterFunc(h.opts.IdleEnd, func() { h.idle(p) })
		}
	}
	p.ending = ended
	p.announce()
	h.mu.Unlock()
	if ended {
		h.end(p, true)
	}
}

// begin opens the presentation.
func (h *Handler) begin(q *request, m *media) error {
	renditions, err := parseConfiguration(q.http.Header)
	if err != nil {
		return err
	}
	h.mu.Lock()
	full := h.open >= h.opts.MaxStreams
	if !full {
		h.open++
	}
	h.mu.Unlock()
	if full {
		return ErrCapacity
	}
	var show Show
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if q.p.show = show; show == nil {
			h.open--
		}
	}()
	opened, err := h.opts.Open(q.ctx, Request{Name: q.name, Ticket: q.ticket, HTTP: q.http, Renditions: renditions, Info: m.probed})
	switch {
	case err != nil && q.ctx.Err() != nil:
		return context.Cause(q.ctx)
	case err != nil:
		return err
	case opened == nil || opened.Buffer() == nil:
		return errors.New("push: Options.Open returned no presentation")
	}
	show = opened
	return nil
}

// append puts a segment behind the last one.
func (p *publication) append(m *media, broken bool, arrived time.Time) (*stream.Segment, error) {
	at := p.timeline.place(m, broken)
	if at.changed {
		p.show.Changed(m.probed)
	}
	if at.discontinuity {
		p.continuity = ffmpeg.Continuity{}
	}
	shiftTS(m.data, at.shift)
	if err := p.continuity.Join(m.data); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	stored, err := p.store(m, stream.Segment{
		Data:          m.data,
		Start:         at.start,
		Duration:      m.duration,
		Discontinuity: at.discontinuity,
		Independent:   m.independent,
		Info:          at.info,
		Arrived:       arrived,
	})
	if err != nil {
		return nil, err
	}
	p.timeline.advance(m, at)
	return stored, nil
}

// store appends to the buffer, whose playlist begins again when its target duration is too
// short for the segment.
func (p *publication) store(m *media, seg stream.Segment) (*stream.Segment, error) {
	buf := p.show.Buffer()
	target := max(leastTarget, seg.Duration)
	if buf.TargetDuration() == 0 {
		_ = buf.SetTargetDuration(target) // or Append does
	}
	stored, err := buf.Append(stream.Source, seg)
	if errors.Is(err, stream.ErrTargetDuration) {
		buf.End()
		buf.Resume()
		_ = buf.SetTargetDuration(target) // or Append does
		p.show.Changed(m.probed)
		stored, err = buf.Append(stream.Source, seg)
	}
	switch {
	case errors.Is(err, stream.ErrClosed):
		return nil, because(err, http.StatusServiceUnavailable, "the stream was ended: send the segment again to begin another")
	case err != nil:
		return nil, fmt.Errorf("push: %w", err)
	}
	return stored, nil
}

// idle is what the timer of a stream does.
func (h *Handler) idle(p *publication) {
	h.mu.Lock()
	if h.closed || p.ending {
		h.mu.Unlock()
		return
	}
	if rest := h.opts.IdleEnd - time.Since(p.newest); rest > 0 || p.busy {
		p.timer.Reset(max(rest, time.Second))
		h.mu.Unlock()
		return
	}
	p.ending = true
	h.wg.Add(1)
	p.announce()
	h.mu.Unlock()
	defer h.wg.Done()
	h.end(p, true)
}

// end closes a stream that is ending; nobody is busy with it.
func (h *Handler) end(p *publication, clean bool) {
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if p.timer != nil {
			p.timer.Stop()
		}
		delete(h.streams, p.id)
		h.open--
		close(p.gone)
	}()
	p.remuxer.close()
	p.show.Close(clean)
}
