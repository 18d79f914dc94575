package codec

import "encoding/binary"

// nal_unit_type, H.264 table 7-1.
const (
	nalIDR = 5
	nalSEI = 6
	nalSPS = 7
	nalPPS = 8
)

// nextNAL splits the first NAL unit off an access unit in which each is preceded by its length
// in nalLengthSize bytes, big endian (ISO/IEC 14496-15 5.3.4.2). Not ok at the end, when the
// length runs past it, or when nalLengthSize is not 1, 2 or 4. The unit may be empty.
func nextNAL(au []byte, nalLengthSize int) (nal, rest []byte, ok bool) {
	if len(au) < nalLengthSize {
		return nil, nil, false
	}
	var size uint64
	switch nalLengthSize {
	case 4:
		size = uint64(binary.BigEndian.Uint32(au))
	case 2:
		size = uint64(binary.BigEndian.Uint16(au))
	case 1:
		size = uint64(au[0])
	default:
		return nil, nil, false
	}
	au = au[nalLengthSize:]
	if size > uint64(len(au)) {
		return nil, nil, false
	}
	return au[:size], au[size:], true
}

// HasIDR tells whether an access unit holds a slice of an IDR picture, at which a decoder can
// start and a segment can be cut. nalLengthSize is [AVC].NALLengthSize. NAL units in front of
// the first broken length count; one that is cut short does not. It does not allocate.
func HasIDR(au []byte, nalLengthSize int) bool {
	for {
		nal, rest, ok := nextNAL(au, nalLengthSize)
		if !ok {
			return false
		}
		if len(nal) > 0 && nal[0]&0x1f == nalIDR {
			return true
		}
		au = rest
	}
}

// ValidAU tells whether an access unit is made of whole NAL units: at least one, none of them
// empty (decoders refuse those), no byte left over. Their contents are not looked at.
// It does not allocate.
func ValidAU(au []byte, nalLengthSize int) bool {
	if len(au) == 0 {
		return false
	}
	for len(au) > 0 {
		nal, rest, ok := nextNAL(au, nalLengthSize)
		if !ok || len(nal) == 0 {
			return false
		}
		au = rest
	}
	return true
}
