package ffmpeg

// #include <libavutil/error.h>
import "C"

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

// NonRetryableErrs are texts of errors. With one of them in the text of its error, a
// transcode fails again wherever it is tried again. Go code calls Retryable.
var NonRetryableErrs = nonRetryableErrs()

// lastErrors are about the request or the input, or say that nobody wants the result.
var lastErrors = []error{
	ErrTranscoderRes, ErrTranscoderVid, ErrTranscoderDuration, ErrTranscoderOptions, ErrFormat, ErrProfile,
	context.Canceled, context.DeadlineExceeded,
}

// lastCodes are libav's codes of that kind.
var lastCodes = []int{
	C.AVERROR_INVALIDDATA, C.AVERROR_PATCHWELCOME, -int(syscall.EINVAL),
	C.AVERROR_DECODER_NOT_FOUND, C.AVERROR_ENCODER_NOT_FOUND, C.AVERROR_DEMUXER_NOT_FOUND, C.AVERROR_MUXER_NOT_FOUND,
	C.AVERROR_BSF_NOT_FOUND, C.AVERROR_FILTER_NOT_FOUND, C.AVERROR_OPTION_NOT_FOUND, C.AVERROR_PROTOCOL_NOT_FOUND,
	C.AVERROR_STREAM_NOT_FOUND, C.AVERROR_EOF,
}

func nonRetryableErrs() []string {
	var texts []string
	for _, err := range lastErrors {
		texts = append(texts, err.Error())
	}
	for _, code := range lastCodes {
		var text [C.AV_ERROR_MAX_STRING_SIZE]C.char
		C.av_strerror(C.int(code), &text[0], C.AV_ERROR_MAX_STRING_SIZE)
		texts = append(texts, C.GoString(&text[0]))
	}
	return texts
}

// Retryable reports whether a transcode that failed with err may succeed another time or on
// another machine: for want of memory, of room on a disk or of hardware, but not when the
// input or the options are at fault, or the context has ended. It is false for nil.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	for _, last := range lastErrors {
		if errors.Is(err, last) {
			return false
		}
	}
	var e *Error
	return !errors.As(err, &e) || !slices.Contains(lastCodes, e.Code)
}
