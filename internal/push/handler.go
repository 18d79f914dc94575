package push

import (
	"context"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Handler takes segments. It is an http.Handler for paths below /live/, which must reach it
// whole, and is used by any number of goroutines.
type Handler struct {
	opts    Options
	budget  budget
	closing sync.Once
	wg      sync.WaitGroup // requests, and streams that end by themselves
	work    chan struct{}  // held while a segment is measured: one for each core

	mu      sync.Mutex // for what follows, and for publication
	closed  bool
	cancels map[*request]context.CancelCauseFunc
	streams map[streamID]*publication
	open    int // streams that have a Show, or are about to
}

// New makes a handler, which is to be closed.
func New(o Options) *Handler {
	h := &Handler{
		opts:    o.withDefaults(),
		work:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		cancels: make(map[*request]context.CancelCauseFunc),
		streams: make(map[streamID]*publication),
	}
	h.budget.left.Store(h.opts.MaxUploads)
	return h
}

// request is one segment on its way in.
type request struct {
	http   *http.Request
	ctx    context.Context // ends with the handler, but not when the client leaves
	name   string
	ticket Ticket
	n      uint64
	p      *publication
	f      *flight
}

// streamID is the name in the URL, and who pushes under it.
type streamID struct{ name, owner string }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		err = h.serve(w, r)
	case http.MethodOptions:
		w.Header().Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
	default:
		err = errMethod
	}
	if err != nil {
		h.fail(w, r, err)
	}
	settle(w, r)
}

// settle sends the answer under its deadline and takes that away where nobody else does: a
// server without WriteTimeout would keep it for the next request of the connection.
func settle(w http.ResponseWriter, r *http.Request) {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); !ok || s.WriteTimeout > 0 {
		return
	}
	c := http.NewResponseController(w)
	_ = c.Flush() // a client that has gone needs no answer
	_ = c.SetWriteDeadline(time.Time{})
}

// serve returns an error only when nothing was written.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	name, n, err := parsePath(r.URL.Path)
	if err != nil {
		return err
	}
	said, err := parseDuration(r.Header)
	if err != nil {
		return err
	}
	if err := checkResolution(r.Header); err != nil {
		return err
	}
	ticket, err := h.authorize(r, name)
	if err != nil {
		return err
	}
	q := &request{http: r, name: name, ticket: ticket, n: n}
	done, err := h.admit(q)
	if err != nil {
		return err
	}
	defer done()
	b, err := h.readBody(q.ctx, w, r)
	defer b.release()
	if err != nil {
		return err
	}
	t, show, err := h.push(q, b.data, said)
	b.release()
	if err != nil {
		return err
	}
	if !wantsRenditions(r.Header) {
		h.allowAnswer(w, 0)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return h.answer(w, q, show, t)
}

// authorize asks before anything is read.
func (h *Handler) authorize(r *http.Request, name string) (Ticket, error) {
	t, err := h.opts.Authorize(r, name)
	if err == nil {
		return t, nil
	}
	status, text := answerOf(err)
	if status == http.StatusInternalServerError {
		status, text = answerOf(ErrForbidden)
	}
	return Ticket{}, because(err, status, text)
}

// admit registers a request with its stream. done is called when it is answered.
func (h *Handler) admit(q *request) (done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.enter(q); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(q.http.Context()))
	q.ctx = ctx
	h.cancels[q] = cancel
	h.wg.Add(1)
	return func() {
		defer h.wg.Done()
		cancel(nil)
		h.leave(q)
	}, nil
}

// enter finds or makes the stream of a request. The caller holds mu.
func (h *Handler) enter(q *request) error {
	if h.closed {
		return errClosing
	}
	id := streamID{q.name, q.ticket.Owner}
	p := h.streams[id]
	switch {
	case p == nil && h.open >= h.opts.MaxStreams:
		return ErrCapacity
	case (p == nil || p.show == nil) && h.newcomers() >= newcomers*h.opts.MaxStreams:
		return ErrCapacity
	case p != nil && p.users >= maxRequests:
		return refuse(http.StatusServiceUnavailable, "more than %d segments of this stream are on their way: wait for answers", maxRequests)
	}
	if p == nil {
		p = newPublication(id)
		h.streams[id] = p
	}
	p.users++
	q.p, q.f = p, p.sequence.depart(q.n)
	return nil
}

// newcomers counts the requests for streams that have not begun. The caller holds mu.
func (h *Handler) newcomers() (n int) {
	for _, p := range h.streams {
		if p.show == nil {
			n += p.users
		}
	}
	return n
}

// leave ends a request. A stream that has not begun goes with its last request.
func (h *Handler) leave(q *request) {
	h.mu.Lock()
	p := q.p
	delete(h.cancels, q)
	p.sequence.land(q.f)
	p.users--
	unused := p.users == 0 && p.show == nil
	if unused && h.streams[p.id] == p {
		delete(h.streams, p.id)
	}
	p.announce()
	h.mu.Unlock()
	if unused {
		p.remuxer.close()
	}
}

// Close ends all streams, interrupts the requests that are there and refuses those to come.
// It returns when they are answered and every Show is closed. It may be called again.
func (h *Handler) Close() {
	h.closing.Do(func() {
		h.mu.Lock()
		h.closed = true
		for _, cancel := range h.cancels {
			cancel(errClosing)
		}
		h.mu.Unlock()
		h.wg.Wait()
		h.mu.Lock()
		left := slices.Collect(maps.Values(h.streams))
		for _, p := range left {
			p.ending = true
		}
		h.mu.Unlock()
		for _, p := range left {
			h.end(p, false)
		}
	})
}
