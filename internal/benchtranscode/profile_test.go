//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestParseShares(t *testing.T) {
	const report = "\n    52.44%  libx264.so.164  \n     6.25%  [kernel.kallsyms]\n# comment\n     4.10%  bench  [.] resize_rows.part.0   -      -\n"
	want := []share{{"libx264.so.164", "", 52.44}, {"[kernel.kallsyms]", "", 6.25}, {"bench", "resize_rows.part.0", 4.1}}
	if got := parseShares([]byte(report)); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}
