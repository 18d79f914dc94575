//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/livepeer/lpms/internal/benchhost"
)

// row is one line of the table of limits.
type row struct {
	what, figure, limit string
	met                 string // verdict; empty when there is no limit
}

func verdict(met bool) string {
	if met {
		return "yes"
	}
	return "**no**"
}

// table is a table of plain figures.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) {
	line := func(cells []string) {
		fmt.Fprint(w, "|")
		for _, c := range cells {
			if c == "" {
				c = "-"
			}
			fmt.Fprintf(w, " %s |", strings.NewReplacer("|", "\\|", "\n", " ").Replace(c))
		}
		fmt.Fprintln(w)
	}
	line(t.head)
	fmt.Fprintln(w, strings.Repeat("|---", len(t.head))+"|")
	for _, r := range t.rows {
		line(r)
	}
}

// report is what was measured with one clip.
type report struct {
	title  string
	rows   []row
	tables []table
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n", r.title)
	t := table{head: []string{"what", "measured", "limit", "ok?"}}
	for _, r := range r.rows {
		t.add(r.what, r.figure, r.limit, r.met)
	}
	for _, t := range append([]table{t}, r.tables...) {
		if len(t.rows) > 0 {
			t.print(w)
			fmt.Fprintln(w)
		}
	}
}

// maxOthers is how many cores other programs may take without spoiling the figures.
const maxOthers = 0.3

func printReports(w io.Writer, b *bench, reports []*report) {
	fmt.Fprintf(w, "%s, %s. ", b.begin.UTC().Format("2006-01-02 15:04 UTC"), benchhost.Machine())
	fmt.Fprintf(w, "Other programs took %s cores during the worst timed run.\n\n", benchhost.Number(max(b.others, 0)))
	if b.others > maxOthers {
		fmt.Fprint(w, "**That is too much for wall times, and CPU times are a few percent off: run it again.**\n\n")
	}
	fmt.Fprintf(w, "Command: `%s`\n\n", strings.Join(os.Args, " "))
	for _, r := range reports {
		r.print(w)
	}
	for _, n := range b.notes {
		fmt.Fprintln(w, "- "+n)
	}
}

// median is the middle one, or the mean of the two in the middle; 0 of nothing.
func median(f []float64) float64 {
	n := len(f)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(f))
	return (s[(n-1)/2] + s[n/2]) / 2
}

// ratios divides pairwise.
func ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		r = append(r, a[i]/b[i])
	}
	return r
}

// span is the least and the most.
func span(f []float64) (low, high float64) {
	if len(f) == 0 {
		return 0, 0
	}
	return slices.Min(f), slices.Max(f)
}
