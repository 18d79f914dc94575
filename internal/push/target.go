package push

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/livepeer/lpms/stream"
)

const (
	root      = "/live/"
	maxNumber = 1 << 53 // what every JSON number can say
	example   = "write /live/{name}/{n}.ts or .mp4, as /live/camera/17.ts"
)

// parsePath reads /live/{name}/{n}.ts or .mp4. Zeros in front of n are allowed, as ffmpeg's
// %05d.ts writes them.
func parsePath(path string) (name string, n uint64, err error) {
	rest, found := strings.CutPrefix(path, root)
	if !found {
		return "", 0, refuse(http.StatusNotFound, "segments are sent to /live/: %s", example)
	}
	name, file, _ := strings.Cut(rest, "/")
	if !stream.ValidName(name) {
		return "", 0, refuse(http.StatusBadRequest, "%.140q is no name of a stream: use 1 to %d of the characters A-Z a-z 0-9 _ . - and no dot in front", name, stream.MaxName)
	}
	number, found := strings.CutSuffix(file, ".ts")
	if !found {
		number, found = strings.CutSuffix(file, ".mp4")
	}
	if !found {
		return "", 0, refuse(http.StatusBadRequest, "%.140q ends neither in .ts nor in .mp4: %s", file, example)
	}
	if n, found = parseDigits(number, maxNumber); !found {
		return "", 0, refuse(http.StatusBadRequest, "%.140q is no number of a segment: %s, with a whole number up to 2^53", number, example)
	}
	return name, n, nil
}

// parseDigits reads a number that is written with up to 20 digits and nothing else.
func parseDigits(s string, largest uint64) (uint64, bool) {
	if len(s) == 0 || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= largest
}
