package transcoder

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// ErrUnavailable is an engine that can make nothing, as one without machines: the renditions
// leave the presentation at once, so that players change to the source, and come back with the
// next segment that works.
var ErrUnavailable = errors.New("transcoder: nothing can be transcoded at the moment")

// Input is a segment of the source.
type Input struct {
	Segment *stream.Segment
	// Before is the one right before it, so that an engine that keeps nothing of a stream can go
	// on where another one ended. It is nil when there is none, or when time breaks between them.
	Before *stream.Segment
}

const (
	// soundBefore is how much sound of the segment before encoders are primed with: enough for
	// sound of 8 kHz.
	soundBefore = 600 * time.Millisecond
	// maxBefore is how large a segment may be that is sent before another one, in bytes.
	maxBefore = 16 << 20
)

// Lead is what an engine that keeps nothing of a stream needs of the segment before, for
// ffmpeg.Input: its last sound when sound is encoded, all of it when the segment begins with
// pictures that refer to it, and otherwise nothing. Without it the segment can still be made, less
// well. The bytes may be those of the segment.
func (in Input) Lead(renditions []ffmpeg.Rendition) []byte {
	switch before := in.Before; {
	case before == nil:
		return nil
	case !in.Segment.Independent && len(before.Data) <= maxBefore:
		return before.Data
	case slices.ContainsFunc(renditions, func(r ffmpeg.Rendition) bool { return r.Audio.Name == "aac" }):
		tail, _ := ffmpeg.SoundTail(before.Data, soundBefore) // a segment of another format
		return tail
	}
	return nil
}

// Engine transcodes segments, in this process or elsewhere. One engine serves many streams:
// its methods are called from many goroutines.
type Engine interface {
	// Turn waits until the engine has room for another job. The job is chosen when Turn
	// has returned, so that it is not old by then; release is called once, when the job
	// is done. A stream waits with one call at a time; when streams are served in the
	// order in which they came, all get the same number of turns. An engine that keeps a
	// queue of its own may return at once.
	Turn(ctx context.Context) (release func(), err error)
	// Open begins a session for the segments of one stream. It is called again after a
	// failure and after a change of the renditions.
	Open(stream string, renditions []ffmpeg.Rendition) (Session, error)
}

// Session is one stream in an engine, with one set of renditions. At most Options.Parallel
// goroutines call Transcode at the same time.
type Session interface {
	// Transcode makes the renditions of one segment and returns when all are made. Numbers
	// rise from call to call, but some may be left out. The segments and their bytes are
	// shared: they must not be changed, and may be kept.
	//
	// done is called for each rendition as soon as it is complete, from any goroutine. Its
	// bytes belong to the caller from then on. The first result of a rendition counts:
	// others, and those that come after Transcode returned, are ignored. A rendition may fail
	// alone, in Output.Err. The error is for the renditions that are missing. ErrUnavailable
	// says that nothing can be made at all for the time being.
	//
	// ctx has a deadline, after which the results are of no use. Transcode must return soon
	// after ctx ends, because the stream waits for it.
	Transcode(ctx context.Context, in Input, done func(rendition int, out ffmpeg.Output)) error
	// Close is called once, when no Transcode runs.
	Close()
}

// guard makes an error of a panic in an engine.
func guard(op string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transcoder: the engine panicked in %s: %v\n%s", op, p, debug.Stack())
		}
	}()
	return f()
}

// takeTurn returns what may be called in any case.
func takeTurn(ctx context.Context, e Engine) (release func(), err error) {
	err = guard("Turn", func() (err error) {
		release, err = e.Turn(ctx)
		return err
	})
	if err != nil || release == nil {
		release = func() {}
	}
	return release, err
}
