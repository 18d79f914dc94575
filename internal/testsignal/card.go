package testsignal

import (
	"fmt"
	"time"
)

// card is the picture. It is drawn once; from picture to picture only what moves is drawn
// again.
type card struct {
	*planes
	clock, number, date *text
	day                 int64   // that date shows
	lamps               [2]rect // the fields that flash
	lit                 bool
	rail                rect // where the bar sweeps
	swept               int  // how far it is drawn
}

var (
	ground = grey(0.055)
	unlit  = grey(0.13)
)

const (
	white = 235
	soft  = 170 // luma of what is less important
)

func newCard(o *Options) *card {
	c := &card{planes: newPlanes(o.Width, o.Height), day: -1}
	c.fill(rect{0, 0, c.w, c.h}, ground)
	c.bars()
	c.title(printable(o.Name, 24), fmt.Sprintf("%d*%d  %d FPS", o.Width, o.Height, o.FrameRate))
	c.dial()
	return c
}

// part is a share of a length, in 1/1000.
func part(length, thousandths int) int { return length * thousandths / 1000 }

// bars draws eight colours of 75 % above eleven steps from black to white.
func (c *card) bars() {
	colors := []color{
		rgb(.75, .75, .75), rgb(.75, .75, 0), rgb(0, .75, .75), rgb(0, .75, 0),
		rgb(.75, 0, .75), rgb(.75, 0, 0), rgb(0, 0, .75), rgb(0, 0, 0),
	}
	for i, v := range colors {
		c.fill(rect{c.w * i / 8, 0, c.w * (i + 1) / 8, part(c.h, 480)}, v)
	}
	for i := range 11 {
		c.fill(rect{c.w * i / 11, part(c.h, 480), c.w * (i + 1) / 11, part(c.h, 550)}, grey(float64(i)/10))
	}
}

// title puts the name and the format in a dark field in the middle of the bars.
func (c *card) title(name, format string) {
	field := rect{part(c.w, 125), part(c.h, 120), part(c.w, 875), part(c.h, 370)}
	c.fill(field, ground)
	unit := c.fit(name, part(c.w, 690), part(c.h, 95))
	middle := c.w / 2
	newText(middle, part(c.h, 215)-height(unit)/2, unit, name, white, ground.y).draw(c.planes, []byte(name))
	unit = c.fit(format, part(c.w, 600), part(c.h, 42))
	newText(middle, part(c.h, 315)-height(unit)/2, unit, format, soft, ground.y).draw(c.planes, []byte(format))
}

// dial makes everything that moves, in its state before the first picture.
func (c *card) dial() {
	const widest = "00:00:00.000"
	middle := c.w / 2
	unit := c.fit(widest, part(c.w, 800), part(c.h, 160))
	top, bottom := part(c.h, 600), part(c.h, 770)
	c.clock = newText(middle, (top+bottom-height(unit))/2, unit, widest, white, ground.y)

	side := part(c.w, 50)
	c.lamps = [2]rect{
		rect{part(c.w, 25), top, part(c.w, 25) + side, bottom}.even(),
		rect{part(c.w, 975) - side, top, part(c.w, 975), bottom}.even(),
	}
	for _, l := range c.lamps {
		c.fill(l, unlit)
	}

	const number, date = "FRAME 0000000", "2000-01-01 UTC"
	unit = min(c.fit(number, part(c.w, 440), part(c.h, 60)), c.fit(date, part(c.w, 440), part(c.h, 60)))
	y := part(c.h, 845) - height(unit)/2
	c.number = newText(part(c.w, 262), y, unit, number, white, ground.y)
	c.date = newText(part(c.w, 738), y, unit, date, soft, ground.y)

	c.rail = rect{part(c.w, 25), part(c.h, 915), part(c.w, 975), part(c.h, 965)}.even()
	c.fill(c.rail, unlit)
	c.ticks(c.rail.x0, c.rail.x1)
}

// fit is the size at which a text is not larger than w by h pixels.
func (c *card) fit(s string, w, h int) float64 {
	return min(float64(w)/max(textWidth(s), 1), float64(h)/(gridHeight+stroke))
}

// ticks marks the tenths of the rail that lie from x0 to x1.
func (c *card) ticks(x0, x1 int) {
	r := c.rail
	thick := max(c.w/640, 1)
	for i := 1; i < 10; i++ {
		if x := r.x0 + (r.x1-r.x0)*i/10; x+thick > x0 && x < x1 {
			c.light(rect{max(x, x0), (r.y0 + r.y1) / 2, min(x+thick, x1), r.y1}, soft)
		}
	}
}

// update draws picture n, which is shown at a second since 1970 and the time behind it.
func (c *card) update(n, sec int64, rest time.Duration) {
	var b [32]byte
	s := sec % 86400
	c.clock.draw(c.planes, fmt.Appendf(b[:0], "%02d:%02d:%02d.%03d", s/3600, s/60%60, s%60, rest/time.Millisecond))
	c.number.draw(c.planes, fmt.Appendf(b[:0], "FRAME %07d", n%10_000_000))
	if day := sec / 86400; day != c.day {
		c.day = day
		c.date.draw(c.planes, time.Unix(sec, 0).UTC().AppendFormat(b[:0], "2006-01-02 UTC"))
	}
	if lit := rest < flash; lit != c.lit {
		c.lit = lit
		for _, l := range c.lamps {
			luma := unlit.y
			if lit {
				luma = white
			}
			c.light(l, luma)
		}
	}
	c.sweep(rest)
}

// sweep moves the bar to its place in the second.
func (c *card) sweep(rest time.Duration) {
	r := c.rail
	head := max((r.x1-r.x0)/60, 2)
	to := int(int64(r.x1-r.x0-head) * int64(rest) / int64(time.Second))
	if to < c.swept { // a new second
		c.light(r, unlit.y)
		c.ticks(r.x0, r.x1)
		c.swept = 0
	}
	c.light(rect{r.x0 + c.swept, r.y0, r.x0 + to, r.y1}, soft/2)
	c.light(rect{r.x0 + to, r.y0, r.x0 + to + head, r.y1}, white)
	c.swept = to
}
