//go:build unix

package ffmpeg

import (
	"os"
	"syscall"
)

// dupFile opens a file descriptor once more, so that it can be closed.
func dupFile(fd int) (*os.File, error) {
	n, err := syscall.Dup(fd)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), "pipe"), nil
}
