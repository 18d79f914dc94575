package machine

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ReleaseStartup takes out of the process's memory what only its start needed: the code and tables
// of libraries that the dynamic linker went through, and code that ran once. What is needed again is
// read again, from the files that it is a part of. It reports how many bytes were in memory. It is
// for processes that use little of what they are linked to.
func ReleaseStartup() (released int64) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return 0
	}
	defer f.Close()
	var m mapping
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch {
		case strings.Contains(name, "-") && !strings.Contains(name, "_"): // the first line of a mapping
			released += m.release()
			m = newMapping(lines.Text())
		case name == "Rss":
			m.resident = kilobytes(value)
		case name == "Anonymous":
			m.written = kilobytes(value)
		}
	}
	return released + m.release()
}

// mapping is a part of a file in memory.
type mapping struct {
	from, to          uintptr
	constant          bool // a file that is only read
	resident, written int64
}

// newMapping reads "55d0-55e0 r-xp 00000000 08:01 1234 /usr/lib/libx.so".
func newMapping(line string) (m mapping) {
	f := strings.Fields(line)
	if len(f) < 6 || !strings.HasPrefix(f[5], "/") {
		return m
	}
	from, to, _ := strings.Cut(f[0], "-")
	a, errA := strconv.ParseUint(from, 16, 64)
	b, errB := strconv.ParseUint(to, 16, 64)
	if errA != nil || errB != nil {
		return m
	}
	return mapping{from: uintptr(a), to: uintptr(b), constant: f[1] == "r-xp" || f[1] == "r--p"}
}

func kilobytes(value string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
	return n << 10
}

// release gives the pages back, if nothing would be lost: pages that were written (relocated, before
// they were made read-only) are in no file.
func (m *mapping) release() int64 {
	if !m.constant || m.written > 0 || m.resident == 0 || m.to <= m.from {
		return 0
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED); errno != 0 {
		return 0
	}
	return m.resident
}
