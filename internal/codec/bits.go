package codec

// bitReader reads most significant bit first and never past the end: a read that would sets
// bad, and that read and all later ones give 0. Callers read a whole structure and look at bad
// once, so every loop over a count that was read must be bounded on its own.
type bitReader struct {
	data []byte
	pos  int // in bits
	bad  bool
}

// left is the number of unread bits.
func (r *bitReader) left() int { return len(r.data)*8 - r.pos }

// u reads an unsigned integer of n bits, at most 32.
func (r *bitReader) u(n int) uint32 {
	if r.bad || n > r.left() {
		r.bad = true
		return 0
	}
	var v uint64
	for n > 0 {
		free := 8 - r.pos&7 // unread bits of this byte
		take := min(free, n)
		b := r.data[r.pos>>3] >> (free - take) & (1<<take - 1)
		v = v<<take | uint64(b)
		r.pos += take
		n -= take
	}
	return uint32(v)
}

// flag reads one bit.
func (r *bitReader) flag() bool { return r.u(1) == 1 }

// skip passes over n bits, any number.
func (r *bitReader) skip(n int) {
	if r.bad || n > r.left() {
		r.bad = true
		return
	}
	r.pos += n
}

// align moves to the next multiple of 8 bits from the start.
func (r *bitReader) align() { r.skip(-r.pos & 7) }

// ue reads an unsigned Exp-Golomb code, H.264 9.1. The largest that the standard uses,
// 2^32-2, has 31 leading zeros: more are an error.
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		zeros++
		if r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return uint32(uint64(1)<<zeros - 1 + uint64(r.u(zeros)))
}

// se reads a signed Exp-Golomb code, H.264 9.1.1.
func (r *bitReader) se() int32 {
	k := int64(r.ue())
	if k&1 == 1 {
		return int32((k + 1) / 2)
	}
	return int32(-k / 2)
}

// unescape appends to dst the payload of a NAL unit without its emulation prevention bytes:
// the 3 of each 0 0 3, H.264 7.3.1. It never appends more than len(src) bytes.
func unescape(dst, src []byte) []byte {
	zeros := 0
	for _, b := range src {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		dst = append(dst, b)
	}
	return dst
}
