package segmenter

import (
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/stream"
)

// maxGroup is how many audio frames travel in one PES packet: about 170 ms. A frame by
// itself fills up to the next 188 bytes, which doubles the rate of 64 kbit/s; a group does
// that once.
const maxGroup = 8

// maxGroupBytes keeps the length of a PES packet within its 16 bits.
const maxGroupBytes = 32 << 10

// groups gathers audio frames that follow each other without a gap into packets of several,
// framed by ADTS headers (ISO/IEC 13818-7 6.2), from which readers take them apart. Times
// stay exact: each frame is where the one before it ends.
type groups struct {
	aac    *codec.AAC // nil when this stream's frames cannot be grouped
	data   []byte
	start  time.Duration
	frames int64
}

// reset begins with a new configuration. Frames of 960 samples, rates outside the standard's
// table and channels that are not one of its seven layouts have no place in a header.
func (g *groups) reset(a *codec.AAC) {
	*g = groups{data: g.data[:0]}
	if a == nil || a.FrameSamples != 1024 || a.ObjectType > 4 {
		return
	}
	if c := a.Config.Config; c.SampleRateIndex < 13 && c.ChannelConfig >= 1 && c.ChannelConfig <= 7 {
		g.aac = a
	}
}

// takes reports whether a frame goes on where the group ends.
func (g *groups) takes(p *stream.Packet) bool {
	const rounding = 50 * time.Microsecond
	return g.frames < maxGroup && len(g.data)+len(p.Data) < maxGroupBytes && (p.Time-g.start-g.aac.FrameDuration(g.frames)).Abs() < rounding
}

// add appends a frame.
func (g *groups) add(p *stream.Packet) {
	if g.frames == 0 {
		g.start = p.Time
	}
	g.frames++
	c, n := g.aac.Config.Config, len(p.Data)+adtsHeader
	ch := byte(c.ChannelConfig)
	g.data = append(g.data,
		0xFF, 0xF1, // MPEG-4, no CRC
		byte(g.aac.ObjectType-1)<<6|byte(c.SampleRateIndex)<<2|ch>>2,
		ch<<6|byte(n>>11), byte(n>>3), byte(n<<5)|0x1F, 0xFC)
	g.data = append(g.data, p.Data...)
}

const (
	adtsHeader = 7
	maxADTS    = 1<<13 - 1 - adtsHeader // bytes of a frame
)

// take returns the group as one packet and begins a new one.
func (g *groups) take() ffmpeg.Packet {
	p := ffmpeg.Packet{DTS: g.start, PTS: g.start, Key: true, Data: g.data}
	g.data, g.frames = g.data[:0], 0
	return p
}
