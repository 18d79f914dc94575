package stream

import (
	"context"
	"fmt"
	"sync"
)

// StreamSubscriber shows the presentation of an HLS stream in buffers of the caller's.
type StreamSubscriber struct {
	s       *VideoStream
	mu      sync.Mutex
	buffers map[string]*HLSBuffer
}

// NewStreamSubscriber makes a subscriber of an HLS stream.
func NewStreamSubscriber(s Stream) *StreamSubscriber {
	return &StreamSubscriber{s: s.video(), buffers: make(map[string]*HLSBuffer)}
}

// StartHLSWorker keeps the subscriptions until ctx ends, when it ends them and returns
// the cause, or until the stream ends, when it returns nil and the buffers go on to show
// the ended presentation. It blocks: it is meant for a goroutine.
func (b *StreamSubscriber) StartHLSWorker(ctx context.Context) error {
	if b.s.HLS() == nil {
		return fmt.Errorf("%w: %s is not an HLS stream", ErrStreamSubscriber, b.s.ID())
	}
	select {
	case <-b.s.Done():
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, buf := range b.buffers {
		buf.Detach()
	}
	clear(b.buffers)
	return context.Cause(ctx)
}

// SubscribeHLS makes buf show the stream's presentation: the segments that it has and
// those to come. Nothing is copied. id names the subscription for UnsubscribeHLS. It
// returns ErrStreamSubscriber when the stream has no presentation or the name is taken.
func (b *StreamSubscriber) SubscribeHLS(id string, buf *HLSBuffer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.s.HLS() == nil:
		return fmt.Errorf("%w: %s is not an HLS stream", ErrStreamSubscriber, b.s.ID())
	case b.buffers[id] != nil && b.buffers[id] != buf:
		return fmt.Errorf("%w: %q is subscribed already", ErrStreamSubscriber, id)
	}
	buf.Attach(b.s.HLS())
	b.buffers[id] = buf
	return nil
}

// UnsubscribeHLS ends a subscription: its buffer shows nothing more. It returns
// ErrNotFound when there is none of this name.
func (b *StreamSubscriber) UnsubscribeHLS(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	buf := b.buffers[id]
	if buf == nil {
		return ErrNotFound
	}
	delete(b.buffers, id)
	buf.Detach()
	return nil
}
