package ffmpeg

// #include <libavcodec/avcodec.h>
// #include "encode.h"
import "C"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// rung is one rendition of a Ladder. Its encoder may stay open from segment to segment.
type rung struct {
	index  int
	spec   Rendition
	mode   videoMode
	rate   rational // of the profile; zero keeps the source's pictures
	pixFmt int
	sound  audioSettings

	enc *encoder
	sc  *scaler
}

type videoMode int

const (
	encodeVideo videoMode = iota
	copyVideo
	dropVideo
)

// newRung checks a rendition.
func newRung(index int, spec Rendition, opts *LadderOptions) (*rung, error) {
	r := &rung{index: index, spec: spec}
	switch spec.Video.Name {
	case "copy":
		r.mode = copyVideo
	case "drop":
		r.mode = dropVideo
	default:
		if err := spec.Profile.validate(); err != nil {
			return nil, err
		}
		if num, den := spec.Profile.frameRate(); num > 0 {
			r.rate = rational{num, den}
		}
		name, err := encoderName(&spec, opts.Accel)
		if err != nil {
			return nil, err
		}
		r.spec.Video.Name = name
		if r.pixFmt, err = outputPixFmt(spec.Profile); err != nil {
			return nil, err
		}
	}
	if r.spec.Audio.Name == "" {
		r.spec.Audio.Name = "copy"
	}
	switch r.spec.Audio.Name {
	case "copy", "drop":
	case "aac":
		var err error
		if r.sound, err = newAudioSettings(r.spec.Audio.Opts); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: no audio encoder %.40q: write copy, drop or aac", ErrFormat, spec.Audio.Name)
	}
	if r.mode == dropVideo && r.spec.Audio.Name == "drop" {
		return nil, fmt.Errorf("%w: nothing is left without video and audio", ErrFormat)
	}
	if spec.From < 0 || spec.To < 0 || spec.To > 0 && spec.To <= spec.From {
		return nil, fmt.Errorf("%w: From %v and To %v leave nothing", ErrFormat, spec.From, spec.To)
	}
	return r, nil
}

// encoders are libavcodec's encoders of each codec, the best first.
var encoders = map[VideoCodec][]string{
	H264: {"libx264"},
	H265: {"libx265"},
	VP8:  {"libvpx"},
	VP9:  {"libvpx-vp9"},
	AV1:  {"libsvtav1", "libaom-av1"},
}

var nvidiaEncoders = map[VideoCodec][]string{
	H264: {"h264_nvenc"},
	H265: {"hevc_nvenc"},
	AV1:  {"av1_nvenc"},
}

// encoderName chooses the encoder of a rendition, among those that the linked libavcodec has.
func encoderName(spec *Rendition, accel Acceleration) (string, error) {
	if name := spec.Video.Name; name != "" {
		if !encoderExists(name) {
			return "", fmt.Errorf("%w: libavcodec has no encoder %.40q", ErrFormat, name)
		}
		return name, nil
	}
	names, missing := encoders[spec.Profile.Encoder], ErrFormat
	switch accel {
	case Software:
	case Nvidia:
		names, missing = nvidiaEncoders[spec.Profile.Encoder], ErrTranscoderHw
	default:
		return "", fmt.Errorf("%w: %s is not supported", ErrTranscoderHw, AccelerationNameLookup[accel])
	}
	for _, name := range names {
		if encoderExists(name) {
			return name, nil
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%w: no encoder for %s", missing, spec.Profile.Encoder)
	}
	return "", fmt.Errorf("%w: libavcodec was built without %s, the encoder for %s", missing, names[0], spec.Profile.Encoder)
}

func encoderExists(name string) bool {
	s := cStrings([]string{name})
	defer s.free()
	return C.lpms_encoder_exists(s[0]) != 0
}

// outputPixFmt is the pixel format that a profile asks for.
func outputPixFmt(p VideoProfile) (int, error) {
	formats := map[ChromaSubsampling]map[ColorDepthBits]int{
		ChromaSubsampling420: {ColorDepth8Bit: PixelFormatYUV420P, ColorDepth10Bit: PixelFormatYUV420P10LE},
		ChromaSubsampling422: {ColorDepth8Bit: PixelFormatYUV422P, ColorDepth10Bit: PixelFormatYUV422P10LE},
		ChromaSubsampling444: {ColorDepth8Bit: PixelFormatYUV444P, ColorDepth10Bit: PixelFormatYUV444P10LE},
	}
	f, ok := formats[p.ChromaFormat][p.ColorDepth]
	if !ok {
		return 0, fmt.Errorf("%w: no encoder for a colour depth of %d bits", ErrFormat, int(p.ColorDepth)+8)
	}
	return f, nil
}

// setSize makes the rendition for a source of this size.
func (r *rung) setSize(srcW, srcH int) {
	boxW, boxH, _ := VideoProfileResolution(r.spec.Profile) // it was checked
	w, h := fitSize(srcW, srcH, boxW, boxH)
	if r.sc == nil || r.sc.width != w || r.sc.height != h {
		r.sc.close()
		r.sc = newScaler(w, h, r.pixFmt)
	}
}

// config is how the encoder for pictures like p is opened.
func (r *rung) config(p *picture, source rational, preset string, threads int) encoderConfig {
	prof := r.spec.Profile
	c := encoderConfig{name: r.spec.Video.Name, size: p.look(), rate: r.rate, gop: -1, bFrames: -1, threads: threads}
	c.size.pixFmt = r.pixFmt
	if c.rate.num == 0 {
		c.rate = source
	}
	c.bitRate, _ = prof.bitrate()
	// Peaks are a quarter above the average at most, as Apple's rules for HLS want it.
	c.maxRate, c.buffer = c.bitRate*5/4, c.bitRate*3/2
	switch {
	case prof.GOP == GOPIntraOnly:
		c.gop = 1
		c.bFrames = 0
	case prof.GOP > 0:
		// Keyframes are asked for by time; this is only what the encoder must not do by itself.
		c.gop = int(mulDiv(int64(toClock(prof.GOP)), int64(c.rate.num), int64(c.rate.den)*int64(clockRate))) + 1
	}
	opts := map[string]string{}
	if prof.Quality > 0 {
		opts["crf"] = strconv.Itoa(int(prof.Quality))
		c.bitRate = 0
	}
	if !prof.Profile.bframes() {
		c.bFrames = 0
	}
	switch c.name {
	case "libx264", "libx265":
		opts["preset"] = preset
		opts["forced-idr"] = "1"
		if prof.Quality > 51 {
			opts["crf"] = "51"
		}
		if c.name == "libx265" {
			opts["x265-params"] = "log-level=none:repeat-headers=1:pools=" + strconv.Itoa(threads)
		}
	case "h264_nvenc", "hevc_nvenc", "av1_nvenc":
		opts["forced-idr"] = "1"
		if prof.Quality > 0 {
			delete(opts, "crf")
			opts["cq"] = strconv.Itoa(min(int(prof.Quality), 51))
		}
	case "libvpx", "libvpx-vp9":
		opts["deadline"], opts["cpu-used"] = "realtime", "8"
		opts["lag-in-frames"] = "0"
	case "libsvtav1":
		opts["preset"] = "10"
		// Its rate control knows no limits of that kind.
		c.maxRate, c.buffer = 0, 0
	case "libaom-av1":
		opts["usage"], opts["cpu-used"] = "realtime", "8"
	}
	if name := ProfileParameters[prof.Profile]; name != "" {
		opts["profile"] = name
	}
	maps.Copy(opts, r.spec.Video.Opts)
	c.setOptions(opts)
	return c
}

// frame is a picture on its way through the rungs; the receiver releases it.
type frame struct {
	*picture
	pts clock
}

// errNoPicture is a rendition that has no picture in this segment.
var errNoPicture = errors.New("no picture")

// encodeRun is one segment on its way through a rung.
type encodeRun struct {
	*rung
	in       chan []frame
	turns    chan struct{} // how many may work at a time
	made     []frame       // for the children, not handed on yet
	children []*encodeRun
	out      *output
	parent   *encodeRun // that scales for it, or nil
	source   rational
	sar      rational // of the source's pixels
	start    clock    // the first picture's time
	end      clock    // set before in is closed
	failed   error    // the same
	broken   error    // no more pictures are made, for the smaller renditions neither
	stay     bool
	preset   string
	threads  int

	pace     pacer
	last     frame // with a rate: the picture that is shown until the next
	scaled   *picture
	lastKey  clock
	frames   int // encoded
	pictures int // taken
	err      error
}

// run takes pictures until in is closed, and completes the segment.
func (e *encodeRun) run(ctx context.Context) {
	defer func() {
		for _, c := range e.children {
			c.finishInput(e.end, e.broken)
		}
		e.scaled.release()
		e.last.picture.release()
		if e.err != nil {
			// What the encoder holds belongs to a segment that is given up.
			e.enc.close()
			e.enc = nil
		}
	}()
	for fs := range e.in {
		e.turns <- struct{}{}
		for _, f := range fs {
			if e.pictures++; e.pictures == 1 {
				// The first picture that a parent shows may be a later one of the source's.
				if e.start = f.pts; e.parent != nil {
					e.start = e.parent.start
				}
				e.pace = pacer{rate: e.rate, start: e.start}
			}
			if e.broken == nil && ctx.Err() == nil {
				e.broken = e.take(f)
			}
			f.release()
		}
		<-e.turns
		e.handOn()
	}
	e.turns <- struct{}{}
	e.broken = cmp.Or(e.broken, e.failed, context.Cause(ctx))
	if e.broken == nil {
		e.broken = e.finish()
	}
	e.err = cmp.Or(e.err, e.broken)
	<-e.turns
	e.handOn()
}

// handOn gives the children what was made for them.
func (e *encodeRun) handOn() {
	if len(e.made) == 0 {
		return
	}
	for i, c := range e.children {
		if i < len(e.children)-1 { // the last one takes the reference that is here
			for _, f := range e.made {
				f.retain()
			}
		}
		c.in <- slices.Clone(e.made)
	}
	e.made = e.made[:0]
}

// finishInput says that no more pictures come: the segment ends at end, or failed before.
func (e *encodeRun) finishInput(end clock, failed error) {
	e.end, e.failed = end, failed
	close(e.in)
}

// take handles one picture of the source.
func (e *encodeRun) take(f frame) error {
	if e.rate.num == 0 {
		return e.show(f.picture, f.pts)
	}
	if e.last.picture != nil {
		if err := e.showLast(e.pace.until(f.pts)); err != nil {
			return err
		}
	}
	e.last.picture.release()
	e.last = frame{f.retain(), f.pts}
	e.scaled.release()
	e.scaled = nil
	return nil
}

// showLast shows the last picture in the slots from first to before end.
func (e *encodeRun) showLast(first, end int64) error {
	for slot := first; slot < end; slot++ {
		if err := e.show(e.last.picture, e.pace.at(slot)); err != nil {
			return err
		}
	}
	return nil
}

// show scales a picture, hands it on to the smaller renditions, and encodes it.
func (e *encodeRun) show(p *picture, pts clock) error {
	if e.scaled == nil {
		scaled, err := e.sc.scale(p)
		if err != nil {
			return err
		}
		e.scaled = scaled
		shown := pts
		if e.rate.num > 0 {
			shown = e.last.pts
		}
		if len(e.children) > 0 {
			e.made = append(e.made, frame{scaled.retain(), shown})
		}
	}
	scaled := e.scaled
	if e.rate.num == 0 {
		e.scaled = nil
		defer scaled.release()
	}
	if e.err == nil { // the smaller renditions go on without this one
		e.err = e.encode(scaled, pts)
	}
	return nil
}

func (e *encodeRun) encode(p *picture, pts clock) error {
	if e.frames == 0 {
		if err := e.prepare(p); err != nil {
			return err
		}
	}
	key := e.frames == 0
	if gop := e.spec.Profile.GOP; gop > 0 && pts-e.lastKey >= toClock(gop)-e.enc.cfg.rate.period()/2 {
		key = true
	}
	if key {
		e.lastKey = pts
	}
	e.frames++
	return e.enc.encode(p, pts, key, e.out.video)
}

// prepare opens the encoder, or goes on with the one that is open when it is the right one.
func (e *encodeRun) prepare(p *picture) error {
	cfg := e.config(p, e.source, e.preset, e.threads)
	cfg.size.sar = e.sar
	if e.enc != nil && !e.enc.cfg.same(&cfg) {
		e.enc.close()
		e.enc = nil
	}
	if e.enc == nil {
		enc, err := openEncoder(cfg, e.stay)
		if err != nil {
			return err
		}
		e.enc = enc
	}
	e.enc.begin()
	return e.out.setVideo(e.enc.params, p.width(), p.height(), e.enc.cfg.rate)
}

// finish shows the last picture for its time and completes the segment.
func (e *encodeRun) finish() error {
	if e.last.picture != nil {
		if err := e.showLast(e.pace.rest(e.end)); err != nil {
			return err
		}
	}
	if e.err == nil {
		e.err = e.endEncoder()
	}
	return nil
}

func (e *encodeRun) endEncoder() error {
	if e.frames == 0 {
		return fmt.Errorf("%w: %w in the segment", ErrTranscoderVid, errNoPicture)
	}
	again, err := e.enc.end(e.out.video)
	if err != nil || !again || !e.stay {
		e.enc.close()
		e.enc = nil
	}
	return err
}

// close frees what stays open between segments.
func (r *rung) close() {
	r.enc.close()
	r.sc.close()
	r.enc, r.sc = nil, nil
}
