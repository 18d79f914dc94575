package capacity

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The search finds what a machine carries, in few trials, whatever one stream seems to cost.
func TestSearch(t *testing.T) {
	for _, truth := range []int{0, 1, 2, 3, 5, 7, 12, 40, 64, 200} {
		for _, off := range []float64{0.3, 0.9, 1, 1.1, 4} {
			trials := 0
			got := search(64, func(n int) (bool, float64) {
				trials++
				return n <= truth, off * float64(runtime.GOMAXPROCS(0)) / (float64(truth) + 0.5)
			}, func() bool { return false })
			require.Equal(t, min(truth, 64), got, "%d, cost %v", truth, off)
			require.LessOrEqual(t, trials, maxTrials)
		}
	}
}

func TestSearchStops(t *testing.T) {
	trials := 0
	search(64, func(int) (bool, float64) { trials++; return true, 0.01 }, func() bool { return trials == 2 })
	require.Equal(t, 2, trials)
}
