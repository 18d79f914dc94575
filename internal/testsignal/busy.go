package testsignal

import (
	"math"
	"math/rand/v2"
)

// busy is a picture that moves everywhere and is a little noisy: about as much work for an
// encoder as what a camera gives. It is the same at every run.
type busy struct {
	*planes
	texture *planes // larger than the picture by reach on each side
	grain   []int8
	random  *rand.Rand
}

const (
	reach     = 48 // pixels that the picture moves in each direction
	across    = 4  // parts that move on their own
	down      = 3
	grainSize = 1 << 16
)

func newBusy(o *Options) *busy {
	b := &busy{
		planes: newPlanes(o.Width, o.Height), texture: newPlanes(o.Width+2*reach, o.Height+2*reach),
		grain: make([]int8, grainSize), random: rand.New(rand.NewPCG(1, 2)),
	}
	t := b.texture
	b.cloud(t.y, t.w, 126, 110)
	b.cloud(t.u, t.w/2, 128, 50)
	b.cloud(t.v, t.w/2, 128, 50)
	for i := range b.grain {
		b.grain[i] = int8(b.random.IntN(7) - 3)
	}
	return b
}

// cloud fills a plane with random shapes of all sizes around a middle.
func (b *busy) cloud(plane []byte, width int, middle, amplitude float64) {
	height := len(plane) / width
	sum := make([]float64, len(plane))
	for size := 128; size >= 4; size /= 2 {
		amplitude *= 0.62
		columns := width/size + 2
		grid := make([]float64, columns*(height/size+2))
		for i := range grid {
			grid[i] = (b.random.Float64()*2 - 1) * amplitude
		}
		for y := range height {
			gy, fy := y/size, float64(y%size)/float64(size)
			for x := range width {
				gx, fx := x/size, float64(x%size)/float64(size)
				at := grid[gy*columns+gx:]
				above := at[0] + (at[1]-at[0])*fx
				below := at[columns] + (at[columns+1]-at[columns])*fx
				sum[y*width+x] += above + (below-above)*fy
			}
		}
	}
	for i, v := range sum {
		plane[i] = byte(min(max(middle+v, 20), 230))
	}
}

// update draws picture n.
func (b *busy) update(n int64) {
	for i := range across * down {
		x, y := i/down, i%down
		r := rect{b.w * x / across, b.h * y / down, b.w * (x + 1) / across, b.h * (y + 1) / down}.even()
		turn := float64(n) / 30 * (0.6 + 0.2*float64(i%5))
		dx := reach + int(float64(reach)*0.95*math.Sin(turn+float64(i)))
		dy := reach + int(float64(reach)*0.95*math.Sin(turn*0.7+float64(2*i)))
		b.move(r, dx&^1, dy&^1)
	}
}

// move draws a part of the picture from the texture, further by dx and dy.
func (b *busy) move(r rect, dx, dy int) {
	t := b.texture
	for y := r.y0; y < r.y1; y++ {
		src := t.y[(y+dy)*t.w+r.x0+dx:]
		dst := b.y[y*b.w:][r.x0:r.x1]
		grain := b.grain[b.random.IntN(grainSize-len(dst)):]
		for i := range dst {
			dst[i] = byte(int(src[i]) + int(grain[i]))
		}
	}
	for y := r.y0 / 2; y < r.y1/2; y++ {
		from, to := (y+dy/2)*t.w/2+(r.x0+dx)/2, y*b.w/2+r.x0/2
		n := (r.x1 - r.x0) / 2
		copy(b.u[to:to+n], t.u[from:])
		copy(b.v[to:to+n], t.v[from:])
	}
}
