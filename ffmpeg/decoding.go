package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

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
	group := r.group
	if len(group) == 0 || r.in.Discontinuity || !follows(group[len(group)-1], first) {
		group = r.groupBefore(first)
	}
	r.unwanted = make(map[clock]bool)
	if len(group) == 0 {
		for _, t := range r.pictureTimes() {
			if first.key && t != noTime && t < first.pts {
				r.unwanted[t] = true
				r.lead = append(r.lead, t)
			}
		}
		slices.Sort(r.lead)
		return nil
	}
	for _, u := range group {
		r.unwanted[u.pts] = true
	}
	for i := range group {
		if err := r.decode(&group[i]); err != nil {
			return err
		}
	}
	return nil
}

// follows reports whether v can be the unit after u in a stream.
func follows(u, v unit) bool {
	return v.dts != noTime && u.dts != noTime && v.dts > u.dts && v.dts-u.dts < clockRate
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
	if pts != noTime && r.unwanted[pts] {
		return nil // of the segment before, or not decodable
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
	if p.c.rotation >= 0 {
		r.rotation = int(p.c.rotation)
	}
	// The filter wants four lines of every plane.
	r.interlaced = p.height() >= 8 && (r.interlaced || p.c.interlaced != 0)
	chain := filterChain(r.interlaced, r.rotation)
	if r.filter != nil && r.filter.fits(p, chain) {
		return r.filter.filter(p, pts, r.filtered)
	}
	if err := r.endFilter(pts); err != nil {
		return err
	}
	if chain == "" {
		r.forward(p, pts)
		return nil
	}
	f, err := openFilter(p, chain)
	if err != nil {
		return err
	}
	r.filter = f
	return r.filter.filter(p, pts, r.filtered)
}

// endFilter passes on what the filters hold; the last picture is shown until end.
func (r *run) endFilter(end clock) error {
	if r.filter == nil {
		return nil
	}
	err := r.filter.end(end, r.filtered)
	r.filter.close()
	r.filter = nil
	return err
}

func (r *run) filtered(p *picture) error {
	r.forward(p, p.pts())
	return nil
}
