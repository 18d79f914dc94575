package transcoder

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
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
	// Thumbnail, when set, is given a picture of a stream now and then: a small JPEG as
	// ffmpeg.Thumbnail makes it, of a segment that is decoded for its renditions anyway.
	// Streams whose renditions all copy have none. stream is the name that Open was given.
	// It is called by other goroutines, for several streams at the same time, and the
	// segment waits for it. The bytes are the callee's.
	Thumbnail func(stream string, jpeg []byte)
	// ThumbnailInterval is how far apart in the stream's time the pictures of a session
	// are, as segments allow: at least nine tenths of it, because not all segments last
	// equally long. Default 2 s. Each picture costs about as much as encoding one.
	ThumbnailInterval time.Duration
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
	if opts.ThumbnailInterval <= 0 {
		opts.ThumbnailInterval = 2 * time.Second
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
func (l *Local) Open(name string, renditions []ffmpeg.Rendition) (Session, error) {
	s := &localSession{specs: renditions, perSegment: l.opts.PerSegment, interval: l.opts.ThumbnailInterval}
	opts := ffmpeg.LadderOptions{
		Renditions: renditions,
		Continuous: !l.opts.PerSegment,
		Joined:     l.opts.PerSegment,
		Preset:     l.opts.Preset,
		Threads:    l.opts.Threads,
		Accel:      l.opts.Accel,
		Device:     l.opts.Device,
	}
	if give := l.opts.Thumbnail; give != nil {
		opts.Thumbnail = func(jpeg []byte) {
			s.thumbnailed, s.thumbnailAt = true, s.start
			give(name, jpeg)
		}
	}
	var err error
	s.ladder, err = l.open(opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// localSession is a ladder, which is for one segment at a time.
type localSession struct {
	specs      []ffmpeg.Rendition
	perSegment bool

	mu     sync.Mutex
	ladder ladder
	last   uint64 // number of the last segment; 0 before the first

	start       time.Duration // of this segment
	interval    time.Duration // between thumbnails
	thumbnailed bool          // a segment was
	thumbnailAt time.Duration // the start of the last one that was
}

func (s *localSession) Transcode(ctx context.Context, job Input, done func(int, ffmpeg.Output)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := job.Segment
	in := ffmpeg.Input{Data: seg.Data}
	if alone := s.perSegment || seg.Seq != s.last+1; alone || seg.Discontinuity {
		// What is open here, if anything, does not go on; what others made may.
		in.Before = job.Lead(s.specs)
		in.Discontinuity = !s.perSegment || job.Before == nil
	}
	s.last = seg.Seq
	s.start = seg.Start
	since := seg.Start - s.thumbnailAt
	in.NoThumbnail = s.thumbnailed && since >= 0 && since < s.interval-s.interval/10
	_, err := s.ladder.Transcode(ctx, in, done)
	return err
}

func (s *localSession) Close() { s.ladder.Close() }
