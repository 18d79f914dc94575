package testsignal

import (
	"math"
	"strings"
)

// The font is drawn by strokes on a grid 8 wide and 12 high. A stroke begins with its kind: '-'
// has straight lines, '~' is a smooth line through the middles of its straight ones, 'o' the
// same, closed. Its points are x and y as hexadecimal digits; a point that is written twice is a
// corner of a smooth line.
const (
	gridHeight = 12.0
	stroke     = 1.8  // the width of a stroke
	advance    = 11.2 // from one character to the next
	narrow     = 5.4  // the same for a colon or a point
)

var strokes = map[rune]string{
	'0': "o00 80 86 8c 0c 06",
	'1': "-13 50 5c",
	'2': "~03 00 80 85 0c 0c 8c",
	'3': "~02 00 80 86 46|~46 86 8c 0c 0a",
	'4': "-6c 60 60 09 89",
	'5': "~70 10 10 06 06 04 84 8c 0c 0a",
	'6': "~72 70 00 08|o05 85 8c 0c",
	'7': "-00 80 3c",
	'8': "o10 70 76 16|o06 86 8c 0c",
	'9': "o00 80 87 07|~84 8c 1c 1a",
	'A': "-0c 40 8c|-18 78",
	'B': "-00 0c|~00 70 76 06|~06 86 8c 0c",
	'C': "~83 80 00 06 0c 8c 89",
	'D': "-00 0c|~00 80 86 8c 0c",
	'E': "-80 00 0c 8c|-06 66",
	'F': "-80 00 0c|-06 66",
	'G': "~83 80 00 06 0c 8c 87 87 57",
	'H': "-00 0c|-80 8c|-06 86",
	'I': "-40 4c|-20 60|-2c 6c",
	'J': "~70 76 7c 0c 09",
	'K': "-00 0c|-80 07|-35 8c",
	'L': "-00 0c 8c",
	'M': "-0c 00 47 80 8c",
	'N': "-0c 00 8c 80",
	'O': "o00 80 86 8c 0c 06",
	'P': "-00 0c|~00 80 87 07",
	'Q': "o00 80 86 8c 0c 06|-59 8c",
	'R': "-00 0c|~00 80 87 07|-47 8c",
	'S': "~83 80 00 06 86 8c 0c 09",
	'T': "-00 80|-40 4c",
	'U': "~00 06 0c 8c 86 80",
	'V': "-00 4c 80",
	'W': "-00 2c 44 6c 80",
	'X': "-00 8c|-80 0c",
	'Y': "-00 46 80|-46 4c",
	'Z': "-00 80 0c 8c",
	'-': "-17 77",
	'_': "-0c 8c",
	'+': "-17 77|-43 4b",
	'/': "-80 0c",
	'#': "-04 84|-08 88|-30 2c|-60 5c",
	':': "-14 14|-1a 1a",
	'.': "-1c 1c",
	'*': "-15 7b|-75 1b", // a multiplication sign
}

type point struct{ x, y float64 }

// width of a character on the grid, with the space behind it.
func width(r rune) float64 {
	if r == ':' || r == '.' {
		return narrow
	}
	return advance
}

// lines gives the straight lines that a character is made of.
func lines(r rune) (out [][2]point) {
	for s := range strings.SplitSeq(strokes[r], "|") {
		if s == "" {
			continue
		}
		var ps []point
		for _, f := range strings.Fields(s[1:]) {
			ps = append(ps, point{hex(f[0]), hex(f[1])})
		}
		if s[0] != '-' {
			ps = smooth(ps, s[0] == 'o')
		}
		for i := 1; i < len(ps); i++ {
			out = append(out, [2]point{ps[i-1], ps[i]})
		}
	}
	return out
}

func hex(c byte) float64 { return float64(strings.IndexByte("0123456789abc", c)) }

// smooth cuts corners three times, each time a quarter off both sides (Chaikin's algorithm).
func smooth(ps []point, closed bool) []point {
	if closed {
		ps = append(ps, ps[0])
	}
	for range 3 {
		var out []point
		if !closed {
			out = append(out, ps[0])
		}
		for i := 1; i < len(ps); i++ {
			a, b := ps[i-1], ps[i]
			out = append(out, point{a.x*0.75 + b.x*0.25, a.y*0.75 + b.y*0.25}, point{a.x*0.25 + b.x*0.75, a.y*0.25 + b.y*0.75})
		}
		if closed {
			out = append(out, out[0])
		} else {
			out = append(out, ps[len(ps)-1])
		}
		ps = out
	}
	return ps
}

// mask is how much of each pixel a character covers, 0 to 255.
type mask struct {
	w, h int
	a    []byte
}

// newMask draws a character so large that unit pixels are one step of the grid. The strokes'
// outer edges touch the mask's upper, lower and left edge.
func newMask(r rune, unit float64) mask {
	half := max(stroke*unit/2, 0.6) // thinner ones would be grey
	m := mask{w: int(math.Ceil(width(r) * unit)), h: int(math.Ceil(gridHeight*unit + 2*half))}
	m.a = make([]byte, m.w*m.h)
	for _, l := range lines(r) {
		for i := range l {
			l[i].x, l[i].y = l[i].x*unit+half, l[i].y*unit+half
		}
		m.line(l[0], l[1], half)
	}
	return m
}

// line draws from a to b with round ends, as thick as twice half.
func (m *mask) line(a, b point, half float64) {
	reach := half + 1
	x0, x1 := max(int(min(a.x, b.x)-reach), 0), min(int(max(a.x, b.x)+reach)+1, m.w)
	y0, y1 := max(int(min(a.y, b.y)-reach), 0), min(int(max(a.y, b.y)+reach)+1, m.h)
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			d := distance(point{float64(x) + 0.5, float64(y) + 0.5}, a, b)
			v := byte(255 * min(max(half-d+0.5, 0), 1))
			m.a[y*m.w+x] = max(m.a[y*m.w+x], v)
		}
	}
}

// distance of p from the line from a to b.
func distance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if n := dx*dx + dy*dy; n > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/n, 0), 1)
	}
	x, y := p.x-a.x-t*dx, p.y-a.y-t*dy
	return math.Sqrt(x*x + y*y)
}
