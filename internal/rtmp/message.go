package rtmp

import "encoding/binary"

// MessageType is the type id of an RTMP message (RTMP 5.4, 7.1).
type MessageType uint8

// The message types that this package knows.
const (
	TypeSetChunkSize     MessageType = 1
	TypeAbort            MessageType = 2
	TypeAck              MessageType = 3
	TypeUserControl      MessageType = 4
	TypeWindowAckSize    MessageType = 5
	TypeSetPeerBandwidth MessageType = 6
	TypeAudio            MessageType = 8
	TypeVideo            MessageType = 9
	TypeDataAMF3         MessageType = 15
	TypeSharedAMF3       MessageType = 16
	TypeCommandAMF3      MessageType = 17
	TypeDataAMF0         MessageType = 18
	TypeSharedAMF0       MessageType = 19
	TypeCommandAMF0      MessageType = 20
	TypeAggregate        MessageType = 22
)

// User control events (RTMP 7.1.7).
const (
	eventStreamBegin  = 0
	eventStreamEOF    = 1
	eventPingRequest  = 6
	eventPingResponse = 7
)

// Chunk stream ids that we send on. One fixed id per track, so that the bytes of
// a message are the same for every player.
const (
	controlChunkStream = 2
	commandChunkStream = 3
	AudioChunkStream   = 4
	DataChunkStream    = 5
	VideoChunkStream   = 6
)

// Message is one whole RTMP message.
type Message struct {
	Type      MessageType
	Timestamp uint32 // milliseconds, absolute, wraps at 2^32
	StreamID  uint32
	// Payload belongs to the receiver of the message, who may keep it.
	Payload []byte
}

// AppendMessage appends m to b as chunks of at most chunkSize payload bytes on
// chunk stream csid (2 to 63): one type-0 chunk, the rest type 3, with the extended
// timestamp repeated on each (RTMP 5.3.1.3).
func AppendMessage(b []byte, csid uint8, m *Message, chunkSize int) []byte {
	return AppendParts(b, csid, m, chunkSize, m.Payload, nil)
}

// AppendParts is AppendMessage for a payload that lies in two parts; m.Payload is
// not read.
func AppendParts(b []byte, csid uint8, m *Message, chunkSize int, head, tail []byte) []byte {
	ts := m.Timestamp
	field := min(ts, 0xFFFFFF)
	n := len(head) + len(tail)
	b = append(b, csid&0x3f,
		byte(field>>16), byte(field>>8), byte(field),
		byte(n>>16), byte(n>>8), byte(n), byte(m.Type))
	b = binary.LittleEndian.AppendUint32(b, m.StreamID)
	for {
		if field == 0xFFFFFF {
			b = binary.BigEndian.AppendUint32(b, ts)
		}
		k := min(len(head), chunkSize)
		b = append(b, head[:k]...)
		head = head[k:]
		k = min(len(tail), chunkSize-k)
		b = append(b, tail[:k]...)
		tail = tail[k:]
		if len(head)+len(tail) == 0 {
			return b
		}
		b = append(b, 0xC0|csid&0x3f)
	}
}

func be24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

func control(t MessageType, v uint32) *Message {
	return &Message{Type: t, Payload: binary.BigEndian.AppendUint32(nil, v)}
}

func userControl(event uint16, v uint32) *Message {
	b := binary.BigEndian.AppendUint16(nil, event)
	return &Message{Type: TypeUserControl, Payload: binary.BigEndian.AppendUint32(b, v)}
}

func command(streamID uint32, values ...any) *Message {
	return &Message{Type: TypeCommandAMF0, StreamID: streamID, Payload: AppendAMF0(nil, values...)}
}

// chunkStreamOf is the chunk stream that a message of ours travels on.
func chunkStreamOf(t MessageType) uint8 {
	switch t {
	case TypeAudio:
		return AudioChunkStream
	case TypeVideo:
		return VideoChunkStream
	case TypeDataAMF0, TypeDataAMF3:
		return DataChunkStream
	case TypeCommandAMF0, TypeCommandAMF3:
		return commandChunkStream
	}
	return controlChunkStream
}
