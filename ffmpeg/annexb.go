package ffmpeg

import (
	"bytes"
	"encoding/binary"
)

// nalSyntax is what H.264 and H.265 write differently in the headers of their NAL units.
type nalSyntax int

const (
	noNAL nalSyntax = iota
	avcNAL
	hevcNAL
)

// nalRole is what the transcoder must know about a NAL unit.
type nalRole int

const (
	nalOther nalRole = iota
	nalSlice
	nalDelimiter
	nalVPS
	nalSPS
	nalPPS
)

// role reads the first byte of a NAL unit: ITU-T H.264 table 7-1, H.265 table 7-1.
func (s nalSyntax) role(header byte) nalRole {
	if s == hevcNAL {
		switch kind := header >> 1 & 0x3f; {
		case kind < 32:
			return nalSlice
		case kind <= 34:
			return nalVPS + nalRole(kind-32)
		case kind == 35:
			return nalDelimiter
		}
		return nalOther
	}
	switch kind := header & 0x1f; {
	case kind >= 1 && kind <= 5:
		return nalSlice
	case kind == 7:
		return nalSPS
	case kind == 8 || kind == 13: // or an extension of the SPS
		return nalPPS
	case kind == 9:
		return nalDelimiter
	}
	return nalOther
}

var annexBStart = []byte{0, 0, 0, 1}

// head gives the NAL units of Annex B data that come before the first slice, and where the
// start code of that slice is (the end of the data without one). Most of the data is not
// looked at.
func (s nalSyntax) head(b []byte) (nals [][]byte, rest int) {
	at := bytes.Index(b, annexBStart[1:])
	for at >= 0 && at+3 < len(b) {
		nal := b[at+3:]
		if s.role(nal[0]) == nalSlice {
			if at > 0 && b[at-1] == 0 {
				at--
			}
			return nals, at
		}
		next := bytes.Index(nal, annexBStart[1:])
		if next >= 0 {
			at += 3 + next
			nal = nal[:next]
		} else {
			at = -1
		}
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			nals = append(nals, nal)
		}
	}
	return nals, len(b)
}

// parameterSets gathers the parameter sets at the start of an access unit, as Annex B. It is
// nil when there is no SPS.
func (s nalSyntax) parameterSets(b []byte) (sets []byte) {
	nals, _ := s.head(b)
	found := false
	for _, nal := range nals {
		if role := s.role(nal[0]); role >= nalVPS {
			found = found || role == nalSPS
			sets = append(append(sets, annexBStart...), nal...)
		}
	}
	if !found {
		return nil
	}
	return sets
}

// withSets puts parameter sets before an access unit, but behind its delimiter.
func (s nalSyntax) withSets(b, sets []byte) []byte {
	nals, rest := s.head(b)
	out := make([]byte, 0, len(b)+len(sets)+len(annexBStart)*len(nals))
	for len(nals) > 0 && s.role(nals[0][0]) == nalDelimiter {
		out, nals = append(append(out, annexBStart...), nals[0]...), nals[1:]
	}
	out = append(out, sets...)
	for _, nal := range nals {
		out = append(append(out, annexBStart...), nal...)
	}
	return append(out, b[rest:]...)
}

// withoutSets takes the parameter sets out of an access unit that are also in sets. Others
// stay: the slices may need them.
func (s nalSyntax) withoutSets(b, sets []byte) []byte {
	nals, rest := s.head(b)
	known, _ := s.head(sets)
	out := make([]byte, 0, len(b)+len(annexBStart)*len(nals))
	for _, nal := range nals {
		if s.role(nal[0]) >= nalVPS && containsNAL(known, nal) {
			continue
		}
		out = append(append(out, annexBStart...), nal...)
	}
	return append(out, b[rest:]...)
}

func containsNAL(nals [][]byte, nal []byte) bool {
	for _, n := range nals {
		if bytes.Equal(n, nal) {
			return true
		}
	}
	return false
}

// toAnnexB turns an access unit with length fields of size bytes into Annex B.
func toAnnexB(b []byte, size int) ([]byte, error) {
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		if len(b) < size {
			return nil, errInvalid("read the length of a NAL unit")
		}
		n := 0
		for _, c := range b[:size] {
			n = n<<8 | int(c)
		}
		b = b[size:]
		if n > len(b) {
			return nil, errInvalid("read a NAL unit")
		}
		if n > 0 {
			out = append(append(out, annexBStart...), b[:n]...)
		}
		b = b[n:]
	}
	if len(out) == 0 {
		return nil, errInvalid("read a NAL unit")
	}
	return out, nil
}

// configRecord reads an AVCDecoderConfigurationRecord or HEVCDecoderConfigurationRecord
// (ISO/IEC 14496-15 5.3.3.1 and 8.3.3.1): the size of the length fields of its stream, and
// the parameter sets as Annex B. The size is 0 when it is no such record: then the stream
// is Annex B itself.
func (s nalSyntax) configRecord(b []byte) (size int, sets []byte) {
	switch {
	case bytes.HasPrefix(b, annexBStart) || bytes.HasPrefix(b, annexBStart[1:]):
		return 0, nil
	case s == avcNAL && len(b) >= 7 && b[0] == 1:
		sets, rest := readSets(nil, b[6:], int(b[5]&0x1f))
		if len(rest) > 0 {
			sets, _ = readSets(sets, rest[1:], int(rest[0]))
		}
		return int(b[4]&3) + 1, sets
	case s == hevcNAL && len(b) >= 23:
		rest := b[23:]
		for range b[22] {
			if len(rest) < 3 {
				break
			}
			kind, count := rest[0]&0x3f, int(binary.BigEndian.Uint16(rest[1:]))
			if kind >= 32 && kind <= 34 {
				sets, rest = readSets(sets, rest[3:], count)
			} else {
				_, rest = readSets(nil, rest[3:], count)
			}
		}
		return int(b[21]&3) + 1, sets
	}
	return 0, nil
}

// readSets appends count NAL units with 16-bit lengths to sets; rest is empty when there are
// fewer.
func readSets(sets, b []byte, count int) (_, rest []byte) {
	for range count {
		if len(b) < 2 {
			return sets, nil
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n > len(b) {
			return sets, nil
		}
		if n > 0 {
			sets = append(append(sets, annexBStart...), b[:n]...)
		}
		b = b[n:]
	}
	return sets, b
}
