//go:build linux

// Package benchhost says where the figures of a benchmark come from, and what else the machine
// was doing meanwhile. Both benchmarks use it.
package benchhost

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tick is the unit of processor time in /proc: the kernel reports it in USER_HZ, which is 100
// everywhere.
const Tick = 10 * time.Millisecond

// Machine describes where the figures come from.
func Machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version())
}

// ForeignTime is the processor time that the machine has spent on other programs than this
// one and those that it started and that have ended.
func ForeignTime() time.Duration {
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
		sum += time.Duration(n) * Tick
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum -= time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// Number prints three significant digits of what is below 100.
func Number(f float64) string {
	switch a := math.Abs(f); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}
