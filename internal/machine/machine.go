// Package machine measures what the process uses of its machine, and how much there is.
package machine

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Meter measures how busy the process keeps the machine. It may be used by any goroutine.
type Meter struct {
	mu   sync.Mutex
	at   time.Time
	used time.Duration
	cpu  float64 // cores, over the last interval
}

// Measure ends an interval, and returns the cores that were in use in it.
func (m *Meter) Measure(now time.Time) float64 {
	used := processorTime()
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := now.Sub(m.at); !m.at.IsZero() && d > 0 {
		m.cpu = float64(used-m.used) / float64(d)
	}
	m.at, m.used = now, used
	return m.cpu
}

// Last is the last result.
func (m *Meter) Last() float64 {
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

// ResidentMemory is that of the process, in bytes; 0 where the system does not say.
func ResidentMemory() int64 {
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

// Cores is how many the process may use, with the limits of a container.
func Cores() int { return runtime.GOMAXPROCS(0) }

// jobMemory is about what a segment of 1080p takes while it is transcoded, in bytes.
const jobMemory = 256 << 20

// Jobs is how many segments this machine transcodes at the same time: one for each core, as far
// as there is memory for them.
func Jobs() int { return jobs(Cores(), freeMemory("/")) }

func jobs(cores int, memory int64) int {
	if memory > 0 {
		cores = min(cores, int(memory/jobMemory))
	}
	return max(cores, 1)
}

// freeMemory is what the process may still take, in bytes; 0 where the system does not say. root
// is where the files of the system are.
func freeMemory(root string) int64 {
	free := int64(0)
	text, _ := os.ReadFile(root + "proc/meminfo") // without it, nothing is known
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			free = kb << 10
		}
	}
	limit, errLimit := readNumber(root + "sys/fs/cgroup/memory.max")
	used, errUsed := readNumber(root + "sys/fs/cgroup/memory.current")
	if errLimit == nil && errUsed == nil {
		if left := max(limit-used, 1); free == 0 || left < free {
			free = left
		}
	}
	return free
}

func readNumber(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}
