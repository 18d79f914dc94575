package vidplayer

import (
	"strconv"
	"strings"
)

// matches reports whether a header If-None-Match names tag (RFC 9110, section 13.1.2).
func matches(header []string, tag string) bool {
	for _, line := range header {
		for more := true; more; {
			var item string
			item, line, more = strings.Cut(line, ",")
			item = strings.TrimPrefix(trim(item), "W/")
			if item == tag || item == "*" {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads a header Accept-Encoding (RFC 9110, section 12.5.3): gzip is sent when
// it is acceptable and not liked less than the plain text.
func acceptsGzip(header []string) bool {
	const unset = -1
	zipped, plain, other := unset, unset, unset
	for _, line := range header {
		for more := true; more; {
			var item string
			item, line, more = strings.Cut(line, ",")
			coding, params, _ := strings.Cut(item, ";")
			q := quality(params)
			switch coding = trim(coding); {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				zipped = max(zipped, q)
			case strings.EqualFold(coding, "identity"):
				plain = q
			case coding == "*":
				other = q
			}
		}
	}
	if zipped == unset {
		zipped = other
	}
	return zipped > 0 && zipped >= plain
}

// quality returns the weight among the parameters of a coding, in thousandths. What is not a
// weight counts as 0, so that a client that is not understood gets the plain text.
func quality(params string) int {
	for more := true; more; {
		var param string
		param, params, more = strings.Cut(params, ";")
		name, value, _ := strings.Cut(param, "=")
		if name = trim(name); name != "q" && name != "Q" {
			continue
		}
		q, err := strconv.ParseFloat(trim(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}

func trim(s string) string { return strings.Trim(s, " \t") }
