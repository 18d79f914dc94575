package testsignal

import (
	"math"
	"strings"
	"unicode"
)

// text is one line of characters on a plain ground. Only those that change are drawn.
type text struct {
	x, y       int // its upper left corner
	unit       float64
	ink, paper byte
	last       []rune
	masks      map[rune]mask
}

// textWidth is how wide a string is on the grid, without the space behind it.
func textWidth(s string) float64 {
	w := stroke + 8 - advance
	for _, r := range s {
		w += width(r)
	}
	return max(w, 0)
}

// newText makes a line as high as the font's capitals, centred on x.
func newText(x, y int, unit float64, widest string, ink, paper byte) *text {
	return &text{
		x: x - int(math.Round(textWidth(widest)*unit/2)), y: y,
		unit: unit, ink: ink, paper: paper, masks: make(map[rune]mask),
	}
}

// height of a line in pixels.
func height(unit float64) int { return int(math.Ceil((gridHeight + stroke) * unit)) }

// draw brings the line to what it says now.
func (t *text) draw(p *planes, s []byte) {
	at := float64(t.x)
	for i, c := range s {
		r := unicode.ToUpper(rune(c))
		if i >= len(t.last) {
			t.last = append(t.last, 0)
		}
		if t.last[i] != r {
			t.last[i] = r
			m, known := t.masks[r]
			if !known {
				m = newMask(r, t.unit)
				t.masks[r] = m
			}
			p.stamp(int(math.Round(at)), t.y, m, t.ink, t.paper)
		}
		at += width(r) * t.unit
	}
}

// printable replaces what the font does not have by blanks, and cuts off what does not fit into
// a number of characters.
func printable(s string, most int) string {
	out := make([]byte, 0, most)
	for _, r := range s {
		if len(out) == most {
			break
		}
		if r = unicode.ToUpper(r); strokes[r] == "" {
			r = ' '
		}
		out = append(out, byte(r))
	}
	return strings.TrimSpace(string(out))
}
