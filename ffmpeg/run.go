package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// run is one input on its way through a Ladder: units are read and decoded here, and each
// rendition is made by a goroutine.
type run struct {
	*Ladder
	ctx      context.Context // of the call that this is
	in       Input
	d        *demuxer
	sinks    []io.Writer
	progress func(time.Duration)
	done     func(int, *Output)

	before       *before // what was read of in.Before, nil when nothing was needed
	window       []unit  // what was read before the rates are known
	whole        bool    // it is all there is
	video, audio int     // tracks, or -1
	rate         rational
	start        clock // the first picture, or sound when there is none
	repairVideo  repair
	repairAudio  repair
	unwanted     map[clock]bool // times of pictures that are not of this segment, or cannot be decoded
	lead         []clock        // times that the first picture is shown at, too
	last         clock          // the last picture's time
	decoding     bool           // there are pictures that a rendition needs
	decoded      MediaInfo
	filter       *filter       // or nil
	interlaced   bool          // a picture was
	rotation     int           // of the last picture, clockwise degrees
	pictures     []frame       // decoded, not handed on yet
	copying      []bool        // the renditions that copy and have begun
	turns        chan struct{} // how many goroutines may work at a time, nil before there are others

	outputs []*output
	encodes []*encodeRun // one for each rendition, nil for those that encode no pictures
	roots   []*encodeRun
	wg      sync.WaitGroup
	endTime clock

	readTo  clock
	results []Output
}

func (r *run) run() error {
	r.video, r.audio = -1, -1
	r.results = make([]Output, len(r.rungs))
	r.copying = make([]bool, len(r.rungs))
	if err := r.fillWindow(); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	for i := range r.window {
		if err := r.take(&r.window[i], true); err != nil {
			return err
		}
	}
	for !r.whole {
		u, err := r.d.next()
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		if err != nil {
			break // the end, or the end of what can be read
		}
		if err := r.take(&u, false); err != nil {
			return err
		}
	}
	return r.end()
}

// take handles one unit; those of the window have been through the audio encoders.
func (r *run) take(u *unit, windowed bool) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	switch u.track {
	case r.video:
		sent := *u // the decoder makes more of what is not known
		r.repairVideo.times(u)
		for i, g := range r.rungs {
			if g.mode == copyVideo && r.copies(i, u) {
				r.outputs[i].video(*u)
			}
		}
		r.readTo = max(r.readTo, u.dts-r.start)
		if !r.decoding {
			r.last = max(r.last, u.pts)
		}
		if r.decoding {
			r.keepGroup(&sent)
			if err := r.decode(&sent); err != nil {
				return err
			}
		}
	case r.audio:
		if !windowed {
			r.repairAudio.times(u)
			r.encodeAudio(u)
		}
		if r.video < 0 {
			r.last = max(r.last, u.pts)
			r.readTo = max(r.readTo, u.dts-r.start)
		}
		for i, g := range r.rungs {
			if g.spec.Audio.Name == "copy" && r.within(g, u.pts) {
				r.outputs[i].audio(*u)
			}
		}
	}
	if r.progress != nil {
		r.progress(r.readTo.duration())
	}
	return nil
}

// copies reports whether a rendition that copies has a unit: from a keyframe on, and in
// the order of decoding, so that no unit is without those that it refers to.
func (r *run) copies(i int, u *unit) bool {
	g := r.rungs[i]
	if !r.copying[i] {
		r.copying[i] = g.spec.From == 0 || u.key && r.within(g, u.pts)
	}
	return r.copying[i] && (g.spec.To == 0 || u.dts < r.start+toClock(g.spec.To))
}

// within reports whether a rendition shows what is at pts.
func (r *run) within(g *rung, pts clock) bool {
	return (g.spec.From == 0 || pts >= r.start+toClock(g.spec.From)) && (g.spec.To == 0 || pts < r.start+toClock(g.spec.To))
}

// forward gives a picture to the renditions.
func (r *run) forward(p *picture, pts clock) {
	if r.encodes == nil {
		r.startEncodes(p)
		r.makeThumbnail(p)
	}
	r.pictures = append(r.pictures, frame{p.retain(), pts})
	if len(r.pictures) == cap(r.pictures) {
		r.handOn()
	}
}

// handOn gives the renditions the pictures that were decoded since.
func (r *run) handOn() {
	if len(r.pictures) == 0 {
		return
	}
	<-r.turns
	for _, e := range r.roots {
		var fs []frame
		for _, f := range r.pictures {
			if r.within(e.rung, f.pts) {
				fs = append(fs, frame{f.retain(), f.pts})
			}
		}
		if len(fs) > 0 {
			e.in <- fs
		}
	}
	for _, f := range r.pictures {
		f.release()
	}
	r.pictures = r.pictures[:0]
	r.turns <- struct{}{}
}

// pixelShape is the shape of the pixels of a picture that was turned by rotation. What the
// container says counts before what the pictures say.
func (t *demuxTrack) pixelShape(p *picture, rotation int) rational {
	if t.sar.num <= 0 || t.sar.den <= 0 {
		return p.look().sar
	}
	if rotation == 90 || rotation == 270 {
		return rational{t.sar.den, t.sar.num}
	}
	return t.sar
}

// batchPixels is how many pixels are handed on at once: to wake a thread up for each
// picture costs, and so do pictures that wait.
const batchPixels = 4 << 20

// startEncodes plans who scales from whom, and starts a goroutine for each rendition.
func (r *run) startEncodes(p *picture) {
	r.encodes = make([]*encodeRun, len(r.rungs))
	r.turns = make(chan struct{}, r.opts.Threads)
	r.turns <- struct{}{} // this goroutine has one, except while it waits for others
	r.pictures = make([]frame, 0, min(max(batchPixels/p.pixels(), 1), 8))
	var all []*encodeRun
	for i, g := range r.rungs {
		if g.mode != encodeVideo || r.results[i].Err != nil {
			continue
		}
		g.setSize(p.width(), p.height())
		r.encodes[i] = &encodeRun{rung: g, in: make(chan []frame, 1), turns: r.turns, out: r.outputs[i], source: r.rate, sar: r.d.tracks[r.video].pixelShape(p, r.rotation),
			stay: r.opts.Continuous, preset: r.opts.Preset, threads: 1}
		all = append(all, r.encodes[i])
	}
	r.roots = cascade(all)
	if spare := r.opts.Threads - len(all); spare > 0 && len(all) > 0 {
		all[0].threads = min(1+spare, 4) // cascade has put the largest first
	}
	for _, e := range all {
		r.wg.Go(func() {
			e.run(r.ctx)
			if e.err != nil {
				r.fail(e.index, e.err)
			} else {
				r.complete(e.index, e.start, e.frames)
			}
		})
	}
}

// end completes all renditions.
func (r *run) end() error {
	if r.decoding {
		if err := r.decode(nil); err != nil {
			return err
		}
		r.dec.reset()
	}
	if r.last == noTime {
		r.last = r.start
	}
	r.endTime = r.last + max(r.rate.period(), 1)
	if err := r.endFilter(r.endTime); err != nil {
		return err
	}
	r.near = r.endTime
	if r.decoding && r.decoded.Frames == 0 {
		if err := r.bypass(); err != nil {
			return err
		}
	}
	r.endSounds()
	r.stopEncodes(nil)
	for i, g := range r.rungs {
		if r.encodes != nil && r.encodes[i] != nil || r.results[i].Err != nil {
			continue
		}
		r.complete(i, r.start+toClock(g.spec.From), 0)
	}
	return nil
}

// bypass passes a segment on as it is when none of its pictures can be decoded, but there
// is sound.
func (r *run) bypass() error {
	if r.audio < 0 || !r.whole {
		return fmt.Errorf("%w: no picture can be decoded", ErrTranscoderVid)
	}
	for i, g := range r.rungs {
		video := r.d.tracks[r.video].params
		if g.mode != encodeVideo || r.results[i].Err != nil {
			continue
		}
		if g.spec.Profile.Format == FormatMP4 {
			video = nil // its header would have to describe the pictures
		}
		if err := r.outputs[i].setVideo(video, 0, 0, rational{}); err != nil {
			r.fail(i, err)
			continue
		}
		for _, u := range r.window {
			if video != nil && u.track == r.video && r.within(g, u.pts) {
				r.outputs[i].video(u)
			}
		}
	}
	return nil
}

// stopEncodes lets the renditions complete the segment, or give it up, and waits for them.
func (r *run) stopEncodes(failed error) {
	r.handOn()
	if r.turns != nil {
		<-r.turns
		defer func() { r.turns <- struct{}{} }()
	}
	for _, e := range r.roots {
		end := r.endTime
		if e.spec.To > 0 {
			end = min(end, r.start+toClock(e.spec.To))
		}
		e.finishInput(end, failed)
	}
	r.roots = nil
	r.wg.Wait()
}

// complete writes the end of a rendition and reports it.
func (r *run) complete(i int, start clock, frames int) {
	o := r.outputs[i]
	if err := o.finish(); err != nil {
		r.fail(i, err)
		return
	}
	end := r.endTime
	if to := r.rungs[i].spec.To; to > 0 {
		end = min(end, r.start+toClock(to))
	}
	pixels := int64(o.info.Width) * int64(o.info.Height)
	r.results[i] = Output{
		Bytes: o.written,
		Media: MediaInfo{Frames: frames, Pixels: int64(frames) * pixels},
		Start: start.duration(), Duration: (end - start).duration(),
		Info: o.info,
	}
	r.done(i, &r.results[i])
}

// fail reports a rendition that cannot be made of this input.
func (r *run) fail(i int, err error) {
	r.results[i] = Output{Err: err}
	r.done(i, &r.results[i])
}

func (r *run) result() *LadderResult {
	return &LadderResult{Decoded: r.decoded, Outputs: r.results}
}

// close stops what is still running and frees what belongs to this input.
func (r *run) close() {
	r.stopEncodes(errStopped)
	r.filter.close()
	for _, o := range r.outputs {
		o.close()
	}
}

var errStopped = errors.New("ffmpeg: the segment was given up")
