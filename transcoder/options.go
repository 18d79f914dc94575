package transcoder

import (
	"errors"
	"fmt"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// ErrRenditions is a set of renditions that no presentation can have.
var ErrRenditions = errors.New("transcoder: unusable renditions")

// Options are the settings of a Transcoder. Engine is needed, the others have defaults.
type Options struct {
	// Stream names the stream for the engine.
	Stream string
	// Engine does the work. Streams that share a machine share an engine.
	Engine Engine
	// Renditions are what is made at first; SetRenditions changes them. The names of their
	// profiles are the names of the renditions. None is allowed.
	Renditions []ffmpeg.Rendition
	// MaxLag is how long a segment may wait for its turn before it is left out, and how
	// long work on it may take beyond that. Default three segments, at least 6 s. Shorter
	// than a segment takes to be made, nothing comes out; much longer than the playlist,
	// players run dry before segments are left out.
	MaxLag time.Duration
	// Parallel is how many segments of the stream are worked on at the same time. Default
	// 1, which is right for Local, whose sessions work on one at a time. An engine with
	// several machines wants more. Each costs a goroutine.
	Parallel int
	// Attempts is how often a segment that fails as a whole is tried, as long as there is
	// time. Default 2.
	Attempts int
	// Retryable reports whether a segment that failed as a whole may be tried again.
	// Default ffmpeg.Retryable. An engine with errors of its own wants its own answer.
	Retryable func(error) bool
	// OnEvent is told what happens, from several goroutines at once. The stream waits for
	// it. Default: nobody.
	OnEvent func(Event)
}

// maxFailures is how many segments in a row a rendition may fail before it leaves the
// presentation, so that its players change to another.
const maxFailures = 5

const defaultAttempts = 2

// idleTime is how long a stream may be without a segment before its session is closed. It is
// longer than any segment, so it passes only when the publisher is away.
const idleTime = time.Minute

func (o *Options) validate() error {
	if o.Engine == nil {
		return errors.New("transcoder: Options.Engine is missing")
	}
	o.Parallel = max(o.Parallel, 1)
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	o.MaxLag = max(o.MaxLag, 0)
	if o.Retryable == nil {
		o.Retryable = ffmpeg.Retryable
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return Check(o.Renditions)
}

// Check refuses, with ErrRenditions, what New and SetRenditions refuse: renditions that could
// not stand in a presentation together. Whether they can be encoded is for the engine to say.
func Check(rs []ffmpeg.Rendition) error {
	seen := map[string]bool{stream.Source: true}
	for _, r := range rs {
		p := r.Profile
		switch {
		case !stream.ValidName(p.Name):
			return fmt.Errorf("%w: invalid name %.140q", ErrRenditions, p.Name)
		case seen[p.Name]:
			return fmt.Errorf("%w: the name %q is taken", ErrRenditions, p.Name)
		case p.Format != ffmpeg.FormatNone && p.Format != ffmpeg.FormatMPEGTS:
			return fmt.Errorf("%w: %s is %v, segments are MPEG-TS", ErrRenditions, p.Name, p.Format)
		case p.Encoder != ffmpeg.H264 && p.Encoder != ffmpeg.H265:
			return fmt.Errorf("%w: %s: segments are MPEG-TS, which takes the encoders H.264 and HEVC", ErrRenditions, p.Name)
		case r.From != 0 || r.To != 0:
			return fmt.Errorf("%w: %s is a part of its segments", ErrRenditions, p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}
