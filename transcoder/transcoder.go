package transcoder

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// Transcoder fills the renditions of one presentation. Its methods may be called from any
// goroutine.
type Transcoder struct {
	buf      *stream.HLSBuffer
	opts     Options
	sessions sessions
	run      chan struct{} // held by Run
	taking   chan struct{} // held by take
	setting  sync.Mutex    // held by SetRenditions

	mu       sync.Mutex
	plan     planner
	set      *set
	working  map[*job]struct{}
	ended    bool          // the presentation
	finished bool          // Run has nothing more to do
	news     chan struct{} // closed when those who wait in await should look again
	wake     func()        // makes watch look again
	stats    Stats
}

// New makes a transcoder for a presentation. It does nothing before Run. ErrRenditions is a
// name that is invalid, taken twice or that of the source, or a format that no presentation
// has.
func New(buf *stream.HLSBuffer, opts Options) (*Transcoder, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	t := &Transcoder{
		buf: buf, opts: opts,
		sessions: sessions{engine: opts.Engine, stream: opts.Stream},
		run:      make(chan struct{}, 1),
		taking:   make(chan struct{}, 1),
		plan:     planner{maxLag: opts.MaxLag},
		set:      &set{},
		working:  make(map[*job]struct{}),
		news:     make(chan struct{}),
		wake:     func() {},
	}
	return t, t.SetRenditions(opts.Renditions)
}

// Run transcodes until the presentation has ended and its last segment is done or too late,
// when it returns nil, or until ctx ends, when it stops at once and returns the cause. It
// blocks: it is meant for a goroutine. No rendition is left for players to wait for: one
// that is not complete is ended (stream.HLSBuffer.EndRendition).
//
// Whoever opens a presentation for a publisher calls Run then, and goes on calling it for
// every publisher of that presentation. When a publisher was lost and the presentation is
// only suspended, the Run that is there goes on with the next publisher. When the
// presentation had ended and is resumed, a Run that still works on its end goes on as well,
// without what the new playlist has no place for. A second Run waits for the first to
// return, and then does what is left to do, which may be nothing: two never work at once.
func (t *Transcoder) Run(ctx context.Context) error {
	select {
	case t.run <- struct{}{}:
		defer func() { <-t.run }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t.mu.Lock()
	t.finished = false
	t.mu.Unlock()
	working, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range t.opts.Parallel {
		workers.Go(func() { t.work(working) })
	}
	finished := t.watch(ctx)
	stop()
	workers.Wait()
	t.sessions.retire()
	t.endIncomplete()
	if finished {
		return nil
	}
	return context.Cause(ctx)
}

// watch tells the planner of every change of the source, until nothing is left to do, when it
// reports true, or ctx ends.
func (t *Transcoder) watch(ctx context.Context) (finished bool) {
	for ctx.Err() == nil {
		wait, wake := context.WithCancel(ctx)
		t.mu.Lock()
		t.wake = wake
		t.mu.Unlock()
		version := t.buf.Version()
		ended := t.buf.Ended() // before the segments, so that they are all
		again, finished := t.observe(time.Now(), t.buf.SegmentsAfter(stream.Source, 0), ended)
		if finished {
			wake()
			return true
		}
		stop := func() bool { return true }
		if again > 0 {
			stop = time.AfterFunc(again, wake).Stop
		}
		_, _ = t.buf.Wait(wait, version) // whatever ended it, look again
		stop()
		wake()
	}
	return false
}

// observe notes what the source holds. It reports whether all is done, and after what time
// to look again when nothing changes.
func (t *Transcoder) observe(now time.Time, held []*stream.Segment, ended bool) (again time.Duration, finished bool) {
	t.mu.Lock()
	t.ended = ended
	late := t.plan.observe(now, held)
	if len(t.set.renditions) == 0 {
		t.plan.idle()
	}
	if ended && t.pending() {
		// An engine that gives no turn must not keep the presentation open.
		late = append(late, t.plan.drop(now, true)...)
	}
	events := t.skip(now, late)
	if ended && t.pending() {
		head := &t.plan.queue[0]
		again = head.due.Add(head.maxLag).Sub(now) + time.Millisecond
	}
	t.finished = ended && len(t.working) == 0 && !t.pending()
	if t.finished || t.pending() {
		t.look()
	}
	finished = t.finished
	t.mu.Unlock()
	t.emit(events)
	return again, finished
}

// look lets those who wait in await look again. The caller holds mu.
func (t *Transcoder) look() {
	close(t.news)
	t.news = make(chan struct{})
}

// poke makes watch look again when that may be the end. The caller holds mu.
func (t *Transcoder) poke() {
	if t.ended && len(t.working) == 0 {
		t.wake()
	}
}

// skip counts segments that are left out. The caller holds mu and emits the events.
func (t *Transcoder) skip(now time.Time, late []item) (events []Event) {
	if len(t.set.renditions) == 0 {
		return nil // nobody wanted them
	}
	for _, it := range late {
		if it.kept {
			continue // nobody wanted it when it was in time
		}
		t.stats.Skipped++
		for _, r := range t.set.renditions {
			r.stats.Skipped++
		}
		events = append(events, Event{Kind: Skipped, Seq: it.seg.Seq, Lag: now.Sub(it.appended)})
	}
	return events
}

func (t *Transcoder) emit(events []Event) {
	for _, e := range events {
		t.opts.OnEvent(e)
	}
}

// endIncomplete ends the renditions that will not get what the source has or will have.
func (t *Transcoder) endIncomplete() {
	t.mu.Lock()
	var incomplete []*rendition
	for _, r := range t.set.renditions {
		if !t.ended || r.count != t.plan.last.count {
			incomplete = append(incomplete, r)
		}
	}
	t.mu.Unlock()
	for _, r := range incomplete {
		r.appending.Lock()
		_ = t.buf.EndRendition(r.name) // that there is none is fine
		r.appending.Unlock()
	}
}

// Renditions are those that are wanted now.
func (t *Transcoder) Renditions() []ffmpeg.Rendition {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.set.specs)
}

// SetRenditions changes what is made, from the next segment on. A rendition whose name is
// not there any more leaves the presentation at once (stream.HLSBuffer.EndRendition), or
// rests there when it is named in resting (RestRendition); the playlist of one that comes back
// later begins anew. Renditions are told apart by name: one that stays may change its profile. The
// maps in them must not be changed afterwards. When nothing was wanted so far, the newest segment
// that the source has is made at once. Every change opens a new session of the engine.
// ErrRenditions is as in New; nothing has changed then.
func (t *Transcoder) SetRenditions(renditions []ffmpeg.Rendition, resting ...string) error {
	if err := Check(renditions); err != nil {
		return err
	}
	t.setting.Lock()
	defer t.setting.Unlock()
	t.mu.Lock()
	old := t.set
	if reflect.DeepEqual(old.specs, renditions) {
		t.mu.Unlock()
		return nil
	}
	gone := make(map[string]*rendition)
	for _, r := range old.renditions {
		gone[r.name] = r
	}
	next := &set{generation: old.generation + 1, specs: slices.Clone(renditions)}
	for _, spec := range renditions {
		name := spec.Profile.Name
		r := gone[name]
		delete(gone, name)
		if r == nil {
			r = &rendition{name: name, count: t.plan.last.count, media: t.plan.last.media}
			r.stats.Name = name
		}
		next.renditions = append(next.renditions, r)
	}
	t.set = next
	t.look()
	t.wake() // it may be the end
	t.mu.Unlock()
	if len(next.specs) == 0 {
		t.sessions.retire()
	}
	for _, r := range gone {
		r.appending.Lock()
		r.gone = true
		leave := t.buf.EndRendition
		if slices.Contains(resting, r.name) {
			leave = t.buf.RestRendition
		}
		_ = leave(r.name) // that there is none is fine
		r.appending.Unlock()
	}
	return nil
}
