package machine

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is given back comes again when it is needed.
func TestReleaseStartup(t *testing.T) {
	require.Positive(t, ReleaseStartup())
	_, err := os.Stat(t.TempDir())
	require.NoError(t, err, "the program goes on")
}

func TestMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"1000-3000 r-xp 00000000 08:01 12 /usr/lib/libx.so": {from: 0x1000, to: 0x3000, constant: true},
		"1000-3000 r--p 00000000 08:01 12 /usr/lib/libx.so": {from: 0x1000, to: 0x3000, constant: true},
		"1000-3000 rw-p 00000000 08:01 12 /usr/lib/libx.so": {from: 0x1000, to: 0x3000},
		"1000-3000 rw-p 00000000 00:00 0":                   {},
		"1000-3000 r-xp 00000000 00:00 0 [vdso]":            {},
		"x-y r-xp 00000000 08:01 12 /usr/lib/libx.so":       {},
	} {
		require.Equal(t, want, newMapping(line), line)
	}
	for name, m := range map[string]mapping{
		"written": {from: 4096, to: 8192, constant: true, resident: 4096, written: 4096}, "writable": {from: 4096, to: 8192, resident: 4096},
		"not there": {from: 4096, to: 8192, constant: true}, "empty": {from: 4096, to: 4096, constant: true, resident: 1},
	} {
		require.Zero(t, m.release(), name)
	}
}
