package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <stdlib.h>
// #include "encode.h"
import "C"

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"unsafe"
)

// encoderConfig is everything that an encoder is opened with. Two that are equal can
// share one encoder, one after the other.
type encoderConfig struct {
	name            string
	size            look // of the pictures
	rate            rational
	bitRate         int
	maxRate, buffer int
	gop             int // pictures; below 0 the encoder's default
	bFrames         int // below 0 the encoder's default
	threads         int
	options         string // sorted pairs, for the comparison
	pairs           []string
}

// same reports whether an encoder of a can go on with what b asks for.
func (a *encoderConfig) same(b *encoderConfig) bool {
	return a.name == b.name && a.size == b.size && a.bitRate == b.bitRate && a.gop == b.gop && a.bFrames == b.bFrames &&
		a.threads == b.threads && slices.Equal(a.pairs, b.pairs) && off(a.rate.float(), b.rate) < 0.03
}

func (a *encoderConfig) setOptions(opts map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(opts)) {
		a.pairs = append(a.pairs, k, opts[k])
	}
}

// fineGrid is how finely pictures are numbered when an encoder stays open: in between two of
// the stream there is room for others that only push the encoder on.
const fineGrid = 256

// encoder encodes the pictures of one rendition, segment by segment. Each segment begins with a
// keyframe and is complete when end returns. The times of its units are those of the
// pictures: the encoder itself sees a regular grid, which is what its rate control and the
// clock in its parameter sets are for.
type encoder struct {
	c      *C.lpms_encoder
	cfg    encoderConfig
	grid   int64
	params *params
	delay  int

	n       int64           // the number of the last picture
	times   map[int64]clock // of the pictures inside the encoder
	order   []clock         // of the pictures of this segment
	written int             // units of this segment
	pending *picture        // the last picture, which is not sent yet
	due     clock
	key     bool // it is to be a keyframe
	closed  bool
}

// openEncoder opens an encoder; with stay it can go on after the end of a segment.
func openEncoder(cfg encoderConfig, stay bool) (*encoder, error) {
	e := &encoder{cfg: cfg, grid: 1, n: -1, times: make(map[int64]clock)}
	if stay && cfg.name == "libx264" {
		e.grid = fineGrid
	}
	liveHandles.Add(1)
	if err := e.open(); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *encoder) open() error {
	cfg := &e.cfg
	if _, set := os.LookupEnv("SVT_LOG"); !set && cfg.name == "libsvtav1" {
		os.Setenv("SVT_LOG", "1") // it writes to standard error by itself: errors only
	}
	name := C.CString(cfg.name)
	defer C.free(unsafe.Pointer(name))
	c := C.lpms_encoder_config{
		name: name, width: C.int(cfg.size.width), height: C.int(cfg.size.height), pix_fmt: C.int(cfg.size.pixFmt),
		fps_num: C.int(cfg.rate.num), fps_den: C.int(cfg.rate.den), grid: C.int(e.grid),
		bit_rate: C.int64_t(cfg.bitRate), max_rate: C.int64_t(cfg.maxRate), buffer: C.int64_t(cfg.buffer),
		gop: C.int(cfg.gop), b_frames: C.int(cfg.bFrames), threads: C.int(cfg.threads),
		sar_num: C.int(cfg.size.sar.num), sar_den: C.int(cfg.size.sar.den),
		_range: C.int(cfg.size.colorRange), space: C.int(cfg.size.space),
		primaries: C.int(cfg.size.primaries), transfer: C.int(cfg.size.curve),
	}
	options := cStrings(cfg.pairs)
	defer options.free()
	var unknown [64]C.char
	r := C.lpms_encoder_open(&e.c, &c, options.c(), C.int(len(cfg.pairs)/2), &unknown[0], C.int(len(unknown)))
	if err := resultError(r); err != nil {
		if u := C.GoString(&unknown[0]); u != "" {
			return fmt.Errorf("%s has no option %q: %w", cfg.name, u, err)
		}
		return fmt.Errorf("%s: %w", cfg.name, err)
	}
	var par *C.AVCodecParameters
	err := resultError(C.lpms_encoder_params(e.c, &par))
	e.params = newParams(par)
	e.delay = int(C.lpms_encoder_delay(e.c))
	if cfg.name == "libx265" && cfg.bFrames != 0 {
		e.delay = max(e.delay, 2) // which libavcodec does not say: B-pictures that others refer to
	}
	return err
}

// maxDelay is more than encoders reorder: what H.264 and H.265 allow.
const maxDelay = 16

// begin starts a segment.
func (e *encoder) begin() {
	e.order, e.written = e.order[:0], 0
}

// encode takes the picture that is shown from pts on; it keeps its own reference. Units that are ready go to
// emit.
func (e *encoder) encode(p *picture, pts clock, key bool, emit func(unit)) error {
	if err := e.sendPending(false, emit); err != nil {
		return err
	}
	e.pending, e.due, e.key = p.retain(), pts, key || len(e.order) == 0
	e.order = append(e.order, pts)
	return nil
}

// sendPending gives the last picture to the encoder. The last one of a segment is no
// B-picture, so that it does not depend on what follows.
func (e *encoder) sendPending(last bool, emit func(unit)) error {
	p := e.pending
	if p == nil {
		return nil
	}
	e.pending = nil
	defer p.release()
	slot := e.n/e.grid + 1
	if e.n < 0 {
		slot = 0
	}
	if i := len(e.order) - 2; !e.key && i >= 0 {
		// A hole in the stream is one for the rate control too.
		slot += max(mulDiv(int64(e.due-e.order[i]), int64(e.cfg.rate.num), int64(e.cfg.rate.den)*int64(clockRate))-1, 0)
	}
	kind := C.int(C.LPMS_TYPE_ANY)
	switch {
	case e.key:
		kind = C.LPMS_TYPE_KEY
	case last:
		kind = C.LPMS_TYPE_P
	}
	e.n = slot * e.grid
	e.times[e.n] = e.due
	return e.send(p, e.n, kind, emit)
}

func (e *encoder) send(p *picture, n int64, kind C.int, emit func(unit)) error {
	r := C.lpms_encoder_send(e.c, p.c.frame, C.int64_t(n), kind)
	if err := resultError(r); err != nil {
		return err
	}
	return e.receive(emit)
}

// receive takes the units that are ready.
func (e *encoder) receive(emit func(unit)) error {
	for {
		var c C.lpms_unit
		r := C.lpms_encoder_receive(e.c, &c)
		if r.code == C.lpms_again || r.code == C.lpms_eof {
			return nil
		}
		if err := resultError(r); err != nil {
			return err
		}
		pts, known := e.times[int64(c.pts)]
		if !known {
			continue // it only pushed the encoder on
		}
		delete(e.times, int64(c.pts))
		// Not every encoder says it before; x265's own DTS of a few pictures are anything.
		if d := (int64(c.pts) - int64(c.dts)) / e.grid; e.written == 0 && d <= maxDelay {
			e.delay = max(e.delay, int(d))
		}
		u := unitFromC(&c)
		u.pts = pts
		u.dts = e.nextDTS(pts)
		if u.key {
			u.data = dropEncoderText(u.data)
		}
		emit(u)
	}
}

// nextDTS is the time to decode the next unit: the presentation times in order, as many
// pictures late as the encoder reorders. Those before the first picture lie close before
// it, after everything of the segment before.
func (e *encoder) nextDTS(pts clock) clock {
	n := e.written
	e.written++
	if n >= e.delay {
		return min(e.order[n-e.delay], pts)
	}
	return e.order[0] - e.cfg.rate.period()*clock(e.delay-n)/clock(2*e.delay)
}

var errEncoder = errors.New("ffmpeg: the encoder keeps pictures back")

// end completes the segment: when it returns, all its units were emitted. It reports whether the
// encoder can go on with another segment.
func (e *encoder) end(emit func(unit)) (again bool, err error) {
	p := e.pending
	if p == nil {
		return e.grid > 1 && len(e.times) == 0, nil
	}
	p.retain()
	defer p.release()
	if err := e.sendPending(e.grid > 1, emit); err != nil {
		return false, err
	}
	if e.grid > 1 {
		// An encoder that looks ahead gives the last units when it has seen what
		// follows. The last picture once more, in next to no time, is enough: what
		// becomes of it is not used.
		for n := e.n + e.grid/2; len(e.times) > 0 && n < e.n+e.grid; n++ {
			if err := e.send(p, n, C.LPMS_TYPE_P, emit); err != nil {
				return false, err
			}
		}
		if len(e.times) == 0 {
			return true, nil
		}
	}
	if err := resultError(C.lpms_encoder_send(e.c, nil, 0, 0)); err != nil {
		return false, err
	}
	if err := e.receive(emit); err != nil {
		return false, err
	}
	if len(e.times) > 0 {
		return false, errEncoder
	}
	return false, nil
}

// close frees the encoder; it may be called again.
func (e *encoder) close() {
	if e == nil || e.closed {
		return
	}
	e.closed = true
	e.pending.release()
	e.pending = nil
	C.lpms_encoder_close(&e.c)
	e.params.close()
	liveHandles.Add(-1)
}

// cStringArray is an array of C strings.
type cStringArray []*C.char

func cStrings(ss []string) cStringArray {
	a := make(cStringArray, len(ss))
	for i, s := range ss {
		a[i] = C.CString(s)
	}
	return a
}

// c is the array for the length of a call.
func (a cStringArray) c() **C.char { return unsafe.SliceData(a) }

func (a cStringArray) free() {
	for _, s := range a {
		C.free(unsafe.Pointer(s))
	}
}
