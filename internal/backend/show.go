package backend

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// show is one stream: a presentation, what fills it, and who watches it. It outlives its
// publisher, and goes on when that comes back.
type show struct {
	name        string
	ingest      status.Ingest
	generation  int // of presentations with this name
	opts        *Options
	ladder      func() *ladderOptions
	buf         *stream.HLSBuffer
	tr          *transcoder.Transcoder
	cancel      context.CancelFunc // ends run
	viewers     viewers
	rtmpViewers atomic.Int32
	last        uint64 // segment of the source that follow has seen

	mu          sync.Mutex
	live        bool // a publisher is there
	since       time.Time
	rtmp        *stream.VideoStream // of the publisher; nil without one, or when it pushes
	allowed     admission           // of the publisher
	rungs       []rung              // planned for the source, largest first
	source      stream.RenditionInfo
	planned     bool
	bitrate     uint64               // of the source, over the last segments
	plannedWith uint64               // the bitrate that the ladder was planned with
	shed        int                  // how many of the largest that are wanted are not made
	touched     map[string]time.Time // when somebody asked for a rendition
	wake        func()               // makes follow look again
	advice      adviser
	arrival     arrival
}

// rung is a rendition that was planned.
type rung struct {
	ffmpeg.Rendition
	cost float64 // about: pixels a second
}

const (
	// Who asks for something goes on to ask within three target durations, and within so
	// much: that long a rendition is made, and a viewer counts.
	watchTime    = 15 * time.Second
	watchTargets = 3
	// moreBitrate is how much more the source must have than the ladder was planned with to
	// plan it anew: a stream may begin on a black picture.
	moreBitrate = 1.5
	// measuredSegments is over how many segments the bitrate is taken, about.
	measuredSegments = 4
)

// watchTime is how long somebody who asked for something may be silent.
func (s *show) watchTime() time.Duration { return max(watchTime, watchTargets*s.buf.TargetDuration()) }

// run plans and transcodes until ctx ends, or until the presentation has ended and retire
// allows the show to go.
func (s *show) run(ctx context.Context, retire func(*show) bool) {
	for s.awaitMedia(ctx, retire) {
		var transcoding sync.WaitGroup
		following, stop := context.WithCancel(ctx)
		s.follow(following, func() {
			transcoding.Go(func() {
				defer stop()
				_ = s.tr.Run(ctx) // until the presentation has ended; the error is that of ctx
			})
		})
		stop()
		transcoding.Wait()
	}
	_ = s.tr.SetRenditions(nil) // frees its session
}

// awaitMedia waits for a segment, and reports false when none will come.
func (s *show) awaitMedia(ctx context.Context, retire func(*show) bool) bool {
	for ctx.Err() == nil {
		version := s.buf.Version()
		if s.buf.Started() && !s.buf.Ended() {
			return true
		}
		wait, cancel := context.WithTimeout(ctx, endedRetention)
		_, _ = s.buf.Wait(wait, version)
		cancel()
		if ctx.Err() == nil && retire(s) {
			return false
		}
	}
	return false
}

// follow watches the source until ctx ends. begin is called when the first plan is made.
func (s *show) follow(ctx context.Context, begin func()) {
	for ctx.Err() == nil {
		wait, wake := context.WithCancel(ctx)
		s.mu.Lock()
		s.wake = wake
		s.mu.Unlock()
		version := s.buf.Version()
		for _, seg := range s.buf.SegmentsAfter(stream.Source, s.last) {
			s.last = seg.Seq
			s.segment(seg, time.Now())
		}
		s.apply(time.Now())
		if begin != nil {
			begin()
			begin = nil
		}
		_, _ = s.buf.Wait(wait, version) // whatever ended it, look again
		wake()
	}
}

// segment takes a new segment of the source into account.
func (s *show) segment(seg *stream.Segment, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Metrics.Segment(s.ingest)
	if !seg.Arrived.IsZero() {
		s.opts.Metrics.ObserveSegment(now.Sub(seg.Arrived))
		s.opts.Metrics.ObserveIngest(s.arrival.late(seg))
	}
	s.note(seg)
	for _, text := range s.advice.look(seg, s.opts.Realtime) {
		s.opts.Warnf("stream %s: %s", s.name, text)
	}
}

// note plans the ladder when what the source is made of is new. The caller holds mu.
func (s *show) note(seg *stream.Segment) {
	if d := seg.Duration.Seconds(); d > 0 {
		now := uint64(float64(len(seg.Data)) * 8 / d)
		if s.bitrate == 0 || !s.planned {
			s.bitrate = now
		}
		s.bitrate = (s.bitrate*(measuredSegments-1) + now) / measuredSegments
	}
	if seg.Info == nil {
		return
	}
	if !s.planned || differs(&s.source, seg.Info) || float64(s.bitrate) > moreBitrate*float64(s.plannedWith) {
		s.source, s.planned, s.plannedWith = *seg.Info, true, s.bitrate
		s.plan()
	}
}

// differs reports whether another ladder may suit the source now.
func differs(old, now *stream.RenditionInfo) bool {
	const sameRate = 0.05 // measured rates vary
	return old.Width != now.Width || old.Height != now.Height || old.Codecs != now.Codecs ||
		math.Abs(old.FrameRate-now.FrameRate) > sameRate*max(old.FrameRate, now.FrameRate)
}

// plan chooses the ladder. The caller holds mu.
func (s *show) plan() {
	src := transcoder.Source{
		Width: s.source.Width, Height: s.source.Height, FrameRate: s.source.FrameRate,
		Audio: hasSound(s.source.Codecs), Bitrate: int(min(s.bitrate, math.MaxInt32)),
	}
	var ladder []ffmpeg.Rendition
	now := s.ladder()
	switch {
	case s.opts.Attempts == 0:
	case s.allowed.renditions != nil:
		ladder = transcoder.FitLadder(src, s.allowed.renditions)
	case now.auto:
		ladder = transcoder.DefaultLadder(src)
		extra := slices.Clone(s.opts.Extra)
		taken := func(r ffmpeg.Rendition) bool {
			return slices.ContainsFunc(ladder, func(l ffmpeg.Rendition) bool { return l.Profile.Name == r.Profile.Name })
		}
		ladder = append(ladder, transcoder.FitLadder(src, slices.DeleteFunc(extra, taken))...)
		ladder = ladder[:min(len(ladder), ffmpeg.MaxRenditions)]
	default:
		ladder = transcoder.FitLadder(src, now.renditions)
	}
	s.rungs = s.rungs[:0:0]
	names := make([]string, 0, len(ladder))
	for _, r := range ladder {
		s.rungs = append(s.rungs, rung{r, cost(r, &s.source)})
		names = append(names, r.Profile.Name)
	}
	s.opts.Infof("stream %s: %dx%d, %.4g fps, %s: renditions %s", s.name, s.source.Width, s.source.Height,
		s.source.FrameRate, s.source.Codecs, strings.Join(append([]string{stream.Source}, names...), ", "))
}

// soundCost is what sound costs, in pixels a second of a picture.
const soundCost = 200_000

// cost is about the work that a rendition is.
func cost(r ffmpeg.Rendition, source *stream.RenditionInfo) float64 {
	if r.Video.Name == "drop" || r.Video.Name == "copy" {
		return soundCost
	}
	w, h, err := ffmpeg.VideoProfileResolution(r.Profile)
	if err != nil {
		w, h = source.Width, source.Height
	}
	rate := source.FrameRate
	if r.Profile.Framerate > 0 {
		rate = float64(r.Profile.Framerate) / float64(max(r.Profile.FramerateDen, 1))
	}
	if rate <= 0 {
		rate = 30
	}
	return float64(w)*float64(h)*rate + soundCost
}

// wanted says what is to be made now, what rests, and what there is no room for. The caller
// holds mu.
func (s *show) wanted(now time.Time) (made []ffmpeg.Rendition, resting, shed []string) {
	var asked []rung
	for _, r := range s.rungs {
		name := r.Profile.Name
		if s.inDemand(name, now) {
			asked = append(asked, r)
		} else {
			resting = append(resting, name)
		}
	}
	bySize := slices.Clone(asked)
	slices.SortStableFunc(bySize, func(x, y rung) int { return cmp.Compare(y.cost, x.cost) })
	for _, r := range bySize[:min(s.shed, len(bySize))] {
		shed = append(shed, r.Profile.Name)
	}
	for _, r := range asked {
		if !slices.Contains(shed, r.Profile.Name) {
			made = append(made, r.Rendition)
		}
	}
	return made, resting, shed
}

// inDemand reports whether a rendition is to be made, if there is room: somebody watches it,
// or nothing is known of it that could be listed. The caller holds mu.
func (s *show) inDemand(name string, now time.Time) bool {
	return !s.opts.OnDemand || now.Sub(s.touched[name]) <= s.watchTime() ||
		!s.buf.Listed(name) && !s.buf.Resting(name)
}

// expected names the renditions that are made, or are about to be: the source has the segments
// given, and follow may not have looked at them yet.
func (s *show) expected(segs []*stream.Segment) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.planned && len(segs) > 0 {
		s.note(segs[len(segs)-1])
	}
	made, _, _ := s.wanted(time.Now())
	return namesOf(made)
}

// apply makes the transcoder do what is wanted. It is called by the goroutine of the show.
func (s *show) apply(now time.Time) {
	s.mu.Lock()
	made, resting, _ := s.wanted(now)
	s.mu.Unlock()
	if err := s.tr.SetRenditions(made, resting...); err != nil {
		s.opts.Warnf("stream %s: %v", s.name, err)
		return
	}
	names := namesOf(made)
	for _, name := range s.buf.Renditions() { // shed while it rested, or of another ladder
		if s.buf.Resting(name) && !slices.Contains(resting, name) && !slices.Contains(names, name) {
			_ = s.buf.EndRendition(name)
		}
	}
}

// load is what the stream asks of the machine.
func (s *show) load(now time.Time) load {
	stats := s.tr.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := load{
		name: s.name, waiting: stats.Waiting, segment: max(s.buf.TargetDuration(), time.Second),
		skipped: stats.Skipped, idle: !s.live,
	}
	for _, r := range s.rungs {
		if s.inDemand(r.Profile.Name, now) {
			l.costs = append(l.costs, r.cost)
		}
	}
	return l
}

// setShed says how many of the largest renditions there is no room for.
func (s *show) setShed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == s.shed {
		return
	}
	say := s.opts.Infof
	if n > s.shed {
		say = s.opts.Warnf
	}
	who := "this machine has"
	if s.opts.Workers != nil {
		who = "the workers have"
	}
	say("stream %s: %s room for %d of %d renditions", s.name, who, max(len(s.rungs)-n, 0), len(s.rungs))
	s.shed = n
	s.look()
}

// touch notes that somebody asks for a rendition.
func (s *show) touch(rendition string, now time.Time) {
	if !s.opts.OnDemand || rendition == stream.Source {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.rungs, func(r rung) bool { return r.Profile.Name == rendition }) {
		return
	}
	if s.touched == nil {
		s.touched = make(map[string]time.Time)
	}
	before := s.touched[rendition]
	s.touched[rendition] = now
	if now.Sub(before) > s.watchTime() {
		s.look()
	}
}

// look lets follow look again. The caller holds mu.
func (s *show) look() {
	if s.wake != nil {
		s.wake()
	}
}

// begin notes that a publisher is there.
func (s *show) begin(rtmp *stream.VideoStream, a admission, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.since, s.rtmp, s.allowed = true, now, rtmp, a
	s.planned, s.advice, s.arrival = false, adviser{}, arrival{}
}

// end notes that the publisher has gone.
func (s *show) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.rtmp = false, nil
}

func (s *show) isLive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// publisher is the stream that RTMP players read, nil when there is none, and the key that
// they must give.
func (s *show) publisher() (src *stream.VideoStream, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rtmp, s.allowed.key
}

// goesOn reports whether a publisher that pushes is the one that is live.
func (s *show) goesOn(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live && s.ingest == status.Push && sameKey(path, s.allowed.path)
}

// startedAt is when the publisher came, if it is there.
func (s *show) startedAt() (at time.Time, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.live
}
