package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <libavcodec/codec_id.h>
import "C"

import (
	"bytes"
	"encoding/binary"
)

// startsClean reports whether a decoder that knows nothing can decode u and all that
// follows.
func startsClean(p *params, u *unit) bool {
	x := p.extradata()
	length := 0 // of the fields in front of NAL units; 0 is Annex B
	var clean func(nal []byte) bool
	switch p.c.codec_id {
	case C.AV_CODEC_ID_H264:
		if len(x) >= 7 && x[0] == 1 {
			length = int(x[4]&3) + 1
		}
		clean = func(nal []byte) bool { return nal[0]&0x1f == 5 } // ISO/IEC 14496-10 table 7-1: IDR
	case C.AV_CODEC_ID_HEVC:
		if len(x) >= 23 && x[0] == 1 {
			length = int(x[21]&3) + 1
		}
		// ISO/IEC 23008-2 table 7-1: BLA and IDR, but not CRA, which leading pictures may follow
		// that refer to pictures before it.
		clean = func(nal []byte) bool { return nal[0]>>1&0x3f >= 16 && nal[0]>>1&0x3f <= 20 }
	default:
		return u.key
	}
	found := false
	each := func(nal []byte) bool {
		found = len(nal) > 0 && clean(nal)
		return !found
	}
	if length > 0 {
		eachLengthNAL(u.data, length, each)
	} else {
		eachNAL(u.data, each)
	}
	return found
}

// eachNAL calls f for the NAL units of Annex B data until it returns false.
func eachNAL(b []byte, f func([]byte) bool) {
	for {
		i := bytes.Index(b, startCode)
		if i < 0 {
			return
		}
		b = b[i+3:]
		end := bytes.Index(b, startCode)
		if end < 0 {
			f(b)
			return
		}
		if !f(b[:end]) {
			return
		}
		b = b[end:]
	}
}

// eachLengthNAL does the same for NAL units behind their lengths of n bytes.
func eachLengthNAL(b []byte, n int, f func([]byte) bool) {
	for len(b) >= n {
		var length [4]byte
		copy(length[4-n:], b[:n])
		size := uint64(binary.BigEndian.Uint32(length[:]))
		b = b[n:]
		if size > uint64(len(b)) || !f(b[:size]) {
			return
		}
		b = b[size:]
	}
}
