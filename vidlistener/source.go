package vidlistener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// ErrTooManyChanges is a publisher that changes its sequence headers, or breaks its
// clock, more often than once a second.
var ErrTooManyChanges = errors.New("vidlistener: sequence headers or the clock change too often")

const (
	// headerInterval is the shortest time between two changes of one header; the
	// first few are free, because some encoders correct themselves at the start.
	headerInterval = time.Second
	freeChanges    = 3
)

// mediaReader is what a Source needs of a connection.
type mediaReader interface {
	ReadMedia() (rtmp.Message, error)
	Interrupt()
}

// Source reads one publisher. It implements av.DemuxCloser and stream.PacketSource.
// One goroutine reads.
type Source struct {
	conn        mediaReader
	maxMetadata int
	clock       clock
	headers     *stream.Headers
	video       *codec.AVC
	audio       *codec.AAC
	videoRaw    []byte
	audioRaw    []byte
	brk         bool // the next packet follows a break
	changes     int
	lastChange  time.Time
	lastMeta    time.Time
	pending     []stream.Packet // read ahead by Streams
	now         func() time.Time
	cleanEnd    bool
	arrived     time.Time    // the last message
	heard       atomic.Int64 // when the last message came, in nanoseconds since 1970
}

// NewSource wraps an accepted publisher.
func NewSource(conn *rtmp.ServerConn) *Source {
	return newSource(conn, conn.Limits().Metadata)
}

func newSource(conn mediaReader, maxMetadata int) *Source {
	s := &Source{conn: conn, maxMetadata: maxMetadata, headers: new(stream.Headers), now: time.Now}
	s.heard.Store(s.now().UnixNano())
	return s
}

// Silent is how long the publisher has sent no media. It may be called from any
// goroutine.
func (s *Source) Silent() time.Duration {
	return time.Duration(s.now().UnixNano() - s.heard.Load())
}

// Close ends a read, and every later one. The connection stays open for a last word, and
// is closed by its owner.
func (s *Source) Close() error {
	s.conn.Interrupt()
	return nil
}

// CleanEnd reports, after a read has returned io.EOF, whether the publisher said that
// it stops; otherwise it was lost, and may come back.
func (s *Source) CleanEnd() bool { return s.cleanEnd }

// ReadStreamPacket returns the next packet. io.EOF is the publisher's end; every other
// error is the reason why it was lost or is refused.
func (s *Source) ReadStreamPacket() (stream.Packet, error) {
	if len(s.pending) > 0 {
		p := s.pending[0]
		s.pending = s.pending[1:]
		return p, nil
	}
	for {
		m, err := s.conn.ReadMedia()
		if errors.Is(err, rtmp.ErrUnpublished) {
			s.cleanEnd = true
			return stream.Packet{}, io.EOF
		}
		if err != nil {
			return stream.Packet{}, err
		}
		s.arrived = s.now()
		s.heard.Store(s.arrived.UnixNano())
		p, ok, err := s.packet(&m)
		if ok || err != nil {
			return p, err
		}
	}
}

// packet makes a packet of a message; ok is false when the message holds none.
func (s *Source) packet(m *rtmp.Message) (p stream.Packet, ok bool, err error) {
	switch m.Type {
	case rtmp.TypeVideo:
		t, err := rtmp.ParseVideo(m.Payload)
		if err != nil {
			return p, false, err
		}
		switch t.Kind {
		case rtmp.TagConfig:
			return p, false, s.videoConfig(t.Data)
		case rtmp.TagFrame:
			return s.videoFrame(m.Timestamp, &t)
		}
	case rtmp.TypeAudio:
		t, err := rtmp.ParseAudio(m.Payload)
		if err != nil {
			return p, false, err
		}
		switch t.Kind {
		case rtmp.TagConfig:
			return p, false, s.audioConfig(t.Data)
		case rtmp.TagFrame:
			return s.audioFrame(m.Timestamp, &t)
		}
	case rtmp.TypeDataAMF0:
		s.metadata(m.Payload)
	}
	return p, false, nil
}

func (s *Source) videoFrame(ms uint32, t *rtmp.VideoTag) (p stream.Packet, ok bool, err error) {
	if s.video == nil {
		return p, false, nil // nobody could decode it
	}
	dts, moved, brk := s.clock.videoTime(ms)
	if err := s.noteBreak(brk); err != nil {
		return p, false, err
	}
	ct := max(time.Duration(t.CompositionTime)*time.Millisecond-moved, 0)
	p.Packet = av.Packet{Time: dts, CompositionTime: ct, Data: t.Data}
	p.IsKeyFrame = t.Key || codec.HasIDR(t.Data, s.video.NALLengthSize)
	return s.finish(p), true, nil
}

// noteBreak remembers a break of the clock for the next packet. Breaks are as rare as
// header changes: each may begin a segment.
func (s *Source) noteBreak(brk bool) error {
	if !brk {
		return nil
	}
	s.brk = true
	return s.allowChange(true)
}

func (s *Source) audioFrame(ms uint32, t *rtmp.AudioTag) (p stream.Packet, ok bool, err error) {
	if s.audio == nil {
		return p, false, nil
	}
	at, brk := s.clock.audioTime(ms, s.audio.FrameDuration)
	if err := s.noteBreak(brk); err != nil {
		return p, false, err
	}
	p.Packet, p.Audio = av.Packet{Time: at, Data: t.Data}, true
	return s.finish(p), true, nil
}

func (s *Source) finish(p stream.Packet) stream.Packet {
	p.Headers, p.Arrival = s.headers, s.arrived.UnixNano()
	p.Idx = s.headers.Index(p.Audio)
	p.Discontinuity, s.brk = s.brk, false
	return p
}

func (s *Source) videoConfig(raw []byte) error {
	if bytes.Equal(raw, s.videoRaw) {
		return nil // repeated for latecomers, as some encoders do
	}
	c, err := codec.ParseAVCConfig(raw)
	if err != nil {
		return fmt.Errorf("video configuration: %w", err)
	}
	if err := s.allowChange(s.video != nil); err != nil {
		return err
	}
	s.video, s.videoRaw = c, bytes.Clone(raw)
	s.change(func(h *stream.Headers) { h.Video = c.Config })
	return nil
}

func (s *Source) audioConfig(raw []byte) error {
	if bytes.Equal(raw, s.audioRaw) {
		return nil
	}
	c, err := codec.ParseAACConfig(raw)
	if err != nil {
		return fmt.Errorf("audio configuration: %w", err)
	}
	if err := s.allowChange(s.audio != nil); err != nil {
		return err
	}
	s.audio, s.audioRaw = c, bytes.Clone(raw)
	s.clock.audioChanged()
	s.change(func(h *stream.Headers) { h.Audio = c.Config })
	return nil
}

func (s *Source) allowChange(isChange bool) error {
	if !isChange {
		return nil
	}
	now := s.arrived
	if s.changes++; s.changes > freeChanges && now.Sub(s.lastChange) < headerInterval {
		return ErrTooManyChanges
	}
	s.lastChange = now
	return nil
}

// change makes new headers: the old ones belong to the packets before.
func (s *Source) change(f func(*stream.Headers)) {
	h := *s.headers
	f(&h)
	s.headers = &h
}

// metadata keeps onMetaData, parsed and encoded anew. What cannot be parsed or is too
// large is left out: metadata is never needed to play.
func (s *Source) metadata(payload []byte) {
	now := s.arrived
	if len(payload) > s.maxMetadata || (s.headers.Metadata != nil && now.Sub(s.lastMeta) < headerInterval) {
		return
	}
	vs, err := rtmp.DecodeAMF0(payload)
	if err != nil || len(vs) < 2 {
		return
	}
	if vs[0] == "@setDataFrame" {
		vs = vs[1:]
	}
	if len(vs) < 2 || vs[0] != "onMetaData" {
		return
	}
	switch vs[1].(type) {
	case rtmp.Object, rtmp.ECMAArray:
	default:
		return
	}
	b := rtmp.AppendAMF0(nil, "onMetaData", vs[1])
	if bytes.Equal(b, s.headers.Metadata) {
		return
	}
	s.lastMeta = now
	s.change(func(h *stream.Headers) { h.Metadata = b })
}

// Streams implements av.Demuxer: it reads ahead to the first packet.
func (s *Source) Streams() ([]av.CodecData, error) {
	for len(s.pending) == 0 {
		p, err := s.ReadStreamPacket()
		if err != nil {
			return nil, err
		}
		s.pending = append(s.pending, p)
	}
	return s.headers.Streams(), nil
}

// ReadPacket implements av.Demuxer.
func (s *Source) ReadPacket() (av.Packet, error) {
	p, err := s.ReadStreamPacket()
	return p.Packet, err
}
