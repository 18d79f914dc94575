package ffmpeg

import "bytes"

// x264 announces itself and its settings in the first picture, in 700 bytes: more than
// all pictures of a light segment.
var x264UUID = []byte{0xdc, 0x45, 0xe9, 0xbd, 0xe6, 0xd9, 0x48, 0xb7, 0x96, 0x2c, 0xd8, 0x20, 0xd9, 0x23, 0xee, 0xef}

// dropEncoderText returns a keyframe in Annex B without that announcement (ISO/IEC 14496-10
// D.1.7: payload type 5, unregistered user data).
func dropEncoderText(b []byte) []byte {
	at := bytes.Index(b, x264UUID)
	if at < 0 || at > 1024 {
		return b
	}
	start := bytes.LastIndex(b[:at], annexBStart[1:])
	if start < 0 || start+4 >= len(b) || b[start+3]&0x1f != 6 || b[start+4] != 5 {
		return b
	}
	length := bytes.Index(b[at:], annexBStart[1:])
	if length < 0 {
		return b
	}
	end := at + length
	// The zero bytes in front of a start code of four bytes belong to what follows.
	for start > 0 && b[start-1] == 0 {
		start--
	}
	for end > 0 && b[end-1] == 0 {
		end--
	}
	return append(b[:start:start], b[end:]...)
}
