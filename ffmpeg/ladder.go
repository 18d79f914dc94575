package ffmpeg

import (
	"context"
	"time"
)

// ComponentOptions chooses a component of libav and sets its options, in libav's words.
type ComponentOptions struct {
	Name string
	Opts map[string]string
}

// Rendition says what one output of a Ladder is.
type Rendition struct {
	// Profile is the picture and the container (FormatNone is MPEG-TS).
	Profile VideoProfile
	// Video names the encoder and its options. An empty name is the encoder of the
	// profile's codec; "copy" passes the source's packets on, "drop" leaves them out.
	Video ComponentOptions
	// Audio is "copy" (or empty), "drop" or "aac". The options of "aac" are those of
	// libav, and "ar" and "ac" for another sample rate and number of channels.
	Audio ComponentOptions
	// Metadata is written to the container.
	Metadata map[string]string
	// From and To cut what lies between them out of the input, counted from its first
	// picture. To 0 is the end.
	From, To time.Duration
}

// LadderOptions are the settings of a Ladder.
type LadderOptions struct {
	// Renditions are the outputs, 1 to MaxRenditions.
	Renditions []Rendition
	// Continuous keeps decoder and encoders open from segment to segment: less work and a
	// better picture for a live stream. Without it, nothing of a segment depends on the
	// segments before.
	Continuous bool
	// Preset is the default preset of x264 and x265. Default "superfast".
	Preset string
	// Threads is how many cores it may use. Default runtime.GOMAXPROCS.
	Threads int
	// Accel and Device are where pictures are decoded and encoded.
	Accel  Acceleration
	Device string
}

// Input is one segment, or one file: exactly one of Data and Path is set.
type Input struct {
	Data []byte // borrowed for the call
	Path string // of a local file, or "pipe:0"
	// Discontinuity says that this segment does not continue the last one.
	Discontinuity bool
}

// Output is one rendition of a segment.
type Output struct {
	Data     []byte // the caller's; nil when Err is set
	Media    MediaInfo
	Start    time.Duration // the first presentation time, of the video when there is some
	Duration time.Duration
	Info     OutputInfo
	Err      error // why there is no Data
}

// OutputInfo describes what is in an Output, as an HLS master playlist wants it.
type OutputInfo struct {
	Codecs        string // RFC 6381; empty when unknown
	Width, Height int
	FrameRate     float64
}

// MediaInfo counts pictures.
type MediaInfo struct {
	Frames int
	Pixels int64
}

// LadderResult is what came of one Input.
type LadderResult struct {
	Decoded MediaInfo
	Outputs []Output // in the order of the renditions
}

// Ladder transcodes to several renditions with one decode. It is for one goroutine at a
// time.
type Ladder struct{}

// NewLadder checks the renditions; encoders are opened with the first segment.
func NewLadder(opts LadderOptions) (*Ladder, error) { return nil, ErrFormat }

// Transcode transcodes one segment and returns when all renditions of it are complete. Renditions fail one
// by one, in Output.Err; an error is for all. done, when not nil, is called for each output
// as soon as it is complete, by several goroutines.
func (l *Ladder) Transcode(ctx context.Context, in Input, done func(rendition int, out Output)) (*LadderResult, error) {
	return nil, ErrFormat
}

// Close frees everything. It may be called again.
func (l *Ladder) Close() {}
