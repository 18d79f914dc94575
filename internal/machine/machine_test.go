package machine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMeter(t *testing.T) {
	var m Meter
	begin := time.Now()
	require.Zero(t, m.Measure(begin), "there is no interval yet")
	for deadline := processorTime() + 50*time.Millisecond; processorTime() < deadline; { // works
	}
	require.Positive(t, m.Measure(time.Now()))
	require.Positive(t, m.Last())
	require.Positive(t, ResidentMemory())
}

func TestJobs(t *testing.T) {
	for _, c := range []struct {
		name, meminfo, limit, used string
		cores, want                int
	}{
		{"enough memory", "MemTotal: 9 kB\nMemAvailable:   24000000 kB\n", "", "", 4, 4},
		{"little memory", "MemAvailable: 800000 kB\n", "", "", 4, 3},
		{"next to none", "MemAvailable: 1000 kB\n", "", "", 4, 1},
		{"a container", "MemAvailable: 24000000 kB\n", "1073741824\n", "536870912\n", 4, 2},
		{"a container that is full", "MemAvailable: 24000000 kB\n", "1000", "2000", 4, 1},
		{"a container without a limit", "MemAvailable: 24000000 kB\n", "max\n", "536870912\n", 4, 4},
		{"another system", "", "", "", 8, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir() + "/"
			for path, text := range map[string]string{"proc/meminfo": c.meminfo, "sys/fs/cgroup/memory.max": c.limit, "sys/fs/cgroup/memory.current": c.used} {
				if text != "" {
					require.NoError(t, os.MkdirAll(filepath.Dir(root+path), 0o700))
					require.NoError(t, os.WriteFile(root+path, []byte(text), 0o600))
				}
			}
			require.Equal(t, c.want, jobs(c.cores, freeMemory(root)))
		})
	}
	require.Positive(t, Jobs())
}
