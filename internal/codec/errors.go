package codec

import "errors"

// Errors of the configuration parsers, wrapped with what exactly is wrong: use [errors.Is].
// A publisher that sends such a configuration cannot be served.
var (
	// ErrConfig: the bytes are cut short or contradict the standard.
	ErrConfig = errors.New("codec: malformed configuration")
	// ErrTooLarge: well formed, but over one of the limits of this package.
	ErrTooLarge = errors.New("codec: configuration over the limit")
	// ErrUnsupported: well formed, but a coding that is not handled.
	ErrUnsupported = errors.New("codec: unsupported configuration")
)
