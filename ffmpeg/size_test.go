package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSize(t *testing.T) {
	type size [2]int
	for name, c := range map[string]struct{ src, box, want size }{
		"the box's shape":         {size{1280, 720}, size{256, 144}, size{256, 144}},
		"4:3 into 16:9":           {size{640, 480}, size{256, 144}, size{256, 192}},
		"wider than the box":      {size{1920, 800}, size{1280, 720}, size{1280, 534}},
		"16:9 into 4:3":           {size{1280, 720}, size{320, 240}, size{320, 180}},
		"odd by ratio":            {size{854, 480}, size{426, 240}, size{426, 240}},
		"portrait":                {size{720, 1280}, size{256, 144}, size{144, 256}},
		"portrait, other shape":   {size{480, 640}, size{256, 144}, size{192, 256}},
		"portrait box":            {size{720, 1280}, size{144, 256}, size{144, 256}},
		"landscape, portrait box": {size{1280, 720}, size{144, 256}, size{256, 144}},
		"square":                  {size{1000, 1000}, size{256, 144}, size{256, 256}},
		"smaller":                 {size{426, 240}, size{1280, 720}, size{426, 240}},
		"smaller and odd":         {size{427, 241}, size{1280, 720}, size{426, 240}},
		"smaller portrait":        {size{241, 427}, size{1280, 720}, size{240, 426}},
		"same":                    {size{1280, 720}, size{1280, 720}, size{1280, 720}},
		"same width, odd height":  {size{256, 145}, size{256, 144}, size{256, 144}},
		"one less than odd width": {size{427, 241}, size{426, 240}, size{426, 240}},
		"odd box":                 {size{1280, 720}, size{427, 240}, size{426, 240}},
		"a line":                  {size{4000, 10}, size{256, 144}, size{256, 2}},
		"a line of one":           {size{4000, 1}, size{256, 144}, size{256, 2}},
		"one pixel":               {size{1, 1}, size{256, 144}, size{2, 2}},
		"smallest box":            {size{1280, 720}, size{2, 2}, size{2, 2}},
		"largest":                 {size{16384, 16384}, size{16384, 2}, size{16384, 16384}},
		"no source":               {size{0, 0}, size{256, 144}, size{2, 2}},
		"no box":                  {size{1280, 720}, size{0, 0}, size{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			w, h := fitSize(c.src[0], c.src[1], c.box[0], c.box[1])
			require.Equal(t, c.want, size{w, h})
		})
	}
}

// What holds for all sizes.
func TestSizeInvariants(t *testing.T) {
	boxes := [][2]int{{2, 2}, {3, 100}, {50, 50}, {128, 72}, {129, 72}, {72, 128}, {200, 150}, {201, 150}, {1000, 10}}
	for srcW := 2; srcW <= 210; srcW++ {
		for srcH := 2; srcH <= 210; srcH++ {
			for _, box := range boxes {
				w, h := fitSize(srcW, srcH, box[0], box[1])
				bad := ""
				switch {
				case w < 2 || h < 2 || w%2 != 0 || h%2 != 0:
					bad = "not even"
				case w > srcW || h > srcH:
					bad = "larger than the source"
				case max(w, h) > max(box[0], box[1]):
					bad = "larger than the box"
				case max(w, h) < min(max(box[0], box[1]), max(srcW, srcH))-1:
					bad = "smaller than asked for"
				case (w > h) && (srcW < srcH) || (w < h) && (srcW > srcH):
					bad = "turned"
				}
				// The shorter side is within a pixel of the source's shape, where it is not
				// the smallest.
				long, short, srcLong, srcShort := max(w, h), min(w, h), max(srcW, srcH), min(srcW, srcH)
				if off := long*srcShort - short*srcLong; (off > srcLong || -off > srcLong) && short > 2 {
					bad = "another shape"
				}
				if bad != "" {
					t.Fatalf("%dx%d in %v is %dx%d: %s", srcW, srcH, box, w, h, bad)
				}
				if h2, w2 := fitSize(srcH, srcW, box[1], box[0]); w2 != w || h2 != h {
					t.Fatalf("%dx%d in %v is %dx%d, but %dx%d when turned", srcW, srcH, box, w, h, w2, h2)
				}
			}
		}
	}
}
