package ffmpeg

// pacer brings pictures to a constant rate. Slot k of a segment is at start + k/rate, and
// shows the last picture that is due before the middle of the slot: a picture is never more
// than half a slot from its own time. A segment of duration d has d*rate slots, rounded
// to the nearest number, and at least one.
type pacer struct {
	rate  rational
	start clock
	next  int64 // the first slot that is still empty
	shown int64 // pictures
	extra int64 // slots that pictures were shown in again
}

// maxFill is how long a picture may be shown to fill a hole, and maxRepeats how often each is
// shown again on average: pictures far apart would make any number of others.
const (
	maxFill    = 10 * clockRate
	maxRepeats = maxFrameRate
)

func (p *pacer) at(slot int64) clock {
	return p.start + clock(mulDiv(slot, int64(p.rate.den)*int64(clockRate), int64(p.rate.num)))
}

// middle is where slot k ends to take pictures.
func (p *pacer) middle(slot int64) clock {
	return p.start + clock(mulDiv(2*slot+1, int64(p.rate.den)*int64(clockRate), 2*int64(p.rate.num)))
}

// until returns the slots, from first to before end, that the picture before one at pts
// is shown in.
func (p *pacer) until(pts clock) (first, end int64) {
	first, end = p.next, p.next
	p.shown++
	for p.middle(end) <= pts {
		if end > first {
			p.extra++
			if fill := p.count(maxFill); end-first > fill || p.extra > fill+maxRepeats*p.shown {
				// Viewers get a hole: to fill it would cost more than it is worth.
				p.next = max(p.count(pts-p.start), end)
				return first, end
			}
		}
		end++
	}
	p.next = end
	return first, end
}

// rest returns the slots of the last picture of a segment that ends at end.
func (p *pacer) rest(end clock) (first, last int64) {
	first = p.next
	p.next = max(min(p.count(end-p.start), first+p.count(maxFill)), first, 1)
	return first, p.next
}

// count is how many slots there are in d.
func (p *pacer) count(d clock) int64 {
	return mulDiv(int64(d), int64(p.rate.num), int64(p.rate.den)*int64(clockRate))
}
