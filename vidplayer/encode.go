package vidplayer

import (
	"time"

	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// milliseconds rounds a stream time to RTMP's clock, which wraps at 2^32.
func milliseconds(t time.Duration) uint32 {
	return uint32((t + time.Millisecond/2) / time.Millisecond)
}

// The most that a packet grows by: a chunk header, a tag header, and a type-3
// header for each further chunk.
const packetOverhead = 32

// appendPacket appends p as an RTMP message for message stream id. The tag stands
// in front of the payload in the same chunk, so nothing is copied twice.
func appendPacket(b []byte, p *stream.Packet, id uint32, chunkSize int, scratch *[]byte) []byte {
	tag := (*scratch)[:0]
	m := rtmp.Message{Type: rtmp.TypeVideo, Timestamp: milliseconds(p.Time), StreamID: id}
	csid := rtmp.VideoChunkStream
	if p.Audio {
		m.Type, csid = rtmp.TypeAudio, rtmp.AudioChunkStream
		tag = rtmp.AppendAudioTag(tag, &rtmp.AudioTag{Kind: rtmp.TagFrame})
	} else {
		ct := int32((p.CompositionTime + time.Millisecond/2) / time.Millisecond)
		tag = rtmp.AppendVideoTag(tag, &rtmp.VideoTag{Kind: rtmp.TagFrame, Key: p.IsKeyFrame, CompositionTime: ct})
	}
	*scratch = tag
	return rtmp.AppendParts(b, uint8(csid), &m, chunkSize, tag, p.Data)
}

// appendHeaders appends the messages that a player needs before the first packet under
// h: metadata, and sequence headers at time t. Metadata has no time: at any other than 0,
// libavformat takes it for subtitles.
func appendHeaders(b []byte, h *stream.Headers, t time.Duration, id uint32, chunkSize int) []byte {
	ms := milliseconds(t)
	if h.Metadata != nil {
		m := rtmp.Message{Type: rtmp.TypeDataAMF0, StreamID: id, Payload: h.Metadata}
		b = rtmp.AppendMessage(b, rtmp.DataChunkStream, &m, chunkSize)
	}
	if v, ok := h.Video.(h264parser.CodecData); ok {
		tag := rtmp.AppendVideoTag(nil, &rtmp.VideoTag{Kind: rtmp.TagConfig, Key: true, Data: v.Record})
		m := rtmp.Message{Type: rtmp.TypeVideo, Timestamp: ms, StreamID: id, Payload: tag}
		b = rtmp.AppendMessage(b, rtmp.VideoChunkStream, &m, chunkSize)
	}
	if a, ok := h.Audio.(aacparser.CodecData); ok {
		tag := rtmp.AppendAudioTag(nil, &rtmp.AudioTag{Kind: rtmp.TagConfig, Data: a.ConfigBytes})
		m := rtmp.Message{Type: rtmp.TypeAudio, Timestamp: ms, StreamID: id, Payload: tag}
		b = rtmp.AppendMessage(b, rtmp.AudioChunkStream, &m, chunkSize)
	}
	return b
}
