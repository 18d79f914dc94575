package transcoder

import "time"

// Stats is what a Transcoder has done so far.
type Stats struct {
	Segments uint64 // of the source that were given to the engine
	Skipped  uint64 // of the source that were left out because they were too late
	Retried  uint64
	Queue    int           // segments that wait
	Working  int           // segments that are being transcoded
	Waiting  time.Duration // how long ago the oldest of both was due: the lag that is growing now

	Renditions []RenditionStats // those wanted now, in their order
}

// RenditionStats is what was made of one rendition since it is wanted.
type RenditionStats struct {
	Name    string
	Done    uint64 // segments that were appended
	Failed  uint64 // segments that could not be made
	Skipped uint64 // segments that were too late
	Bytes   uint64
	Ended   bool // it has left the presentation because it fails again and again

	// Of the newest segment: its number, the time from the moment when the source's was
	// appended to the moment when this was, the part of it that was work, and that work
	// for a second of media, in seconds: above 1 is slower than life.
	Last  uint64
	Lag   time.Duration
	Took  time.Duration
	Ratio float64

	// Behind is how many segments the source has behind the newest of the rendition, and
	// BehindMedia how much media that is.
	Behind      int
	BehindMedia time.Duration
}

// Stats may be called from any goroutine, also when nothing runs.
func (t *Transcoder) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Queue, s.Working = len(t.plan.queue), len(t.working)
	if len(t.set.renditions) == 0 {
		s.Queue = 0 // nobody waits for what is kept
	}
	var oldest time.Time
	for _, it := range t.plan.queue {
		if !it.kept && s.Queue > 0 {
			oldest = it.due
			break
		}
	}
	for j := range t.working {
		if !j.kept && (oldest.IsZero() || j.due.Before(oldest)) {
			oldest = j.due
		}
	}
	if !oldest.IsZero() {
		s.Waiting = max(time.Since(oldest), 0)
	}
	for _, r := range t.set.renditions {
		rs := r.stats
		rs.Behind, rs.BehindMedia = t.plan.last.count-r.count, t.plan.last.media-r.media
		s.Renditions = append(s.Renditions, rs)
	}
	return s
}
