package transcoder

import (
	"slices"
	"time"

	"github.com/livepeer/lpms/stream"
)

// planner decides which segment is transcoded next and which are left out. It is told what
// the source holds, and when.
//
// A segment is due when it was appended, or, when several were appended at once, when a
// player that shows one after the other comes to it. It is late when it has waited for
// maxLag since then. Once the oldest is late, segments are left out until one has half of
// that time left, so that the next ones are in time again: cutting only what is late would
// keep every segment at the limit.
type planner struct {
	maxLag  time.Duration // 0: from the segments
	queue   []item        // waiting, oldest first; no longer than what the source holds
	last    item          // the newest that was appended
	longest time.Duration
}

// item is a segment of the source.
type item struct {
	seg      *stream.Segment
	before   *stream.Segment // the one right before it; nil at a break
	appended time.Time
	due      time.Time
	maxLag   time.Duration
	count    int           // of segments of the source, with this one
	media    time.Duration // of the source, with this one
	kept     bool          // from a time when no rendition was wanted
}

const (
	minLag        = 6 * time.Second
	lagInSegments = 3
)

// late reports whether an item has waited longer than part of its time allows.
func (it *item) late(now time.Time, part time.Duration) bool {
	return now.Sub(it.due) > it.maxLag/part
}

// deadline is when work on an item is of no use any more. One that begins at the last
// moment still has all of its time.
func (it *item) deadline() time.Time { return it.due.Add(2 * it.maxLag) }

// observe is told which segments the source holds. It returns those that were waiting and
// are not held any more.
func (p *planner) observe(now time.Time, held []*stream.Segment) (lost []item) {
	if len(held) == 0 {
		lost, p.queue = p.queue, nil
		return lost
	}
	if p.last.seg != nil && held[len(held)-1].Seq < p.last.seg.Seq { // another presentation
		lost, p.queue = p.queue, nil
		p.last.seg = nil
	}
	n := 0
	for n < len(p.queue) && p.queue[n].seg.Seq < held[0].Seq {
		n++
	}
	lost = append(lost, p.queue[:n]...)
	p.queue = slices.Delete(p.queue, 0, n)
	for _, seg := range held {
		if p.last.seg == nil || seg.Seq > p.last.seg.Seq {
			p.append(now, seg)
		}
	}
	return lost
}

func (p *planner) append(now time.Time, seg *stream.Segment) {
	p.longest = max(p.longest, seg.Duration)
	it := item{
		seg: seg, appended: now, due: now, maxLag: p.maxLag,
		count: p.last.count + 1, media: p.last.media + seg.Duration,
	}
	if it.maxLag <= 0 {
		it.maxLag = max(lagInSegments*p.longest, minLag)
	}
	if last := p.last.seg; last != nil {
		if last.Seq+1 == seg.Seq && !seg.Discontinuity {
			it.before = last
		}
		// A little less than the duration, so that the lag that a burst allows goes away.
		if next := p.last.due.Add(last.Duration / 10 * 9); next.After(now) {
			it.due = next
		}
	}
	p.last = it
	p.queue = append(p.queue, it)
}

// drop takes out the segments that are not worth the work any more. When the source has
// ended there is nothing to catch up with, and only what is late is left out.
func (p *planner) drop(now time.Time, ended bool) (late []item) {
	n := 0
	if len(p.queue) == 0 || !p.queue[0].late(now, 1) {
		return nil
	}
	for ; n < len(p.queue); n++ {
		part := time.Duration(2)
		if ended || n == len(p.queue)-1 {
			part = 1
		}
		if !p.queue[n].late(now, part) {
			break
		}
	}
	late = slices.Clone(p.queue[:n])
	p.queue = slices.Delete(p.queue, 0, n)
	return late
}

// next takes the segment out of the queue that is to be transcoded now. late are those that
// are left out for it.
func (p *planner) next(now time.Time, ended bool) (it item, late []item, ok bool) {
	late = p.drop(now, ended)
	if len(p.queue) == 0 {
		return item{}, late, false
	}
	it = p.queue[0]
	p.queue = slices.Delete(p.queue, 0, 1)
	return it, late, true
}

// idle is for times when no rendition is wanted: the newest segment waits for one that may be.
func (p *planner) idle() {
	if n := len(p.queue) - 1; n >= 0 {
		p.queue = slices.Delete(p.queue, 0, n)
		p.queue[0].kept = true
	}
}
