package stream

import "errors"

var (
	// ErrNotFound is a stream, rendition, playlist or segment that does not exist.
	ErrNotFound = errors.New("stream: not found")
	// ErrStreamSubscriber is a subscription that cannot be made.
	ErrStreamSubscriber = errors.New("stream: subscriber failed")
	// ErrClosed is a write to a stream that has ended.
	ErrClosed = errors.New("stream: closed")
	// ErrBusy is a second writer of a stream.
	ErrBusy = errors.New("stream: already has a writer")
	// ErrFormat is an operation for streams of another format.
	ErrFormat = errors.New("stream: wrong format")
	// ErrSequence is a segment out of order.
	ErrSequence = errors.New("stream: sequence number out of order")
)
