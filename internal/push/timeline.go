package push

import (
	"time"

	"github.com/livepeer/lpms/stream"
)

// timeline places segments one behind the other. It knows no bytes.
type timeline struct {
	begun bool
	end   time.Duration // of the last segment
	shift int64         // of the last MP4, in ticks
	info  *stream.RenditionInfo
}

// place is where a segment belongs.
type place struct {
	start         time.Duration
	shift         int64 // what is added to its times for that, in ticks
	info          *stream.RenditionInfo
	discontinuity bool
	changed       bool // codecs or size are not those of the segment before, of which there is one
}

const (
	// ownClock: an MP4 that begins before has a clock of its own.
	ownClock = time.Second
	// ownStart is where the first such MP4 is placed: decoding times are before it, and must
	// not be below zero, which transport streams cannot say.
	ownStart = 10 * time.Second
	// A segment follows the one before when it leaves out no more than maxGap, and shows no
	// more than maxOverlap again: the duration of the last picture is guessed.
	maxGap     = 500 * time.Millisecond
	maxOverlap = 200 * time.Millisecond
	// exactly is what clocks that are rounded differently differ by.
	exactly = 20 * time.Millisecond
)

// place decides where a segment goes. broken says that it is known not to continue.
// Nothing is noted before advance.
func (t *timeline) place(m *media, broken bool) place {
	p := place{start: m.start, info: t.info}
	if m.mp4 {
		p.shift = t.shiftOf(m)
		p.start += fromTicks(p.shift)
	}
	if t.info == nil || t.info.Codecs != m.info.Codecs || t.info.Width != m.info.Width || t.info.Height != m.info.Height {
		info := m.info // alone: what m holds is large
		p.info, p.changed = &info, t.begun
	}
	gap := p.start - t.end
	p.discontinuity = t.begun && (broken || p.changed || gap > maxGap || gap < -maxOverlap)
	return p
}

// shiftOf is how far an MP4 is moved.
func (t *timeline) shiftOf(m *media) int64 {
	end := ownStart
	if t.begun {
		end = t.end
		if (m.start + fromTicks(t.shift) - end).Abs() <= exactly {
			return t.shift
		}
	}
	if m.start < ownClock {
		return ticks(end - m.start)
	}
	return t.shift
}

// advance notes that a segment was appended.
func (t *timeline) advance(m *media, p place) {
	t.begun, t.end, t.info = true, p.start+m.duration, p.info
	if m.mp4 {
		t.shift = p.shift
	}
}

// ticks of 90 kHz, rounded to the nearest.
func ticks(d time.Duration) int64 {
	s, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if rest < 0 {
		half = -half
	}
	return s*90000 + (rest*90000+half)/int64(time.Second)
}

func fromTicks(n int64) time.Duration {
	return time.Duration(n/90000)*time.Second + time.Duration(n%90000)*time.Second/90000
}
