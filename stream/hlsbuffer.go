package stream

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTargetDuration is a segment that is longer than the target duration allows, or an
// attempt to change a target duration that viewers have seen already.
var ErrTargetDuration = errors.New("stream: target duration")

// HLSConfig are the limits of an HLSBuffer. The zero value is a sound default.
type HLSConfig struct {
	// TargetDuration is what the playlists announce, rounded up to whole seconds; no
	// segment may be longer by more than half a second. Players wait for this long
	// between two reloads, and viewers are about three times this behind. When it is 0
	// and SetTargetDuration is not called, the duration of the first segment counts.
	TargetDuration time.Duration
	// MinSegments is how many segments a playlist lists at least, once there are so
	// many. Default 6. The window is never shorter than three target durations.
	MinSegments int
	// Window is how much media a playlist lists, for viewers who want to go back.
	// Default 0: as little as MinSegments allows. MaxSegments and MaxBytes still hold.
	Window time.Duration
	// MaxSegments (default 4096) and MaxBytes (default 512 MiB) limit each rendition:
	// the segments listed, and the data held including segments that are not listed any
	// more. They take precedence over the window that players are promised.
	MaxSegments int
	MaxBytes    int64
	// MaxRenditions limits the number of renditions, with the source. Default 32.
	MaxRenditions int
	// FirstSequence is the number of the first segment. Default: the seconds since 1970
	// at the first segment, so that numbers, hence URLs that caches remember for a
	// day, are not used again when a server restarts.
	FirstSequence uint64
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
}

const maxTargetDuration = time.Hour

func (c HLSConfig) withDefaults() HLSConfig {
	setDefault(&c.MinSegments, 6)
	setDefault(&c.MaxSegments, 4096)
	setDefault(&c.MaxBytes, 512<<20)
	setDefault(&c.MaxRenditions, 32)
	c.MaxSegments = max(c.MaxSegments, c.MinSegments)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func setDefault[T int | int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// HLSBuffer is one live presentation: for the source and for each rendition a sliding
// window of segments, and the playlists that list them.
//
// One goroutine at a time appends to a rendition; different renditions may be appended to
// in parallel. Everything else may be called from any goroutine. Readers take no lock:
// every change publishes a new snapshot, which the first reader renders for all.
//
// A presentation outlives its publisher: Resume goes on where the last one stopped.
type HLSBuffer struct {
	cfg HLSConfig

	renditions atomic.Pointer[map[string]*window] // the map is never changed, only replaced
	version    atomic.Uint64
	master     masterCache

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	target  time.Duration
	resumed bool // the next source segment is a discontinuity
	absent  bool // the publisher was lost and may come back
	ended   bool
	endedAt time.Time

	shown       atomic.Pointer[HLSBuffer]          // Attach
	retired     atomic.Pointer[map[string]*window] // of the playlists that ended before the newest Resume
	firstBreaks uint64                             // discontinuities before the first segment
	floor       uint64                             // BeginAt
}

// NewHLSBuffer makes an empty presentation with the default limits.
func NewHLSBuffer() *HLSBuffer { return NewHLSBufferWithConfig(HLSConfig{}) }

// NewHLSBufferWithConfig makes an empty presentation. A TargetDuration out of range, that
// is negative or more than an hour, counts as 0.
func NewHLSBufferWithConfig(cfg HLSConfig) *HLSBuffer {
	b := &HLSBuffer{cfg: cfg.withDefaults(), changed: make(chan struct{})}
	b.renditions.Store(&map[string]*window{})
	_ = b.SetTargetDuration(cfg.TargetDuration)
	return b
}

// SetTargetDuration says how long segments are going to be, rounded up to whole seconds.
// Viewers must never see it change (RFC 8216bis, section 6.2.1), so it is refused with
// ErrTargetDuration after the first segment, unless it says what is true already.
func (b *HLSBuffer) SetTargetDuration(d time.Duration) error {
	b = b.root()
	if d <= 0 || d > maxTargetDuration {
		return fmt.Errorf("%w: %v is out of range", ErrTargetDuration, d)
	}
	d = ceilSecond(d)
	b.mu.Lock()
	defer b.mu.Unlock()
	if d != b.target && len(*b.renditions.Load()) > 0 {
		return fmt.Errorf("%w: is %v already, cannot become %v", ErrTargetDuration, b.target, d)
	}
	b.target = d
	return nil
}

// TargetDuration is 0 before it is known.
func (b *HLSBuffer) TargetDuration() time.Duration {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.target
}

func ceilSecond(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// Append adds the next segment of a rendition and returns it as stored, with its number.
// seg.Data belongs to the buffer from then on. When it returns an error, nothing changed.
//
// The source comes first: a segment with Seq 0 gets the next number. One with a number
// (a copy of another presentation) keeps it; when it leaves numbers out, viewers see a
// discontinuity.
//
// Other renditions may lag behind the source but never overtake it. A rendition may leave
// numbers out when a segment could not be made: the playlist marks them as gaps, or, when
// the source does not hold them any more, begins again after them.
//
// ErrSequence is a number that was used already, that the source does not have yet or
// does not hold any more: skip the segment. ErrTargetDuration is a segment that is too
// long, ErrClosed one of the source after End.
func (b *HLSBuffer) Append(rendition string, seg Segment) (*Segment, error) {
	b = b.root()
	switch {
	case !ValidName(rendition):
		return nil, fmt.Errorf("stream: invalid rendition name %.140q", rendition)
	case len(seg.Data) == 0 || seg.Duration < time.Millisecond:
		return nil, fmt.Errorf("stream: segment of %d bytes and %v", len(seg.Data), seg.Duration)
	case seg.Format != MPEGTS:
		return nil, fmt.Errorf("stream: unknown segment format %d", seg.Format)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := *b.renditions.Load()
	w := all[rendition]
	if w == nil {
		if len(all) >= b.cfg.MaxRenditions {
			return nil, fmt.Errorf("stream: more than %d renditions", b.cfg.MaxRenditions)
		}
		w = &window{name: rendition}
		w.view.Store(&view{name: rendition})
	}
	target := b.target
	if target == 0 {
		target = min(ceilSecond(seg.Duration), maxTargetDuration)
	}
	now := b.cfg.Now()
	var add []*entry
	var restart bool
	var err error
	if rendition == Source {
		add, restart, err = b.sourceEntry(w, &seg, now)
	} else {
		add, restart, err = renditionEntries(w, all[Source], &seg)
		restart = restart || w.away()
	}
	if err != nil {
		return nil, err
	}
	e := add[len(add)-1]
	if e.extinf.Round(time.Second) > target {
		return nil, fmt.Errorf("%w: segment %d of %s takes %v, allowed are %v and less than half a second",
			ErrTargetDuration, seg.Seq, rendition, e.extinf, target)
	}

	b.target = target
	stored := e.seg
	stored.etag = stored.makeETag()
	w.push(add, restart, target, &b.cfg)
	if rendition == Source {
		b.resumed = false
		b.forgetStalled(w)
		if len(w.entries)-w.listed >= b.cfg.MinSegments {
			b.retired.Store(nil)
		}
	}
	w.publish(target, b.endOf(w), now)
	if all[rendition] == nil {
		all = maps.Clone(all)
		all[rendition] = w
		b.renditions.Store(&all)
	}
	b.bump()
	return stored, nil
}

// sourceEntry numbers the next segment of the source. It changes nothing but *seg.
func (b *HLSBuffer) sourceEntry(w *window, seg *Segment, now time.Time) (add []*entry, restart bool, err error) {
	if b.ended {
		return nil, false, ErrClosed
	}
	last := w.last()
	if last == nil {
		if seg.Seq == 0 {
			seg.Seq = b.cfg.FirstSequence
		}
		if seg.Seq == 0 {
			seg.Seq = max(uint64(max(now.Unix(), 1)), b.floor)
		}
		seg.Discontinuity = false // from what?
		if seg.ProgramTime.IsZero() {
			seg.ProgramTime = now.Add(-seg.Duration)
		}
		return []*entry{newEntry(w.name, seg, nil, b.firstBreaks)}, false, nil
	}
	next := last.seg.Seq + 1
	switch {
	case seg.Seq == 0:
		seg.Seq = next
	case seg.Seq < next:
		return nil, false, fmt.Errorf("%w: %d after %d", ErrSequence, seg.Seq, last.seg.Seq)
	}
	restart = seg.Seq > next
	seg.Discontinuity = seg.Discontinuity || b.resumed || restart
	breaks := last.breaks
	if seg.Discontinuity {
		breaks++
	}
	if seg.ProgramTime.IsZero() {
		if seg.Discontinuity {
			seg.ProgramTime = now.Add(-seg.Duration)
		} else {
			seg.ProgramTime = last.seg.ProgramTime.Add(seg.Start - last.seg.Start)
		}
	}
	return []*entry{newEntry(w.name, seg, last, breaks)}, restart, nil
}

// renditionEntries aligns a segment with the source segment of the same number, and puts
// gaps in front of it for numbers that were left out. It changes nothing but *seg.
func renditionEntries(w, source *window, seg *Segment) (add []*entry, restart bool, err error) {
	last := w.last()
	if w.view.Load().ended {
		return nil, false, ErrClosed
	}
	if last != nil && seg.Seq <= last.seg.Seq {
		return nil, false, fmt.Errorf("%w: %s %d after %d", ErrSequence, w.name, seg.Seq, last.seg.Seq)
	}
	var origin *entry
	if source != nil {
		origin = source.view.Load().find(seg.Seq)
	}
	if origin == nil {
		return nil, false, fmt.Errorf("%w: %s %d has no segment of the source beside it", ErrSequence, w.name, seg.Seq)
	}
	for last != nil && !w.away() && last.seg.Seq+1 < seg.Seq {
		missing := source.view.Load().find(last.seg.Seq + 1)
		if missing == nil { // the source has begun again in between
			last, add, restart = nil, nil, true
			break
		}
		last = newGap(w.name, missing)
		add = append(add, last)
	}
	seg.Discontinuity = origin.seg.Discontinuity
	if seg.ProgramTime.IsZero() {
		seg.ProgramTime = origin.seg.ProgramTime.Add(seg.Start - origin.seg.Start)
	}
	if w.away() {
		last = nil
	}
	return append(add, newEntry(w.name, seg, last, origin.breaks)), restart, nil
}

// forgetStalled removes the renditions that are so late that the source does not hold their
// newest segment any more. Players get ErrNotFound and change to another one.
func (b *HLSBuffer) forgetStalled(source *window) {
	oldest := source.entries[0].seg.Seq
	stalled := func(name string, w *window) bool {
		return name != Source && w.last().seg.Seq < oldest && !w.resting
	}
	all := *b.renditions.Load()
	for name, w := range all {
		if stalled(name, w) {
			kept := maps.Clone(all)
			maps.DeleteFunc(kept, stalled)
			b.renditions.Store(&kept)
			return
		}
	}
}

// endOf reports whether the playlist of w is complete. One that still lags behind the source
// when that ends is not: players would not ask for the rest.
func (b *HLSBuffer) endOf(w *window) bool {
	if !b.ended {
		return false
	}
	source := (*b.renditions.Load())[Source]
	return w.name == Source || w.closed && !w.left || w.resting || w.last().seg.Seq == source.last().seg.Seq
}

// versions counts the changes of all buffers, so that no two buffers share a version: who
// waits on one buffer sees it show another (Attach).
var versions atomic.Uint64

func (b *HLSBuffer) bump() {
	b.version.Store(versions.Add(1))
	close(b.changed)
	b.changed = make(chan struct{})
}

// republish brings the end marks of all playlists up to date.
func (b *HLSBuffer) republish() {
	now := b.cfg.Now()
	for _, w := range *b.renditions.Load() {
		if v := w.view.Load(); v.ended != b.endOf(w) || v.closed != w.closed || v.resting != w.resting || w.resting && b.ended {
			w.publish(b.target, b.endOf(w), now)
		}
	}
	b.bump()
}

// EndRendition says that no more segments of a rendition come although the source goes on,
// because its encoder failed. It leaves the master playlist and its own playlist becomes
// ErrNotFound, so that players change to another one. The next Append brings it back, with a
// playlist that begins there. After End, when a rendition may still be completed, its playlist
// ends as it is.
func (b *HLSBuffer) EndRendition(rendition string) error {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	w := (*b.renditions.Load())[rendition]
	if w == nil || rendition == Source {
		return ErrNotFound
	}
	if !w.closed {
		w.closed, w.left, w.resting = true, !b.ended || w.resting, false
		b.republish()
	}
	return nil
}

// RestRendition says that no more segments of a rendition come until somebody wants it: the
// master playlist goes on to list it, with the attributes measured last, and MediaPlaylist
// blocks until the next Append, which begins a new window. Its segments are let go of. A
// rendition without a segment so far is ErrNotFound: nothing is known of it that could be
// listed. EndRendition ends the rest.
func (b *HLSBuffer) RestRendition(rendition string) error {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	w := (*b.renditions.Load())[rendition]
	if w == nil || w.closed || rendition == Source {
		return ErrNotFound
	}
	if !w.resting {
		w.rest()
		b.republish()
	}
	return nil
}
