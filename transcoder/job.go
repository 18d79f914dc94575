package transcoder

import (
	"context"
	"errors"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// job is one segment on its way through the engine.
type job struct {
	item
	set     *set
	started time.Time
	slots   []*slot // one for each rendition of the set
	over    bool    // results do not count any more; guarded by Transcoder.mu
}

var (
	errNothing = errors.New("transcoder: the engine returned no result")
	errEmpty   = errors.New("transcoder: the engine returned an empty segment")
)

// work transcodes segments as long as there are any to come.
func (t *Transcoder) work(ctx context.Context) {
	for {
		j, release, err := t.take(ctx)
		if j == nil {
			return
		}
		if err == nil {
			err = t.transcode(ctx, j)
		}
		t.finish(j, err, ctx.Err() != nil)
		release()
	}
}

// take waits for a segment and for a turn, and returns the job for it; nil when none will
// come. One goroutine at a time does that, so that a stream is in the queue for a turn once.
// The error is the engine's: it cannot take the job.
func (t *Transcoder) take(ctx context.Context) (j *job, release func(), err error) {
	select {
	case t.taking <- struct{}{}:
		defer func() { <-t.taking }()
	case <-ctx.Done():
		return nil, nil, nil
	}
	for t.await(ctx) {
		release, err = takeTurn(ctx, t.opts.Engine)
		if ctx.Err() == nil {
			j = t.begin(time.Now())
		}
		if j != nil {
			return j, release, err
		}
		release()
	}
	return nil, nil, nil
}

// await blocks until there is a segment to transcode, and reports false when none will come.
func (t *Transcoder) await(ctx context.Context) bool {
	for {
		t.mu.Lock()
		ready, finished, news := t.pending(), t.finished, t.news
		t.mu.Unlock()
		switch {
		case finished || ctx.Err() != nil:
			return false
		case ready:
			return true
		}
		idle := time.NewTimer(idleTime)
		select {
		case <-news:
		case <-ctx.Done():
		case <-idle.C:
			t.sessions.closeIdle(idleTime)
		}
		idle.Stop()
	}
}

// pending reports whether a segment waits that is wanted. The caller holds mu.
func (t *Transcoder) pending() bool {
	return len(t.plan.queue) > 0 && len(t.set.renditions) > 0
}

// begin takes the next segment, or returns nil when there is none.
func (t *Transcoder) begin(now time.Time) *job {
	t.mu.Lock()
	if t.finished || !t.pending() {
		t.mu.Unlock()
		return nil
	}
	it, late, ok := t.plan.next(now, t.ended)
	events := t.skip(now, late)
	var j *job
	if ok {
		j = &job{item: it, set: t.set, started: now}
		for i, r := range t.set.renditions {
			s := &slot{job: j, copied: t.set.specs[i].Video.Name == "copy"}
			j.slots = append(j.slots, s)
			r.slots = append(r.slots, s)
		}
		t.working[j] = struct{}{}
		t.stats.Segments++
	} else {
		t.poke()
	}
	t.mu.Unlock()
	t.emit(events)
	return j
}

// transcode has one job done, in several tries when it fails.
func (t *Transcoder) transcode(ctx context.Context, j *job) error {
	ctx, cancel := context.WithDeadline(ctx, j.deadline())
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := t.try(ctx, j)
		if err == nil || ctx.Err() != nil || attempt >= t.opts.Attempts || !t.opts.Retryable(err) {
			return err
		}
		t.mu.Lock()
		t.stats.Retried++
		t.mu.Unlock()
		t.emit([]Event{{Kind: Retried, Seq: j.seg.Seq, Err: err, Lag: time.Since(j.appended)}})
	}
}

func (t *Transcoder) try(ctx context.Context, j *job) error {
	s, err := t.sessions.get(j.set)
	if err != nil {
		return err
	}
	err = guard("Transcode", func() error {
		return s.Transcode(ctx, Input{Segment: j.seg, Before: j.before}, func(i int, out ffmpeg.Output) { t.deliver(j, i, out) })
	})
	t.sessions.put(s, err != nil) // what an engine knows of a stream after an error is not to be trusted
	return err
}

// deliver takes one result. A failure is final only when the job is: a second try may do better.
func (t *Transcoder) deliver(j *job, i int, out ffmpeg.Output) {
	if out.Err == nil && len(out.Data) == 0 {
		out.Err = errEmpty
	}
	t.mu.Lock()
	if j.over || i < 0 || i >= len(j.slots) || j.slots[i].resolved {
		t.mu.Unlock()
		return
	}
	s := j.slots[i]
	s.err = out.Err
	if s.err == nil {
		s.resolved, s.out, s.took = true, out, time.Since(j.started)
	}
	t.mu.Unlock()
	if out.Err == nil {
		t.flush(j.set.renditions[i])
	}
}

// finish makes failures of the results that are missing. err is of the whole job. When Run
// was stopped, nothing has failed.
func (t *Transcoder) finish(j *job, err error, stopped bool) {
	t.mu.Lock()
	j.over = true
	missing := 0
	for _, s := range j.slots {
		if s.resolved {
			continue
		}
		missing++
		s.resolved, s.stopped = true, stopped
		switch {
		case err != nil:
			s.err, s.whole = err, true
		case s.err == nil:
			s.err = errNothing
		}
	}
	t.mu.Unlock()
	if err != nil && missing > 0 && !stopped {
		t.emit([]Event{{Kind: Failed, Seq: j.seg.Seq, Err: err, Lag: time.Since(j.appended)}})
	}
	for _, r := range j.set.renditions {
		t.flush(r)
	}
	t.mu.Lock()
	delete(t.working, j)
	t.poke()
	t.mu.Unlock()
}
