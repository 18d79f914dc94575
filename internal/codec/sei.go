package codec

import (
	"bytes"
	"strconv"
)

const (
	maxSEI                  = 8 << 10 // bytes of one SEI NAL unit that are looked at
	seiUserDataUnregistered = 5       // payloadType, H.264 D.1.1
	x264InfiniteKeyint      = 1 << 30 // X264_KEYINT_MAX_INFINITE, which old versions print as a number
)

// x264UUID marks the message in which x264 tells its version and options.
var x264UUID = []byte{0xdc, 0x45, 0xe9, 0xbd, 0xe6, 0xd9, 0x48, 0xb7, 0x96, 0x2c, 0xd8, 0x20, 0xd9, 0x23, 0xee, 0xef}

// X264Keyint finds the largest distance between IDR pictures, in frames, for which x264 was set,
// in the message that x264 puts in front of its first picture. Infinite: x264 makes no
// IDR on its own, and frames is 0. Not ok: the access unit has no such message; that is usual
// for all but the first, and for other encoders.
//
// It is a hint that anybody can forge. Only SEI NAL units in front of the first slice are read
// (H.264 7.4.1.2.3), 8 KiB of each.
func X264Keyint(au []byte, nalLengthSize int) (frames int, infinite bool, ok bool) {
	var buf [maxSEI]byte
	for {
		nal, rest, more := nextNAL(au, nalLengthSize)
		if !more {
			return 0, false, false
		}
		au = rest
		if len(nal) == 0 {
			continue
		}
		switch t := nal[0] & 0x1f; {
		case t >= 1 && t <= nalIDR:
			return 0, false, false
		case t == nalSEI:
			rbsp := unescape(buf[:0], nal[1:min(len(nal), maxSEI)])
			if frames, infinite, ok = x264KeyintSEI(rbsp); ok {
				return frames, infinite, true
			}
		}
	}
}

// x264KeyintSEI walks the messages of one SEI NAL unit, H.264 7.3.2.3.1, without its header.
func x264KeyintSEI(sei []byte) (frames int, infinite bool, ok bool) {
	for {
		kind, rest, more := seiNumber(sei)
		if !more {
			return 0, false, false
		}
		size, rest, more := seiNumber(rest)
		if !more {
			return 0, false, false
		}
		size = min(size, len(rest)) // the text may go on after what is looked at
		if text, is := bytes.CutPrefix(rest[:size], x264UUID); is && kind == seiUserDataUnregistered {
			return x264KeyintText(text)
		}
		sei = rest[size:]
	}
}

// seiNumber reads a payloadType or payloadSize: bytes that add up, the last of them below 255.
func seiNumber(b []byte) (v int, rest []byte, ok bool) {
	for i, c := range b {
		v += int(c)
		if c != 0xff {
			return v, b[i+1:], true
		}
	}
	return 0, nil, false
}

// x264KeyintText reads "x264 - core 164 ... - options: cabac=1 ... keyint=250 ...".
func x264KeyintText(text []byte) (frames int, infinite bool, ok bool) {
	if !bytes.HasPrefix(text, []byte("x264 - core ")) {
		return 0, false, false
	}
	_, options, found := bytes.Cut(text, []byte("options: "))
	if !found {
		return 0, false, false
	}
	_, value, found := bytes.Cut(options, []byte(" keyint="))
	if !found {
		return 0, false, false
	}
	// A value with nothing behind it may be cut off, and is not believed.
	end := bytes.IndexAny(value, " \x00")
	if end < 0 || end > len("1073741824") {
		return 0, false, false
	}
	if string(value[:end]) == "infinite" {
		return 0, true, true
	}
	n, err := strconv.ParseUint(string(value[:end]), 10, 31)
	switch {
	case err != nil || n == 0:
		return 0, false, false
	case n >= x264InfiniteKeyint:
		return 0, true, true
	}
	return int(n), false, true
}
