package backend

import (
	"context"
	"sync"
	"time"
)

// questions asks about each publisher who pushes once, although several of his segments may
// be on their way before his stream is there.
type questions struct {
	mu    sync.Mutex
	asked map[string]*question // by path
}

type question struct {
	done    chan struct{} // closed when there is an answer
	at      time.Time     // of the answer
	allowed admission
	err     error
}

// expired reports whether there was an answer, which is too old.
func (q *question) expired() bool {
	select {
	case <-q.done:
		return time.Since(q.at) > admissionTime
	default:
		return false
	}
}

// ask returns what somebody else was told, or is about to be told, about the path, or asks.
// A refusal is not kept.
func (q *questions) ask(ctx context.Context, path string, ask func(context.Context) (admission, error)) (admission, error) {
	q.mu.Lock()
	if old := q.asked[path]; old != nil && !old.expired() {
		q.mu.Unlock()
		select {
		case <-old.done:
			return old.allowed, old.err
		case <-ctx.Done():
			return admission{}, context.Cause(ctx)
		}
	}
	own := &question{done: make(chan struct{})}
	if q.room() {
		q.asked[path] = own
	}
	q.mu.Unlock()
	own.allowed, own.err = ask(context.WithoutCancel(ctx)) // others may wait for it
	own.at = time.Now()
	if own.err != nil {
		q.forget(path)
	}
	close(own.done)
	return own.allowed, own.err
}

// room makes room for one more. The caller holds mu.
func (q *questions) room() bool {
	if q.asked == nil {
		q.asked = make(map[string]*question)
	}
	for path, old := range q.asked {
		if old.expired() {
			delete(q.asked, path)
		}
	}
	return len(q.asked) < maxAdmitted
}

// forget forgets an answer: it was used.
func (q *questions) forget(path string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.asked, path)
}
