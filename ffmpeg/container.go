package ffmpeg

// #include <libavcodec/avcodec.h>
// #include <stdlib.h>
// #include "container.h"
// #include "muxer.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

const (
	// maxContainer limits what a container holds between two takes.
	maxContainer = 512 << 20
	// An MP4's header waits for the parameters of every track, and for some pictures to
	// find a time scale that suits their times, but not longer than this.
	headerPictures = 64
	headerBytes    = 16 << 20
	headerTime     = 10 * clockRate
)

// container writes the packets of one output into memory, as MPEG-TS or fragmented MP4.
// It is for one goroutine at a time.
type container struct {
	c      *C.lpms_container
	format Format
	tracks []containerTrack
	video  bool // there is a video track
	exact  bool // MP4 whose fragments carry absolute times
	ours   bool // MP4 with our own movflags

	waiting  bool   // the header is not written
	queue    []unit // until it is
	queued   int    // bytes
	pictures int    // in the queue

	since    int // bytes since the last take, about
	limit    int
	check    fragmentCheck
	edited   bool // the header has its edit lists
	begun    bool // something was written
	finished bool
	closed   bool
	err      error // after which nothing can be written
}

type containerOptions struct {
	format Format // FormatNone counts as FormatMPEGTS
	// muxer names libavformat's muxer, "mpegts" or "mp4", which goes before format, and
	// sets its options. With movflags among them, ours are not set.
	muxer    ComponentOptions
	metadata map[string]string
}

// What each container takes. VP8 has no place in MP4, and VP9 and AV1 none in transport
// streams that any player reads.
var containerCodecs = map[Format][]string{
	FormatMPEGTS: {"h264", "hevc", "mpeg2video", "aac", "aac_latm", "mp2", "mp3", "ac3", "eac3", "opus"},
	FormatMP4:    {"h264", "hevc", "vp9", "av1", "aac", "mp2", "mp3", "ac3", "eac3", "opus"},
}

// newContainer opens a container for tracks, whose positions are the numbers of their
// units. The parameters are copied. Codecs and muxers that are not handled are ErrFormat.
func newContainer(tracks []*params, opts containerOptions) (*container, error) {
	quietLog()
	format, err := opts.containerFormat()
	if err != nil {
		return nil, err
	}
	if len(tracks) == 0 {
		return nil, fmt.Errorf("%w: a container needs at least one", ErrTrack)
	}
	c := &container{format: format, limit: maxContainer, waiting: true}
	liveHandles.Add(1)
	if err := c.open(tracks, opts); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// write adds a unit. Units of all tracks are expected by rising DTS; only the order within a
// track is checked (ErrTimestamp). The data is not changed, and the caller must not change
// it either before the container is finished. After ErrTooLarge or ErrTimestamp, the next
// unit may be written.
func (c *container) write(u unit) error {
	if c.closed || c.finished {
		return ErrClosed
	}
	if c.err != nil {
		return c.err
	}
	if u.track < 0 || u.track >= len(c.tracks) {
		return ErrTrack
	}
	t := &c.tracks[u.track]
	if len(u.data) == 0 || len(u.data) > math.MaxInt32/2 {
		return errInvalid("write unit")
	}
	if u.dts == noTime || u.pts == noTime || u.pts < u.dts || t.started && u.dts <= t.last {
		return ErrTimestamp
	}
	cost := len(u.data) + len(u.data)/32 + 2*tsPacketSize
	if c.since+cost > c.limit {
		return ErrTooLarge
	}
	t.started, t.last = true, u.dts
	c.since += cost
	if !c.waiting {
		return c.put(u)
	}
	c.queue = append(c.queue, u)
	c.queued += len(u.data)
	if t.video {
		c.pictures++
	}
	if err := t.learn(u); err != nil {
		return c.fail(err)
	}
	if !c.ready() {
		return nil
	}
	return c.startMP4()
}

// finish writes what is left. After it, only take and close may be called.
func (c *container) finish() error {
	if c.closed || c.finished {
		return ErrClosed
	}
	c.finished = true
	if c.err != nil {
		return c.err
	}
	if c.waiting {
		if len(c.queue) == 0 {
			return nil // nothing to say
		}
		if err := c.startMP4(); err != nil {
			return err
		}
	}
	for i := range c.tracks {
		if t := &c.tracks[i]; t.group.frames > 0 {
			if err := c.emit(t, t.group.take()); err != nil {
				return c.fail(err)
			}
		}
	}
	if err := resultError(C.lpms_container_finish(c.c)); err != nil {
		return c.fail(err)
	}
	if err := c.inspect(); err != nil {
		return c.fail(err)
	}
	if c.ours && !c.check.complete() {
		return c.fail(errMemory("write fragments"))
	}
	return nil
}

// fail makes an error the last one.
func (c *container) fail(err error) error {
	c.err = err
	return err
}

// take gives the bytes that were written since the last take, nil without any; they are the
// caller's. An MP4 gives whole fragments.
func (c *container) take() []byte {
	if c.closed || c.waiting || c.inspect() != nil {
		return nil
	}
	written := c.written()
	if len(written) == 0 {
		return nil
	}
	b := c.withEdits(written)
	C.lpms_container_taken(c.c)
	c.check.seen = 0
	c.since = 0
	return b
}

// written is what C holds, which stays there.
func (c *container) written() []byte {
	b := C.lpms_container_bytes(c.c)
	return unsafe.Slice((*byte)(b.data), int(b.size))
}

func (c *container) close() {
	if c.closed {
		return
	}
	c.closed = true
	for i := range c.tracks {
		c.tracks[i].params.close()
	}
	c.tracks, c.queue = nil, nil
	C.lpms_container_close(&c.c)
	liveHandles.Add(-1)
}

// timeScales are usual ones for video.
var timeScales = [...]clock{12800, 15360, 24000, 30000, 48000, 60000, 90000, 120000}

// put changes a unit to what the container takes and writes it.
func (c *container) put(u unit) error {
	t := &c.tracks[u.track]
	if t.stream < 0 {
		return fmt.Errorf("%w: track %d said too late what it is", ErrTrack, u.track)
	}
	for i := range c.tracks {
		if g := &c.tracks[i]; i != u.track && g.group.late(u.dts) {
			if err := c.emit(g, g.group.take()); err != nil {
				return err
			}
		}
	}
	var err error
	switch {
	case t.nal != noNAL:
		if u.data, err = t.nalUnit(u, c.format); err != nil {
			return err
		}
	case t.codec == "aac" && c.format == FormatMPEGTS:
		return c.putADTS(t, u)
	case t.codec == "aac":
		return c.putRaw(t, u)
	}
	return c.emit(t, u)
}

// putADTS adds a frame of AAC to the group of its track, with an ADTS header.
func (c *container) putADTS(t *containerTrack, u unit) error {
	config, _, size, framed := readADTS(u.data)
	framed = framed && size == len(u.data)
	if !framed {
		config = t.adts
		size = len(u.data) + adtsHeaderSize
		if !t.framed || len(u.data) > maxADTSFrame {
			// libavformat knows more, or refuses it.
			if err := c.flushGroup(t); err != nil {
				return err
			}
			return c.emit(t, u)
		}
	}
	if !t.group.takes(config, u, size) {
		if err := c.flushGroup(t); err != nil {
			return err
		}
	}
	t.group.add(config, u, framed)
	if t.group.full(!c.video) {
		return c.flushGroup(t)
	}
	return nil
}

func (c *container) flushGroup(t *containerTrack) error {
	if t.group.frames == 0 {
		return nil
	}
	return c.emit(t, t.group.take())
}

// putRaw writes AAC without ADTS headers.
func (c *container) putRaw(t *containerTrack, u unit) error {
	for {
		config, header, size, framed := readADTS(u.data)
		if !framed {
			return c.emit(t, u)
		}
		frame, rest := u, u.data[size:]
		frame.data = u.data[header:size]
		if len(rest) > 0 {
			frame.duration = config.duration(1)
		}
		if err := c.emit(t, frame); err != nil || len(rest) == 0 {
			return err
		}
		u.data = rest
		u.dts += frame.duration
		u.pts += frame.duration
		u.duration = max(u.duration-frame.duration, 0)
	}
}

const (
	// tsBase is a multiple of 2^33 that makes every tick of 90 kHz positive: libavformat's
	// PCR is wrong below zero, and on the wire the base is not seen.
	tsBase = 1 << 52
	// audioSlack is how far a time of audio in an MP4 may be from where the unit before
	// ends: clocks of transport streams and FLV round, and samples do not.
	audioSlack = clockRate / 900
)

// emit writes a unit that is as the container takes it.
func (c *container) emit(t *containerTrack, u unit) error {
	dts, pts := t.ticks(u.dts), t.ticks(u.pts)
	end := t.ticks(u.dts + max(u.duration, 0))
	if c.format == FormatMP4 && !t.video {
		if t.begun && u.pts == u.dts && (clock(mulDiv(t.nextTick-t.shift, int64(clockRate)*t.num, t.den)) - u.dts).within(audioSlack) {
			dts, pts = t.nextTick-t.shift, t.nextTick-t.shift
		}
		end = dts + t.ticks(max(u.duration, 0))
	}
	base := t.shift
	if c.format == FormatMPEGTS {
		base = tsBase
	}
	dts, pts, end = dts+base, pts+base, end+base
	if t.begun && dts <= t.lastTick { // two in one tick
		dts = t.lastTick + 1
		pts = max(pts, dts)
	}
	if c.format == FormatMP4 && t.begun && dts-t.lastTick > math.MaxInt32 || c.ours && dts < 0 {
		return ErrTimestamp // an MP4 cannot say it
	}
	if c.exact && (u.key && t.video || !c.video || !c.begun) {
		if err := resultError(C.lpms_container_break(c.c)); err != nil {
			return c.fail(err)
		}
	}
	s := C.lpms_sample{
		track: C.int(t.stream), dts: C.int64_t(dts), pts: C.int64_t(pts),
		duration: C.int64_t(min(max(end-dts, 0), math.MaxInt32)),
	}
	if u.key || !t.video {
		s.key = 1
	}
	c.begun = true
	r := C.lpms_container_write(c.c, s, (*C.uint8_t)(unsafe.SliceData(u.data)), C.int(len(u.data)))
	if r.code == C.lpms_no_room {
		return c.fail(ErrTooLarge)
	}
	err := resultError(r)
	if err != nil {
		return err
	}
	t.begun, t.lastTick, t.nextTick = true, dts, max(end, dts)
	if c.ours && t.codec != "eac3" { // frames of which become one sample
		c.check.written++
	}
	return nil
}
