package ffmpeg

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// paced gives the times at which pictures of a source are shown, and which one.
func paced(rate rational, times []clock, end clock) (at []clock, which []int) {
	p := pacer{rate: rate, start: times[0]}
	show := func(i int, first, last int64) {
		for k := first; k < last; k++ {
			at, which = append(at, p.at(k)), append(which, i)
		}
	}
	for i := 1; i < len(times); i++ {
		first, last := p.until(times[i])
		show(i-1, first, last)
	}
	first, last := p.rest(end)
	show(len(times)-1, first, last)
	return at, which
}

// A segment of n pictures at one rate has round(d*rate) pictures at another, at least one,
// on the exact grid, each at most half a slot from its own time.
func TestPace(t *testing.T) {
	for _, from := range usualRates {
		for _, to := range usualRates {
			if to.float() > maxRepeats*from.float() {
				continue // there is a limit to that
			}
			for _, n := range []int{1, 2, 3, 7, 59, 60, 61, 120} {
				start := clock(12345)
				var times []clock
				for i := range n {
					times = append(times, start+clock(mulDiv(int64(i)*int64(from.den), int64(clockRate), int64(from.num))))
				}
				length := clock(mulDiv(int64(n)*int64(from.den), int64(clockRate), int64(from.num)))
				at, which := paced(to, times, start+length)
				exact := length.seconds() * to.float()
				require.InDelta(t, max(exact, 1), float64(len(at)), 0.5+1e-6, "%v to %v, %d pictures", from, to, n)
				if frac := exact - math.Floor(exact); math.Abs(frac-0.5) > 1e-6 {
					require.EqualValues(t, max(math.Round(exact), 1), len(at), "%v to %v, %d pictures", from, to, n)
				}
				for k, c := range at {
					own := times[which[k]]
					switch {
					case c != start+clock(mulDiv(int64(k)*int64(to.den), int64(clockRate), int64(to.num))):
						t.Fatalf("%v to %v, %d pictures: slot %d is at %v", from, to, n, k, c.duration())
					case k > 0 && which[k] < which[k-1]:
						t.Fatalf("%v to %v, %d pictures: slot %d goes back", from, to, n, k)
					case which[k] < n-1 && math.Abs((own-c).seconds()) > max(0.5/to.float(), 0.5/from.float())+0.5/from.float()+1e-6:
						t.Fatalf("%v to %v, %d pictures: slot %d shows a picture of %v", from, to, n, k, (c - own).duration())
					}
				}
			}
		}
	}
}

// A rate that is the source's own shows each picture once, even when times are rounded.
func TestPaceSame(t *testing.T) {
	for _, rounding := range []clock{1, tick, clockRate / 1000} {
		var times []clock
		for i := range 300 {
			c := clock(mulDiv(int64(i)*1001, int64(clockRate), 30000))
			times = append(times, (c+rounding/2)/rounding*rounding)
		}
		_, which := paced(rational{30000, 1001}, times, times[299]+clockRate*1001/30000)
		require.Len(t, which, 300)
		for k, i := range which {
			require.Equal(t, k, i)
		}
	}
}

// Holes are filled, but not without end.
func TestPaceHole(t *testing.T) {
	rate := rational{30, 1}
	_, which := paced(rate, []clock{0, 5 * clockRate}, 5*clockRate+clockRate/30)
	require.Len(t, which, 151)
	at, _ := paced(rate, []clock{0, 1000 * clockRate}, 1000*clockRate+clockRate/30)
	most := int(30*maxFill/clockRate) + 3
	require.InDelta(t, most, len(at), 5)
	require.InDelta(t, 1000, at[len(at)-1].seconds(), 0.05, "after the hole, times are right again")
	at, _ = paced(rate, []clock{0}, 1000*clockRate)
	require.LessOrEqual(t, len(at), most)
	// A clock that lies costs no time.
	at, _ = paced(rational{240, 1}, []clock{0, math.MaxInt64 / 4}, math.MaxInt64/2)
	require.Less(t, len(at), 10_000)
}
