package ffmpeg

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every usual rate is found from times that clocks of 90 kHz and of milliseconds rounded, in
// any order.
func TestMeasureRate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, want := range usualRates {
		for _, rounding := range []clock{1, tick, clockRate / 1000} {
			if rounding == clockRate/1000 && want.float() > 130 {
				continue // a millisecond is too coarse
			}
			var times []clock
			for i := range 120 {
				c := clock(mulDiv(int64(i)*int64(want.den), int64(clockRate), int64(want.num)))
				times = append(times, 777*clockRate+(c+rounding/2)/rounding*rounding)
			}
			r.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
			require.Equal(t, want, measureRate(times), "times of %v rounded to %d ticks", want, rounding)
		}
	}
}

func TestMeasureRateOdd(t *testing.T) {
	require.Zero(t, measureRate(nil))
	require.Zero(t, measureRate([]clock{5}))
	require.Zero(t, measureRate([]clock{5, 5, noTime, noTime}))
	// Holes and repeated times do not count.
	require.Equal(t, rational{30, 1}, measureRate([]clock{0, clockRate / 30, clockRate / 15, clockRate / 15, 3 * clockRate, 3*clockRate + clockRate/30}))
	// When times are missing, the pictures in between count.
	require.Equal(t, rational{30, 1}, measureRate([]clock{clockRate, noTime, noTime, noTime, clockRate + 4*clockRate/30, noTime}))
	require.Equal(t, rational{37, 1}, measureRate([]clock{0, clockRate / 37, 2 * clockRate / 37}).reduced())
	// One tick apart, or an age.
	for _, gap := range []clock{1, tick, 1 << 61} {
		got := measureRate([]clock{0, gap})
		require.Positive(t, got.num)
		require.Positive(t, got.den)
	}
}

// reduced is r in thousandths as a whole number, when it is one.
func (r rational) reduced() rational {
	if r.den == 1000 && r.num%1000 == 0 {
		return rational{r.num / 1000, 1}
	}
	return r
}

func TestPeriod(t *testing.T) {
	require.Zero(t, rational{}.period())
	for _, r := range usualRates {
		// The clock was chosen so that nothing is rounded, for rates up to 120.
		if r.float() <= 120 {
			require.Equal(t, int64(r.den)*int64(clockRate), int64(r.period())*int64(r.num), "%v", r)
		}
	}
}
