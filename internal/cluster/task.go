package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/transcoder"
)

// task is one segment, until it has all its renditions. It is for one goroutine, but for what is
// guarded by mu.
type task struct {
	*session
	in       transcoder.Input
	done     func(int, ffmpeg.Output)
	began    time.Time
	deadline time.Time     // when the results are of no use any more
	wake     chan struct{} // one token: look again

	have      []bool // renditions that are there
	attempts  []*attempt
	exclude   []string // workers that have failed
	suspects  []suspect
	triedHere bool
	beforeSeg []byte            // what workers need of the segment before
	source    *ffmpeg.TSSummary // of the segment; nil before the first result
	prepared  bool
	thumbnail bool // wanted
	last      error
	hopeless  bool
	helpers   sync.WaitGroup

	mu      sync.Mutex
	results []result // made here
	working bool     // here
	hereErr error
}

func newTask(s *session, in transcoder.Input, done func(int, ffmpeg.Output)) *task {
	return &task{
		session: s, in: in, done: done, began: time.Now(), wake: make(chan struct{}, 1),
		have: make([]bool, len(s.specs)), thumbnail: s.wantsThumbnail(in.Segment),
	}
}

func (t *task) look() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *task) run(ctx context.Context) error {
	var limited bool
	if t.deadline, limited = ctx.Deadline(); !limited {
		t.deadline = t.began.Add(max(6*t.in.Segment.Duration, 12*time.Second))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		t.end()
	}()
	for {
		changed := t.changes() // before the look, so that none is missed
		t.collect()
		if !slices.Contains(t.have, false) {
			return nil
		}
		if ctx.Err() != nil {
			cause := context.Cause(ctx)
			if n := len(t.attempts); n > 0 && errors.Is(cause, context.DeadlineExceeded) {
				cause = fmt.Errorf("cluster: %w", t.attempts[n-1].late())
			}
			return t.why(cause)
		}
		v := t.view()
		s, until := v.next()
		switch s {
		case send, sendAgain:
			if t.send(ctx, s == sendAgain) {
				continue
			}
			until = time.Now().Add(recheck)
		case workHere:
			t.workHere(ctx)
			continue
		case giveUp:
			return t.why(errors.New("cluster: no worker could make it"))
		case unavailable:
			return fmt.Errorf("%w: %w", transcoder.ErrUnavailable, t.why(errors.New("no worker is there")))
		}
		timer := time.NewTimer(max(min(time.Until(until), recheck), time.Millisecond))
		select {
		case <-t.wake:
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// recheck is how long a task waits at most before it looks whether workers are there: those that
// are benched come back unheard.
const recheck = 500 * time.Millisecond

// why is the error of a task that has ended with renditions missing.
func (t *task) why(otherwise error) error {
	if t.last != nil {
		return t.last
	}
	return otherwise
}

// changes is closed when workers come or go; recheck is for those of further queues.
func (t *task) changes() <-chan struct{} {
	for _, l := range t.origin.links {
		if l.isUp() {
			return l.members.news()
		}
	}
	return nil
}

// view is what the decision is made of.
func (t *task) view() *view {
	now := time.Now()
	t.mu.Lock()
	working := t.working
	t.mu.Unlock()
	v := &view{
		now: now, began: t.began, deadline: t.deadline, length: t.in.Segment.Duration, usual: t.usually(),
		tries: t.origin.opts.Tries, hedge: t.origin.hasToken(), hopeless: t.hopeless,
		local: t.origin.local != nil && !t.triedHere, working: working,
	}
	t.move(now)
	exclude := t.exclude
	for _, a := range t.attempts {
		a.mu.Lock()
		v.attempts = append(v.attempts, attemptView{over: a.over, taken: a.taken})
		if !a.over {
			exclude = append(exclude[:len(exclude):len(exclude)], a.workers...)
		}
		a.mu.Unlock()
	}
	_, v.able = t.origin.choose(t.lane.need, exclude, now)
	v.workers, v.nobody = t.origin.workers(t.lane.need, now)
	return v
}

// move looks after attempts whose worker or queue is not there any more: the job is put again, or,
// when only another queue is there, that attempt counts no more.
func (t *task) move(now time.Time) {
	_, able := t.origin.choose(t.lane.need, nil, now)
	t.attempts = slices.DeleteFunc(t.attempts, func(a *attempt) bool {
		a.mu.Lock()
		over, worker := a.over, a.worker
		a.mu.Unlock()
		if over {
			return false
		}
		if worker != "" && !a.link.members.has(worker) {
			a.left()
			worker = ""
		}
		if worker != "" || able == 0 || a.link.isUp() {
			return false
		}
		t.drop(a)
		return true
	})
}

// drop gives an attempt up.
func (t *task) drop(a *attempt) {
	t.origin.remove(a)
	a.mu.Lock()
	over := a.over
	a.over = true
	a.mu.Unlock()
	if !over {
		t.cancel(a)
	}
}

// send puts another job into a queue, for any worker or for those that have not failed. It is false
// when that cannot be now.
func (t *task) send(ctx context.Context, any bool) bool {
	o, seg := t.origin, t.in.Segment
	if any {
		t.exclude = nil
	}
	exclude := slices.Clone(t.exclude)
	first := true
	for _, a := range t.attempts {
		a.mu.Lock()
		if !a.over {
			exclude = append(exclude, a.workers...)
			first = false
		}
		a.mu.Unlock()
	}
	l, _ := o.choose(t.lane.need, exclude, time.Now())
	if l == nil || !first && !o.takeToken() { // others were faster
		return false
	}
	if !t.prepared {
		t.prepared, t.beforeSeg = true, t.in.Lead(t.specs)
	}
	j := &job{
		Stream: t.stream, Seq: seg.Seq, Start: seg.Start, Length: seg.Duration, Budget: max(time.Until(t.deadline), time.Millisecond),
		Break: t.in.Before == nil, Size: len(seg.Data), Preset: o.opts.Preset, Thumbnail: t.thumbnail,
		Exclude: exclude[max(len(exclude)-maxExcluded, 0):],
	}
	for i, spec := range t.specs {
		if !t.have[i] {
			j.Wanted, j.Specs = append(j.Wanted, i), append(j.Specs, spec)
		}
	}
	a := newAttempt(l, t.beforeSeg, seg.Data, j.Wanted, t.look)
	j.ID = a.id
	o.add(a)
	t.attempts = append(t.attempts, a)
	o.put(ctx, func(ctx context.Context) { a.hold(ctx, t.lane.subject(o.id, t.stream), j) })
	return true
}

// workHere transcodes in this process.
func (t *task) workHere(ctx context.Context) {
	t.triedHere = true
	t.mu.Lock()
	t.working = true
	t.mu.Unlock()
	t.helpers.Go(func() {
		err := t.transcodeHere(ctx)
		t.mu.Lock()
		t.working, t.hereErr = false, err
		t.mu.Unlock()
		t.look()
	})
}

func (t *task) transcodeHere(ctx context.Context) error {
	release, err := t.origin.local.Turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	s, err := t.here()
	if err != nil {
		return err
	}
	return s.Transcode(ctx, t.in, func(i int, out ffmpeg.Output) {
		t.mu.Lock()
		t.results = append(t.results, result{rendition: i, out: out, err: out.Err})
		t.mu.Unlock()
		t.look()
	})
}

// collect takes what has come.
func (t *task) collect() {
	t.mu.Lock()
	own := t.results
	t.results = nil
	if t.hereErr != nil {
		t.last, t.hereErr = t.hereErr, nil
	}
	t.mu.Unlock()
	for _, r := range own {
		t.accept(r)
	}
	for _, a := range t.attempts {
		t.collectFrom(a)
	}
}

func (t *task) collectFrom(a *attempt) {
	for _, r := range a.unseen() {
		switch {
		case r.thumbnail != nil:
			if t.thumbnail {
				t.thumbnail = false
				t.origin.thumb(t.stream, r.thumbnail)
			}
		case !slices.Contains(a.wanted, r.rendition):
			r.err = garbage("rendition %d was not asked for", r.rendition)
			t.refuse(a, r)
		case r.err == nil && t.check(&r) != nil, errors.Is(r.err, errGarbage):
			t.refuse(a, r)
		default:
			t.accept(r)
		}
	}
	if t.settle(a) {
		t.cancel(a)
	}
}

// settle sees whether an attempt is over, and reports whether its worker should hear of that.
func (t *task) settle(a *attempt) (cancel bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over && a.err != nil:
		cancel = true
		t.last = a.err
		t.hopeless = t.hopeless || a.hopeless && (len(a.workers) > takerLimit || t.confirmed())
		a.err = nil
		t.exclude = append(t.exclude, a.workers...)
	case a.over || len(a.lacks(a.worker)) > 0 || len(a.results) > 0: // more comes, or has come just now
	case slices.ContainsFunc(a.wanted, func(i int) bool { return !t.have[i] }): // some failed
		if a.finished {
			a.over = true
			t.exclude = append(t.exclude, a.workers...)
		}
	case !a.taken.IsZero():
		a.over = true // all came
		t.took(time.Since(a.taken))
		t.origin.giveToken()
	}
	return cancel
}

// confirmed reports whether it is not the first worker that says so: it might be its own fault.
func (t *task) confirmed() bool { return len(t.exclude) > 0 }

// accept takes a result that is good, or a rendition that failed.
func (t *task) accept(r result) {
	if r.rendition < 0 || r.rendition >= len(t.have) || t.have[r.rendition] {
		return
	}
	if r.err != nil {
		t.last = r.err
		return
	}
	t.have[r.rendition] = true
	t.done(r.rendition, r.out)
	t.convict(r)
}

// refuse ends an attempt whose worker sent what cannot be used.
func (t *task) refuse(a *attempt, r result) {
	t.last = &WorkerError{Worker: r.worker, Text: r.err.Error(), Retryable: true}
	t.exclude = append(t.exclude, r.worker)
	a.mu.Lock()
	over := a.over
	a.over = true
	a.mu.Unlock()
	if !over {
		t.cancel(a)
	}
	if errors.Is(r.err, errMismatch) {
		r.out.Data = nil
		t.suspects = append(t.suspects, suspect{a.link, r})
		return
	}
	t.origin.refuse(a.link, r.worker, t.in.Segment.Seq, t.stream, r.err)
}

// suspect is a worker whose result does not fit the segment.
type suspect struct {
	link *link
	result
}

// convict benches the workers whose result did not fit, when that of another one does.
func (t *task) convict(good result) {
	t.suspects = slices.DeleteFunc(t.suspects, func(s suspect) bool {
		if s.rendition != good.rendition || s.worker == good.worker {
			return false
		}
		t.origin.refuse(s.link, s.worker, t.in.Segment.Seq, t.stream, s.err)
		return true
	})
}

// cancel tells the workers of an attempt, but for those that are done, that nobody waits for it.
func (t *task) cancel(a *attempt) {
	a.mu.Lock()
	var working []string
	for _, w := range a.workers {
		if len(a.lacks(w)) > 0 {
			working = append(working, w)
		}
	}
	a.mu.Unlock()
	for _, w := range working {
		a.link.order(w, order{Cancel: a.id})
	}
}

// end forgets the task: what comes later is for nobody.
func (t *task) end() {
	for _, a := range t.attempts {
		t.drop(a)
	}
	t.helpers.Wait()
}
