package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <stdlib.h>
// #include "audio.h"
import "C"

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"unsafe"
)

// audioEncoder decodes a track and encodes it as AAC, with another sample rate and number of
// channels when they are asked for. It is for one goroutine at a time.
type audioEncoder struct {
	c      *C.lpms_audio
	source *params // a copy of the track's
	params *params // of what comes out; nil before the first sound
	closed bool
}

// audioSettings are the options of "aac", checked.
type audioSettings struct {
	rate, channels int // 0 is the source's
	pairs          []string
}

func newAudioSettings(opts map[string]string) (audioSettings, error) {
	var s audioSettings
	for _, k := range slices.Sorted(maps.Keys(opts)) {
		switch v := opts[k]; k {
		case "ar", "ac":
			n, err := strconv.Atoi(v)
			if err != nil || n <= 0 || n > 96000 || k == "ac" && n > 8 {
				return s, fmt.Errorf("%w: audio option %s=%.20q: write a number above zero", ErrFormat, k, v)
			}
			if k == "ar" {
				s.rate = n
			} else {
				s.channels = n
			}
		default:
			s.pairs = append(s.pairs, k, v)
		}
	}
	return s, nil
}

func (s audioSettings) equal(o audioSettings) bool {
	return s.rate == o.rate && s.channels == o.channels && slices.Equal(s.pairs, o.pairs)
}

// audioStart is how an encoder begins.
type audioStart struct {
	grid bool // its frames do not depend on where in a stream that is
	lead bool // with silence in place of the sound before
}

func openAudioEncoder(source *params, s audioSettings, start audioStart) (*audioEncoder, error) {
	a := &audioEncoder{}
	var err error
	if a.source, err = source.clone(); err != nil {
		return nil, err
	}
	liveHandles.Add(1)
	options := cStrings(s.pairs)
	defer options.free()
	var grid, lead C.int
	if start.grid {
		grid = 1
	}
	if start.lead {
		lead = 1
	}
	r := C.lpms_audio_open(&a.c, source.c, C.int(s.rate), C.int(s.channels), grid, lead, options.c(), C.int(len(s.pairs)/2))
	if err := resultError(r); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// encode takes a unit, nil at the end, and gives what is ready to emit.
func (a *audioEncoder) encode(u *unit, emit func(unit)) error {
	var r C.lpms_result
	if u == nil {
		r = C.lpms_audio_send(a.c, nil)
	} else {
		var pin runtime.Pinner
		defer pin.Unpin()
		data := unsafe.SliceData(u.data)
		pin.Pin(data)
		c := C.lpms_unit{pts: C.int64_t(u.pts), data: (*C.uint8_t)(data), size: C.int(len(u.data))}
		r = C.lpms_audio_send(a.c, &c)
	}
	if err := resultError(r); err != nil {
		if r.code == C.lpms_no_option {
			err = fmt.Errorf("aac has no option %q: %w", C.GoString(C.lpms_audio_unknown(a.c)), err)
		}
		return err
	}
	if a.params == nil {
		var par *C.AVCodecParameters
		if err := resultError(C.lpms_audio_params(a.c, &par)); err != nil {
			return err
		}
		if par != nil {
			a.params = newParams(par)
		}
	}
	for {
		var c C.lpms_unit
		r := C.lpms_audio_receive(a.c, &c)
		if r.code == C.lpms_again {
			return nil
		}
		if err := resultError(r); err != nil {
			return err
		}
		emit(unitFromC(&c))
	}
}

// next is the time after all units, as far as they could be decoded; noTime before the first sound.
func (a *audioEncoder) next() clock { return clock(C.lpms_audio_next(a.c)) }

// close frees everything; it may be called again.
func (a *audioEncoder) close() {
	if a == nil || a.closed {
		return
	}
	a.closed = true
	C.lpms_audio_close(&a.c)
	a.source.close()
	a.params.close()
	liveHandles.Add(-1)
}
