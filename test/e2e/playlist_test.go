package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// playlist is a media playlist, read by our own few lines so that nothing is forgiven.
type playlist struct {
	raw         string
	target      time.Duration
	sequence    uint64
	breaks      uint64
	hasBreaks   bool // EXT-X-DISCONTINUITY-SEQUENCE is there
	independent bool
	ended       bool
	segments    []listed
}

// listed is a segment as a playlist lists it.
type listed struct {
	uri           string
	sequence      uint64
	extinf        time.Duration
	date          time.Time
	discontinuity bool
}

func (p *playlist) duration() (sum time.Duration) {
	for _, s := range p.segments {
		sum += s.extinf
	}
	return sum
}

// parsePlaylist knows the tags that a live media playlist of ours may have; any other is
// an error.
func parsePlaylist(raw string) (*playlist, error) {
	p := &playlist{raw: raw}
	lines := strings.Split(raw, "\n")
	if lines[0] != "#EXTM3U" || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("not a playlist of whole lines: %.200q", raw)
	}
	next := listed{}
	for _, line := range lines[1 : len(lines)-1] {
		tag, value, _ := strings.Cut(line, ":")
		var err error
		switch tag {
		case "#EXT-X-VERSION":
			_, err = strconv.Atoi(value)
		case "#EXT-X-TARGETDURATION":
			var seconds int
			seconds, err = strconv.Atoi(value)
			p.target = time.Duration(seconds) * time.Second
		case "#EXT-X-MEDIA-SEQUENCE":
			p.sequence, err = strconv.ParseUint(value, 10, 64)
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			p.hasBreaks = true
			p.breaks, err = strconv.ParseUint(value, 10, 64)
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			p.independent = true
		case "#EXT-X-ENDLIST":
			p.ended = true
		case "#EXT-X-DISCONTINUITY":
			next.discontinuity = true
		case "#EXT-X-PROGRAM-DATE-TIME":
			next.date, err = time.Parse(time.RFC3339Nano, value)
		case "#EXTINF":
			var seconds float64
			seconds, err = strconv.ParseFloat(strings.TrimSuffix(value, ","), 64)
			next.extinf = time.Duration(seconds*1e6+0.5) * time.Microsecond
		default:
			if line == "" || line[0] == '#' {
				return nil, fmt.Errorf("unknown line %q", line)
			}
			next.uri = line
			next.sequence = p.sequence + uint64(len(p.segments))
			p.segments = append(p.segments, next)
			next = listed{}
		}
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
	}
	if next != (listed{}) {
		return nil, fmt.Errorf("tags without a segment at the end of %q", raw)
	}
	return p, nil
}
