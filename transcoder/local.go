package transcoder

import (
	"context"
	"runtime"
	"sync"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// LocalOptions are the settings of a Local. The zero value is a sound default.
type LocalOptions struct {
	// Jobs is how many segments are transcoded at the same time, of all streams together.
	// Default: one for each core. More of them make every job slower, so that segments come
	// late; fewer may leave cores idle, because a job with one small rendition does not
	// fill several.
	Jobs int
	// PerSegment transcodes every segment on its own, for a machine that gets only some
	// segments of a stream. By default decoders and encoders stay open from segment to
	// segment: less work and a better picture.
	PerSegment bool
	// Preset, Threads, Accel and Device are those of ffmpeg.LadderOptions, with its
	// defaults. Threads counts for each job.
	Preset  string
	Threads int
	Accel   ffmpeg.Acceleration
	Device  string
}

// Local is the engine of this process. It starts no goroutine of its own: who calls
// Transcode does the work.
type Local struct {
	opts  LocalOptions
	turns chan struct{}
	open  func(ffmpeg.LadderOptions) (ladder, error)
}

// ladder is *ffmpeg.Ladder.
type ladder interface {
	Transcode(context.Context, ffmpeg.Input, func(int, ffmpeg.Output)) (*ffmpeg.LadderResult, error)
	Close()
}

// NewLocal makes an engine for all streams of the process.
func NewLocal(opts LocalOptions) *Local {
	if opts.Jobs <= 0 {
		opts.Jobs = runtime.GOMAXPROCS(0)
	}
	return &Local{
		opts:  opts,
		turns: make(chan struct{}, opts.Jobs),
		open:  func(o ffmpeg.LadderOptions) (ladder, error) { return ffmpeg.NewLadder(o) },
	}
}

// Turn implements Engine. A channel serves its senders in the order in which they came.
func (l *Local) Turn(ctx context.Context) (release func(), err error) {
	select {
	case l.turns <- struct{}{}:
		return func() { <-l.turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Open implements Engine.
func (l *Local) Open(_ string, renditions []ffmpeg.Rendition) (Session, error) {
	ladder, err := l.open(ffmpeg.LadderOptions{
		Renditions: renditions,
		Continuous: !l.opts.PerSegment,
		Preset:     l.opts.Preset,
		Threads:    l.opts.Threads,
		Accel:      l.opts.Accel,
		Device:     l.opts.Device,
	})
	if err != nil {
		return nil, err
	}
	return &localSession{ladder: ladder}, nil
}

// localSession is a ladder, which is for one segment at a time.
type localSession struct {
	mu     sync.Mutex
	ladder ladder
	last   uint64 // number of the last segment; 0 before the first
}

func (s *localSession) Transcode(ctx context.Context, seg *stream.Segment, done func(int, ffmpeg.Output)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := ffmpeg.Input{
		Data:          seg.Data,
		Discontinuity: seg.Discontinuity || s.last != 0 && seg.Seq != s.last+1,
	}
	s.last = seg.Seq
	_, err := s.ladder.Transcode(ctx, in, done)
	return err
}

func (s *localSession) Close() { s.ladder.Close() }
