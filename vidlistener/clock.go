package vidlistener

import "time"

const (
	// maxJump is the largest step of the publisher's clock that is taken as time
	// passing; a larger one, in either direction, is a break.
	maxJump = 10 * time.Second
	// maxBack is how far a track may step back before it is a break; up to here
	// its decoding time is held at 1 ms above the last.
	maxBack = time.Second
	// minStep is the smallest distance of two decoding times of one track.
	minStep = time.Millisecond
	// audioRounding is what rounding to milliseconds can do to an audio time.
	audioRounding = 1010 * time.Microsecond
	// audioDrift is how far audio may be from its sample count before it is a gap;
	// up to here the difference is taken back slowly.
	audioDrift = 15 * time.Millisecond
	driftShare = 16
)

// clock makes one continuous time out of a publisher's 32-bit milliseconds. It is
// pure: it knows no wall clock.
type clock struct {
	cur, prev epoch
	started   bool
	video     track
	audio     track
	audioRef  audioRef
}

// epoch maps the publisher's time to the stream's between two breaks.
type epoch struct {
	last   int64         // the newest raw time, unwrapped, in ms
	offset time.Duration // stream time minus raw time
	valid  bool
}

type track struct {
	lastRaw time.Duration // stream time before repair
	last    time.Duration
	step    time.Duration
	seen    bool
}

// audioRef counts samples from a point where audio time was exact.
type audioRef struct {
	base   time.Duration
	frames int64
	valid  bool
}

// unwrap finds the time nearest to the epoch's newest that has these low 32 bits.
func (e *epoch) unwrap(ms uint32) (raw int64, step time.Duration) {
	d := int64(int32(ms - uint32(e.last)))
	return e.last + d, time.Duration(d) * time.Millisecond
}

func (e *epoch) take(raw int64) time.Duration {
	e.last = max(raw, e.last)
	return e.offset + time.Duration(raw)*time.Millisecond
}

func within(d, limit time.Duration) bool { return d <= limit && d >= -limit }

// videoTime returns the decoding time of a video packet and by how much it was moved
// up, so that the caller can keep the presentation time.
func (c *clock) videoTime(ms uint32) (t, moved time.Duration, brk bool) {
	raw, brk := c.place(ms, &c.video)
	t = c.video.monotonic(raw)
	return t, t - raw, brk
}

// audioTime returns the time of an audio packet. duration gives the exact length
// of n frames; nil when it is not known.
func (c *clock) audioTime(ms uint32, duration func(n int64) time.Duration) (t time.Duration, brk bool) {
	raw, brk := c.place(ms, &c.audio)
	t = raw
	if duration != nil {
		t = c.audioRef.exact(raw, brk, duration)
	}
	return c.audio.monotonic(t), brk
}

// audioChanged forgets the sample count: the configuration is new.
func (c *clock) audioChanged() { c.audioRef.valid = false }

// place maps a time to the stream's clock and notices breaks. After a break, packets
// of the other track may still come with the old time: they are placed there.
func (c *clock) place(ms uint32, tr *track) (raw time.Duration, brk bool) {
	if !c.started {
		c.started = true
		c.cur = epoch{last: int64(ms), valid: true}
	}
	if e, u := c.nearest(ms, tr); e != nil {
		raw = e.take(u)
		tr.seen, tr.lastRaw = true, raw
		return raw, false
	}
	// A break: go on where the stream is.
	now := max(c.video.last+c.video.step, c.audio.last+c.audio.step)
	c.prev = c.cur
	c.cur = epoch{last: int64(ms), offset: now - time.Duration(ms)*time.Millisecond, valid: true}
	tr.seen, tr.lastRaw = true, now
	return now, true
}

// nearest finds the epoch in which ms continues the track best, nil when none does.
func (c *clock) nearest(ms uint32, tr *track) (best *epoch, raw int64) {
	var bestDist time.Duration
	for _, e := range [...]*epoch{&c.cur, &c.prev} {
		if !e.valid {
			continue
		}
		u, step := e.unwrap(ms)
		at := e.offset + time.Duration(u)*time.Millisecond
		if !within(step, maxJump) || tr.seen && at < tr.lastRaw-maxBack {
			continue
		}
		dist := step.Abs()
		if tr.seen {
			dist = (at - tr.lastRaw).Abs()
		}
		if best == nil || dist < bestDist {
			best, raw, bestDist = e, u, dist
		}
	}
	return best, raw
}

// monotonic keeps decoding times strictly increasing.
func (t *track) monotonic(d time.Duration) time.Duration {
	if t.step == 0 {
		// The first packet.
		t.last, t.step = d, minStep
		return d
	}
	d = max(d, t.last+minStep)
	t.step = min(d-t.last, 100*time.Millisecond)
	t.last = d
	return d
}

// exact gives an audio frame the time that its sample count says, as long as that
// explains the rounded time that came.
func (a *audioRef) exact(in time.Duration, brk bool, duration func(int64) time.Duration) time.Duration {
	if a.valid && !brk {
		want := a.base + duration(a.frames)
		diff := in - want
		if within(diff, audioDrift) {
			if !within(diff, audioRounding) {
				a.base += diff / driftShare
				want += diff / driftShare
			}
			a.frames++
			return want
		}
	}
	*a = audioRef{base: in, frames: 1, valid: true}
	return in
}
