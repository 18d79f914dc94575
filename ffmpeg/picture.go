package ffmpeg

// #include "picture.h"
import "C"

import "sync/atomic"

// picture is a decoded picture in C's memory. Several goroutines may read it; who holds a
// reference releases it. It is never changed.
type picture struct {
	c    C.lpms_picture
	refs atomic.Int32
}

// newPicture takes over what C made; the caller holds the one reference.
func newPicture(c C.lpms_picture) *picture {
	liveHandles.Add(1)
	p := &picture{c: c}
	p.refs.Store(1)
	return p
}

func (p *picture) retain() *picture {
	p.refs.Add(1)
	return p
}

func (p *picture) release() {
	if p != nil && p.refs.Add(-1) == 0 {
		C.lpms_picture_free(&p.c)
		liveHandles.Add(-1)
	}
}

func (p *picture) pts() clock    { return clock(p.c.pts) }
func (p *picture) width() int    { return int(p.c.width) }
func (p *picture) height() int   { return int(p.c.height) }
func (p *picture) pixels() int64 { return int64(p.c.width) * int64(p.c.height) }

// look is everything of a picture that an encoder or a scaler is opened for.
type look struct {
	width, height, pixFmt               int
	sar                                 rational
	colorRange, space, primaries, curve int
}

func (p *picture) look() look {
	l := look{
		width: int(p.c.width), height: int(p.c.height), pixFmt: int(p.c.pix_fmt),
		sar:        rational{int(p.c.sar_num), int(p.c.sar_den)},
		colorRange: int(p.c._range), space: int(p.c.space), primaries: int(p.c.primaries), curve: int(p.c.transfer),
	}
	if l.sar.num <= 0 || l.sar.den <= 0 {
		l.sar = rational{0, 1}
	}
	return l
}
