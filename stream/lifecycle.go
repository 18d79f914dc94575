package stream

import "time"

// A presentation is live, then suspended or ended, and may be resumed from both; when
// it is expired it holds no media and only its place in the numbering is left.

// End says that no more segments of the source come: playlists end with EXT-X-ENDLIST. A
// rendition that lags behind may still be completed, and its playlist ends when it is, or
// with EndRendition. What is held stays until Expire. End is idempotent.
func (b *HLSBuffer) End() {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended, b.endedAt = true, b.cfg.Now()
	b.republish()
}

// Suspend says that the publisher was lost and may come back: playlists stay as they
// are until Resume or End.
func (b *HLSBuffer) Suspend() {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.absent {
		b.absent = true
		b.bump()
	}
}

// Publishing reports whether a publisher is there: neither suspended nor ended.
func (b *HLSBuffer) Publishing() bool {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.absent && !b.ended
}

// Resume says that a publisher came back. Sequence numbers go on. Before End, viewers get
// a discontinuity. After End their playlist was complete: the next segment begins a new
// one, which may have another target duration, and the segments of the old one stay
// available until the new one is full.
func (b *HLSBuffer) Resume() {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.absent = false
	if !b.ended {
		b.resumed = true
		b.bump()
		return
	}
	b.ended, b.endedAt, b.resumed = false, time.Time{}, false
	b.clear(true)
	b.target = 0
	b.bump()
}

// Expire lets go of all segments of an ended presentation: it becomes ErrNotFound for
// everybody, until Resume.
func (b *HLSBuffer) Expire() {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		b.clear(false)
		b.bump()
	}
}

// clear empties the presentation but for its place in the numbering.
func (b *HLSBuffer) clear(retire bool) {
	old := b.renditions.Load()
	b.retired.Store(nil)
	if source := (*old)[Source]; source != nil {
		last := source.last()
		b.cfg.FirstSequence = last.seg.Seq + 1
		b.firstBreaks = last.breaks + 1
		if retire {
			b.retired.Store(old)
		}
	}
	b.renditions.Store(&map[string]*window{})
}

// Next is what a presentation that follows at the same URLs begins with, when this one takes
// no more segments: see BeginAt. Before the first segment it is what this one was told itself,
// 0 by default.
func (b *HLSBuffer) Next() (sequence, discontinuities uint64) {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	if source := (*b.renditions.Load())[Source]; source != nil {
		last := source.last()
		return last.seg.Seq + 1, last.breaks + 1
	}
	return max(b.cfg.FirstSequence, b.floor), b.firstBreaks
}

// BeginAt makes a presentation that has no segment yet begin at the number given, or at the
// clock when that is past it, and with a discontinuity sequence. Neither may go back at a URL
// (RFC 8216bis, section 6.2.1). With an HLSConfig.FirstSequence, the number is that.
func (b *HLSBuffer) BeginAt(sequence, discontinuities uint64) {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.floor, b.firstBreaks = sequence, discontinuities
}

// retiredSegment looks in the playlists that ended before the newest Resume.
func (b *HLSBuffer) retiredSegment(rendition string, seq uint64) (*Segment, error) {
	if old := b.retired.Load(); old != nil {
		if w := (*old)[rendition]; w != nil {
			if e := w.view.Load().find(seq); e != nil && !e.gap() {
				return e.seg, nil
			}
		}
	}
	return nil, ErrNotFound
}

// Attach makes b show the presentation of other from now on, in place of its own: every
// method of b then works on that one. Who waits on b sees it. Nothing is copied.
func (b *HLSBuffer) Attach(other *HLSBuffer) {
	other = other.root()
	if other == b {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown.Store(other)
	b.bump()
}

// Detach undoes Attach: b shows its own presentation again, which has ended.
func (b *HLSBuffer) Detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown.Swap(nil) == nil {
		return
	}
	if !b.ended {
		b.ended, b.endedAt = true, b.cfg.Now()
	}
	b.republish()
}

// root is the buffer whose presentation b shows.
func (b *HLSBuffer) root() *HLSBuffer {
	for {
		shown := b.shown.Load()
		if shown == nil {
			return b
		}
		b = shown
	}
}
