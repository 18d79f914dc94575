package ffmpeg

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseBitrate reads bits per second as "400k", "2.5M" or "600000"; "" is zero. Without
// a suffix there is no fraction: "2.5" is hardly meant to be two bits.
func parseBitrate(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, allowed := s[:len(s)-1], 1.0, "0123456789."
	switch s[len(s)-1] {
	case 'k', 'K':
		unit = 1e3
	case 'M':
		unit = 1e6
	default:
		number, allowed = s, "0123456789"
	}
	n, err := strconv.ParseFloat(number, 64)
	rate := math.Round(n * unit)
	if err != nil || strings.Trim(number, allowed) != "" || rate > maxBitrate {
		return 0, fmt.Errorf("bitrate %.40q: write bits per second up to %d, as 600000, 600k or 2.5M", s, maxBitrate)
	}
	return int(rate), nil
}
