package ffmpeg

// #include <stdlib.h>
// #include "filter.h"
import "C"

import (
	"strings"
	"unsafe"
)

// filter makes progressive, upright pictures of those of one segment. It is for one
// goroutine at a time.
type filter struct {
	c      *C.lpms_filter
	from   look // of the pictures
	chain  string
	closed bool
}

// filterChain makes progressive, upright pictures; it is empty for those that are.
func filterChain(interlaced bool, rotation int) string {
	var chain []string
	if interlaced {
		// One picture for two fields, at the time of the first; pictures that are not
		// interlaced pass.
		chain = append(chain, "bwdif=mode=send_frame:deint=interlaced")
	}
	switch rotation {
	case 90:
		chain = append(chain, "transpose=clock")
	case 180:
		chain = append(chain, "hflip", "vflip")
	case 270:
		chain = append(chain, "transpose=cclock")
	}
	return strings.Join(chain, ",")
}

func openFilter(p *picture, chain string) (*filter, error) {
	f := &filter{from: p.look(), chain: chain}
	liveHandles.Add(1)
	s := C.CString(chain)
	defer C.free(unsafe.Pointer(s))
	if err := resultError(C.lpms_filter_open(&f.c, &p.c, s)); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// fits reports whether p can go through the chain that is open.
func (f *filter) fits(p *picture, chain string) bool {
	from := p.look()
	return f.from.width == from.width && f.from.height == from.height && f.from.pixFmt == from.pixFmt && f.chain == chain
}

// filter takes a picture that is shown from pts on, and gives what is ready to emit, which does not keep it.
func (f *filter) filter(p *picture, pts clock, emit func(*picture) error) error {
	if err := resultError(C.lpms_filter_send(f.c, &p.c, C.int64_t(pts), 0)); err != nil {
		return err
	}
	return f.receive(emit)
}

// end gives the last pictures to emit.
func (f *filter) end(end clock, emit func(*picture) error) error {
	if err := resultError(C.lpms_filter_send(f.c, nil, 0, C.int64_t(end))); err != nil {
		return err
	}
	return f.receive(emit)
}

func (f *filter) receive(emit func(*picture) error) error {
	for {
		var c C.lpms_picture
		r := C.lpms_filter_receive(f.c, &c)
		if r.code == C.lpms_again || r.code == C.lpms_eof {
			return nil
		}
		if err := resultError(r); err != nil {
			return err
		}
		p := newPicture(c)
		err := emit(p)
		p.release()
		if err != nil {
			return err
		}
	}
}

func (f *filter) close() {
	if f == nil || f.closed {
		return
	}
	f.closed = true
	C.lpms_filter_close(&f.c)
	liveHandles.Add(-1)
}
