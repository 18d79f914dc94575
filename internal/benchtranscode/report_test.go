//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/livepeer/lpms/internal/benchhost"
)

func TestReport(t *testing.T) {
	r := report{title: "clip", rows: []row{{what: "a|b", figure: "1", limit: "2", met: verdict(true)}, {what: "c", figure: "3"}}}
	plain := table{head: []string{"x", "y"}}
	plain.add("1", "2")
	r.tables = []table{{head: []string{"nothing"}}, plain}
	var out strings.Builder
	r.print(&out)
	const want = `### clip

| what | measured | limit | ok? |
|---|---|---|---|
| a\|b | 1 | 2 | yes |
| c | 3 | - | - |

| x | y |
|---|---|
| 1 | 2 |

`
	if out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []float64
		want float64
	}{
		{"none", nil, 0}, {"one", []float64{4}, 4}, {"odd", []float64{9, 1, 3}, 3}, {"even", []float64{4, 1, 2, 9}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := median(c.in); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if got := ratios([]float64{2, 9}, []float64{4, 3, 1}); !slices.Equal(got, []float64{0.5, 3}) {
		t.Errorf("ratios: %v", got)
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{0: "0.00", 1.234: "1.23", 12.34: "12.3", 99.96: "100", 1234.5: "1234", -3: "-3.00"} {
		if got := benchhost.Number(f); got != want {
			t.Errorf("benchhost.Number(%v): got %s, want %s", f, got, want)
		}
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		only            string
		quick           bool
		clips, measured []string
	}{
		{"", false, clipNames(), measurements},
		{"", true, []string{"testsrc720", "mandelbrot720"}, measurements},
		{"time,mandelbrot1080", true, []string{"mandelbrot1080"}, []string{timing}},
		{"testsrc720", false, []string{"testsrc720"}, measurements},
	} {
		clips, measured, err := selection(c.only, c.quick)
		if err != nil || !slices.Equal(clips, c.clips) || !slices.Equal(measured, c.measured) {
			t.Errorf("%q: got %v, %v, %v", c.only, clips, measured, err)
		}
	}
	if _, _, err := selection("time,nothing", false); err == nil {
		t.Error("an unknown name is accepted")
	}
}
