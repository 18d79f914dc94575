package push

import (
	"encoding/binary"
	"iter"
)

// maxSamples is how many samples an MP4 may claim to have: more than five minutes of pictures
// and sound need. Every one costs the time of an index entry and of a picture to decode, and a
// claim takes no bytes.
const maxSamples = 100_000

// samplesOf adds up what the boxes of an MP4 claim, and gives up above maxSamples. Other
// bytes are 0.
func samplesOf(data []byte, depth int) (n uint64) {
	for kind, body := range boxes(data) {
		switch kind {
		case "moov", "trak", "mdia", "minf", "stbl", "moof", "traf":
			if depth < 8 {
				n += samplesOf(body, depth+1)
			}
		case "stsz", "stz2": // ISO/IEC 14496-12 8.7.3: version and flags, size, count
			if len(body) >= 12 {
				n += uint64(binary.BigEndian.Uint32(body[8:]))
			}
		case "trun": // 8.8.8: version and flags, count
			if len(body) >= 8 {
				n += uint64(binary.BigEndian.Uint32(body[4:]))
			}
		}
		if n > maxSamples {
			break
		}
	}
	return n
}

// boxes are those at the beginning of data, one behind the other (ISO/IEC 14496-12 4.2).
func boxes(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(kind string, body []byte) bool) {
		for len(data) >= 8 {
			size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
			switch {
			case size == 0: // the rest
				size = uint64(len(data))
			case size == 1 && len(data) >= 16:
				size, head = binary.BigEndian.Uint64(data[8:]), 16
			}
			size = min(size, uint64(len(data)))
			if size < head || !yield(string(data[4:8]), data[head:size]) {
				return
			}
			data = data[size:]
		}
	}
}
