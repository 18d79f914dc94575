package testsignal

// planes is a picture in 8-bit 4:2:0, tightly packed. Rectangles are cut off at its edges.
type planes struct {
	w, h    int
	y, u, v []byte
}

func newPlanes(w, h int) *planes {
	return &planes{w: w, h: h, y: make([]byte, w*h), u: make([]byte, w*h/4), v: make([]byte, w*h/4)}
}

// color is BT.709 in the limited range.
type color struct{ y, u, v byte }

// rgb makes a color of parts from 0 to 1.
func rgb(r, g, b float64) color {
	y := 0.2126*r + 0.7152*g + 0.0722*b
	part := func(offset, scale, v float64) byte { return byte(offset + scale*v + 0.5) }
	return color{part(16, 219, y), part(128, 224, (b-y)/1.8556), part(128, 224, (r-y)/1.5748)}
}

func grey(v float64) color { return rgb(v, v, v) }

// rect is what lies at x0 <= x < x1 and y0 <= y < y1.
type rect struct{ x0, y0, x1, y1 int }

// even makes a rectangle's edges even, for the chroma.
func (r rect) even() rect { return rect{r.x0 &^ 1, r.y0 &^ 1, r.x1 &^ 1, r.y1 &^ 1} }

func (p *planes) clip(r rect) rect {
	r.x0, r.y0 = min(max(r.x0, 0), p.w), min(max(r.y0, 0), p.h)
	r.x1, r.y1 = min(max(r.x1, r.x0), p.w), min(max(r.y1, r.y0), p.h)
	return r
}

// fill draws a rectangle, whose edges are made even.
func (p *planes) fill(r rect, c color) {
	r = p.clip(r.even())
	p.light(r, c.y)
	for y := r.y0 / 2; y < r.y1/2; y++ {
		set(p.u[y*p.w/2:][r.x0/2:r.x1/2], c.u)
		set(p.v[y*p.w/2:][r.x0/2:r.x1/2], c.v)
	}
}

// light sets the luma of a rectangle.
func (p *planes) light(r rect, luma byte) {
	r = p.clip(r)
	for y := r.y0; y < r.y1; y++ {
		set(p.y[y*p.w:][r.x0:r.x1], luma)
	}
}

func set(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// stamp sets the luma of a mask's rectangle: ink where it covers, paper elsewhere.
func (p *planes) stamp(x, y int, m mask, ink, paper byte) {
	r := p.clip(rect{x, y, x + m.w, y + m.h})
	for i := r.y0; i < r.y1; i++ {
		src := m.a[(i-y)*m.w+r.x0-x:]
		dst := p.y[i*p.w:][r.x0:r.x1]
		for j := range dst {
			dst[j] = byte(int(paper) + (int(ink)-int(paper))*int(src[j])/255)
		}
	}
}
