package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <stdlib.h>
// #include "demux.h"
import "C"

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
)

// demuxer reads the units of an Input. It is for one goroutine at a time.
type demuxer struct {
	c       *C.lpms_demuxer
	pin     runtime.Pinner // of the data
	file    *os.File       // or nil
	tracks  []demuxTrack
	closed  bool
	stopped *C.int // for C to look at
	wraps   bool   // times are those of a transport stream
	near    clock  // a time that the next one is near, or noTime
}

type demuxTrack struct {
	video, audio bool // neither: not for us
	params       *params
	rotation     int // clockwise degrees
	fps          rational
	sar          rational
}

// rational is num/den; the zero value is unknown.
type rational struct{ num, den int }

func newDemuxer() *demuxer {
	quietLog()
	liveHandles.Add(1)
	return &demuxer{near: noTime, stopped: (*C.int)(C.calloc(1, C.sizeof_int))}
}

// openDemuxer opens an input that nobody wants to stop.
func openDemuxer(in Input) (*demuxer, error) {
	d := newDemuxer()
	if err := d.open(in); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// stop ends open and next when they wait for input; it may be called from any goroutine
// until close.
func (d *demuxer) stop() { atomic.StoreInt32((*int32)(unsafe.Pointer(d.stopped)), 1) }

func (d *demuxer) open(in Input) (err error) {
	if (in.Path == "") == (in.Data == nil) {
		return fmt.Errorf("%w: an input is either bytes or a path", ErrFormat)
	}
	container, fd := C.int(C.LPMS_ANY), C.int(-1)
	if in.Path != "" {
		if d.file, err = openPath(in.Path); err != nil {
			return err
		}
		fd = C.int(d.file.Fd())
		// A pipe cannot be read twice: libavformat has to find out by itself.
		start := make([]byte, 4096)
		if n, _ := d.file.ReadAt(start, 0); n > 0 {
			container = C.int(sniffStart(start[:n]))
		}
	} else {
		n, err := sniff(in.Data)
		if err != nil {
			return err
		}
		container = C.int(n)
		d.pin.Pin(unsafe.SliceData(in.Data))
	}
	if err := resultError(C.lpms_demuxer_open(&d.c, (*C.uint8_t)(unsafe.SliceData(in.Data)), C.size_t(len(in.Data)), fd, container, d.stopped)); err != nil {
		return err
	}
	d.wraps = C.lpms_demuxer_wraps(d.c) != 0
	return d.addTracks()
}

// openPath opens a file, or "pipe:N" for file descriptor N ("pipe:" is standard input).
func openPath(path string) (*os.File, error) {
	n, pipe := strings.CutPrefix(path, "pipe:")
	if !pipe {
		return os.Open(path)
	}
	if n == "" {
		n = "0"
	}
	fd, err := strconv.ParseUint(n, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: write pipe: and the number of a file descriptor", ErrFormat, path)
	}
	dup, err := dupFile(int(fd))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return dup, nil
}

// addTracks describes the tracks that C has found since.
func (d *demuxer) addTracks() error {
	for i := len(d.tracks); i < int(C.lpms_demuxer_tracks(d.c)); i++ {
		var par *C.AVCodecParameters
		err := resultError(C.lpms_demuxer_params(d.c, C.int(i), &par))
		p := newParams(par)
		if err != nil {
			p.close()
			return err
		}
		t := C.lpms_demuxer_track(d.c, C.int(i))
		d.tracks = append(d.tracks, demuxTrack{
			video: t.video != 0, audio: t.audio != 0, params: p, rotation: int(t.rotation),
			fps: rational{int(t.fps_num), int(t.fps_den)},
			sar: rational{int(t.sar_num), int(t.sar_den)},
		})
	}
	return nil
}

// next reads the next unit, io.EOF at the end. Times that the container does not know are
// noTime. The data is the caller's.
func (d *demuxer) next() (unit, error) {
	var c C.lpms_unit
	if r := C.lpms_demuxer_next(d.c, &c); r.code == C.lpms_eof {
		return unit{}, io.EOF
	} else if err := resultError(r); err != nil {
		return unit{}, err
	}
	if int(c.track) >= len(d.tracks) {
		if err := d.addTracks(); err != nil {
			return unit{}, err
		}
	}
	u := unitFromC(&c)
	if d.wraps {
		d.unwrap(&u.dts)
		d.unwrap(&u.pts)
	}
	return u, nil
}

// wrap is where the clock of transport streams begins again: 2^33 ticks of 90 kHz (ISO/IEC
// 13818-1 2.4.3.7).
const wrap = clockRate / 90000 << 33

// unwrap lets time go on where that clock begins again.
func (d *demuxer) unwrap(t *clock) {
	if *t == noTime {
		return
	}
	if d.near != noTime {
		*t += (d.near - *t + wrap/2).floor(wrap)
	}
	d.near = *t
}

func unitFromC(c *C.lpms_unit) unit {
	return unit{
		track: int(c.track), key: c.key != 0,
		dts: clock(c.dts), pts: clock(c.pts), duration: clock(c.duration),
		data: C.GoBytes(unsafe.Pointer(c.data), c.size),
	}
}

// close frees everything; it may be called again.
func (d *demuxer) close() {
	if d.closed {
		return
	}
	d.closed = true
	C.lpms_demuxer_close(&d.c)
	for _, t := range d.tracks {
		t.params.close()
	}
	d.tracks = nil
	d.pin.Unpin()
	C.free(unsafe.Pointer(d.stopped))
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
	liveHandles.Add(-1)
}
