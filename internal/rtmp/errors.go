package rtmp

import (
	"errors"
	"fmt"
)

var (
	// ErrProtocol is a peer that does not speak RTMP as specified.
	ErrProtocol = errors.New("rtmp: protocol error")
	// ErrLimit is a peer that went over one of Limits.
	ErrLimit = errors.New("rtmp: limit exceeded")
	// ErrIdle is a publisher that sent nothing for Limits.IdleTimeout.
	ErrIdle = errors.New("rtmp: nothing received in time")
	// ErrUnpublished is the wanted end of a publisher or player: it said that it
	// stops (FCUnpublish, closeStream or deleteStream).
	ErrUnpublished = errors.New("rtmp: stream closed by its peer")
	// ErrRefused is a client's request that the server answered with an error.
	ErrRefused = errors.New("rtmp: refused by the server")
)

// UnsupportedCodecError names a codec that the peer sends and that is not
// supported.
type UnsupportedCodecError struct {
	Media string // "video" or "audio"
	Codec string // a FourCC or the name of the FLV codec id
}

func (e *UnsupportedCodecError) Error() string {
	want := "H.264"
	if e.Media == "audio" {
		want = "AAC"
	}
	return fmt.Sprintf("rtmp: %s codec %s is not supported: publish %s", e.Media, e.Codec, want)
}

func protocolf(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, a...)...)
}

func limitf(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrLimit}, a...)...)
}
