package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nareix/joy4/av"
)

// VideoFormat is what a VideoStream carries.
type VideoFormat uint8

const (
	// RTMP is a stream of packets.
	RTMP VideoFormat = iota
	// HLS is a stream of segments: a presentation.
	HLS
)

func (f VideoFormat) String() string {
	if f == HLS {
		return "HLS"
	}
	return "RTMP"
}

const (
	// DefaultReaderBytes and DefaultReaderAge are how far a reader may be behind
	// before it loses packets and goes on at the newest keyframe. The packets since
	// that keyframe are kept however old they are, up to the same number of bytes.
	DefaultReaderBytes = 8 << 20
	DefaultReaderAge   = 4 * time.Second
)

// Stream is a live stream. It is implemented by *VideoStream, and by a struct that
// embeds one.
type Stream interface {
	// ID is the name given at construction.
	ID() string
	// Format says whether the stream carries packets or segments.
	Format() VideoFormat
	// ReadRTMPFromStream writes the stream to dst, from the newest keyframe on,
	// until the stream ends (nil), ctx ends or dst fails. It blocks.
	ReadRTMPFromStream(ctx context.Context, dst av.MuxCloser) error
	// WriteRTMPToStream writes src to the stream until src ends (nil), ctx ends
	// or src fails. It blocks. The stream has ended when it returns.
	WriteRTMPToStream(ctx context.Context, src av.DemuxCloser) error
	// HLS is the presentation of an HLS stream, nil of an RTMP stream.
	HLS() *HLSBuffer

	video() *VideoStream
}

// PacketSource is an av.DemuxCloser that knows more than av.Packet can say: header
// changes, metadata and breaks of the clock. WriteRTMPToStream prefers it.
type PacketSource interface {
	ReadStreamPacket() (Packet, error)
}

// PacketSink is an av.MuxCloser that reads a stream by itself, in a cheaper way than
// packet by packet. ReadRTMPFromStream prefers it.
type PacketSink interface {
	ReadStream(ctx context.Context, s *VideoStream) error
}

// VideoStream is one live stream in memory. All methods may be called from any
// goroutine; one goroutine writes.
type VideoStream struct {
	id     string
	format VideoFormat
	hls    *HLSBuffer
	done   chan struct{} // closed by End
	eager  atomic.Int32  // readers that want each packet at once

	mu      sync.Mutex
	ring    ring
	readers []*Reader
	ended   bool
	writing bool
	stats   StreamStats
}

// StreamStats counts what a stream has carried.
type StreamStats struct {
	Packets, Bytes uint64
	Readers        int
	HeldBytes      int // in memory now
	Headers        *Headers
}

// NewVideoStream makes an empty stream.
func NewVideoStream(id string, format VideoFormat) *VideoStream {
	s := &VideoStream{id: id, format: format, done: make(chan struct{}), ring: newRing(DefaultReaderBytes, DefaultReaderAge)}
	if format == HLS {
		s.hls = NewHLSBuffer()
	}
	return s
}

// Unwrap returns the VideoStream behind a Stream.
func Unwrap(s Stream) *VideoStream { return s.video() }

func (s *VideoStream) video() *VideoStream { return s }

// ID is the name given at construction.
func (s *VideoStream) ID() string { return s.id }

// Format says whether the stream carries packets or segments.
func (s *VideoStream) Format() VideoFormat { return s.format }

// HLS is the presentation of an HLS stream, nil of an RTMP stream.
func (s *VideoStream) HLS() *HLSBuffer { return s.hls }

// Eager reports whether a reader wants each packet at once: one that is not lazy.
func (s *VideoStream) Eager() bool { return s.eager.Load() > 0 }

// Stats says what the stream has carried so far.
func (s *VideoStream) Stats() StreamStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Readers, st.HeldBytes = len(s.readers), s.ring.bytes
	return st
}

// WritePacket appends a packet, whose Data belongs to the stream from now on. It
// never waits for a reader. It returns ErrClosed after End.
func (s *VideoStream) WritePacket(p *Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	if h := p.Headers; h == nil || p.Audio && h.Audio == nil || !p.Audio && h.Video == nil {
		return fmt.Errorf("%w: a packet of %s without headers for its track", ErrFormat, s.id)
	}
	needed, kept := s.ring.head, s.ring.head
	for _, r := range s.readers {
		needed = min(needed, r.next)
		if r.opts.Lossless {
			kept = min(kept, r.next)
		}
	}
	s.ring.push(p, needed, kept)
	s.stats.Packets++
	s.stats.Bytes += uint64(len(p.Data))
	s.stats.Headers = p.Headers
	for _, r := range s.readers {
		r.notify(p)
	}
	return nil
}

// End ends the stream: readers get what is left, then io.EOF. It is idempotent.
func (s *VideoStream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	close(s.done)
	for _, r := range s.readers {
		r.wakeUp()
	}
}

// Done is closed when the stream has ended.
func (s *VideoStream) Done() <-chan struct{} { return s.done }

// WriteRTMPToStream implements Stream. A second writer is refused with ErrBusy.
func (s *VideoStream) WriteRTMPToStream(ctx context.Context, src av.DemuxCloser) error {
	if err := s.beginWriting(); err != nil {
		return err
	}
	defer s.End()
	stop := context.AfterFunc(ctx, func() { src.Close() })
	defer stop()
	next, err := packetReader(src)
	for err == nil {
		var p Packet
		if p, err = next(); err == nil {
			err = s.WritePacket(&p)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// Available says why the stream cannot be written to: ErrFormat, ErrClosed or ErrBusy;
// nil when it can.
func (s *VideoStream) Available() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.available()
}

func (s *VideoStream) available() error {
	switch {
	case s.format != RTMP:
		return fmt.Errorf("%w: %s is an HLS stream, packets go to an RTMP stream", ErrFormat, s.id)
	case s.ended:
		return ErrClosed
	case s.writing:
		return ErrBusy
	}
	return nil
}

func (s *VideoStream) beginWriting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.available(); err != nil {
		return err
	}
	s.writing = true
	return nil
}

// packetReader reads packets from any demuxer.
func packetReader(src av.DemuxCloser) (func() (Packet, error), error) {
	if ps, ok := src.(PacketSource); ok {
		return ps.ReadStreamPacket, nil
	}
	streams, err := src.Streams()
	if err != nil {
		return nil, err
	}
	h := new(Headers)
	audio := make([]bool, len(streams))
	for i, c := range streams {
		if audio[i] = c.Type().IsAudio(); audio[i] {
			h.Audio = c
		} else {
			h.Video = c
		}
	}
	return func() (Packet, error) {
		p, err := src.ReadPacket()
		if err != nil {
			return Packet{}, err
		}
		if int(p.Idx) < 0 || int(p.Idx) >= len(audio) {
			return Packet{}, fmt.Errorf("stream: packet of track %d, the source has %d", p.Idx, len(audio))
		}
		out := Packet{Packet: p, Headers: h, Audio: audio[p.Idx], Arrival: time.Now().UnixNano()}
		out.Idx = h.Index(out.Audio)
		out.IsKeyFrame = p.IsKeyFrame && !out.Audio
		return out, nil
	}, nil
}

// ReadRTMPFromStream implements Stream. When a header changes on the way, WriteHeader
// is called again with the new ones, before the packets that need them.
func (s *VideoStream) ReadRTMPFromStream(ctx context.Context, dst av.MuxCloser) error {
	if s.format != RTMP {
		return fmt.Errorf("%w: %s is an HLS stream, read it through HLS()", ErrFormat, s.id)
	}
	if sink, ok := dst.(PacketSink); ok {
		return sink.ReadStream(ctx, s)
	}
	return s.readInto(ctx, dst)
}

// readInto writes packet by packet. It is a function of its own because its batch would
// otherwise weigh on the stack of everybody who waits in a PacketSink.
func (s *VideoStream) readInto(ctx context.Context, dst av.MuxCloser) error {
	r := s.NewReader(ReaderOptions{})
	defer r.Close()
	var headers *Headers
	batch := make([]Packet, 16)
	for {
		n, err := r.Read(ctx, batch)
		if errors.Is(err, io.EOF) {
			if headers == nil {
				return nil
			}
			return dst.WriteTrailer()
		}
		if err != nil {
			return err
		}
		for i := range batch[:n] {
			p := &batch[i]
			if p.Headers != headers {
				if headers == nil || !reflect.DeepEqual(headers.Streams(), p.Headers.Streams()) {
					if err := dst.WriteHeader(p.Headers.Streams()); err != nil {
						return err
					}
				}
				headers = p.Headers
			}
			if err := dst.WritePacket(p.Packet); err != nil {
				return err
			}
		}
		clear(batch[:n])
	}
}
