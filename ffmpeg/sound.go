package ffmpeg

// sound is one way in which audio is encoded, for all renditions that want it so.
type sound struct {
	settings audioSettings
	rungs    []int
	enc      *audioEncoder // open between segments when the ladder is continuous
	start    clock         // the time of the first unit since it was opened
	next     clock         // the time after the last unit
	header   [2]int        // sample rate and channels of the source, as far as its units say it
	steady   clock         // the time of the first unit of this segment, precisely
	lead     bool          // it is opened with silence in front, in place of the sound before
	priming  bool          // what comes out belongs to the segment before
	err      error         // why there is none in this segment
}

// largestGap is how far apart the sound of two segments in a row may be.
const largestGap = clockRate / 4

// largestHole is how much silence is made where units are missing. After a longer one, sound
// begins again.
const largestHole = 2 * clockRate

// addSound finds the sound of a rendition.
func (l *Ladder) addSound(r *rung) {
	if r.spec.Audio.Name != "aac" {
		return
	}
	for _, s := range l.sounds {
		if s.settings.equal(r.sound) {
			s.rungs = append(s.rungs, r.index)
			return
		}
	}
	l.sounds = append(l.sounds, &sound{settings: r.sound, rungs: []int{r.index}})
}

func (s *sound) close() {
	s.enc.close()
	s.enc = nil
}

// beginSounds gives the window to the audio encoders, so that what they make is known
// before containers are opened.
func (r *run) beginSounds() {
	if r.audio < 0 {
		return
	}
	for _, s := range r.sounds {
		s.err = nil
		if r.in.Discontinuity {
			s.close()
		}
	}
	var units []*unit
	for i := range r.window {
		if u := &r.window[i]; u.track == r.audio {
			r.repairAudio.times(u)
			units = append(units, u)
		}
	}
	r.joinSounds(units)
	for _, u := range units {
		r.encodeAudio(u)
	}
	for _, s := range r.sounds {
		for _, i := range s.rungs {
			err := s.err
			if s.enc != nil && s.enc.params != nil && err == nil {
				err = r.outputs[i].setSound(s.enc.params)
			}
			if err != nil {
				r.outputs[i].fail(err)
			}
		}
	}
}

// joinSounds closes the encoders that cannot go on with the units of the window: they are of
// another segment than the next one, or another kind of sound. New ones are opened with
// the sound before it.
func (r *run) joinSounds(units []*unit) {
	if len(units) == 0 {
		return
	}
	header := r.audioHeader(units[0])
	for _, s := range r.sounds {
		if !(units[0].pts - s.next).within(largestGap) || s.header != header {
			s.close()
		}
		s.header = header
		if s.enc == nil && r.joins() {
			r.primeSound(s, units)
		}
	}
}

// audioHeader is the sample rate and the channels, as far as a unit of the track says them.
func (r *run) audioHeader(u *unit) (header [2]int) {
	header[0], header[1] = audioHeader(r.d.tracks[r.audio].params.codecName(), u.data)
	return header
}

// joins reports whether what is encoded goes on in the next segment.
func (r *run) joins() bool { return r.opts.Continuous || r.opts.Joined }

// encodeAudio gives a unit to the audio encoders; nil is the end. What fails, fails for the
// renditions that wanted it.
func (r *run) encodeAudio(u *unit) {
	for _, s := range r.sounds {
		if s.err != nil {
			continue
		}
		if s.err = r.encodeSound(s, u); s.err != nil {
			s.close()
			for _, i := range s.rungs {
				r.outputs[i].fail(s.err)
			}
		}
	}
}

func (r *run) encodeSound(s *sound, u *unit) error {
	track := r.d.tracks[r.audio].params
	if s.enc != nil && u != nil && (!s.enc.source.equal(track) || !(u.pts - s.next).within(largestHole)) {
		s.close()
	}
	if s.enc == nil {
		if u == nil {
			return nil
		}
		enc, err := openAudioEncoder(track, s.settings, audioStart{grid: r.joins(), lead: s.lead})
		if err != nil {
			return err
		}
		s.enc, s.lead = enc, false
		s.start = u.pts
		if precise := *u; r.joins() && (s.steady - u.pts).within(groupSlack) {
			precise.pts = s.steady
			u = &precise
		}
	}
	if u != nil {
		s.next = u.pts + r.repairAudio.step
	}
	last := u == nil
	return s.enc.encode(u, func(u unit) {
		if s.priming {
			return
		}
		// What an encoder makes before the first sound, and of the last half of a frame,
		// would overlap with the segments beside this one.
		if !r.joins() && (u.pts < s.start-u.duration/2 || last && u.pts > s.next-u.duration/2) {
			return
		}
		for _, i := range s.rungs {
			if r.within(r.rungs[i], u.pts) {
				r.outputs[i].audio(u)
			}
		}
	})
}

// endSounds completes the audio. The last frames, which reach beyond the segment, are those of
// the next one when there is one: of the encoder that stays open, or of another that
// is primed with this segment's end.
func (r *run) endSounds() {
	if r.audio < 0 || r.opts.Continuous {
		return
	}
	if !r.opts.Joined {
		r.encodeAudio(nil)
	}
	for _, s := range r.sounds {
		s.close()
	}
}
