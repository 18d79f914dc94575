//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	fmt.Fprintf(w, "%s, %s. ", b.begin.UTC().Format("2006-01-02 15:04 UTC"), machine())
	fmt.Fprintf(w, "Other programs took %s cores on average meanwhile.\n\n", number(max(b.others, 0)))
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

// machine describes where the figures come from.
func machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel := "unknown"
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		var s []byte
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			s = append(s, byte(c))
		}
		kernel = string(s)
	}
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), model, kernel, runtime.Version())
}

// foreignTime is the processor time that the machine has spent on other programs than this
// one and those that it started and that have ended.
func foreignTime() time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	var sum time.Duration
	for i, f := range strings.Fields(line) {
		// user, nice, system, then idle and iowait, then irq, softirq and steal; guests
		// are in user (proc_stat(5)).
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * tick
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum -= time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
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
	return number(float64(d)/1e6) + " ms"
}

// kilobytes prints bytes as kB.
func kilobytes(n float64) string { return number(n/1e3) + " kB" }

// megabytes prints bytes as MB.
func megabytes(n float64) string { return number(n/1e6) + " MB" }

// number prints three significant digits of what is below 100.
func number(f float64) string {
	switch a := math.Abs(f); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}
