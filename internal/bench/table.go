//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// row is one line of the table.
type row struct {
	what, figure, beside, target string
	met                          string // verdict; empty when there is no target
}

func verdict(met bool) string {
	if met {
		return "yes"
	}
	return "**no**"
}

func printReport(w io.Writer, b *bench, rows []row) {
	fmt.Fprintf(w, "%s, %s. ", b.begin.UTC().Format("2006-01-02 15:04 UTC"), benchhost.Machine())
	fmt.Fprintf(w, "Other programs took %s cores on average meanwhile.\n\n", benchhost.Number(max(b.others, 0)))
	fmt.Fprintf(w, "Command: `%s`\n\n", strings.Join(os.Args, " "))
	fmt.Fprintln(w, "| what | figure | beside it, same run | target | met? |\n|---|---|---|---|---|")
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
	}
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", dash(r.what), dash(r.figure), dash(r.beside), dash(r.target), dash(r.met))
	}
	if len(b.notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range b.notes {
		fmt.Fprintln(w, "- "+n)
	}
}

// percentile is the nearest-rank percentile: the smallest value that is not below p per
// cent of all. It sorts ds.
func percentile(ds []time.Duration, p float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	rank := int(math.Ceil(p / 100 * float64(len(ds))))
	return ds[min(max(rank, 1), len(ds))-1]
}

// millis prints a duration as milliseconds.
func millis(d time.Duration) string {
	return benchhost.Number(float64(d)/1e6) + " ms"
}

// kilobytes prints bytes as kB.
func kilobytes(n float64) string { return benchhost.Number(n/1e3) + " kB" }

// megabytes prints bytes as MB.
func megabytes(n float64) string { return benchhost.Number(n/1e6) + " MB" }
