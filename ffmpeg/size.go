package ffmpeg

// fitSize is the size of a rendition. The longer side of the box becomes the longer side
// of the picture, whichever way the box lies, and the shape is the source's: the other
// side may be longer or shorter than the box says. Sides are even, at least 2, and never
// longer than the source's: where the box asks for more, the source's size is used. A
// source of one pixel counts as two.
func fitSize(srcW, srcH, boxW, boxH int) (w, h int) {
	if srcH > srcW {
		h, w = fitSize(srcH, srcW, boxW, boxH)
		return w, h
	}
	srcW, srcH = max(srcW, 2), max(srcH, 2)
	w = max(evenDown(max(boxW, boxH)), 2)
	if w <= srcW {
		h = max(2*((w*srcH+srcW)/(2*srcW)), 2) // the nearest even number
		if h <= srcH {
			return w, h
		}
	}
	return evenDown(srcW), evenDown(srcH)
}

func evenDown(n int) int { return n &^ 1 }
