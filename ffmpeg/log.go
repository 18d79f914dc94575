package ffmpeg

// #cgo CFLAGS: -O3
// #cgo LDFLAGS: -lm
// #cgo pkg-config: libavformat libavcodec libavfilter libavutil libswscale libswresample
// #include <libavutil/log.h>
import "C"

import "sync"

// LogLevel says how much FFmpeg's libraries write to standard error.
type LogLevel int

// The levels, from the fewest messages to the most.
const (
	FFLogPanic   LogLevel = C.AV_LOG_PANIC
	FFLogFatal   LogLevel = C.AV_LOG_FATAL
	FFLogError   LogLevel = C.AV_LOG_ERROR
	FFLogWarning LogLevel = C.AV_LOG_WARNING
	FFLogInfo    LogLevel = C.AV_LOG_INFO
	FFLogVerbose LogLevel = C.AV_LOG_VERBOSE
	FFLogDebug   LogLevel = C.AV_LOG_DEBUG
	FFLogTrace   LogLevel = C.AV_LOG_TRACE
)

var logOnce sync.Once

// quietLog turns FFmpeg's messages off, unless a level was chosen before: what a
// publisher sends must not fill the server's standard error.
func quietLog() {
	logOnce.Do(func() { C.av_log_set_level(C.AV_LOG_QUIET) })
}

// setLogLevel records that a level was chosen, and sets it.
func setLogLevel(level int) {
	logOnce.Do(func() {})
	C.av_log_set_level(C.int(level))
}
