package ffmpeg

// #include "probe.h"
import "C"

import (
	"bytes"
	"encoding/binary"
)

// sniff tells the container by its first bytes, so that libavformat need not ask each
// of its demuxers. It refuses an MP4 whose tables would cost much more than its size.
func sniff(data []byte) (container int, err error) {
	container = sniffStart(data)
	switch container {
	case C.LPMS_ANY:
		return 0, ErrFormat
	case C.LPMS_MP4:
		samples, ok := mp4Samples(data, 0)
		if !ok || samples > uint64(len(data)) {
			return 0, errInvalid("read MP4 tables")
		}
	}
	return container, nil
}

// sniffStart does the same with the beginning of a file; C.LPMS_ANY is not known.
func sniffStart(data []byte) int {
	switch {
	case bytes.HasPrefix(data, []byte("FLV\x01")):
		return C.LPMS_FLV
	case isTS(data):
		return C.LPMS_MPEGTS
	case isMP4(data):
		return C.LPMS_MP4
	}
	return C.LPMS_ANY
}

// isTS reports whether data is a transport stream.
func isTS(data []byte) bool { return findTS(data) >= 0 }

// findTS is where sync bytes begin to stand 188 bytes apart, which is in the first packet, or -1.
func findTS(data []byte) int {
	for at := range min(188, len(data)-187) {
		n := 0
		for i := at; i < len(data) && data[i] == 0x47; i += 188 {
			if n++; n == 5 {
				return at
			}
		}
		if n > 0 && at+188*n >= len(data) && (at == 0 || n > 1) {
			return at
		}
	}
	return -1
}

// isMP4 reports whether the first box is one that files and segments start with.
func isMP4(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	switch string(data[4:8]) {
	case "ftyp", "styp", "moov", "moof", "sidx", "mdat", "free", "skip", "wide", "emsg", "prft":
		return true
	}
	return false
}

// mp4Samples adds up the samples that the boxes claim. stsz and trun can claim four
// billion in a few bytes, for each of which libavformat makes an index entry. A moov
// that is compressed could hide them (ok false).
func mp4Samples(data []byte, depth int) (samples uint64, ok bool) {
	for len(data) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch {
		case size == 1 && len(data) >= 16:
			size, head = binary.BigEndian.Uint64(data[8:]), 16
		case size == 0:
			size = uint64(len(data))
		}
		size = min(size, uint64(len(data)))
		if size < head {
			return samples, true // libavformat stops here too
		}
		body := data[head:size]
		switch string(data[4:8]) {
		case "moov", "trak", "mdia", "minf", "stbl", "moof", "traf", "mvex", "edts", "udta":
			if depth < 10 {
				n, ok := mp4Samples(body, depth+1)
				if !ok {
					return 0, false
				}
				samples += n
			}
		case "stsz":
			if len(body) >= 12 {
				samples += uint64(binary.BigEndian.Uint32(body[8:]))
			}
		case "trun":
			if len(body) >= 8 {
				samples += uint64(binary.BigEndian.Uint32(body[4:]))
			}
		case "cmov":
			return 0, false
		}
		data = data[size:]
	}
	return samples, true
}
