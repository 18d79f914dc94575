package stream

import (
	"time"

	"github.com/nareix/joy4/av"
)

// Packet is one access unit of a stream, with what a reader that starts at it must
// know. It is immutable once written; Data is shared by all readers.
type Packet struct {
	// Packet holds the decoding time in Time and the presentation time in
	// Time+CompositionTime, both on the stream's clock. Idx is the place of the
	// track in Headers.Streams.
	av.Packet
	// Headers is the configuration in force for this packet. A reader that sees
	// the pointer change sends the new headers first.
	Headers *Headers
	// Arrival is the wall clock at which the packet came in, in nanoseconds since
	// 1970; zero when unknown.
	Arrival int64
	// Audio tells an audio packet from a video packet.
	Audio bool
	// Discontinuity is a break of the publisher's clock before this packet.
	Discontinuity bool
	// Gap is set for the reader that has lost packets before this one.
	Gap bool
}

// PTS is the presentation time.
func (p *Packet) PTS() time.Duration { return p.Time + p.CompositionTime }

// Headers is the configuration of a stream's tracks. It is immutable: a change
// makes a new one.
type Headers struct {
	Video av.CodecData // nil without video
	Audio av.CodecData // nil without audio
	// Metadata is the publisher's onMetaData message in AMF0, parsed and encoded
	// anew; nil without any.
	Metadata []byte
}

// Streams lists the tracks as av.Demuxer does: video first.
func (h *Headers) Streams() []av.CodecData {
	var out []av.CodecData
	if h.Video != nil {
		out = append(out, h.Video)
	}
	if h.Audio != nil {
		out = append(out, h.Audio)
	}
	return out
}

// Index is the place of the video or audio track in Streams.
func (h *Headers) Index(audio bool) int8 {
	if audio && h.Video != nil {
		return 1
	}
	return 0
}
