package testsignal

import "time"

const (
	// maxLag is how late a picture may be. Those that would be later are left out, so that a
	// source that was held up does not send more than this in a burst.
	maxLag = time.Second
	// maxHole is how much sound is made up for after a hold-up, so that it has no hole. After
	// a longer one the sound is left out as well, and the stream has a discontinuity.
	maxHole = 10 * time.Second

	// flash is how long the flash and the beep take from each full second on.
	flash = 100 * time.Millisecond
)

// timeline maps numbers of pictures to times. It begins at a full second or at a whole number of
// pictures behind one, so that there is a picture at every full second.
type timeline struct {
	fps   int64
	begin time.Time // of picture 0
	sec   int64     // the full second before, since 1970
	first int64     // pictures from there to picture 0
}

// newTimeline begins at now, or less than a picture before it.
func newTimeline(now time.Time, fps int) timeline {
	t := timeline{fps: int64(fps), sec: now.Unix()}
	ns := int64(now.Nanosecond())
	t.first = ns * t.fps / int64(time.Second)
	t.begin = now.Add(time.Duration(t.first*int64(time.Second)/t.fps - ns))
	return t
}

// time is when picture n is shown, from picture 0 on, rounded to the nearest nanosecond.
func (t *timeline) time(n int64) time.Duration {
	// Split, so that it does not overflow in centuries.
	return time.Duration(n/t.fps)*time.Second + time.Duration((n%t.fps*int64(time.Second)+t.fps/2)/t.fps)
}

// wall is when picture n is shown, by the wall clock: the second since 1970 and the time behind it.
func (t *timeline) wall(n int64) (sec int64, rest time.Duration) {
	n += t.first
	return t.sec + n/t.fps, t.time(n % t.fps)
}

// numberAt is the first picture at or behind a time.
func (t *timeline) numberAt(d time.Duration) int64 {
	n := int64(d/time.Second)*t.fps + (int64(d%time.Second)*t.fps)/int64(time.Second)
	for t.time(n) < d {
		n++
	}
	return n
}

// sampleOffset is the place of the first sample in its second.
func (t *timeline) sampleOffset(rate int) int {
	return int(t.first * int64(rate) / t.fps)
}
