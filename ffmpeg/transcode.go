package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// This file holds what embedders of the published LPMS transcode with, as thin faces on
// Ladder.

// Why a call was refused or given up. They may come wrapped; use errors.Is.
var (
	// ErrTranscoderStp: the Transcoder was stopped.
	ErrTranscoderStp = errors.New("TranscoderStopped")
	// ErrTranscoderDuration: the input is longer than MaxInputDuration.
	ErrTranscoderDuration = errors.New("TranscoderInvalidDuration")
	// ErrTranscoderOptions: what was asked for cannot be done with any input; the text says
	// what it is.
	ErrTranscoderOptions = errors.New("TranscoderInvalidOptions")
)

// MaxInputDuration is how long an input of Transcode3 and Transcoder may be: these are for
// segments. Ladder has no such limit.
const MaxInputDuration = 300 * time.Second

// LogTranscodeErrors is kept for those who set it and has no effect: failures are returned,
// and this package logs nothing. What FFmpeg's libraries write is chosen with
// InitFFmpegWithLogLevel.
var LogTranscodeErrors = true

// TranscodeOptionsIn is the input of a transcode.
type TranscodeOptionsIn struct {
	Fname string // a local file; "-" or "pipe:0" is standard input, "pipe:N" file descriptor N
	// Accel and Device are where pictures are decoded. Amd and Netint are ErrTranscoderHw.
	Accel  Acceleration
	Device string
	// Transmuxing copies video and audio into another container: of the outputs, only
	// Oname, the format, Muxer, Metadata, From and To count. Each call makes files of
	// its own: calls are not joined to one output.
	Transmuxing bool
	Profile     VideoProfile // not used: the input says what it is
	// Demuxer.Name may be "mpegts", "mov", "mp4" or "flv". It is not used either, because the
	// container is found by its bytes; other names, and options, are ErrFormat.
	Demuxer ComponentOptions
}

// TranscodeOptions is one output of a transcode.
type TranscodeOptions struct {
	// Oname is the file to write. It is there when the call succeeds, and a file of that
	// name is replaced; a call that fails leaves nothing behind. What is written to "-"
	// (standard output), "pipe:N", a device or a named pipe is written at the end of the call.
	Oname   string
	Profile VideoProfile
	// Accel and Device are where pictures are encoded. Device must be the input's, or empty.
	Accel  Acceleration
	Device string
	// CalcSign writes a signature of the video, for CompareSignatureByBuffer, to Oname with
	// ".bin" added.
	CalcSign bool
	From, To time.Duration // of Rendition
	// Muxer sets options of the container. The container is that of Profile.Format, or the
	// one that Muxer.Name ("mpegts", "mp4") or the extension of Oname says, or MPEG-TS.
	Muxer ComponentOptions
	// VideoEncoder is Rendition.Video.
	VideoEncoder ComponentOptions
	// AudioEncoder is Rendition.Audio. Without a name audio is copied as it is; the
	// published default was "aac", which can still be asked for.
	AudioEncoder ComponentOptions
	Metadata     map[string]string
}

// TranscodeResults counts what was decoded, and what was encoded for each output.
type TranscodeResults struct {
	Decoded MediaInfo
	Encoded []MediaInfo
}

// Transcode3 transcodes one input to 1 to MaxRenditions outputs; nothing is kept for later
// calls. When one output fails, the call fails. Unlike the published one, it does not
// decode for no output: that is ErrTranscoderOptions.
func Transcode3(input *TranscodeOptionsIn, ps []TranscodeOptions) (*TranscodeResults, error) {
	opts, err := transcodePlan(input, ps)
	if err != nil {
		return nil, err
	}
	l, err := NewLadder(opts)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return transcodeFiles(l, input, ps, false)
}

// Transcoder transcodes the segments of a stream, one call for each. As long as the
// options stay the same but for Oname, From and To, decoder and encoders stay open between
// calls. Each output carries the times of its own input, in whatever order the inputs come.
// Audio that is encoded as "aac" comes up to two frames late: those are in the next output,
// so that there is no gap between the two.
//
// It may be used by several goroutines; one call is made at a time.
type Transcoder struct {
	mu            sync.Mutex
	ladder        *Ladder // or nil
	made          LadderOptions
	discontinuity bool
	stopped       bool
}

// NewTranscoder makes a Transcoder. The caller ends it with StopTranscoder.
func NewTranscoder() *Transcoder { return &Transcoder{} }

// Discontinuity says that the input of the next call does not continue the last one.
func (t *Transcoder) Discontinuity() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.discontinuity = true
}

// StopTranscoder waits for the call in progress and frees everything; Transcode is
// ErrTranscoderStp from then on. It may be called again.
func (t *Transcoder) StopTranscoder() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.close()
}

func (t *Transcoder) close() {
	if t.ladder != nil {
		t.ladder.Close()
		t.ladder = nil
	}
}

// Transcode is Transcode3 for the next segment.
func (t *Transcoder) Transcode(input *TranscodeOptionsIn, ps []TranscodeOptions) (*TranscodeResults, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return nil, ErrTranscoderStp
	}
	opts, err := transcodePlan(input, ps)
	if err != nil {
		return nil, err
	}
	opts.Continuous = true
	if t.ladder == nil || !reflect.DeepEqual(opts, t.made) {
		t.close()
		if t.ladder, err = NewLadder(opts); err != nil {
			return nil, err
		}
		t.made = opts
	}
	res, err := transcodeFiles(t.ladder, input, ps, t.discontinuity)
	t.discontinuity = err != nil // what failed is missing
	return res, err
}

// transcodePlan says what Ladder a call needs, without what may differ from call to call.
func transcodePlan(input *TranscodeOptionsIn, ps []TranscodeOptions) (LadderOptions, error) {
	if input == nil || input.Fname == "" {
		return LadderOptions{}, fmt.Errorf("%w: there is no input: write a name to Fname", ErrTranscoderOptions)
	}
	if n := len(ps); n == 0 || n > MaxRenditions {
		return LadderOptions{}, fmt.Errorf("%w: %d outputs, write 1 to %d", ErrTranscoderOptions, n, MaxRenditions)
	}
	if !slices.Contains([]string{"", "mpegts", "mov", "mp4", "flv"}, input.Demuxer.Name) {
		return LadderOptions{}, fmt.Errorf("%w: no demuxer %.40q", ErrFormat, input.Demuxer.Name)
	}
	if len(input.Demuxer.Opts) > 0 {
		return LadderOptions{}, fmt.Errorf("%w: demuxers have no options", ErrFormat)
	}
	opts := LadderOptions{Accel: input.Accel, Device: input.Device}
	for i := range ps {
		r, err := ps[i].rendition(input)
		if err != nil {
			return LadderOptions{}, fmt.Errorf("output %d (%.200s): %w", i, ps[i].Oname, err)
		}
		opts.Renditions = append(opts.Renditions, r)
	}
	return opts, nil
}

// rendition is what the output is for a Ladder; From and To are set for each call.
func (p *TranscodeOptions) rendition(input *TranscodeOptionsIn) (Rendition, error) {
	r := Rendition{Profile: p.Profile, Video: p.VideoEncoder, Audio: p.AudioEncoder, Muxer: p.Muxer, Metadata: p.Metadata}
	if p.From < 0 || p.To < 0 || p.To > 0 && p.To <= p.From {
		return r, fmt.Errorf("%w: From %v and To %v leave nothing", ErrTranscoderOptions, p.From, p.To)
	}
	format, err := p.format()
	if err != nil {
		return r, err
	}
	r.Profile.Format, r.Muxer.Name = format, ""
	if input.Transmuxing {
		r.Video, r.Audio = ComponentOptions{Name: "copy"}, ComponentOptions{Name: "copy"}
		return r, nil
	}
	if p.Accel == input.Accel {
		return r, p.sameDevice(input)
	}
	// The Ladder would choose by where it decodes.
	if r.Video.Name == "" {
		if err := p.Profile.validate(); err != nil {
			return r, err
		}
		r.Video.Name, err = encoderName(&r, p.Accel)
	}
	return r, err
}

func (p *TranscodeOptions) sameDevice(input *TranscodeOptionsIn) error {
	if p.Accel != Software && p.Device != "" && p.Device != input.Device {
		return fmt.Errorf("%w: device %.40q, but the input's is %.40q", ErrTranscoderHw, p.Device, input.Device)
	}
	return nil
}

// format is the output's container.
func (p *TranscodeOptions) format() (Format, error) {
	named, known := map[string]Format{"": FormatNone, "mpegts": FormatMPEGTS, "mp4": FormatMP4}[p.Muxer.Name]
	if !known {
		return FormatNone, fmt.Errorf("%w: no muxer %.40q: write mpegts or mp4", ErrFormat, p.Muxer.Name)
	}
	format := p.Profile.Format
	if format != FormatNone && named != FormatNone && format != named {
		return FormatNone, fmt.Errorf("%w: the profile says %s and the muxer is %s", ErrFormat, format, p.Muxer.Name)
	}
	for _, f := range []Format{format, named, ExtensionFormats[strings.ToLower(filepath.Ext(p.Oname))]} {
		if f != FormatNone {
			return f, nil
		}
	}
	return FormatMPEGTS, nil
}

// transcodeFiles makes one call of l.
func transcodeFiles(l *Ladder, input *TranscodeOptionsIn, ps []TranscodeOptions, discontinuity bool) (*TranscodeResults, error) {
	files, err := createOutputFiles(input.path(), ps)
	if err != nil {
		return nil, err
	}
	defer files.discard()
	for i, g := range l.rungs {
		g.spec.From, g.spec.To = ps[i].From, ps[i].To
	}
	in, err := fileInput(input.path())
	if err != nil {
		return nil, err
	}
	in.Discontinuity = discontinuity
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	res, err := l.TranscodeTo(ctx, in, files.sinks(), func(read time.Duration) {
		if read > MaxInputDuration {
			cancel(fmt.Errorf("%w: the input is longer than %v", ErrTranscoderDuration, MaxInputDuration))
		}
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	results := &TranscodeResults{Decoded: res.Decoded}
	var failed []error
	for i, out := range res.Outputs {
		err := out.Err
		if err == nil && ps[i].CalcSign {
			err = files.sign(i)
		}
		if err != nil {
			failed = append(failed, ps[i].failure(i, err))
		}
		results.Encoded = append(results.Encoded, out.Media)
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	return results, files.commit()
}

// failure says which output failed.
func (p *TranscodeOptions) failure(i int, err error) error {
	var e *Error
	if p.Accel != Software && errors.As(err, &e) && !errors.Is(err, ErrTranscoderHw) {
		return fmt.Errorf("output %d (%.200s): %w: %w", i, p.Oname, ErrTranscoderHw, err)
	}
	return fmt.Errorf("output %d (%.200s): %w", i, p.Oname, err)
}

// fileInput reads a segment to memory: a Ladder sees more of it than of a file. What is large,
// or no regular file, is read as a file.
func fileInput(path string) (Input, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > windowBytes {
		return Input{Path: path}, nil // to open it says what is wrong
	}
	b, err := os.ReadFile(path)
	return Input{Data: b}, err
}

func (in *TranscodeOptionsIn) path() string {
	if in.Fname == "-" {
		return "pipe:0"
	}
	return in.Fname
}
