package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"math"
)

// eachNAL calls f with the NAL units of Annex B data, one after the other.
func eachNAL(b []byte, f func(nal []byte)) {
	start := annexBStart[1:]
	at := bytes.Index(b, start)
	for at >= 0 {
		b = b[at+len(start):]
		nal := b
		if at = bytes.Index(b, start); at >= 0 {
			nal = b[:at]
		}
		// A NAL unit ends in a byte above 0: zeros belong to what follows (ITU-T H.264 B.1).
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			f(nal)
		}
	}
}

// fromAnnexB gives the NAL units with length fields of four bytes, as RTMP and MP4 have them.
func fromAnnexB(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	eachNAL(b, func(nal []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	})
	return out
}

// avcRecord makes an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) of parameter sets in
// Annex B, for 8-bit 4:2:0 and length fields of four bytes.
func avcRecord(sets []byte) ([]byte, error) {
	var sps, pps []byte
	eachNAL(sets, func(nal []byte) {
		switch nal[0] & 0x1f {
		case 7:
			sps = nal
		case 8:
			pps = nal
		}
	})
	if len(sps) < 4 || len(pps) == 0 || max(len(sps), len(pps)) > math.MaxUint16 {
		return nil, errInvalid("read the encoder's parameter sets")
	}
	out := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1}
	out = append(binary.BigEndian.AppendUint16(out, uint16(len(sps))), sps...)
	out = append(binary.BigEndian.AppendUint16(append(out, 1), uint16(len(pps))), pps...)
	switch sps[1] {
	case 100, 110, 122, 144: // the High profiles say the sampling and depths too
		out = append(out, 0xfd, 0xf8, 0xf8, 0)
	}
	return out, nil
}
