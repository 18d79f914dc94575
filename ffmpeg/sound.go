package ffmpeg

// sound is one way in which audio is encoded, for all renditions that want it so.
type sound struct {
	settings audioSettings
	rungs    []int
	enc      *audioEncoder // open between segments when the ladder is continuous
}

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

// beginSounds opens the audio encoders and gives them the window, so that what they make is
// known before containers are opened. Renditions whose audio cannot be decoded go without.
func (r *run) beginSounds() error {
	if r.audio < 0 {
		return nil
	}
	track := r.d.tracks[r.audio].params
	for _, s := range r.sounds {
		if s.enc != nil && (r.in.Discontinuity || !s.enc.source.equal(track)) {
			s.close()
		}
		if s.enc == nil {
			enc, err := openAudioEncoder(track, s.settings)
			if err != nil {
				return err
			}
			s.enc = enc
		}
	}
	for i := range r.window {
		if u := &r.window[i]; u.track == r.audio {
			r.repairAudio.times(u)
			if err := r.encodeAudio(u); err != nil {
				return err
			}
		}
	}
	for _, s := range r.sounds {
		for _, i := range s.rungs {
			r.outputs[i].audioTrack = s.enc.params
		}
	}
	return nil
}

// encodeAudio gives a unit to the audio encoders; nil is the end.
func (r *run) encodeAudio(u *unit) error {
	for _, s := range r.sounds {
		err := s.enc.encode(u, func(u unit) {
			for _, i := range s.rungs {
				if g := r.rungs[i]; g.spec.From == 0 && g.spec.To == 0 || r.within(g, u.pts) {
					r.outputs[i].audio(u)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endSounds completes the audio. An encoder that stays open gives its last frames in the
// next segment, so that there is no gap.
func (r *run) endSounds() error {
	if r.audio < 0 || r.opts.Continuous {
		return nil
	}
	err := r.encodeAudio(nil)
	for _, s := range r.sounds {
		s.close()
	}
	return err
}
