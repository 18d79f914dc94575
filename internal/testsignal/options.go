package testsignal

import (
	"fmt"
	"slices"
	"time"
)

// Options of New. The zero value is a sound default.
type Options struct {
	// Name is shown in the picture, in capitals; at most 128 bytes. What the font does not have is
	// left blank: it has A to Z, 0 to 9 and - _ . : / + #. What does not fit is cut off.
	Name string
	// Width and Height of the picture, even numbers from 128x72 to 3840x2160. Default 1280x720.
	// When one is given, the other must be too.
	Width, Height int
	// FrameRate is in pictures a second, 1 to 120. Default 30.
	FrameRate int
	// Keyframe is the time from one keyframe to the next, at most a minute; it is rounded to whole
	// pictures. Default 2 s.
	Keyframe time.Duration
	// Bitrate and AudioBitrate are in bit/s, 50,000 to 50,000,000 and 16,000 to 320,000. Defaults
	// 2,500,000 and 96,000. The card is easy: it may stay below.
	Bitrate, AudioBitrate int
	// SampleRate of the sound in Hz, which is stereo: 16000, 22050, 24000, 32000, 44100 or 48000.
	// Default 48000.
	SampleRate int
	// Busy shows, in place of the test card, a picture that moves everywhere and is noisy: for
	// measurements, because the card is easy to encode.
	Busy bool
	// Duration ends the signal with io.EOF. Default 0: it does not end.
	Duration time.Duration
	// Unpaced gives packets as fast as they are read, on a clock that begins at Now. Default: no
	// packet is given before its time.
	Unpaced bool
	// Now is the wall clock; it must not go back. Default time.Now.
	Now func() time.Time
}

// OptionError is an option that cannot be used.
type OptionError struct {
	Option string // the name of the field
	Value  any
	Want   string // what it must be
}

// Error names the option, its value and what it must be.
func (e *OptionError) Error() string {
	return fmt.Sprintf("testsignal: %s is %v: it must be %s", e.Option, e.Value, e.Want)
}

var sampleRates = []int{16000, 22050, 24000, 32000, 44100, 48000}

// withDefaults checks the options and fills them.
func (o Options) withDefaults() (Options, error) {
	if o.Width == 0 && o.Height == 0 {
		o.Width, o.Height = 1280, 720
	}
	setDefault(&o.FrameRate, 30)
	setDefault(&o.Keyframe, 2*time.Second)
	setDefault(&o.Bitrate, 2_500_000)
	setDefault(&o.AudioBitrate, 96_000)
	setDefault(&o.SampleRate, 48_000)
	if o.Name == "" {
		o.Name = "TEST SIGNAL"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, c := range []struct {
		option string
		value  any
		good   bool
		want   string
	}{
		{"Name", len(o.Name), len(o.Name) <= 128, "at most 128 bytes long"},
		{"Width", o.Width, o.Width >= 128 && o.Width <= 3840 && o.Width%2 == 0, "an even number from 128 to 3840"},
		{"Height", o.Height, o.Height >= 72 && o.Height <= 2160 && o.Height%2 == 0, "an even number from 72 to 2160"},
		{"FrameRate", o.FrameRate, o.FrameRate >= 1 && o.FrameRate <= 120, "from 1 to 120"},
		{"Keyframe", o.Keyframe, o.Keyframe > 0 && o.Keyframe <= time.Minute, "above 0 and at most a minute"},
		{"Bitrate", o.Bitrate, o.Bitrate >= 50_000 && o.Bitrate <= 50_000_000, "from 50,000 to 50,000,000 bit/s"},
		{"AudioBitrate", o.AudioBitrate, o.AudioBitrate >= 16_000 && o.AudioBitrate <= 320_000, "from 16,000 to 320,000 bit/s"},
		{"SampleRate", o.SampleRate, slices.Contains(sampleRates, o.SampleRate), fmt.Sprintf("one of %d Hz", sampleRates)},
		{"Duration", o.Duration, o.Duration >= 0, "0 or above"},
	} {
		if !c.good {
			return o, &OptionError{c.option, c.value, c.want}
		}
	}
	return o, nil
}

// gop is the number of pictures from one keyframe to the next.
func (o *Options) gop() int {
	return max(int((int64(o.Keyframe)*int64(o.FrameRate)+int64(time.Second)/2)/int64(time.Second)), 1)
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
