package testsignal

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func drawn(t *testing.T, o Options) *card {
	t.Helper()
	o, err := o.withDefaults()
	require.NoError(t, err)
	return newCard(&o)
}

// Between two pictures only the digits that differ, the rail and the lamps change.
func TestCardChanges(t *testing.T) {
	c := drawn(t, Options{})
	c.update(10, noon.Unix(), 420*time.Millisecond)
	before := slices.Clone(c.y)
	chroma := slices.Concat(c.u, c.v)
	c.update(11, noon.Unix(), 453*time.Millisecond)
	inside := func(i int) string {
		x, y := i%c.w, i/c.w
		in := func(r rect) bool { return x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1 }
		// The last two digits of the clock, the last of the number.
		end := c.clock.x + int(textWidth("00:00:00.000")*c.clock.unit) + 2
		number := c.number.x + int(textWidth("FRAME 0000000")*c.number.unit) + 2
		switch {
		case in(rect{end - int(2*advance*c.clock.unit), c.clock.y, end, c.clock.y + height(c.clock.unit)}):
			return "clock"
		case in(rect{number - int(advance*c.number.unit), c.number.y, number, c.number.y + height(c.number.unit)}):
			return "number"
		case in(c.rail):
			return "rail"
		}
		return "elsewhere"
	}
	changed := map[string]int{}
	for i := range c.y {
		if c.y[i] != before[i] {
			changed[inside(i)]++
		}
	}
	require.Zero(t, changed["elsewhere"], changed)
	require.Greater(t, changed["clock"], 1000)
	require.Greater(t, changed["number"], 50)
	require.Greater(t, changed["rail"], 1000)
	require.Equal(t, chroma, slices.Concat(c.u, c.v), "what moves is grey")
}

// However it got there, a picture looks the same.
func TestCardHasNoMemory(t *testing.T) {
	c := drawn(t, Options{})
	for n := range int64(200) {
		c.update(n, noon.Unix()+n/30, time.Duration(n%30)*time.Second/30)
	}
	fresh := drawn(t, Options{})
	fresh.update(199, noon.Unix()+199/30, time.Duration(199%30)*time.Second/30)
	require.Equal(t, fresh.y, c.y)
}

// Every size and name can be drawn; nothing is drawn outside.
func TestCardSizes(t *testing.T) {
	for _, o := range []Options{
		{Width: 128, Height: 72}, {Width: 3840, Height: 72}, {Width: 128, Height: 2160}, {Width: 854, Height: 480},
		{Width: 130, Height: 74, Name: "\xff\x00ü€ a very long name that does not fit"}, {Width: 256, Height: 144, Name: "-"},
	} {
		c := drawn(t, o)
		c.update(math.MaxInt64-1, -1<<40, 999*time.Millisecond)
		c.update(1, 1<<40, 0)
		require.Positive(t, c.clock.x)
		require.Less(t, c.clock.x+int(textWidth("00:00:00.000")*c.clock.unit), o.Width)
	}
}

func TestColors(t *testing.T) {
	require.Equal(t, color{16, 128, 128}, grey(0))
	require.Equal(t, color{235, 128, 128}, grey(1))
	// ITU-R BT.709, 75 %.
	require.Equal(t, color{168, 44, 136}, rgb(.75, .75, 0))
	require.Equal(t, color{51, 109, 212}, rgb(.75, 0, 0))
}

func TestTimeline(t *testing.T) {
	for name, c := range map[string]struct {
		now   time.Time
		fps   int
		first int64
		begin time.Time
	}{
		"between two":  {noon, 30, 12, noon.Add(-20 * time.Millisecond)},
		"at one":       {noon.Truncate(time.Second), 30, 0, noon.Truncate(time.Second)},
		"the last":     {noon.Truncate(time.Second).Add(time.Second - 1), 25, 24, noon.Truncate(time.Second).Add(960 * time.Millisecond)},
		"one a second": {noon, 1, 0, noon.Truncate(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTimeline(c.now, c.fps)
			require.Equal(t, c.first, l.first)
			require.True(t, c.begin.Equal(l.begin), l.begin)
			sec, rest := l.wall(0)
			require.True(t, c.begin.Equal(time.Unix(sec, int64(rest))))
			for _, n := range []int64{0, 1, 29, 30, 31, 1000, 1 << 31} {
				require.Equal(t, n, l.numberAt(l.time(n)))
				require.Equal(t, n+1, l.numberAt(l.time(n)+1))
				sec, rest := l.wall(n)
				require.WithinDuration(t, c.begin.Add(l.time(n)), time.Unix(sec, int64(rest)), 1)
			}
			require.Equal(t, int(float64(48000*l.first)/float64(c.fps)), l.sampleOffset(48000))
		})
	}
}

// The second repeats without a click, and its parts have their levels.
func TestTone(t *testing.T) {
	for _, rate := range sampleRates {
		tn := newTone(rate, rate-10)
		got := make([]float32, 2*(rate+20))
		tn.read(got)
		require.Equal(t, 10, tn.at)
		var loudest float64
		for i := 2; i < len(got); i += 2 {
			require.Equal(t, got[i], got[i+1])
			loudest = max(loudest, math.Abs(float64(got[i])))
			require.Less(t, math.Abs(float64(got[i]-got[i-2])), beepLevel*2*math.Pi*beepHz/float64(rate)+1e-3)
		}
		require.InDelta(t, beepLevel, loudest, 0.01)
		require.InDelta(t, 0, got[20], 1e-6, "the beep begins at the full second")
	}
}
