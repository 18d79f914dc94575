package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRepair(t *testing.T) {
	const no = noTime
	type times struct{ dts, pts clock }
	step := clockRate / 30
	for name, c := range map[string]struct{ in, want []times }{
		"good":                {[]times{{0, 20000}, {10000, 10000}}, []times{{0, 20000}, {10000, 10000}}},
		"no DTS":              {[]times{{no, 5}, {no, 50000}}, []times{{5, 5}, {50000, 50000}}},
		"nothing":             {[]times{{no, no}, {no, no}, {no, no}}, []times{{0, 0}, {step, step}, {2 * step, 2 * step}}},
		"no PTS":              {[]times{{7, no}}, []times{{7, 7}}},
		"PTS before DTS":      {[]times{{100000, 5}}, []times{{100000, 100000}}},
		"the same DTS":        {[]times{{5, 5}, {5, 9}}, []times{{5, 5}, {5 + leastStep, 5 + leastStep}}},
		"back":                {[]times{{clockRate, clockRate}, {0, 0}}, []times{{clockRate, clockRate}, {clockRate + leastStep, clockRate + leastStep}}},
		"the second of a PES": {[]times{{clockRate, clockRate}, {no, no}, {2 * clockRate, 2 * clockRate}}, []times{{clockRate, clockRate}, {clockRate + step, clockRate + step}, {2 * clockRate, 2 * clockRate}}},
		"B-frames, no DTS":    {[]times{{no, 4 * step}, {no, 2 * step}}, []times{{4 * step, 4 * step}, {5 * step, 5 * step}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := repair{step: step, last: noTime}
			var got []times
			for _, in := range c.in {
				u := unit{dts: in.dts, pts: in.pts}
				r.times(&u)
				got = append(got, times{u.dts, u.pts})
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Whatever comes, DTS rises and PTS is not before it.
func FuzzRepair(f *testing.F) {
	f.Add(int64(0), int64(0), int64(-1), int64(1<<62), int64(noTime), int64(noTime))
	f.Add(int64(5), int64(noTime), int64(noTime), int64(3), int64(4), int64(1))
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g int64) {
		const limit = 1 << 62 // what a container can say, in this clock
		r := repair{step: clockRate / 30, last: noTime}
		last := noTime
		for _, p := range [][2]int64{{a, b}, {c, d}, {e, g}} {
			u := unit{dts: clock(p[0]), pts: clock(p[1])}
			if u.dts > limit || u.pts > limit || u.dts < -limit && u.dts != noTime || u.pts < -limit && u.pts != noTime {
				return
			}
			r.times(&u)
			require.Greater(t, u.dts, last)
			require.GreaterOrEqual(t, u.pts, u.dts)
			last = u.dts
		}
	})
}
