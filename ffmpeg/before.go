package ffmpeg

import (
	"cmp"
	"slices"
)

// before is what is used of Input.Before.
type before struct {
	group []unit // the pictures since its last keyframe
	sound []unit // all of one track
}

// maxBefore is how many bytes Input.Before has at most.
const maxBefore = 32 << 20

// readBefore reads Input.Before, once. What cannot be read is left out.
func (r *run) readBefore() *before {
	if r.before != nil {
		return r.before
	}
	b := &before{}
	r.before = b
	if len(r.in.Before) == 0 || len(r.in.Before) > maxBefore {
		return b
	}
	d := newDemuxer()
	defer d.close()
	if d.open(Input{Data: r.in.Before}) != nil {
		return b
	}
	d.near = r.start
	video, audio := -1, -1
	for r.ctx.Err() == nil {
		u, err := d.next()
		if err != nil {
			break
		}
		if r.sameTrack(d, u.track, r.video, &video) {
			if u.key {
				b.group = nil
			}
			if u.key || b.group != nil {
				b.group = append(b.group, u)
			}
		}
		if r.sameTrack(d, u.track, r.audio, &audio) {
			b.sound = append(b.sound, u)
		}
	}
	return b
}

// sameTrack reports whether a track of Before is the one that goes on in a track of the input;
// chosen is -1 before the first.
func (r *run) sameTrack(d *demuxer, track, goesOn int, chosen *int) bool {
	if *chosen < 0 && goesOn >= 0 {
		mine, theirs := &r.d.tracks[goesOn], &d.tracks[track]
		if mine.video == theirs.video && mine.audio == theirs.audio && mine.params.equal(theirs.params) {
			*chosen = track
		}
	}
	return *chosen == track
}

// groupBefore is the group of pictures that goes on with first, or nil.
func (r *run) groupBefore(first unit) []unit {
	group := r.readBefore().group
	if len(group) == 0 || !follows(group[len(group)-1], first) {
		return nil
	}
	times := map[clock]bool{noTime: true}
	for _, t := range r.pictureTimes() {
		times[t] = true
	}
	if slices.ContainsFunc(group, func(u unit) bool { return times[u.pts] }) {
		return nil // its pictures could not be told apart from those of the input
	}
	if r.opts.Continuous {
		r.group, r.groupBytes = slices.Clone(group), 0
		for _, u := range group {
			r.groupBytes += len(u.data)
		}
	}
	return group
}

// primeFrames is how many frames of an encoder the sound lasts that it is primed with. Two of them
// reach into the segment; with those before, its choices are nearly what they would be.
const primeFrames = 5

// primeSound opens an encoder with the sound that comes before the units of the window, if it is
// known. When that fails, the encoder begins with the window.
func (r *run) primeSound(s *sound, units []*unit) {
	s.steady = steadyStart(units, r.repairAudio.step)
	primer := r.soundBefore(s)
	lead := len(primer) > 0 || !r.opts.Continuous && !r.in.Discontinuity
	s.priming, s.lead = true, lead
	for i := range primer {
		if r.ctx.Err() != nil || r.encodeSound(s, &primer[i]) != nil {
			s.close()
			break
		}
	}
	if s.enc != nil && !(s.enc.next() - s.steady).within(groupSlack) {
		s.close() // not all of it could be decoded
	}
	if s.priming = false; s.enc == nil {
		s.lead = lead
	}
}

// soundBefore is the sound of Before that an encoder is primed with, as far as it comes without a
// hole before s.steady. Its times are counted back from there: only what is heard depends on Before.
func (r *run) soundBefore(s *sound) []unit {
	units, step := r.readBefore().sound, r.repairAudio.step
	if len(units) == 0 || step <= 0 || r.audioHeader(&units[len(units)-1]) != s.header {
		return nil
	}
	units = slices.Clone(units)
	times := repair{step: step, last: noTime}
	for i := range units {
		times.times(&units[i])
	}
	rate := cmp.Or(s.settings.rate, s.header[0], 44100)
	from := s.steady - 2*step - primeFrames*1024*clockRate/clock(rate)
	next, i := s.steady, len(units)
	for ; i > 0 && next > from; i-- {
		u := &units[i-1]
		next -= step
		if !(u.pts - next).within(groupSlack) {
			break
		}
		u.pts, u.dts = next, next
	}
	return units[i:]
}

// steadyStart is the time of the first of some units of sound, more precisely than the clock of their
// container: so precisely that all segments of a stream count the same samples. What is
// rounded in frames of 44.1 kHz to 90 kHz is the same again after 49 of them.
func steadyStart(units []*unit, step clock) clock {
	var sum, n clock
	for i, u := range units[:min(len(units), 49)] {
		off := u.pts - units[0].pts - clock(i)*step
		if !off.within(groupSlack) {
			break
		}
		sum += off
		n++
	}
	return units[0].pts + sum/n
}
