package clusterbench

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/livepeer/lpms/internal/machine"
)

// Usage is what was used of the machine meanwhile.
type Usage struct {
	CPU    float64 // cores in use by this process, on average
	Others float64 // cores in use by other programs; 0 where the system does not say
	Memory int64   // the largest resident memory of this process, in bytes
}

// usage measures until it is stopped.
type usage struct {
	began  time.Time
	busy   time.Duration // of the machine, when it began
	meter  machine.Meter
	end    chan struct{}
	ended  sync.WaitGroup
	memory int64
}

// memoryInterval is how often memory is looked at.
const memoryInterval = 100 * time.Millisecond

func watch() *usage {
	u := &usage{began: time.Now(), busy: busyTime(), end: make(chan struct{})}
	u.meter.Measure(u.began)
	u.ended.Go(func() {
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		for {
			u.memory = max(u.memory, machine.ResidentMemory())
			select {
			case <-tick.C:
			case <-u.end:
				return
			}
		}
	})
	return u
}

func (u *usage) stop() Usage {
	close(u.end)
	u.ended.Wait()
	now := time.Now()
	cpu, all := u.meter.Measure(now), float64(busyTime()-u.busy)/float64(now.Sub(u.began))
	return Usage{CPU: cpu, Others: max(all-cpu, 0), Memory: u.memory}
}

// busyTime is the processor time that the machine has spent so far on all programs; 0 where the
// system does not say. Its unit in /proc is 10 ms (proc_stat(5)).
func busyTime() (sum time.Duration) {
	text, _ := os.ReadFile("/proc/stat") // without it, nothing is known
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // its name, idle, iowait, and what is in user already
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}
