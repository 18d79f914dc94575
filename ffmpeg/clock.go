package ffmpeg

import (
	"math"
	"math/bits"
	"time"
)

// ticks of the transcoder's clock. One second has so many of them that the time bases of
// transport streams, of MP4 (24000, 30000, 12800, 15360, 44100, 48000, 90000...), of FLV and
// the duration of a picture at every usual rate, 24000/1001 included, are whole numbers: no
// time is rounded between input and output.
type clock int64

const (
	clockRate clock = 282_240_000 // 2^10 * 3^2 * 5^4 * 7^2
	noTime    clock = math.MinInt64
)

func (c clock) duration() time.Duration {
	return time.Duration(mulDiv(int64(c), int64(time.Second), int64(clockRate)))
}

func toClock(d time.Duration) clock {
	return clock(mulDiv(int64(d), int64(clockRate), int64(time.Second)))
}

// mulDiv is a*b/c, rounded to the nearest, without overflow in between; b and c are above
// zero. What does not fit in the end becomes the largest value.
func mulDiv(a, b, c int64) int64 {
	negative := a < 0
	if negative {
		a = -a
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	hi += carry
	n := uint64(math.MaxInt64)
	if hi < uint64(c) {
		q, _ := bits.Div64(hi, lo, uint64(c))
		n = min(q, n)
	}
	if negative {
		return -int64(n)
	}
	return int64(n)
}

// floor is the largest multiple of unit that is not larger than c.
func (c clock) floor(unit clock) clock {
	n := c / unit
	if c < 0 && n*unit != c {
		n--
	}
	return n * unit
}
