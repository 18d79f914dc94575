package transcoder

import (
	"errors"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// set is what is wanted. It does not change: SetRenditions makes another.
type set struct {
	generation uint64
	specs      []ffmpeg.Rendition
	renditions []*rendition // in the order of specs
}

// rendition brings the results of one rendition into order.
type rendition struct {
	name string

	appending sync.Mutex // one goroutine at a time appends; taken before Transcoder.mu
	gone      bool       // not wanted any more, guarded by appending
	// Each segment is muxed on its own, perhaps elsewhere: this makes one stream of them.
	// Guarded by appending.
	continuity ffmpeg.Continuity

	// Guarded by Transcoder.mu.
	slots    []*slot // of the jobs, oldest first
	failures int     // in a row
	info     *stream.RenditionInfo
	count    int           // of the newest segment, as in item
	media    time.Duration // of the newest segment, as in item
	stats    RenditionStats
}

// slot is where the result of a job for a rendition goes.
type slot struct {
	job      *job
	copied   bool // the source's packets are passed on
	resolved bool
	whole    bool // failed together with all others
	stopped  bool // not made because Run was stopped
	out      ffmpeg.Output
	took     time.Duration
	err      error
}

// pop takes the oldest result out when it is there. Newer ones wait for it.
func (r *rendition) pop() *slot {
	if len(r.slots) == 0 || !r.slots[0].resolved {
		return nil
	}
	s := r.slots[0]
	r.slots[0] = nil
	r.slots = r.slots[1:]
	return s
}

// flush appends what is complete.
func (t *Transcoder) flush(r *rendition) {
	var events []Event
	r.appending.Lock()
	for {
		t.mu.Lock()
		s := r.pop()
		t.mu.Unlock()
		if s == nil {
			break
		}
		if !r.gone && !s.stopped {
			events = append(events, t.settle(r, s)...)
		}
	}
	r.appending.Unlock()
	t.emit(events)
}

// settle appends a result, or lets it be a gap. The caller holds r.appending.
func (t *Transcoder) settle(r *rendition, s *slot) []Event {
	err := s.err
	if err == nil {
		if s.job.seg.Discontinuity {
			r.continuity = ffmpeg.Continuity{}
		}
		_ = r.continuity.Join(s.out.Data) // whether an engine's results are sound is for the engine to check
		_, err = t.buf.Append(r.name, t.segment(r, s))
	}
	j := s.job
	lag := time.Since(j.appended)
	t.mu.Lock()
	e := Event{Kind: r.record(s, err, lag), Seq: j.seg.Seq, Rendition: r.name, Err: err, Lag: lag, Took: s.took}
	more := e
	switch {
	case e.Kind == Done && r.stats.Ended:
		r.stats.Ended = false
		more.Kind = Returned
	case e.Kind == Failed && r.failures == maxFailures:
		r.stats.Ended = true
		more.Kind = Ended
	}
	t.mu.Unlock()
	var events []Event
	if !s.whole {
		events = append(events, e)
	}
	if more.Kind == Ended {
		_ = t.buf.EndRendition(r.name) // that there is none is fine
	}
	if more.Kind != e.Kind {
		events = append(events, more)
	}
	return events
}

// record counts a result and says what it is. The caller holds Transcoder.mu.
func (r *rendition) record(s *slot, err error, lag time.Duration) EventKind {
	j, st := s.job, &r.stats
	switch {
	case err == nil:
		st.Done++
		st.Bytes += uint64(len(s.out.Data))
		st.Last, st.Lag, st.Took = j.seg.Seq, lag, s.took
		st.Ratio = s.took.Seconds() / j.seg.Duration.Seconds()
		r.count, r.media, r.failures = j.count, j.media, 0
		return Done
	case errors.Is(err, stream.ErrSequence), errors.Is(err, stream.ErrClosed): // the presentation went on without it
		st.Skipped++
		return Skipped
	}
	st.Failed++
	r.failures++
	if errors.Is(err, ErrUnavailable) {
		r.failures = max(r.failures, maxFailures)
	}
	return Failed
}

// segment is what goes into the presentation: the times are the source's, so that all
// playlists say the same, and the description is what the engine measured.
func (t *Transcoder) segment(r *rendition, s *slot) stream.Segment {
	src := s.job.seg
	m := s.out.Info
	info := stream.RenditionInfo{Codecs: m.Codecs, Width: m.Width, Height: m.Height, FrameRate: m.FrameRate}
	t.mu.Lock()
	if r.info == nil || *r.info != info {
		r.info = &info
	}
	shared := r.info
	t.mu.Unlock()
	return stream.Segment{
		Seq:         src.Seq,
		Data:        s.out.Data,
		Start:       src.Start,
		Duration:    src.Duration,
		ProgramTime: src.ProgramTime,
		// An encoder starts every segment with a keyframe.
		Independent: src.Independent || !s.copied && m.Width > 0,
		Info:        shared,
	}
}
