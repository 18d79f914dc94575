package push

import "encoding/binary"

const tsPacket = 188

// shiftTS adds ticks of 90 kHz to all times of a transport stream, in place: program clock
// references and the time stamps of elementary streams (ISO/IEC 13818-1 2.4.3.4 and
// 2.4.3.6). What is not a whole packet with its sync byte stays as it is.
func shiftTS(b []byte, ticks int64) {
	if ticks == 0 {
		return
	}
	for ; len(b) >= tsPacket; b = b[tsPacket:] {
		p := b[:tsPacket]
		if p[0] != 0x47 {
			continue
		}
		start, payload := p[1]&0x40 != 0, p[4:]
		if p[3]&0x20 != 0 {
			size := int(payload[0]) + 1
			if size > len(payload) {
				continue
			}
			if size >= 8 && payload[1]&0x10 != 0 {
				shiftPCR(payload[2:8], ticks)
			}
			payload = payload[size:]
		}
		if start && p[3]&0x10 != 0 {
			shiftPES(payload, ticks)
		}
	}
}

// shiftPCR moves the 33 bits of the base; the extension below it stays.
func shiftPCR(b []byte, ticks int64) {
	v := uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
	base := (v>>15 + uint64(ticks)) & (1<<33 - 1)
	v = base<<15 | v&(1<<15-1)
	binary.BigEndian.PutUint32(b, uint32(v>>16))
	binary.BigEndian.PutUint16(b[4:], uint16(v))
}

// shiftPES moves the time stamps of a PES header, when there is one with the optional fields.
func shiftPES(b []byte, ticks int64) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 || !timed(b[3]) {
		return
	}
	if b[7]&0x80 != 0 && len(b) >= 14 {
		shiftStamp(b[9:14], ticks)
	}
	if b[7]&0xc0 == 0xc0 && len(b) >= 19 {
		shiftStamp(b[14:19], ticks)
	}
}

// timed reports whether packets of a stream_id have the optional fields.
func timed(id byte) bool {
	switch id {
	case 0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff:
		return false
	}
	return true
}

// shiftStamp moves 33 bits that are spread over 36, with marker bits between.
func shiftStamp(b []byte, ticks int64) {
	v := uint64(b[0]>>1&7)<<30 | uint64(b[1])<<22 | uint64(b[2]>>1)<<15 | uint64(b[3])<<7 | uint64(b[4]>>1)
	v = (v + uint64(ticks)) & (1<<33 - 1)
	b[0] = b[0]&0xf1 | byte(v>>30)<<1
	b[1] = byte(v >> 22)
	b[2] = b[2]&1 | byte(v>>15)<<1
	b[3] = byte(v >> 7)
	b[4] = b[4]&1 | byte(v)<<1
}
