package ffmpeg

import "fmt"

const (
	tsPacketSize = 188
	tsNullPID    = 0x1fff
)

// Continuity joins segments of transport streams that were made independently, on other
// machines perhaps, to one stream: it makes the continuity counters go on over the joins
// (ISO/IEC 13818-1 2.4.3.3). The zero value is ready; it is for one goroutine at a time.
//
// It changes nothing else. Times that do not go on, or tracks that change, need an
// EXT-X-DISCONTINUITY and a Continuity of their own.
type Continuity struct {
	last map[uint16]uint8
}

// Join rewrites the counters of the next segment, in place. A segment that is not made of
// whole TS packets of 188 bytes is left as it is, and ErrFormat.
func (c *Continuity) Join(segment []byte) error {
	if c.last == nil {
		c.last = map[uint16]uint8{}
	}
	return continueTS(c.last, segment)
}

// continueTS counts on from the counters of the PIDs, which it updates.
func continueTS(counters map[uint16]uint8, segment []byte) error {
	if len(segment)%tsPacketSize != 0 {
		return fmt.Errorf("%w: %d bytes are no whole TS packets", ErrFormat, len(segment))
	}
	for i := 0; i < len(segment); i += tsPacketSize {
		if segment[i] != 0x47 {
			return fmt.Errorf("%w: no TS packet at byte %d", ErrFormat, i)
		}
	}
	for p := segment; len(p) > 0; p = p[tsPacketSize:] {
		pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
		if pid == tsNullPID {
			continue
		}
		counter, seen := counters[pid]
		switch {
		case !seen:
			counter = p[3] & 0x0f
		case p[3]&0x10 != 0: // there is payload: it counts
			counter = (counter + 1) & 0x0f
		}
		counters[pid] = counter
		p[3] = p[3]&0xf0 | counter
	}
	return nil
}
