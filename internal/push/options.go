package push

import (
	"context"
	"net/http"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// Options are the settings of a Handler. Open is needed, the others have defaults.
type Options struct {
	// Open returns the presentation for a publisher that begins. It is called once when a
	// stream begins, when its first segment was read and is good, and not for each segment.
	// It may block; other streams do not wait. ctx ends when the handler is closed, not when
	// the publisher goes away. ErrForbidden, ErrBusy and ErrCapacity have answers of their
	// own; another error is 500 and its text is not shown.
	Open func(ctx context.Context, r Request) (Show, error)
	// Authorize says who a publisher is, or refuses a request before its body is read: an
	// error is 403, ErrCapacity 503. It is called for every segment, from many goroutines.
	// Default: all are welcome, and the same, so that whoever knows the name of a live
	// stream may send segments to it.
	Authorize func(r *http.Request, name string) (Ticket, error)
	// OnError is told of every request that is refused. Default: nobody.
	OnError func(r *http.Request, status int, err error)

	// MaxBody is the largest segment in bytes; a larger one is 413. Default 64 MiB.
	MaxBody int64
	// MaxUploads limits the bodies of all requests together, in bytes; beyond it requests
	// are 503. Remuxing takes about as much again for one segment of each core. Default
	// 512 MiB. It should be several times MaxBody.
	MaxUploads int64
	// MaxStreams is how many streams may be live; one more is 503. Default 10.
	MaxStreams int
	// IdleEnd is how long after its last segment a stream ends, and the longest time that an
	// upload may take. Default 60 s. Shorter than segments take to come, every segment is a
	// stream of its own.
	IdleEnd time.Duration
	// OrderWait is how long a segment waits for those with lower numbers. Default 2 s.
	OrderWait time.Duration
	// ResultWait is how long an answer waits for renditions. Default four times the duration
	// of the segment, at least 8 s.
	ResultWait time.Duration
	// SlowestClient in bytes per second: an upload or an answer may take 10 s and the time
	// that its size takes at this speed. Default 8192.
	SlowestClient int
}

// Ticket is what Options.Authorize knows of a publisher.
type Ticket struct {
	// Owner tells publishers apart who push under one name: each has a stream of its own,
	// and Options.Open decides whether it may begin beside the others.
	Owner string
	// Value is for Options.Open.
	Value any
}

// Request is a publisher that begins a stream.
type Request struct {
	Name   string
	Ticket Ticket
	HTTP   *http.Request // the first segment's; its body was read
	// Renditions are those of the header Livepeer-Transcode-Configuration, nil without it,
	// and not nil but empty when it wants none. Their names are good for a presentation. The
	// header of later segments is ignored.
	Renditions []ffmpeg.Rendition
	Info       *ffmpeg.Info // what is in the first segment
}

// Show is the presentation of a stream. One goroutine at a time calls its methods, but for
// Renditions, which any may call as long as the Show is in use and shortly after.
type Show interface {
	// Buffer is where segments go, always the same. It must not be ended; the Handler
	// appends to its source, and nobody else may.
	Buffer() *stream.HLSBuffer
	// Renditions names what is expected beside the source now: what a multipart answer
	// waits for. It should leave out what rests or is not made for want of room.
	Renditions() []string
	// Changed is told that the next segment has other codecs or another size, or that
	// the playlist has just ended and begun again for it (stream.HLSBuffer.Resume). A
	// transcoder.Transcoder whose Run returned because of that end is run again here.
	Changed(info *ffmpeg.Info)
	// Close says that no more segments come. It is called once. clean is true when the
	// publisher has stopped, that is was idle for Options.IdleEnd, and false when the
	// handler was closed, so that the publisher may still be there. The name is taken until
	// it returns.
	Close(clean bool)
}

func (o Options) withDefaults() Options {
	if o.Open == nil {
		o.Open = func(context.Context, Request) (Show, error) { return nil, ErrForbidden }
	}
	if o.Authorize == nil {
		o.Authorize = func(*http.Request, string) (Ticket, error) { return Ticket{}, nil }
	}
	if o.OnError == nil {
		o.OnError = func(*http.Request, int, error) {}
	}
	setDefault(&o.MaxBody, 64<<20)
	setDefault(&o.MaxUploads, 512<<20)
	setDefault(&o.MaxStreams, 10)
	setDefault(&o.IdleEnd, time.Minute)
	setDefault(&o.OrderWait, 2*time.Second)
	setDefault(&o.SlowestClient, 8192)
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// resultWait is how long the answer to a segment waits for renditions.
func (o *Options) resultWait(segment time.Duration) time.Duration {
	if o.ResultWait > 0 {
		return o.ResultWait
	}
	return max(4*segment, 8*time.Second)
}

// atSpeed is how long so many bytes may take.
func (o *Options) atSpeed(bytes int64) time.Duration {
	return patience + time.Duration(float64(bytes)/float64(o.SlowestClient)*float64(time.Second))
}

const (
	// patience is how long a connection may stand still.
	patience = 10 * time.Second
	// maxRequests is how many requests of one stream may be there at the same time.
	maxRequests = 16
	// newcomers is how many requests for names that are not live may be there, for each
	// stream that may be: what strangers send must not be in the way of live streams.
	newcomers = 4
	// leastTarget is the shortest target duration.
	leastTarget = 2 * time.Second
	// maxDuration is the longest segment.
	maxDuration = 5 * time.Minute
	// assumedDuration is that of a segment when nobody says how long it is.
	assumedDuration = 2 * time.Second
)
