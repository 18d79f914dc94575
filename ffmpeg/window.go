package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The window: enough to know which tracks there are and how fast pictures come.
const (
	windowUnits = 4096
	windowBytes = 64 << 20
	windowTime  = 3 * clockRate
)

// fillWindow reads the beginning, or all of a segment.
func (r *run) fillWindow() error {
	size, first := 0, noTime
	for len(r.window) < windowUnits && size < windowBytes {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		u, err := r.d.next()
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
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
	if r.video >= 0 {
		r.rotation = r.d.tracks[r.video].rotation
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
