package clusterbench

import (
	"slices"
	"time"
)

// Quantiles are of all samples: none is estimated.
type Quantiles struct {
	P50, P90, P99, Max time.Duration
}

// quantilesOf sorts the samples. Without any, all are 0.
func quantilesOf(samples []time.Duration) Quantiles {
	if len(samples) == 0 {
		return Quantiles{}
	}
	slices.Sort(samples)
	return Quantiles{nearest(samples, 50), nearest(samples, 90), nearest(samples, 99), samples[len(samples)-1]}
}

// nearest is the smallest sample that so many percent of all are not above.
func nearest(sorted []time.Duration, percent int) time.Duration {
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}
