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
	"slices"
	"strings"
	"unsafe"
)

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
