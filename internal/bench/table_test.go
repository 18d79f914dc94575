//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

func TestPercentile(t *testing.T) {
	ten := func() []time.Duration { return []time.Duration{10, 9, 8, 7, 6, 5, 4, 3, 2, 1} }
	for _, c := range []struct {
		name string
		in   []time.Duration
		p    float64
		want time.Duration
	}{
		{"none", nil, 50, 0},
		{"one", []time.Duration{7}, 99, 7},
		{"median of ten", ten(), 50, 5},
		{"ninety", ten(), 90, 9},
		{"above ninety", ten(), 91, 10},
		{"all", ten(), 100, 10},
		{"zero", ten(), 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := percentile(c.in, c.p); got != c.want {
				t.Errorf("percentile %v: got %d, want %d", c.p, got, c.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{0: "0.00", 1.234: "1.23", 12.34: "12.3", 99.96: "100", 1234.5: "1234", -3: "-3.00"} {
		if got := benchhost.Number(f); got != want {
			t.Errorf("benchhost.Number(%v): got %s, want %s", f, got, want)
		}
	}
}
