package ffmpeg

// #include <libavutil/error.h>
// #include "result.h"
import "C"

import (
	"errors"
	"fmt"
)

// Conditions a caller can act on. They may come wrapped; use errors.Is.
var (
	// ErrClosed: the Muxer or Ladder was closed before.
	ErrClosed = errors.New("ffmpeg: closed")
	// ErrFormat: the container or codec is not one this package handles.
	ErrFormat = errors.New("ffmpeg: unsupported format")
	// ErrTimestamp: the DTS does not rise within its track, or the PTS is before the
	// DTS. The packet was not written; later packets may be.
	ErrTimestamp = errors.New("ffmpeg: timestamp out of order")
	// ErrTooLarge: the packet would carry the segment over its limit. It was not
	// written; Cut gives what came before, and then there is room again.
	ErrTooLarge = errors.New("ffmpeg: segment is too large")
	// ErrTrack: there is no track with this number, or the tracks are not well described.
	ErrTrack = errors.New("ffmpeg: no such track")
)

// Error is a failure that libav reported.
type Error struct {
	Op   string // what was being done
	Code int    // libav's code, below zero
}

// Error gives the operation and libav's text for the code.
func (e *Error) Error() string {
	var text [C.AV_ERROR_MAX_STRING_SIZE]C.char
	C.av_strerror(C.int(e.Code), &text[0], C.AV_ERROR_MAX_STRING_SIZE)
	return fmt.Sprintf("ffmpeg: %s: %s (%d)", e.Op, C.GoString(&text[0]), e.Code)
}

// resultError makes an error of what a shim function reported; nil means success.
func resultError(r C.lpms_result) error {
	if r.code >= 0 {
		return nil
	}
	return &Error{Op: C.GoString(r.where), Code: int(r.code)}
}

// errInvalid is the error for data that libav need not even see.
func errInvalid(op string) error {
	return &Error{Op: op, Code: C.AVERROR_INVALIDDATA}
}
