package ffmpeg

import (
	"cmp"
	"slices"
)

// usualRates are what cameras and encoders produce.
var usualRates = []rational{
	{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {15, 2}, {8, 1}, {10, 1}, {12, 1}, {25, 2}, {15, 1}, {20, 1}, {24000, 1001}, {24, 1},
	{25, 1}, {30000, 1001}, {30, 1}, {48, 1}, {50, 1}, {60000, 1001}, {60, 1}, {72, 1}, {90, 1}, {100, 1}, {120000, 1001}, {120, 1},
	{144, 1}, {240, 1},
}

// measureRate finds the rate of pictures by their times, in any order. When the distances
// vary, it is the rate of the usual distance. It is zero when fewer than two times are known.
func measureRate(times []clock) rational {
	if rate := rateBetween(times); rate.num > 0 {
		return rate
	}
	times = slices.Clone(times)
	slices.Sort(times)
	times = slices.Compact(times)
	if len(times) > 0 && times[0] == noTime {
		times = times[1:]
	}
	if len(times) < 2 {
		return rational{}
	}
	gaps := make([]clock, len(times)-1)
	for i := range gaps {
		gaps[i] = times[i+1] - times[i]
	}
	slices.Sort(gaps)
	gap := gaps[len(gaps)/2]
	// The mean says more than one distance, which clocks of milliseconds round: of those
	// that are like the usual one.
	var sum clock
	n := 0
	for _, g := range gaps {
		if g > gap*3/4 && g < gap*5/4 {
			sum += g
			n++
		}
	}
	return nearestRate(float64(clockRate) * float64(n) / float64(sum))
}

// rateBetween is the rate when many times are not known: that of all pictures between the
// first and the last that are. It is zero when most are known.
func rateBetween(times []clock) rational {
	unknown := 0
	for _, t := range times {
		if t == noTime {
			unknown++
		}
	}
	if 4*unknown < len(times) || unknown == 0 {
		return rational{}
	}
	first := slices.IndexFunc(times, func(t clock) bool { return t != noTime })
	last := len(times) - 1
	for last >= 0 && times[last] == noTime {
		last--
	}
	if first < 0 || times[last] <= times[first] {
		return rational{}
	}
	return nearestRate(float64(clockRate) * float64(last-first) / float64(times[last]-times[first]))
}

// nearestRate is a usual rate when it is near enough, within what rounding explains.
func nearestRate(fps float64) rational {
	fps = min(fps, maxFrameRate) // times stay what they are; this is what an encoder is told
	best := slices.MinFunc(usualRates, func(a, b rational) int {
		return cmp.Compare(off(fps, a), off(fps, b))
	})
	if off(fps, best) < 0.004 {
		return best
	}
	return rational{max(int(fps*1000+0.5), 1), 1000}
}

// off is how far fps is from r, as a part of it.
func off(fps float64, r rational) float64 {
	d := fps*float64(r.den)/float64(r.num) - 1
	return max(d, -d)
}

// period is the duration of a picture.
func (r rational) period() clock {
	if r.num == 0 {
		return 0
	}
	return clock(mulDiv(int64(r.den), int64(clockRate), int64(r.num)))
}

func (r rational) float() float64 { return float64(r.num) / float64(r.den) }
