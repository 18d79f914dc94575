package backend

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// meter measures what the process uses of the machine.
type meter struct {
	mu   sync.Mutex
	at   time.Time
	used time.Duration
	cpu  float64 // cores, over the last interval
}

// measure ends an interval, and returns the cores that were in use in it.
func (m *meter) measure(now time.Time) float64 {
	used := processorTime()
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := now.Sub(m.at); !m.at.IsZero() && d > 0 {
		m.cpu = float64(used-m.used) / float64(d)
	}
	m.at, m.used = now, used
	return m.cpu
}

// cores is the last result.
func (m *meter) cores() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cpu
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMemory is in bytes; 0 where the system does not say.
func residentMemory() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
