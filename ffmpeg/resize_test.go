package ffmpeg

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A flat plane stays flat whatever its size, also after another one.
func TestResizeFlat(t *testing.T) {
	for w := 1; w <= 330; w++ {
		for _, scale := range []float64{1, 1.33, 1.5, 2, 3.1, 7.9} {
			srcW, srcH, h := int(float64(w)*scale+0.5), int(19*scale+0.5), 19
			planes := [][]byte{bytes.Repeat([]byte{255}, srcW*srcH), bytes.Repeat([]byte{16}, srcW*srcH), make([]byte, srcW*srcH)}
			for i, p := range resizePlane(planes, srcW, srcH, w, h, false) {
				require.Equal(t, bytes.Repeat(planes[i][:1], w*h), p, "%dx%d to %dx%d", srcW, srcH, w, h)
			}
		}
	}
}

// The fast code gives the same bits as the plain one.
func TestResizePlain(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, c := range [][4]int{
		{1280, 720, 854, 480}, {854, 480, 426, 240}, {427, 241, 213, 120}, {64, 64, 64, 64}, {65, 33, 65, 17}, {31, 7, 2, 1},
		{16, 16, 1, 1}, {1, 1, 1, 1}, {2, 9, 1, 3}, {1920, 16, 130, 2}, {640, 40, 129, 8},
	} {
		src := make([]byte, c[0]*c[1])
		for i := range src {
			src[i] = byte(rnd.Uint32())
		}
		name := fmt.Sprint(c)
		fast := resizePlane([][]byte{src}, c[0], c[1], c[2], c[3], false)
		require.NotNil(t, fast, name)
		require.Equal(t, resizePlane([][]byte{src}, c[0], c[1], c[2], c[3], true), fast, name)
	}
}

// It is the bicubic filter with B 0 and C 0.6, stretched by the scale, to within a level.
func TestResizeBicubic(t *testing.T) {
	kernel := func(x float64) float64 {
		const c = 0.6
		switch x = math.Abs(x); {
		case x < 1:
			return (2-c)*x*x*x + (c-3)*x*x + 1
		case x < 2:
			return -c*x*x*x + 5*c*x*x - 8*c*x + 4*c
		}
		return 0
	}
	const srcW, srcH, dstW, dstH = 60, 45, 40, 16
	src := make([]byte, srcW*srcH)
	for i := range src {
		src[i] = byte(128 + 90*math.Sin(float64(i%srcW)/5)*math.Cos(float64(i/srcW)/7))
	}
	// weights of the source's samples for sample i of one direction.
	weights := func(i, src, dst int) map[int]float64 {
		scale := float64(src) / float64(dst)
		center, sum, w := (float64(i)+0.5)*scale-0.5, 0.0, map[int]float64{}
		for k := int(center - 2*scale - 2); k <= int(center+2*scale+2); k++ {
			v := kernel((float64(k) - center) / scale)
			w[min(max(k, 0), src-1)] += v
			sum += v
		}
		for k := range w {
			w[k] /= sum
		}
		return w
	}
	got := resizePlane([][]byte{src}, srcW, srcH, dstW, dstH, false)[0]
	for y := range dstH {
		for x := range dstW {
			want := 0.0
			for j, wy := range weights(y, srcH, dstH) {
				for i, wx := range weights(x, srcW, dstW) {
					want += wx * wy * float64(src[j*srcW+i])
				}
			}
			require.InDelta(t, want, got[y*dstW+x], 1, "%d,%d", x, y)
		}
	}
}
