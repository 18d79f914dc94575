package ffmpeg

import (
	"cmp"
	"slices"
)

// cascade decides which rendition is scaled from which larger one, in place of the source:
// to halve a small picture costs less than to shrink a large one. It puts the largest
// first and returns those that are scaled from the source.
func cascade(all []*encodeRun) (roots []*encodeRun) {
	slices.SortStableFunc(all, func(a, b *encodeRun) int { return cmp.Compare(b.area(), a.area()) })
	for i, e := range all {
		parent := -1
		for j, p := range all[:i] {
			if p.feeds(e) {
				parent = j // the smallest of them
			}
		}
		if parent < 0 {
			roots = append(roots, e)
		} else {
			all[parent].children = append(all[parent].children, e)
			e.parent = all[parent]
		}
	}
	return roots
}

func (e *encodeRun) area() int { return e.sc.width * e.sc.height }

// least is how many times as large a picture must be for another one to be made of it: what two
// scalings in a row lose is not seen then.
const least = 2

// feeds reports whether c can be scaled from the pictures of e.
func (e *encodeRun) feeds(c *encodeRun) bool {
	return (e.rate.num == 0 || e.rate == c.rate) && e.pixFmt == c.pixFmt &&
		e.spec.From == c.spec.From && e.spec.To == c.spec.To &&
		e.sc.width >= least*c.sc.width && e.sc.height >= least*c.sc.height
}
