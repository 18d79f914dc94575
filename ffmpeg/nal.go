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
	if p.c.codec_id != C.AV_CODEC_ID_H264 {
		return u.key
	}
	clean := false
	each := func(nal []byte) bool {
		if len(nal) > 0 && nal[0]&0x1f == 5 { // ISO/IEC 14496-10 table 7-1: IDR
			clean = true
		}
		return !clean
	}
	if x := p.extradata(); len(x) >= 7 && x[0] == 1 {
		eachLengthNAL(u.data, int(x[4]&3)+1, each)
	} else {
		eachNAL(u.data, each)
	}
	return clean
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
