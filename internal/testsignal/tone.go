package testsignal

import (
	"math"
	"time"
)

const (
	toneHz, toneLevel = 440, 0.1 // -20 dBFS
	beepHz, beepLevel = 880, 0.2 // -14 dBFS
)

// tone is the sound of one second, which repeats: both frequencies are whole numbers and their
// parts of the second hold whole periods, so that nothing clicks.
type tone struct {
	second []float32 // stereo, interleaved
	at     int       // the next sample, of each channel
}

// newTone begins with sample at of a second.
func newTone(rate, at int) *tone {
	t := &tone{second: make([]float32, 2*rate), at: at % rate}
	beep := int(flash * time.Duration(rate) / time.Second)
	for i := range rate {
		hz, level := float64(toneHz), toneLevel
		if i < beep {
			hz, level = beepHz, beepLevel
		}
		v := float32(level * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
		t.second[2*i], t.second[2*i+1] = v, v
	}
	return t
}

// read fills dst with the next samples.
func (t *tone) read(dst []float32) {
	for len(dst) > 0 {
		n := copy(dst, t.second[2*t.at:])
		dst = dst[n:]
		t.skip(int64(n / 2))
	}
}

// skip leaves out n samples of each channel.
func (t *tone) skip(n int64) {
	t.at = int((int64(t.at) + n) % int64(len(t.second)/2))
}
