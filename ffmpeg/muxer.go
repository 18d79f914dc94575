package ffmpeg

// #include "muxer.h"
import "C"

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// maxSegment limits what a Muxer holds between two cuts: a publisher that never
// sends a keyframe cannot make it grow on.
const maxSegment = 96 << 20

// Track describes one elementary stream: exactly one of its fields is set.
type Track struct {
	Video *VideoTrack
	Audio *AudioTrack
}

// VideoTrack describes a video stream.
type VideoTrack struct {
	Codec         VideoCodec // H264
	Extradata     []byte     // the AVCDecoderConfigurationRecord; copied
	Width, Height int        // zero when unknown
}

// AudioTrack describes an AAC stream.
type AudioTrack struct {
	Extradata  []byte // the AudioSpecificConfig; copied
	SampleRate int    // zero when unknown
	Channels   int    // zero when unknown
}

// Packet is one access unit of a track: a picture as length-prefixed NAL units, or
// one AAC frame without ADTS header.
type Packet struct {
	DTS, PTS time.Duration // PTS not before DTS
	Duration time.Duration // zero when unknown
	Key      bool          // a decoder can start here; not looked at for audio
	Data     []byte        // borrowed for the call
}

// Muxer writes packets as one continuous transport stream that is cut into segments.
// It is for one goroutine at a time, and takes none of its own; no method blocks.
type Muxer struct {
	c       *C.lpms_muxer
	tracks  []muxTrack
	segment []byte  // C writes each packet's output to its end
	room    *[]byte // where segment lies, from rooms
	limit   int
}

type muxTrack struct {
	audio   bool
	started bool
	last    int64 // the last DTS in ticks
}

var liveHandles atomic.Int64

// LiveHandles is the number of open C handles in the process. Tests assert that it
// is zero when everything is closed.
func LiveHandles() int64 { return liveHandles.Load() }

// NewMuxer opens a muxer for the tracks, whose positions are their numbers for
// WritePacket. FormatMPEGTS is the one format for now; others are ErrFormat, as are
// codecs other than H264 and AAC. Close it to free its memory, which is C's.
func NewMuxer(format Format, tracks ...Track) (*Muxer, error) {
	return newMuxer(maxSegment, format, tracks)
}

func newMuxer(limit int, format Format, tracks []Track) (*Muxer, error) {
	quietLog()
	if format != FormatMPEGTS {
		return nil, fmt.Errorf("%w: no muxer for %s", ErrFormat, format)
	}
	if len(tracks) == 0 {
		return nil, fmt.Errorf("%w: a muxer needs at least one", ErrTrack)
	}
	m := &Muxer{tracks: make([]muxTrack, len(tracks)), limit: limit}
	liveHandles.Add(1)
	if err := m.open(tracks); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Muxer) open(tracks []Track) error {
	if err := resultError(C.lpms_muxer_open(&m.c)); err != nil {
		return err
	}
	for i, t := range tracks {
		if err := m.add(i, t); err != nil {
			return fmt.Errorf("track %d: %w", i, err)
		}
	}
	return resultError(C.lpms_muxer_start(m.c))
}

func (m *Muxer) add(i int, t Track) error {
	var c C.lpms_track
	var extradata []byte
	switch {
	case t.Video != nil && t.Audio == nil:
		if t.Video.Codec != H264 {
			return fmt.Errorf("%w: no muxer for %s", ErrFormat, t.Video.Codec)
		}
		// ISO/IEC 14496-15 5.3.3.1: version 1, and at least the counts of SPS and PPS.
		if extradata = t.Video.Extradata; len(extradata) < 7 || extradata[0] != 1 {
			return errInvalid("read AVCDecoderConfigurationRecord")
		}
		c.codec = C.LPMS_H264
		c.width, c.height = cInt(t.Video.Width), cInt(t.Video.Height)
	case t.Audio != nil && t.Video == nil:
		if extradata = t.Audio.Extradata; len(extradata) < 2 {
			return errInvalid("read AudioSpecificConfig")
		}
		m.tracks[i].audio = true
		c.codec = C.LPMS_AAC
		// libavformat wants a rate; a transport stream does not depend on it.
		c.sample_rate, c.channels = max(cInt(t.Audio.SampleRate), 1), cInt(t.Audio.Channels)
	default:
		return fmt.Errorf("%w: a track is either video or audio", ErrTrack)
	}
	if len(extradata) > math.MaxUint16*8 {
		return errInvalid("read extradata")
	}
	return resultError(C.lpms_muxer_add(m.c, c, (*C.uint8_t)(unsafe.SliceData(extradata)), C.int(len(extradata))))
}

// WritePacket adds a packet to the current segment. Packets of all tracks are
// expected by rising DTS; only the order within a track is checked (ErrTimestamp).
// Times are rounded to the clock of the stream, 90 kHz, and wrap at 33 bits there.
//
// An error means that nothing of this packet is in the segment; the muxer takes the
// next one. Data that is not what its track says gives an *Error.
func (m *Muxer) WritePacket(track int, p Packet) error {
	if m.c == nil {
		return ErrClosed
	}
	if track < 0 || track >= len(m.tracks) {
		return ErrTrack
	}
	if len(p.Data) == 0 {
		return errInvalid("write packet")
	}
	t := &m.tracks[track]
	dts, pts := ticks(p.DTS), ticks(p.PTS)
	if pts < dts || t.started && dts <= t.last {
		return ErrTimestamp
	}
	c := C.lpms_packet{
		track:    C.int(track),
		dts:      C.int64_t(dts + tickBase),
		pts:      C.int64_t(pts + tickBase),
		duration: C.int64_t(max(ticks(p.Duration), 0)),
	}
	if p.Key || t.audio {
		c.key = 1
	}
	// 4 bytes in 188 are headers; PAT, PMT and parameter sets fit the rest.
	room := len(p.Data) + len(p.Data)/16 + 4096
	for {
		if room > m.limit-len(m.segment) {
			return ErrTooLarge
		}
		m.grow(room)
		dst := m.segment[len(m.segment):cap(m.segment)]
		w := C.lpms_muxer_write(m.c, c, (*C.uint8_t)(unsafe.SliceData(p.Data)), C.int(len(p.Data)),
			(*C.uint8_t)(unsafe.SliceData(dst)), C.size_t(len(dst)))
		if w.result.code == C.lpms_no_room && int(w.size) > len(dst) {
			room = int(w.size) // many tiny NAL units, or long parameter sets
			continue
		}
		t.started, t.last = true, dts
		if err := resultError(w.result); err != nil {
			return err
		}
		m.segment = m.segment[:len(m.segment)+int(w.size)]
		return nil
	}
}

// grow makes room for n bytes after the segment's end.
func (m *Muxer) grow(n int) {
	if m.segment == nil {
		m.room = rooms.Get().(*[]byte)
		m.segment = (*m.room)[:0]
	}
	m.segment = slices.Grow(m.segment, n)
}

// rooms are where segments are made. Muxers share them, because a segment is mostly made
// in one go and is then copied out.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// release gives the room back.
func (m *Muxer) release() {
	if m.room != nil {
		*m.room = m.segment[:0]
		rooms.Put(m.room)
	}
	m.room, m.segment = nil, nil
}

// Cut ends the segment and returns it: whole TS packets, PAT and PMT first, and
// continuity counters that go on where the last segment ended. It is nil when nothing
// was written. The bytes are the caller's.
func (m *Muxer) Cut() ([]byte, error) {
	if m.c == nil {
		return nil, ErrClosed
	}
	if len(m.segment) == 0 {
		return nil, nil
	}
	if err := resultError(C.lpms_muxer_cut(m.c)); err != nil {
		return nil, err
	}
	// It will be kept for a while: without the slack of the room it was made in.
	segment := slices.Clone(m.segment)
	m.release()
	return segment, nil
}

// Close frees the muxer and what was not cut. It may be called again.
func (m *Muxer) Close() {
	if m.tracks == nil {
		return
	}
	m.tracks = nil
	m.release()
	C.lpms_muxer_close(&m.c)
	liveHandles.Add(-1)
}

// tickBase is a multiple of 2^33 that makes every tick positive: libavformat's PCR
// is wrong below zero, and on the wire the base is not seen.
const tickBase = 1 << 50

// ticks rounds a time to the nearest tick of 90 kHz.
func ticks(d time.Duration) int64 {
	const unit = 100 * time.Microsecond // nine ticks; split to stay within 64 bits
	rest := int64(d%unit) * 9
	half := int64(unit / 2)
	if rest < 0 {
		half = -half
	}
	return int64(d/unit)*9 + (rest+half)/int64(unit)
}

// cInt brings a number into the range of C's int; what is below zero becomes zero.
func cInt(n int) C.int { return C.int(min(max(n, 0), math.MaxInt32)) }
