package ffmpeg

// pacer brings pictures to a constant rate. Slot k of a segment is at start + k/rate, and
// shows the last picture that is due before the middle of the slot: a picture is never more
// than half a slot from its own time. A segment of duration d has d*rate slots, rounded
// to the nearest number, and at least one.
type pacer struct {
	rate  rational
	start clock
	next  int64 // the first slot that is still empty
}

// maxFill is how long one picture may be shown to fill a hole.
const maxFill = 10 * clockRate

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
	for p.middle(end) <= pts {
		if end > first && p.middle(end)-p.middle(first) > maxFill {
			// Viewers get a hole: to fill it would cost more than it is worth.
			p.next = mulDiv(int64(pts-p.start), int64(p.rate.num), int64(p.rate.den)*int64(clockRate))
			return first, end
		}
		end++
	}
	p.next = end
	return first, end
}

// rest returns the slots of the last picture of a segment that ends at end.
func (p *pacer) rest(end clock) (first, last int64) {
	n := mulDiv(int64(end-p.start), int64(p.rate.num), int64(p.rate.den)*int64(clockRate))
	first = p.next
	if most := first + mulDiv(int64(maxFill), int64(p.rate.num), int64(p.rate.den)*int64(clockRate)); n > most {
		n = most
	}
	p.next = max(n, first, 1)
	return first, p.next
}
