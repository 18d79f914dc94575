package ffmpeg

// #include <libavcodec/avcodec.h>
// #include <stdlib.h>
// #include "container.h"
// #include "muxer.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
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

// containerTrack is one track and how its units must be changed for the container.
type containerTrack struct {
	params    *params // a copy
	codec     string
	video     bool
	extradata []byte // for the header
	known     bool   // extradata and params are complete
	stream    int    // number in the file; below zero when it is not in it

	nal      nalSyntax
	prefixed int    // bytes of the length fields before NAL units; 0 is Annex B
	sets     []byte // parameter sets, Annex B

	adts   adtsConfig
	framed bool // adts is known: raw frames can have headers
	group  adtsGroup

	started  bool
	last     clock // DTS
	num, den int64 // the time base
	begun    bool  // lastTick is set
	lastTick int64 // DTS
	nextTick int64 // where the last unit ends
	shift    int64 // MP4: the ticks that an edit list takes away again
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

func (o *containerOptions) containerFormat() (Format, error) {
	format := o.format
	switch o.muxer.Name {
	case "":
	case "mpegts":
		format = FormatMPEGTS
	case "mp4":
		format = FormatMP4
	default:
		return 0, fmt.Errorf("%w: no muxer %q", ErrFormat, o.muxer.Name)
	}
	switch format {
	case FormatNone:
		return FormatMPEGTS, nil
	case FormatMPEGTS, FormatMP4:
		return format, nil
	}
	return 0, fmt.Errorf("%w: no muxer for %s", ErrFormat, format)
}

func (c *container) open(tracks []*params, opts containerOptions) error {
	for i, p := range tracks {
		if err := c.addTrack(p); err != nil {
			return fmt.Errorf("track %d: %w", i, err)
		}
	}
	name := "mpegts"
	if c.format == FormatMP4 {
		name = "mp4"
	}
	err := withCString(name, func(name *C.char) error {
		// What is larger than the limit by the headers of the last unit still fits.
		return resultError(C.lpms_container_open(&c.c, name, C.size_t(c.limit+c.limit/8)))
	})
	if err != nil {
		return err
	}
	for _, o := range c.defaults(opts.muxer.Opts) {
		if err := c.option(o[0], o[1]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(opts.muxer.Opts)) {
		if err := c.option(name, opts.muxer.Opts[name]); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(opts.metadata)) {
		if err := c.setMetadata(key, opts.metadata[key]); err != nil {
			return err
		}
	}
	if c.format == FormatMPEGTS {
		return c.start(opts.metadata)
	}
	return nil
}

func (c *container) addTrack(p *params) error {
	codec := p.codecName()
	if !slices.Contains(containerCodecs[c.format], codec) {
		return fmt.Errorf("%w: no %s in %s", ErrFormat, codec, c.format)
	}
	par := C.avcodec_parameters_alloc()
	if par == nil {
		return errMemory("avcodec_parameters_alloc")
	}
	t := containerTrack{
		params: newParams(par), codec: codec, stream: -1,
		video: p.c.codec_type == C.AVMEDIA_TYPE_VIDEO,
	}
	c.tracks = append(c.tracks, t)
	if n := C.avcodec_parameters_copy(par, p.c); n < 0 {
		return &Error{Op: "avcodec_parameters_copy", Code: int(n)}
	}
	c.video = c.video || t.video
	c.tracks[len(c.tracks)-1].describe(c.format)
	return nil
}

// describe finds out how the track's units must be changed.
func (t *containerTrack) describe(format Format) {
	t.extradata = slices.Clone(t.params.extradata())
	t.known = true
	switch t.codec {
	case "h264", "hevc":
		t.nal = avcNAL
		if t.codec == "hevc" {
			t.nal = hevcNAL
		}
		var sets []byte
		if t.prefixed, sets = t.nal.configRecord(t.extradata); t.prefixed == 0 {
			sets = t.nal.parameterSets(t.extradata)
			t.known = false // those of the first keyframe are what its pictures refer to
		}
		t.sets = sets
		if format != FormatMP4 {
			t.extradata = nil // libavformat need not insert any
		}
	case "aac":
		t.known = len(t.extradata) > 0
		t.adts, t.framed = adtsFromASC(t.extradata)
	case "av1":
		t.known = len(t.extradata) > 0
	}
	if format != FormatMP4 {
		t.known = true
	} else if !t.described() {
		t.known = false
	}
	if par := t.params.c; format != FormatMP4 && !t.video && par.sample_rate <= 0 {
		par.sample_rate = 48000 // libavformat wants one; the stream does not depend on it
	}
}

// defaults are the options that are set before the caller's.
func (c *container) defaults(theirs map[string]string) [][2]string {
	if c.format == FormatMPEGTS {
		tables := "86400" // PAT and PMT at the start and at keyframes are enough
		if !c.video {
			tables = "5"
		}
		return [][2]string{
			{"mpegts_copyts", "1"},    // times go to the wire as they are
			{"pes_payload_size", "0"}, // groups of frames are made here
			{"pat_period", tables},
			{"sdt_period", "86400"},
		}
	}
	flags, given := theirs["movflags"]
	c.ours = !given
	// With edit lists, libavformat writes the start of a track in units of the movie's
	// clock, milliseconds by default.
	o := [][2]string{{"movie_timescale", "90000"}}
	if c.ours {
		// skip_trailer: an index of fragments by file offset is of no use in memory, and
		// would be wrong after an edit list was put in. Without negative_cts_offsets:
		// FFmpeg reads the times of such fragments late by as much as pictures are
		// reordered.
		flags = "frag_keyframe+empty_moov+default_base_moof+skip_trailer"
		if slices.ContainsFunc(c.tracks, func(t containerTrack) bool { return strings.HasSuffix(t.codec, "ac3") }) {
			flags += "+delay_moov" // its configuration is made from its first frames
		}
		o = append(o, [2]string{"movflags", flags})
		if !c.video {
			o = append(o, [2]string{"frag_duration", "5000000"})
		}
	}
	// A header without samples cannot say when they start; the fragments do then.
	c.exact = c.ours || !strings.Contains(flags, "delay_moov") &&
		slices.ContainsFunc([]string{"empty_moov", "dash", "cmaf"}, func(f string) bool { return strings.Contains(flags, f) })
	switch {
	case c.exact:
		o = append(o, [2]string{"use_editlist", "0"})
	case strings.Contains(flags, "frag_") && !strings.Contains(flags, "delay_moov"):
		// The first fragment lies in the header, with edit lists that would make FFmpeg drop
		// it: the times start at zero.
		o = append(o, [2]string{"avoid_negative_ts", "make_zero"})
	}
	return o
}

func (c *container) option(name, value string) error {
	err := withCString(name, func(name *C.char) error {
		return withCString(value, func(value *C.char) error {
			return resultError(C.lpms_container_option(c.c, name, value))
		})
	})
	if err != nil {
		return fmt.Errorf("muxer option %s=%q: %w", name, value, err)
	}
	return nil
}

func (c *container) setMetadata(key, value string) error {
	return withCString(key, func(key *C.char) error {
		return withCString(value, func(value *C.char) error {
			return resultError(C.lpms_container_metadata(c.c, key, value))
		})
	})
}

func withCString(s string, f func(*C.char) error) error {
	p := C.CString(s)
	defer C.free(unsafe.Pointer(p))
	return f(p)
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

// ready reports whether the header can be written.
func (c *container) ready() bool {
	if c.queued >= headerBytes || c.queue[len(c.queue)-1].dts-c.queue[0].dts >= headerTime {
		return true
	}
	for i := range c.tracks {
		if !c.tracks[i].known {
			return false
		}
	}
	return !c.video || c.pictures >= headerPictures
}

// learn finds what a track carries in-band: its configuration, and what a transport stream
// does not say of it.
func (t *containerTrack) learn(u unit) error {
	if t.known || t.video && !u.key {
		return nil
	}
	if !t.described() {
		if err := t.learnParams(u); err != nil {
			return err
		}
	}
	found := true
	switch {
	case t.nal != noNAL && t.prefixed == 0:
		if sets := t.nal.parameterSets(u.data); sets != nil {
			t.sets = sets
		}
		t.extradata, found = t.sets, t.sets != nil
	case len(t.extradata) > 0:
	case t.codec == "aac":
		var a adtsConfig
		if a, _, _, found = readADTS(u.data); found {
			found = a.channels > 0
			t.extradata = a.asc()
		}
	case t.codec == "av1":
		t.extradata = av1SequenceHeader(u.data)
		found = t.extradata != nil
	}
	t.known = found && t.described()
	return nil
}

// described reports whether an MP4's header can be made of the parameters.
func (t *containerTrack) described() bool {
	par := t.params.c
	if t.codec == "vp9" && par.format < 0 {
		return false
	}
	if t.video {
		return par.width > 0 && par.height > 0
	}
	return par.sample_rate > 0 && par.ch_layout.nb_channels > 0
}

func (t *containerTrack) learnParams(u unit) error {
	par := t.params.c
	switch {
	case t.nal != noNAL || t.codec == "mpeg2video":
		return resultError(C.lpms_params_learn(par, (*C.uint8_t)(unsafe.SliceData(u.data)), C.int(len(u.data))))
	case t.codec == "vp9":
		if h, ok := readVP9(u.data); ok {
			par.format = C.int(h.pixelFormat())
		}
	case t.codec == "opus" && len(t.extradata) >= 19: // RFC 7845 5.1
		par.sample_rate = 48000
		C.av_channel_layout_default(&par.ch_layout, C.int(t.extradata[9]))
	case !t.video:
		if rate, channels := audioHeader(t.codec, u.data); rate > 0 {
			par.sample_rate = C.int(rate)
			C.av_channel_layout_default(&par.ch_layout, C.int(channels))
		}
	}
	return nil
}

func (c *container) startMP4() error {
	has := make([]bool, len(c.tracks))
	for _, u := range c.queue {
		has[u.track] = true
	}
	for i := range c.tracks {
		if t := &c.tracks[i]; !t.known && has[i] {
			return c.fail(fmt.Errorf("track %d: %w", i, errInvalid("find the configuration of "+t.codec)))
		}
	}
	if err := c.start(nil); err != nil {
		return c.fail(err)
	}
	queue := c.queue
	c.queue, c.queued = nil, 0
	for _, u := range queue {
		if err := c.put(u); err != nil {
			return c.fail(err)
		}
	}
	return nil
}

// start writes the header. Tracks that were to say what they are and never did are left out.
func (c *container) start(metadata map[string]string) error {
	streams := 0
	for i := range c.tracks {
		t := &c.tracks[i]
		if !t.known {
			continue
		}
		tag, scale := 0, 0
		if c.format == FormatMP4 && t.codec == "hevc" {
			tag = int(binary.LittleEndian.Uint32([]byte("hvc1"))) // Apple's players ask for it
		}
		if c.format == FormatMP4 && t.video {
			scale = timeScale(c.queue, i)
		}
		r := C.lpms_container_add(c.c, t.params.c, (*C.uint8_t)(unsafe.SliceData(t.extradata)), C.int(len(t.extradata)),
			C.uint32_t(tag), C.int(scale))
		if err := resultError(r); err != nil {
			return err
		}
		t.stream = streams
		streams++
	}
	// Only an SDT has room for the metadata of a transport stream.
	hideSDT := C.int(1)
	for _, key := range []string{"title", "service_name", "service_provider"} {
		if metadata[key] != "" {
			hideSDT = 0
		}
	}
	if err := resultError(C.lpms_container_start(c.c, hideSDT)); err != nil {
		return err
	}
	for i := range c.tracks {
		t := &c.tracks[i]
		tb := C.lpms_container_time_base(c.c, C.int(t.stream))
		t.num, t.den = int64(tb.num), int64(tb.den)
		if t.stream >= 0 && (t.num <= 0 || t.den <= 0) {
			return errInvalid("read the time base")
		}
	}
	c.findShifts()
	c.waiting = false
	return nil
}

// timeScales are usual ones for video.
var timeScales = [...]clock{12800, 15360, 24000, 30000, 48000, 60000, 90000, 120000}

// timeScale finds the smallest of them that gives all times of a track as whole numbers.
func timeScale(units []unit, track int) int {
	for _, scale := range timeScales {
		tick := clockRate / scale // a whole number for all of them
		exact := true
		for _, u := range units {
			if u.track == track && (u.dts%tick != 0 || u.pts%tick != 0 || u.duration%tick != 0) {
				exact = false
				break
			}
		}
		if exact {
			return int(scale)
		}
	}
	return 90000
}

// findShifts looks for tracks that are decoded from before zero on. The tfdt box has no sign:
// their times are written later by as much as is needed, and an edit list takes it away again.
func (c *container) findShifts() {
	if !c.ours {
		return
	}
	seen := make([]bool, len(c.tracks))
	for _, u := range c.queue {
		if t := &c.tracks[u.track]; !seen[u.track] {
			seen[u.track] = true
			t.shift = max(-t.ticks(u.dts), 0)
		}
	}
}

// ticks are those of the track's time base.
func (t *containerTrack) ticks(c clock) int64 {
	return mulDiv(int64(c), t.den, int64(clockRate)*t.num)
}

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

// nalUnit gives the data of an access unit of H.264 or H.265.
func (t *containerTrack) nalUnit(u unit, format Format) (data []byte, err error) {
	data = u.data
	if format == FormatMP4 {
		// The parameter sets are in the header, and there only. libavformat replaces the
		// start codes.
		if t.prefixed == 0 && u.key {
			data = t.nal.withoutSets(data, t.sets)
		}
		if len(data) == 0 {
			return nil, errInvalid("read a NAL unit")
		}
		return data, nil
	}
	if t.prefixed > 0 {
		if data, err = toAnnexB(data, t.prefixed); err != nil {
			return nil, err
		}
	}
	if !u.key {
		return data, nil
	}
	// A decoder can start at each keyframe: with the sets in the segment.
	if sets := t.nal.parameterSets(data); sets != nil {
		t.sets = sets
	} else if t.sets != nil {
		data = t.nal.withSets(data, t.sets)
	}
	return data, nil
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
