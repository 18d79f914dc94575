package ffmpeg

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// SoundTail gives the end of the sound of an MPEG-TS segment, as an MPEG-TS that is to be
// the Input.Before of the segment that follows: d of it, and the rest of the PES packets that
// are touched. It copies packets and decodes nothing. 0.3 s is enough for encoders of 16 kHz and more,
// 0.6 s for the 8 kHz of LightAudio.
//
// Without sound it is nil. ErrFormat is data that is no MPEG-TS. The bytes are the caller's.
func SoundTail(ts []byte, d time.Duration) ([]byte, error) {
	at := findTS(ts)
	if at < 0 {
		return nil, fmt.Errorf("%w: SoundTail wants a transport stream", ErrFormat)
	}
	ts = ts[at:]
	pat, table := readSection(ts, 0)
	pmtPID, ok := programTable(table)
	if !ok {
		return nil, nil
	}
	pmt, table := readSection(ts, pmtPID)
	pid, ok := soundPID(table)
	if !ok {
		return nil, nil
	}
	sound := lastPackets(ts, pid, d)
	if len(sound) == 0 {
		return nil, nil
	}
	return slices.Concat(pat, pmt, sound), nil
}

// eachTSPacket calls f with the packets of a PID and their payload, until it says that it is enough.
func eachTSPacket(ts []byte, pid uint16, f func(p, payload []byte, start bool) (enough bool)) {
	for ; len(ts) >= tsPacketSize; ts = ts[tsPacketSize:] {
		p := ts[:tsPacketSize]
		if p[0] != 0x47 || binary.BigEndian.Uint16(p[1:])&0x1fff != pid || p[1]&0x80 != 0 {
			continue // another, or broken
		}
		payload := p[4:]
		if p[3]&0x20 != 0 { // behind the adaptation field (ISO/IEC 13818-1 2.4.3.4)
			payload = payload[min(int(payload[0])+1, len(payload)):]
		}
		if p[3]&0x10 == 0 {
			payload = nil
		}
		if f(p, payload, p[1]&0x40 != 0) {
			return
		}
	}
}

// readSection reads the first section of a PID (ISO/IEC 13818-1 2.4.4) and gives the packets that
// it is in; nil when there is no complete one.
func readSection(ts []byte, pid uint16) (packets, section []byte) {
	size := -1 // of the section
	eachTSPacket(ts, pid, func(p, payload []byte, start bool) bool {
		switch {
		case start && len(payload) > 0:
			packets, section, size = nil, nil, 0
			payload = payload[min(1+int(payload[0]), len(payload)):]
		case size < 0 || len(payload) == 0:
			return false
		}
		packets = append(packets, p...)
		section = append(section, payload...)
		if len(section) >= 3 {
			size = 3 + int(binary.BigEndian.Uint16(section[1:])&0xfff)
		}
		return size > 0 && len(section) >= size
	})
	if size <= 0 || len(section) < size {
		return nil, nil
	}
	return packets, section[:size]
}

// programTable finds the PID of the PMT in a PAT (ISO/IEC 13818-1 2.4.4.3).
func programTable(pat []byte) (pid uint16, ok bool) {
	if len(pat) < 12 || pat[0] != 0 {
		return 0, false
	}
	for b := pat[8 : len(pat)-4]; len(b) >= 4; b = b[4:] {
		if binary.BigEndian.Uint16(b) != 0 { // not the network's
			return binary.BigEndian.Uint16(b[2:]) & 0x1fff, true
		}
	}
	return 0, false
}

// soundPID finds the first track of sound in a PMT (ISO/IEC 13818-1 2.4.4.8 and table 2-34, ATSC
// A/52 for AC-3).
func soundPID(pmt []byte) (pid uint16, ok bool) {
	if len(pmt) < 16 || pmt[0] != 2 {
		return 0, false
	}
	eachTrack(pmt, func(kind byte, track uint16) {
		switch kind {
		case 0x03, 0x04, 0x0f, 0x11, 0x81, 0x87:
			if !ok {
				pid, ok = track, true
			}
		}
	})
	return pid, ok
}

// lastPackets are the packets of a PID from the last PES packet on that begins at least d before
// the last one, or from the first.
func lastPackets(ts []byte, pid uint16, d time.Duration) (packets []byte) {
	type pesStart struct {
		at  int   // in packets
		pts int64 // 90 kHz, 33 bits
	}
	var starts []pesStart
	eachTSPacket(ts, pid, func(p, payload []byte, start bool) bool {
		if pts, ok := pesTime(payload); start && ok {
			starts = append(starts, pesStart{len(packets), pts})
		}
		if len(starts) > 0 {
			packets = append(packets, p...)
		}
		return false
	})
	if len(starts) == 0 {
		return nil
	}
	last, first := starts[len(starts)-1].pts, starts[0].at
	for _, s := range starts {
		if before := (last - s.pts) << 31 >> 31; before >= mulDiv(int64(d), 90000, int64(time.Second)) {
			first = s.at
		}
	}
	return packets[first:]
}

// pesTime reads the presentation time of a PES packet (ISO/IEC 13818-1 2.4.3.6).
func pesTime(b []byte) (pts int64, ok bool) {
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return 0, false
	}
	return int64(b[9]>>1&7)<<30 | int64(b[10])<<22 | int64(b[11]>>1)<<15 | int64(b[12])<<7 | int64(b[13]>>1), true
}
