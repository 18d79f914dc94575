//go:build linux

package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 1 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 100 200 300"
	for _, c := range []struct {
		name, in string
		want     procStat
		ok       bool
	}{
		{"plain", "42 (nginx) S 7" + rest, procStat{42, 7, 1750 * time.Millisecond}, true},
		{"spaces and parentheses", "42 (a) b (c) d) S 7" + rest, procStat{42, 7, 1750 * time.Millisecond}, true},
		{"short", "42 (nginx) S 7 1 1", procStat{}, false},
		{"no name", "42 S 7" + rest, procStat{}, false},
		{"empty", "", procStat{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat(c.in)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}
