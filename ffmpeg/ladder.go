package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
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
	// Muxer sets options of libav's muxer; its name, when given, must be that of the
	// profile's container.
	Muxer ComponentOptions
	// Metadata is written to the container.
	Metadata map[string]string
	// From and To cut what lies between them out of the input, counted from its first
	// picture. To 0 is the end.
	From, To time.Duration
}

// MaxRenditions is how many outputs a Ladder has at most.
const MaxRenditions = 10

// LadderOptions are the settings of a Ladder.
type LadderOptions struct {
	// Renditions are the outputs, 1 to MaxRenditions.
	Renditions []Rendition
	// Continuous keeps decoder and encoders open from segment to segment: less work and a
	// better picture for a live stream. Without it, nothing of a segment depends on the
	// segments before.
	Continuous bool
	// Joined says that each Input is a segment of a stream, and that its outputs are joined
	// with what other Ladders make of the segments beside it. It matters for sound that is
	// encoded (Rendition.Audio "aac"). The last frames of a segment, two or three, cannot be
	// made before the next one is known: they are made with that, out of Input.Before, as
	// a Continuous Ladder does it, and on the same grid of frames. So an output's sound
	// begins and ends by that much (46 to 70 ms at 44.1 kHz, 256 to 384 ms at 8 kHz) before its
	// input's. At the start of a stream, where Input.Discontinuity should be set, nothing is
	// before; otherwise silence stands for a Before that is missing.
	//
	// Continuous implies it. Without both, the sound of an output begins and ends with its
	// input's, and has a blip of one frame where it is joined with another.
	Joined bool
	// Preset is the default preset of x264 and x265. Default "superfast".
	Preset string
	// Threads is how many cores it may use. Default runtime.GOMAXPROCS.
	Threads int
	// Accel and Device are where pictures are decoded and encoded.
	Accel  Acceleration
	Device string
	// Thumbnail, when set, is given one picture of each input as a JPEG (see the function
	// of that name): the first that is decoded and belongs to it, so it costs no decoding.
	// There is none when nothing is decoded, because all renditions copy or drop the
	// video, and none when it cannot be made, which is no failure. It is called by
	// another goroutine, beside the renditions, and before Transcode returns, which waits
	// for it. It must not use the Ladder. The bytes are the callee's.
	Thumbnail func(jpeg []byte)
}

// Input is one segment, or one file: exactly one of Data and Path is set.
type Input struct {
	Data []byte // borrowed for the call
	Path string // of a local file, or "pipe:0"
	// Before is media that comes right before this input in its stream: the whole segment
	// before, or the end of it, or only its sound (see SoundTail), in any container. It
	// is borrowed for the call. Nothing of it is in an output, a count or a thumbnail,
	// and times and numbers of frames do not depend on it. What it is for:
	//
	//   - Sound that a Joined Ladder encodes begins as if the encoder had made what comes
	//     before, too. Without it there is a blip. Used is the time of five frames of the
	//     encoder and two of the source: 0.15 s at 48 kHz, 0.7 s at 8 kHz.
	//   - Pictures that refer to pictures before the input, because it does not begin with
	//     an IDR picture, are decoded when Before has the pictures since a keyframe.
	//     When the input begins with an IDR picture, no picture of Before is decoded.
	//
	// A Continuous Ladder that goes on from the segment before ignores it. So does any
	// Ladder when it does not lead to the input (another codec, other times, damaged sound)
	// or cannot be read. No more than 32 MiB is read: a longer one is ignored, too.
	Before []byte
	// Discontinuity says that this segment does not continue the last one.
	Discontinuity bool
	// NoThumbnail says that LadderOptions.Thumbnail wants none of this input.
	NoThumbnail bool
}

// Output is one rendition of a segment.
type Output struct {
	Data     []byte // the caller's; nil when Err is set, and with TranscodeTo
	Bytes    int64
	Media    MediaInfo     // what was encoded
	Start    time.Duration // the first presentation time, of the video when there is some
	Duration time.Duration
	Info     OutputInfo
	Err      error // why there is no output
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
// time; inside, the renditions are made in parallel.
type Ladder struct {
	opts       LadderOptions
	rungs      []*rung
	dec        *decoder
	decFor     *params
	group      []unit // since the last keyframe of the source, when Continuous
	groupBytes int
	near       clock // the last time, when Continuous: the clock of transport streams wraps
	sounds     []*sound
	closed     bool
}

// NewLadder checks the renditions; decoder and encoders are opened with the first segment.
// ErrFormat is a codec or container that the linked libav does not have, ErrProfile a
// profile that says nothing useful, ErrTranscoderHw hardware that is not there.
func NewLadder(opts LadderOptions) (*Ladder, error) {
	quietLog()
	if n := len(opts.Renditions); n == 0 || n > MaxRenditions {
		return nil, fmt.Errorf("%w: %d renditions, write 1 to %d", ErrProfile, n, MaxRenditions)
	}
	if opts.Preset == "" {
		opts.Preset = "superfast"
	}
	if opts.Threads <= 0 {
		opts.Threads = runtime.GOMAXPROCS(0)
	}
	if opts.Accel != Software && opts.Accel != Nvidia {
		return nil, fmt.Errorf("%w: %s is not supported", ErrTranscoderHw, AccelerationNameLookup[opts.Accel])
	}
	opts.Renditions = slices.Clone(opts.Renditions)
	l := &Ladder{opts: opts, near: noTime}
	for i, spec := range opts.Renditions {
		for _, m := range []*map[string]string{&spec.Video.Opts, &spec.Audio.Opts, &spec.Muxer.Opts, &spec.Metadata} {
			*m = maps.Clone(*m) // the caller's may change
		}
		r, err := newRung(i, spec, &opts)
		if err != nil {
			return nil, fmt.Errorf("rendition %d (%.60s): %w", i, spec.Profile.Name, err)
		}
		l.rungs = append(l.rungs, r)
		l.addSound(r)
	}
	return l, nil
}

// Transcode transcodes one segment and returns when all its renditions are complete.
// Renditions fail one by one, in Output.Err; an error is for all. done, when not nil, is
// called for each output as soon as it is complete, by several goroutines.
//
// It stops within a picture when ctx ends, with its cause.
func (l *Ladder) Transcode(ctx context.Context, in Input, done func(rendition int, out Output)) (*LadderResult, error) {
	buffers := make([]bytes.Buffer, len(l.rungs))
	sinks := make([]io.Writer, len(l.rungs))
	for i := range buffers {
		sinks[i] = &buffers[i]
	}
	return l.transcode(ctx, in, sinks, nil, func(i int, out *Output) {
		if out.Err == nil {
			out.Data = buffers[i].Bytes()
		}
		if done != nil {
			done(i, *out)
		}
	})
}

// TranscodeTo is Transcode for files: outputs are written to sinks, one for each rendition,
// while they are made. progress, when not nil, is told now and then how much of the input
// was read.
func (l *Ladder) TranscodeTo(ctx context.Context, in Input, sinks []io.Writer, progress func(read time.Duration)) (*LadderResult, error) {
	if len(sinks) != len(l.rungs) {
		return nil, fmt.Errorf("ffmpeg: %d sinks for %d renditions", len(sinks), len(l.rungs))
	}
	return l.transcode(ctx, in, sinks, progress, func(int, *Output) {})
}

func (l *Ladder) transcode(ctx context.Context, in Input, sinks []io.Writer, progress func(time.Duration), done func(int, *Output)) (*LadderResult, error) {
	if l.closed {
		return nil, ErrClosed
	}
	d := newDemuxer()
	defer d.close()
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { d.stop(); close(stopped) })
	defer func() {
		if !stop() {
			<-stopped // it must not find the demuxer closed
		}
	}()
	if err := d.open(in); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if l.opts.Continuous && !in.Discontinuity {
		d.near = l.near
	}
	r := &run{Ladder: l, ctx: ctx, in: in, d: d, sinks: sinks, progress: progress, done: done}
	err := r.run()
	r.close() // before what the renditions use is closed
	if err != nil {
		l.reset()
		return nil, err
	}
	return r.result(), nil
}

// reset forgets what is left of a segment that was given up.
func (l *Ladder) reset() {
	l.dec.close()
	l.dec = nil
	l.group, l.near = nil, noTime
	for _, r := range l.rungs {
		r.close()
	}
	for _, s := range l.sounds {
		s.close()
	}
}

// Close frees everything. It may be called again. Of sound that is encoded continuously, the
// encoder keeps the last 40 ms to itself.
func (l *Ladder) Close() {
	l.reset()
	l.decFor.close()
	l.decFor = nil
	l.closed = true
}

// errNoMedia is an input without anything that a rendition could be made of.
var errNoMedia = errors.New("the input has neither pictures nor sound")
