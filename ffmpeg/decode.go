package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <stdlib.h>
// #include "decode.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// decoder decodes one video track. It is for one goroutine at a time.
type decoder struct {
	c      *C.lpms_decoder
	closed bool
}

func openDecoder(p *params, threads int, accel Acceleration, device string) (*decoder, error) {
	d := &decoder{}
	liveHandles.Add(1)
	var hw C.int
	var name *C.char
	if accel == Nvidia {
		hw = 1
		if device != "" {
			name = C.CString(device)
			defer C.free(unsafe.Pointer(name))
		}
	}
	if err := resultError(C.lpms_decoder_open(&d.c, p.c, C.int(threads), hw, name)); err != nil {
		d.close()
		if accel == Nvidia {
			return nil, fmt.Errorf("%w: %w", ErrTranscoderHw, err)
		}
		return nil, err
	}
	return d, nil
}

// send takes a unit; nil says that no more come. Errors are about this unit only.
func (d *decoder) send(u *unit) error {
	if u == nil {
		return resultError(C.lpms_decoder_send(d.c, nil))
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	data := unsafe.SliceData(u.data)
	pin.Pin(data)
	c := C.lpms_unit{dts: C.int64_t(u.dts), pts: C.int64_t(u.pts), duration: C.int64_t(u.duration),
		data: (*C.uint8_t)(data), size: C.int(len(u.data))}
	if u.key {
		c.key = 1
	}
	return resultError(C.lpms_decoder_send(d.c, &c))
}

// errAgain says that nothing comes out before something is put in.
var errAgain = errors.New("ffmpeg: more input is needed")

// receive gives the next picture; errAgain when there is none now, or none any more.
func (d *decoder) receive() (*picture, error) {
	var p C.lpms_picture
	r := C.lpms_decoder_receive(d.c, &p)
	if r.code == C.lpms_again || r.code == C.lpms_eof {
		return nil, errAgain
	}
	if err := resultError(r); err != nil {
		return nil, err
	}
	return newPicture(p), nil
}

// reset makes it ready for another segment.
func (d *decoder) reset() { C.lpms_decoder_reset(d.c) }

func (d *decoder) close() {
	if d == nil || d.closed {
		return
	}
	d.closed = true
	C.lpms_decoder_close(&d.c)
	liveHandles.Add(-1)
}

// equal reports whether a decoder for p can go on with units of q.
func (p *params) equal(q *params) bool {
	return p.c.codec_id == q.c.codec_id && string(p.extradata()) == string(q.extradata())
}

func (p *params) extradata() []byte {
	return unsafe.Slice((*byte)(p.c.extradata), int(p.c.extradata_size))
}
