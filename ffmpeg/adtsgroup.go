package ffmpeg

import "encoding/binary"

const (
	adtsHeaderSize = 7
	adtsSamples    = 1024
	// A PES packet says its length in 16 bits.
	maxGroupBytes = 32 << 10
	// A frame by itself fills up to the next 188 bytes, which costs up to a third of a low
	// rate. A group does that once; this many frames make a good one, and of tiny frames as
	// many as fill a few TS packets.
	groupFrames  = 8
	groupBytes   = 1000
	groupTime    = clockRate / 4
	maxGroupTime = clockRate
	// How far from the end of one frame the next may start: the clocks of FLV and MP4 round
	// to milliseconds.
	groupSlack = clockRate / 500
)

// adtsConfig is what an ADTS header says about the stream: ISO/IEC 14496-3 1.A.2.2.
type adtsConfig struct {
	object   int // 1 to 4
	rate     int // index of aacRates
	channels int // channel configuration
}

var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// adtsFromASC reads an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1). It is not ok when a
// header cannot say it: frames of 960 samples, program config elements, rates outside the
// table, other object types. SBR and PS are not said; decoders find them.
func adtsFromASC(asc []byte) (a adtsConfig, ok bool) {
	r := bitReader{data: asc}
	rate := func() int {
		index := r.read(4)
		if index == 15 {
			r.read(24)
		}
		return index
	}
	a.object = r.audioObject()
	a.rate = rate()
	a.channels = r.read(4)
	if a.object == 5 || a.object == 29 { // SBR, PS: the core follows
		rate()
		a.object = r.audioObject()
	}
	short := r.read(1) // frameLengthFlag: 960 samples
	return a, !r.bad && short == 0 && a.object >= 1 && a.object <= 4 && a.rate < len(aacRates) &&
		a.channels >= 1 && a.channels <= 7
}

// asc is the AudioSpecificConfig of the stream; it has no program config element.
func (a adtsConfig) asc() []byte {
	return binary.BigEndian.AppendUint16(nil, uint16(a.object<<11|a.rate<<7|a.channels<<3))
}

// duration is how long n frames are.
func (a adtsConfig) duration(n int) clock {
	return clock(mulDiv(int64(n)*adtsSamples, int64(clockRate), int64(aacRates[a.rate])))
}

// appendFrame appends a raw frame with its header.
func (a adtsConfig) appendFrame(b, frame []byte) []byte {
	n := len(frame) + adtsHeaderSize
	return append(append(b,
		0xff, 0xf1, // MPEG-4, no CRC
		byte(a.object-1)<<6|byte(a.rate)<<2|byte(a.channels)>>2,
		byte(a.channels)<<6|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc), frame...)
}

const maxADTSFrame = 1<<13 - 1 - adtsHeaderSize

// readADTS reads the header that data begins with. It is not ok when there is none, when the
// frame is longer than the data, or when it has several raw data blocks.
func readADTS(b []byte) (a adtsConfig, header, size int, ok bool) {
	if len(b) < adtsHeaderSize || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return a, 0, 0, false
	}
	a = adtsConfig{
		object:   int(b[2]>>6) + 1,
		rate:     int(b[2] >> 2 & 0xf),
		channels: int(b[2]&1)<<2 | int(b[3]>>6),
	}
	header = adtsHeaderSize
	if b[1]&1 == 0 {
		header += 2 // CRC
	}
	size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	return a, header, size, a.rate < len(aacRates) && b[6]&3 == 0 && size > header && size <= len(b)
}

// adtsGroup gathers frames that follow each other without a gap.
type adtsGroup struct {
	unit   // of the first frame; the data is that of all
	frames int
	config adtsConfig
}

// takes reports whether a frame of the group's stream goes on where the group ends.
func (g *adtsGroup) takes(a adtsConfig, u unit, size int) bool {
	return g.frames > 0 && a == g.config && len(g.data)+size < maxGroupBytes &&
		(u.dts - g.dts - a.duration(g.frames)).within(groupSlack)
}

func (g *adtsGroup) add(a adtsConfig, u unit, framed bool) {
	if g.frames == 0 {
		room := g.data[:0]
		g.unit, g.config = u, a
		g.data = room
	}
	g.frames++
	g.duration = a.duration(g.frames)
	if framed {
		g.data = append(g.data, u.data...)
	} else {
		g.data = a.appendFrame(g.data, u.data)
	}
}

// full reports whether the group is worth a packet. Without video (alone), the packets carry
// the clock of the stream, which should not be rarer than usual.
func (g *adtsGroup) full(alone bool) bool {
	if g.duration >= maxGroupTime {
		return true
	}
	return (alone || len(g.data) >= groupBytes) && (g.frames >= groupFrames || g.duration >= groupTime)
}

// late reports whether something at a time would come a second after the group's start.
func (g *adtsGroup) late(now clock) bool { return g.frames > 0 && now-g.dts > maxGroupTime }

// take gives the group and begins a new one; the data is good until the next add.
func (g *adtsGroup) take() unit {
	g.frames = 0
	return g.unit
}

// audioHeader reads the sample rate and the channels from the header of a frame of AAC (with
// ADTS), MPEG audio, AC-3 or E-AC-3; the rate is 0 when it is not there.
func audioHeader(codec string, b []byte) (rate, channels int) {
	r := bitReader{data: b}
	switch codec {
	case "aac":
		if a, _, _, ok := readADTS(b); ok {
			channels = a.channels
			if channels == 7 {
				channels = 8
			}
			return aacRates[a.rate], channels
		}
	case "mp2", "mp3": // ISO/IEC 11172-3 2.4.1.3
		if r.read(11) != 0x7ff {
			return 0, 0
		}
		version := r.read(2) // 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5
		r.read(2 + 1 + 4)
		index := r.read(2)
		r.read(2)
		channels = 2
		if r.read(2) == 3 {
			channels = 1
		}
		if r.bad || version == 1 || index == 3 {
			return 0, 0
		}
		rate = []int{44100, 48000, 32000}[index]
		if version < 3 {
			rate /= 2
		}
		if version == 0 {
			rate /= 2
		}
		return rate, channels
	case "ac3", "eac3": // ETSI TS 102 366 5.3 and E.1.2
		if r.read(16) != 0x0b77 {
			return 0, 0
		}
		var index, blocks, mode, lfe int
		if codec == "ac3" {
			r.read(16)
			index = r.read(2)
			r.read(6 + 8)
			mode = r.read(3)
			if mode&1 != 0 && mode != 1 {
				r.read(2)
			}
			if mode&4 != 0 {
				r.read(2)
			}
			if mode == 2 {
				r.read(2)
			}
			lfe = r.read(1)
		} else {
			r.read(16)
			index, blocks = r.read(2), r.read(2)
			mode, lfe = r.read(3), r.read(1)
		}
		if r.bad || index == 3 && codec == "ac3" {
			return 0, 0
		}
		channels = []int{2, 1, 2, 3, 3, 4, 4, 5}[mode] + lfe
		if index == 3 { // half the rate that the next bits say
			return []int{24000, 22050, 16000, 0}[blocks], channels
		}
		return []int{48000, 44100, 32000}[index], channels
	}
	return 0, 0
}

// within reports whether a difference is at most by.
func (c clock) within(by clock) bool { return -by <= c && c <= by }

// bitReader reads bits, most significant first. What lies past the end is 0 and bad.
type bitReader struct {
	data []byte
	pos  int
	bad  bool
}

func (r *bitReader) read(n int) (v int) {
	for range n {
		v <<= 1
		if r.pos >= len(r.data)*8 {
			r.bad = true
			continue
		}
		v |= int(r.data[r.pos/8]>>(7-r.pos%8)) & 1
		r.pos++
	}
	return v
}

// ue reads an unsigned number with a prefix of zeros, AV1's uvlc.
func (r *bitReader) ue() int {
	zeros := 0
	for !r.bad && r.read(1) == 0 {
		zeros++
	}
	if zeros >= 32 {
		return 1<<32 - 1
	}
	return r.read(zeros) + 1<<zeros - 1
}

// audioObject is the GetAudioObjectType of ISO/IEC 14496-3 1.6.2.1.
func (r *bitReader) audioObject() int {
	if n := r.read(5); n != 31 {
		return n
	}
	return 32 + r.read(6)
}
