package stream

import "time"

// ring keeps the newest packets of a stream: all since the newest start point, and
// before it what a reader still has to read, up to the limits. Packets are numbered
// from 0; [base, head) are held.
type ring struct {
	buf        []Packet // length is a power of two
	base, head uint64
	bytes      int
	// start is the newest packet at which a reader can begin: a video keyframe, or,
	// as long as there is no video, any packet.
	start    uint64
	hasStart bool
	maxBytes int
	maxAge   time.Duration
}

const (
	ringMin = 64
	// losslessBytes is how much a lossless reader may be behind.
	losslessBytes = 64 << 20
)

func newRing(maxBytes int, maxAge time.Duration) ring {
	return ring{maxBytes: maxBytes, maxAge: maxAge}
}

func (r *ring) at(seq uint64) *Packet { return &r.buf[seq&uint64(len(r.buf)-1)] }

// push appends a packet. needed is the oldest packet that a reader wants, kept the
// oldest that a lossless reader wants.
func (r *ring) push(p *Packet, needed, kept uint64) {
	if p.IsKeyFrame || (p.Audio && p.Headers.Video == nil) {
		r.start, r.hasStart = r.head, true
	}
	r.bytes += len(p.Data)
	r.evict(p.Time, needed, kept)
	if r.head-r.base == uint64(len(r.buf)) {
		r.grow()
	}
	*r.at(r.head) = *p
	r.head++
}

func (r *ring) evict(now time.Duration, needed, kept uint64) {
	for r.base < r.head {
		p := r.at(r.base)
		switch {
		case r.bytes > losslessBytes:
		case r.base >= kept:
			return
		case r.bytes > r.maxBytes:
		case r.hasStart && r.base < r.start && (r.base < needed || now-p.Time > r.maxAge):
		case !r.hasStart && r.base < needed && now-p.Time > r.maxAge:
		default:
			return
		}
		r.bytes -= len(p.Data)
		*p = Packet{} // let go of the bytes
		r.base++
		if r.hasStart && r.base > r.start {
			r.hasStart = false
		}
	}
}

func (r *ring) grow() {
	buf := make([]Packet, max(ringMin, 2*len(r.buf)))
	for s := r.base; s < r.head; s++ {
		buf[s&uint64(len(buf)-1)] = *r.at(s)
	}
	r.buf = buf
}
