package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

	window       []unit // what was read before the rates are known
	whole        bool   // it is all there is
	video, audio int    // tracks, or -1
	rate         rational
	start        clock // the first picture, or sound when there is none
	repairVideo  repair
	repairAudio  repair
	wanted       map[clock]bool // times of pictures, when others will come
	lead         []clock        // times that the first picture is shown at, too
	last         clock          // the last picture's time
	decoding     bool           // there are pictures that a rendition needs
	decoded      MediaInfo
	filter       *filter       // or nil
	pictures     []frame       // decoded, not handed on yet
	turns        chan struct{} // how many goroutines may work at a time, nil before there are others

	outputs []*output
	encodes []*encodeRun // one for each rendition, nil for those that encode no pictures
	roots   []*encodeRun
	wg      sync.WaitGroup
	endTime clock

	readTo  clock
	results []Output
}

// The window: enough to know which tracks there are and how fast pictures come.
const (
	windowUnits = 4096
	windowBytes = 64 << 20
	windowTime  = 3 * clockRate
)

func (r *run) run() error {
	r.video, r.audio = -1, -1
	r.results = make([]Output, len(r.rungs))
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
		if err != nil {
			break // the end, or the end of what can be read
		}
		if err := r.take(&u, false); err != nil {
			return err
		}
	}
	return r.end()
}

// fillWindow reads the beginning, or all of a segment.
func (r *run) fillWindow() error {
	size, first := 0, noTime
	for len(r.window) < windowUnits && size < windowBytes {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		u, err := r.d.next()
		if err != nil {
			if len(r.window) == 0 && !errors.Is(err, io.EOF) {
				return err
			}
			r.whole = true
			return nil
		}
		if t := r.d.tracks[u.track]; !t.video && !t.audio {
			continue
		}
		r.window = append(r.window, u)
		size += len(u.data)
		if u.dts == noTime || r.in.Data != nil {
			continue // a segment is read whole, as far as the limits allow
		}
		if first == noTime {
			first = u.dts
		}
		if u.dts-first > windowTime {
			return nil
		}
	}
	return nil
}

// begin chooses the tracks and prepares the outputs.
func (r *run) begin() error {
	seen := make([]int, len(r.d.tracks))
	for _, u := range r.window {
		seen[u.track]++
	}
	for i, t := range r.d.tracks {
		// A track of a segment that is announced only is left out.
		if r.whole && seen[i] == 0 {
			continue
		}
		if t.video && (r.video < 0 || seen[r.video] == 0) {
			r.video = i
		}
		if t.audio && (r.audio < 0 || seen[r.audio] == 0) {
			r.audio = i
		}
	}
	if r.video < 0 && r.audio < 0 {
		return fmt.Errorf("%w: %w", ErrTranscoderVid, errNoMedia)
	}
	times := r.pictureTimes()
	r.rate = measureRate(times)
	if r.rate.num == 0 {
		r.rate = r.announcedRate()
	}
	r.start = noTime
	for _, u := range r.window {
		if u.track == r.video || r.video < 0 && u.track == r.audio {
			t := u.pts
			if t == noTime {
				t = u.dts
			}
			if t != noTime && (r.start == noTime || t < r.start) {
				r.start = t
			}
		}
	}
	if r.start == noTime {
		r.start = 0
	}
	r.last = noTime
	r.repairVideo = repair{step: r.rate.period(), last: noTime}
	r.repairAudio = repair{step: r.audioStep(), last: noTime}
	for i, g := range r.rungs {
		o := &output{spec: &g.spec, sink: r.sinks[i]}
		if r.audio >= 0 && g.spec.Audio.Name == "copy" {
			o.audioTrack = r.d.tracks[r.audio].params
		}
		r.outputs = append(r.outputs, o)
	}
	r.beginSounds()
	for i, g := range r.rungs {
		if err := r.beginCopy(g, r.outputs[i]); err != nil {
			r.fail(i, err)
		}
	}
	return r.openDecoder()
}

// beginCopy opens the container of a rendition that needs no encoder.
func (r *run) beginCopy(g *rung, o *output) error {
	switch {
	case r.video >= 0 && g.mode == encodeVideo:
		return nil
	case r.video >= 0 && g.mode == copyVideo:
		p := r.d.tracks[r.video].params
		return o.setVideo(p, int(p.c.width), int(p.c.height), r.rate)
	case o.audioTrack == nil:
		return fmt.Errorf("%w: %w for this rendition", ErrTranscoderVid, errNoMedia)
	}
	return o.setVideo(nil, 0, 0, rational{})
}

// audioStep is the duration of an audio unit: containers time only the first of several.
func (r *run) audioStep() clock {
	i := slices.IndexFunc(r.window, func(u unit) bool { return u.track == r.audio })
	if i < 0 {
		return 0
	}
	p := r.d.tracks[r.audio].params
	rate, _ := audioHeader(p.codecName(), r.window[i].data)
	if rate == 0 {
		rate = int(p.c.sample_rate)
	}
	if p.codecName() != "aac" || rate <= 0 {
		return r.window[i].duration
	}
	return 1024 * clockRate / clock(rate)
}

// pictureTimes are the times of the pictures in the window.
func (r *run) pictureTimes() []clock {
	var times []clock
	for _, u := range r.window {
		if u.track == r.video {
			times = append(times, u.pts)
		}
	}
	return times
}

// announcedRate is what is assumed of a source of one picture.
func (r *run) announcedRate() rational {
	if r.video < 0 {
		return rational{}
	}
	for _, u := range r.window {
		if u.track == r.video && u.duration > 0 {
			return nearestRate(float64(clockRate) / float64(u.duration))
		}
	}
	if fps := r.d.tracks[r.video].fps; fps.num > 0 && fps.den > 0 && fps.float() <= maxFrameRate {
		return fps
	}
	return rational{25, 1}
}

// openDecoder makes the decoder ready for this input, when pictures are needed.
func (r *run) openDecoder() error {
	if r.video < 0 || !slices.ContainsFunc(r.rungs, func(g *rung) bool { return g.mode == encodeVideo }) {
		return nil
	}
	p := r.d.tracks[r.video].params
	if r.dec != nil && !r.decFor.equal(p) {
		r.dec.close()
		r.dec = nil
		r.group = nil
	}
	if r.dec == nil {
		threads := 1
		if r.opts.Threads > 2 {
			threads = min(r.opts.Threads/2, 4)
		}
		dec, err := openDecoder(p, threads, r.opts.Accel, r.opts.Device)
		if err != nil {
			if errors.Is(err, ErrTranscoderHw) {
				return err
			}
			return fmt.Errorf("%w: %w", ErrTranscoderVid, err)
		}
		r.dec = dec
		r.decFor.close()
		if r.decFor, err = p.clone(); err != nil {
			return err
		}
	}
	r.decoding = true
	return r.preroll()
}

// preroll gives the decoder the pictures that the first ones of this segment refer to, when
// it does not begin with an IDR picture. When they are not there, the pictures in front of a
// keyframe (of an open group) cannot be decoded: the keyframe is shown in their place.
func (r *run) preroll() error {
	i := slices.IndexFunc(r.window, func(u unit) bool { return u.track == r.video })
	if i < 0 || startsClean(r.decFor, &r.window[i]) {
		return nil
	}
	first := r.window[i]
	known := len(r.group) > 0 && !r.in.Discontinuity && follows(r.group[len(r.group)-1], first)
	r.wanted = make(map[clock]bool)
	for _, t := range r.pictureTimes() {
		if known || t >= first.pts || !first.key {
			r.wanted[t] = true
		} else if t != noTime {
			r.lead = append(r.lead, t)
		}
	}
	slices.Sort(r.lead)
	if !known {
		return nil
	}
	for i := range r.group {
		if err := r.decode(&r.group[i]); err != nil {
			return err
		}
	}
	return nil
}

// follows reports whether v can be the unit after u in a stream.
func follows(u, v unit) bool {
	return v.dts != noTime && u.dts != noTime && v.dts > u.dts && v.dts-u.dts < clockRate
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
			if g.mode == copyVideo && r.within(g, u.pts) {
				r.outputs[i].video(*u)
			}
		}
		r.readTo = max(r.readTo, u.dts-r.start)
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

// within reports whether a rendition shows what is at pts.
func (r *run) within(g *rung, pts clock) bool {
	return (g.spec.From == 0 || pts >= r.start+toClock(g.spec.From)) && (g.spec.To == 0 || pts < r.start+toClock(g.spec.To))
}

// maxGroup limits what is kept of a group of pictures.
const maxGroup = 32 << 20

// keepGroup remembers the current group of pictures, in case the next segment refers to it.
func (r *run) keepGroup(u *unit) {
	if !r.opts.Continuous {
		return
	}
	if u.key {
		r.group, r.groupBytes = nil, 0
	}
	if r.groupBytes += len(u.data); r.groupBytes <= maxGroup {
		r.group = append(r.group, *u)
	} else {
		r.group = nil
	}
}

// decode gives one unit to the decoder, or nil for the end, and passes on what comes out.
// A unit that cannot be decoded is left out.
func (r *run) decode(u *unit) error {
	_ = r.dec.send(u)
	for failures := 0; failures < 16; {
		p, err := r.dec.receive()
		if errors.Is(err, errAgain) {
			return nil
		}
		if err != nil {
			failures++
			continue
		}
		err = r.picture(p)
		p.release()
		if err != nil {
			return err
		}
	}
	return nil
}

// picture hands a decoded picture to the renditions.
func (r *run) picture(p *picture) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	pts := p.pts()
	if r.wanted != nil && !r.wanted[pts] {
		return nil // of the segment before
	}
	r.decoded.Frames++
	r.decoded.Pixels += p.pixels()
	for _, t := range r.lead {
		if err := r.show(p, t); err != nil {
			return err
		}
	}
	r.lead = nil
	switch {
	case r.last == noTime && pts == noTime:
		pts = r.start
	case pts == noTime:
		pts = r.last + r.rate.period()
	case r.last != noTime && pts <= r.last:
		// A time that was there already: shortly after the last.
		pts = r.last + r.rate.period()/8
	}
	return r.show(p, pts)
}

// show hands on a picture that is shown from pts on, through the filters that it needs.
func (r *run) show(p *picture, pts clock) error {
	r.last = pts
	if r.filter == nil {
		rotation := r.d.tracks[r.video].rotation
		if rotation == 0 {
			rotation = int(p.c.rotation)
		}
		chain := neededFilters(p, rotation)
		if chain == "" {
			r.forward(p, pts)
			return nil
		}
		f, err := openFilter(p, chain)
		if err != nil {
			return err
		}
		r.filter = f
	}
	return r.filter.filter(p, pts, r.filtered)
}

func (r *run) filtered(p *picture) error {
	r.forward(p, p.pts())
	return nil
}

// forward gives a picture to the renditions.
func (r *run) forward(p *picture, pts clock) {
	if r.encodes == nil {
		r.startEncodes(p)
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
		r.encodes[i] = &encodeRun{rung: g, in: make(chan []frame, 1), turns: r.turns, out: r.outputs[i], source: r.rate,
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
	if r.filter != nil {
		if err := r.filter.end(r.endTime, r.filtered); err != nil {
			return err
		}
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
