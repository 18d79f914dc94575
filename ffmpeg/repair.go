package ffmpeg

// repair gives the units of a track the times that containers want: known, and rising.
type repair struct {
	step clock // the usual distance
	last clock // the last DTS, noTime before the first
}

// leastStep is a tick of a transport stream's clock.
const leastStep = clockRate / 90000

func (r *repair) times(u *unit) {
	switch {
	case u.dts == noTime && u.pts != noTime && (r.last == noTime || u.pts > r.last):
		u.dts = u.pts
	case u.dts == noTime && r.last != noTime:
		u.dts = r.last + max(r.step, leastStep)
	case u.dts == noTime:
		u.dts = 0
	}
	if r.last != noTime && u.dts <= r.last {
		u.dts = r.last + leastStep
	}
	r.last = u.dts
	if u.pts == noTime || u.pts < u.dts {
		u.pts = u.dts
	}
}
