package segmenter

import "time"

// planner decides when to cut. It is told of packets in the order of decoding and
// answers for each whether a segment ends before it.
//
// TARGETDURATION must never change (RFC 8216 4.3.3.1, 6.2.1), and it must hold for the
// longest group of pictures to come, so it is fixed at the first cut from what is
// known by then: the wanted duration, the first group, and what the encoder says of
// its longest (x264 writes that into its first keyframe). When a longer group comes
// all the same, its segment is cut at the limit, in the middle.
type planner struct {
	want    time.Duration // wanted duration of a segment
	maxGOP  time.Duration // a group without end is cut here
	target  time.Duration // TARGETDURATION; 0 until the first cut
	longest time.Duration // longest group seen or announced
	first   bool          // no segment has been cut

	begun    bool // a segment is open
	start    time.Duration
	groupAt  time.Duration // start of the newest group
	hasGroup bool
}

// slack is how much longer than the target a segment may be: EXTINF is compared
// with TARGETDURATION after rounding to seconds.
const slack = 480 * time.Millisecond

// early is how much before the wanted duration a keyframe is as good as at it.
const early = 20 * time.Millisecond

func newPlanner(want, maxGOP, target time.Duration) *planner {
	return &planner{want: want, maxGOP: maxGOP, target: target, first: target == 0}
}

// open begins a segment at pts.
func (p *planner) open(pts time.Duration) {
	p.begun, p.start = true, pts
}

// keyframe notes a keyframe at pts and reports whether to cut before it.
func (p *planner) keyframe(pts time.Duration) bool {
	if p.hasGroup && pts > p.groupAt {
		p.longest = max(p.longest, pts-p.groupAt)
	}
	p.hasGroup, p.groupAt = true, pts
	if !p.begun {
		return false
	}
	elapsed := pts - p.start
	switch {
	case elapsed <= 0:
		return false
	case p.first:
		return true // a short first segment starts the players early
	case elapsed+early >= p.least():
		return true
	}
	return elapsed+p.longest > p.target+slack // the next chance may be too late
}

// least is the shortest segment that is worth cutting. A playlist may not change
// more often than every half target duration (rfc8216bis 6.2.1).
func (p *planner) least() time.Duration { return max(min(p.want, p.target), p.target/2) }

// limit is the longest that a segment may get.
func (p *planner) limit() time.Duration {
	if p.target == 0 {
		return p.maxGOP
	}
	return p.target + slack
}

// mustCut reports whether a packet that ends at the given time no longer fits in the
// open segment.
func (p *planner) mustCut(end time.Duration) bool {
	return p.begun && end-p.start > p.limit()
}

// timeToCut is for audio alone, which may be cut anywhere.
func (p *planner) timeToCut(pts time.Duration) bool {
	if !p.begun {
		return false
	}
	want := p.want
	if p.target != 0 {
		want = min(want, p.target)
	}
	return pts-p.start >= want
}

// announce notes the longest group that the encoder promises.
func (p *planner) announce(d time.Duration) {
	p.longest = max(p.longest, min(d, p.maxGOP))
}

// cut ends the segment, which had this duration, and returns the target duration,
// which is fixed at the first.
func (p *planner) cut(d time.Duration) time.Duration {
	if p.target == 0 {
		p.target = max(p.want, p.longest, d, time.Second).Round(time.Second)
	}
	p.first, p.begun = false, false
	return p.target
}
