package ffmpeg

import (
	"encoding/binary"
	"fmt"
	"time"
)

// TSSummary says what lies in a transport stream, by its packets alone.
type TSSummary struct {
	Video, Audio *TSTrack // the first of each; nil without one
}

// TSTrack is a track of a TSSummary. Times are as they are written: modulo 26.5 h.
type TSTrack struct {
	Codec string // "h264", "hevc" or "aac"; empty for another
	// Units is how many PES packets there are: pictures of video, some frames each of sound.
	Units int
	// Start is the earliest presentation time, and Last the latest, which is shown still.
	Start, Last time.Duration
	// Key says that the first packet is marked as one that decoding can begin with.
	Key bool
}

// SummarizeTS looks at the packets of an MPEG-TS segment, and at nothing that is in them: it costs
// a hundredth of what Probe does, and allocates next to nothing. ErrFormat is data that is not
// made of whole TS packets with a table of programs. The data is borrowed for the call.
func SummarizeTS(ts []byte) (*TSSummary, error) {
	if len(ts) == 0 || len(ts)%tsPacketSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no whole TS packets", ErrFormat, len(ts))
	}
	for i := 0; i < len(ts); i += tsPacketSize {
		if ts[i] != 0x47 || ts[i+1]&0x80 != 0 {
			return nil, fmt.Errorf("%w: no sound TS packet at byte %d", ErrFormat, i)
		}
	}
	_, pat := readSection(ts, 0)
	pmtPID, ok := programTable(pat)
	if !ok {
		return nil, fmt.Errorf("%w: no program in the transport stream", ErrFormat)
	}
	_, pmt := readSection(ts, pmtPID)
	if len(pmt) < 16 || pmt[0] != 2 {
		return nil, fmt.Errorf("%w: no tracks in the transport stream", ErrFormat)
	}
	s := &TSSummary{}
	eachTrack(pmt, func(kind byte, pid uint16) {
		track, codec := &s.Audio, ""
		switch kind { // ISO/IEC 13818-1 table 2-34
		case 0x1b:
			track, codec = &s.Video, "h264"
		case 0x24:
			track, codec = &s.Video, "hevc"
		case 0x0f:
			codec = "aac"
		case 0x01, 0x02, 0x10:
			track = &s.Video
		case 0x03, 0x04, 0x11, 0x81, 0x87:
		default:
			return
		}
		if *track == nil {
			*track = summarizeTrack(ts, pid)
			(*track).Codec = codec
		}
	})
	return s, nil
}

// eachTrack calls f with the type and the PID of each track of a PMT (ISO/IEC 13818-1 2.4.4.8).
func eachTrack(pmt []byte, f func(kind byte, pid uint16)) {
	b := pmt[12 : len(pmt)-4]
	b = b[min(int(binary.BigEndian.Uint16(pmt[10:])&0xfff), len(b)):]
	for len(b) >= 5 {
		f(b[0], binary.BigEndian.Uint16(b[1:])&0x1fff)
		b = b[min(5+int(binary.BigEndian.Uint16(b[3:])&0xfff), len(b)):]
	}
}

func summarizeTrack(ts []byte, pid uint16) *TSTrack {
	t := &TSTrack{}
	var first, least, most int64 // 90 kHz; the last two from the first
	eachTSPacket(ts, pid, func(p, payload []byte, start bool) bool {
		if !start {
			return false
		}
		if t.Units++; t.Units == 1 {
			t.Key = p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x40 != 0 // random_access_indicator, 2.4.3.5
		}
		pts, ok := pesTime(payload)
		if !ok {
			return false
		}
		if t.Units == 1 {
			first = pts
		}
		off := (pts - first) << 31 >> 31 // 33 bits, with a sign
		least, most = min(least, off), max(most, off)
		return false
	})
	at := func(off int64) time.Duration {
		return time.Duration(mulDiv((first+off)&(1<<33-1), int64(time.Second), 90000))
	}
	t.Start, t.Last = at(least), at(most)
	return t
}
