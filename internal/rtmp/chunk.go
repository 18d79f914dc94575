package rtmp

import (
	"bufio"
	"encoding/binary"
	"io"
)

// chunkReader puts messages together from chunks (RTMP 5.3). It serves one
// goroutine.
type chunkReader struct {
	r         *bufio.Reader
	chunkSize uint32
	limits    *Limits
	// maxMessage and maxPartial are those of the phase the connection is in.
	maxMessage, maxPartial int
	partial                int // bytes held in unfinished messages
	streams                []*chunkStream
}

// chunkStream is what a chunk of type 1 to 3 inherits from its predecessors.
type chunkStream struct {
	id        uint32
	timestamp uint32
	delta     uint32
	length    uint32
	streamID  uint32
	typ       MessageType
	begun     bool // a type-0 to 2 header has been seen

	ext      bool   // the last header had an extended timestamp
	extValue uint32 // its value
	extOnce  bool   // this peer does not repeat it on type-3 chunks

	payload []byte
	open    bool // a message has begun and not ended
}

func newChunkReader(r *bufio.Reader, l *Limits) *chunkReader {
	return &chunkReader{r: r, chunkSize: 128, limits: l, maxMessage: l.CommandMessage, maxPartial: l.CommandPartial}
}

// next returns the next whole message. Chunk size changes and aborts are not
// applied here: they are messages, and the connection acts on them.
func (c *chunkReader) next() (Message, error) {
	for {
		cs, err := c.readChunk()
		if err != nil {
			return Message{}, err
		}
		if uint32(len(cs.payload)) < cs.length {
			continue
		}
		m := Message{Type: cs.typ, Timestamp: cs.timestamp, StreamID: cs.streamID, Payload: cs.payload}
		c.partial -= len(cs.payload)
		cs.payload, cs.open = nil, false
		return m, nil
	}
}

func (c *chunkReader) setChunkSize(n uint32) error {
	// The top bit must be zero (RTMP 5.4.1); zero would never end.
	if n == 0 || n >= 1<<31 {
		return protocolf("chunk size %d", n)
	}
	if n > uint32(c.limits.ChunkSize) {
		return limitf("chunk size %d is above %d", n, c.limits.ChunkSize)
	}
	c.chunkSize = n
	return nil
}

// abort drops the unfinished message of a chunk stream (RTMP 5.4.2).
func (c *chunkReader) abort(csid uint32) {
	for _, cs := range c.streams {
		if cs.id == csid {
			c.partial -= len(cs.payload)
			cs.payload, cs.open = nil, false
		}
	}
}

func (c *chunkReader) readChunk() (*chunkStream, error) {
	b0, err := c.r.ReadByte()
	if err != nil {
		return nil, err
	}
	id, err := c.readID(b0)
	if err != nil {
		return nil, err
	}
	cs, err := c.stream(id)
	if err != nil {
		return nil, err
	}
	if err := c.readHeader(cs, b0>>6); err != nil {
		return nil, err
	}
	return cs, c.readPayload(cs)
}

// readID reads the rest of a chunk basic header (RTMP 5.3.1.1).
func (c *chunkReader) readID(b0 byte) (uint32, error) {
	switch id := b0 & 0x3f; id {
	case 0:
		b, err := c.r.ReadByte()
		return 64 + uint32(b), unexpected(err)
	case 1:
		var b [2]byte
		_, err := io.ReadFull(c.r, b[:])
		return 64 + uint32(b[0]) + uint32(b[1])<<8, unexpected(err)
	default:
		return uint32(id), nil
	}
}

func (c *chunkReader) stream(id uint32) (*chunkStream, error) {
	for _, cs := range c.streams {
		if cs.id == id {
			return cs, nil
		}
	}
	if len(c.streams) == c.limits.ChunkStreams {
		return nil, limitf("more than %d chunk streams", c.limits.ChunkStreams)
	}
	cs := &chunkStream{id: id}
	c.streams = append(c.streams, cs)
	return cs, nil
}

// readHeader reads the message header of a chunk (RTMP 5.3.1.2) and, at the first
// chunk of a message, moves the chunk stream's clock.
func (c *chunkReader) readHeader(cs *chunkStream, format byte) error {
	if format == 3 {
		if !cs.begun {
			return protocolf("chunk stream %d starts with a type-3 chunk", cs.id)
		}
		if err := c.skipRepeatedExt(cs); err != nil {
			return err
		}
		if !cs.open {
			cs.timestamp += cs.delta
			return c.open(cs)
		}
		return nil
	}
	if cs.open {
		return protocolf("chunk stream %d starts a message inside another", cs.id)
	}
	// A type-1 or 2 header may be the first of its chunk stream: real encoders do it,
	// and mean a delta from zero.
	var b [11]byte
	n := [3]int{11, 7, 3}[format]
	if _, err := io.ReadFull(c.r, b[:n]); err != nil {
		return unexpected(err)
	}
	ts := be24(b[:])
	if format <= 1 {
		cs.length = be24(b[3:])
		cs.typ = MessageType(b[6])
	}
	if format == 0 {
		cs.streamID = binary.LittleEndian.Uint32(b[7:])
	}
	cs.ext = ts == 0xFFFFFF
	if cs.ext {
		var e [4]byte
		if _, err := io.ReadFull(c.r, e[:]); err != nil {
			return unexpected(err)
		}
		ts = binary.BigEndian.Uint32(e[:])
		cs.extValue = ts
	}
	if format == 0 {
		cs.timestamp, cs.delta = ts, 0
		// A type-3 message after a type-0 one repeats its timestamp as a delta
		// (RTMP 5.3.1.2.4), and FFmpeg sends that; but only a small value can be
		// meant as one: others mean "the same time".
		if ts <= 1000 {
			cs.delta = ts
		}
	} else {
		cs.delta = ts
		cs.timestamp += ts
	}
	cs.begun = true
	return c.open(cs)
}

// skipRepeatedExt reads the extended timestamp of a type-3 chunk. Some senders
// repeat it and some do not: it is there when its four bytes are.
func (c *chunkReader) skipRepeatedExt(cs *chunkStream) error {
	if !cs.ext || cs.extOnce {
		return nil
	}
	e, err := c.r.Peek(4)
	if err != nil {
		return unexpected(err)
	}
	if binary.BigEndian.Uint32(e) != cs.extValue {
		cs.extOnce = true
		return nil
	}
	_, err = c.r.Discard(4)
	return err
}

func (c *chunkReader) open(cs *chunkStream) error {
	if int(cs.length) > c.maxMessage {
		return limitf("message of %d bytes is above %d", cs.length, c.maxMessage)
	}
	cs.open = true
	return nil
}

// firstAlloc is how much a message may claim without having sent it.
const firstAlloc = 16 << 10

// readPayload reads what one chunk holds of a message. The buffer doubles with
// the bytes that have arrived, up to the announced length.
func (c *chunkReader) readPayload(cs *chunkStream) error {
	have := len(cs.payload)
	n := min(int(cs.length)-have, int(c.chunkSize))
	if c.partial+n > c.maxPartial {
		return limitf("more than %d bytes in unfinished messages", c.maxPartial)
	}
	for n > 0 {
		if len(cs.payload) == cap(cs.payload) {
			size := min(int(cs.length), max(firstAlloc, 2*len(cs.payload)))
			grown := make([]byte, len(cs.payload), size)
			copy(grown, cs.payload)
			cs.payload = grown
		}
		k := min(n, cap(cs.payload)-len(cs.payload))
		got, err := io.ReadFull(c.r, cs.payload[len(cs.payload):len(cs.payload)+k])
		cs.payload = cs.payload[:len(cs.payload)+got]
		c.partial += got
		if err != nil {
			return unexpected(err)
		}
		n -= k
	}
	return nil
}

// unexpected makes an end inside a chunk different from an end between chunks.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
