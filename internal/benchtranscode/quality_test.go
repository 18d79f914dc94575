//go:build linux

package main

import (
	"maps"
	"math"
	"testing"
)

func TestParseMetrics(t *testing.T) {
	for _, c := range []struct {
		name, log string
		want      map[string]float64
	}{
		{"nothing", "frame= 1\n", map[string]float64{}},
		{
			"both filters",
			"[ssim@nearSSIM @ 0x55d0] SSIM Y:0.976441 (16.278) U:0.99 (20.0) V:0.99 (20.1) All:0.982834 (17.653713)\n" +
				"[psnr@nearPSNR @ 0x55d1] PSNR y:41.3 u:47.2 v:47.6 average:42.518310 min:40.9 max:44.9\n",
			map[string]float64{"nearSSIM": 0.982834, "nearPSNR": 42.51831},
		}, {
			"names of older and the same pictures",
			"[Parsed_ssim@farSSIM_3 @ 0x1] SSIM Y:1.000000 (inf) All:1.000000 (inf)\n[psnr@farPSNR @ 0x2] PSNR y:inf average:inf min:inf max:inf\n",
			map[string]float64{"farSSIM": 1, "farPSNR": math.Inf(1)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseMetrics([]byte(c.log)); !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestParseFrames(t *testing.T) {
	if n := parseFrames([]byte("frame=12\nfps=0\nprogress=continue\nframe=60\nprogress=end\n")); n != 60 {
		t.Errorf("got %d", n)
	}
	if n := parseFrames(nil); n != 0 {
		t.Errorf("got %d of nothing", n)
	}
}

func TestAtBits(t *testing.T) {
	a, b := score{kilobits: 1000, nearSSIM: 0.90, farPSNR: 30}, score{kilobits: 2000, nearSSIM: 0.96, farPSNR: 33}
	for _, c := range []struct{ kilobits, ssim, psnr float64 }{
		{1000, 0.90, 30}, {2000, 0.96, 33}, {1000 * math.Sqrt2, 0.93, 31.5}, {4000, 1.02, 36},
	} {
		got := atBits(a, b, c.kilobits)
		if math.Abs(got.nearSSIM-c.ssim) > 1e-9 || math.Abs(got.farPSNR-c.psnr) > 1e-9 {
			t.Errorf("at %v: got %+v", c.kilobits, got)
		}
	}
	if got := atBits(a, a, 1100); got.nearSSIM != a.nearSSIM {
		t.Errorf("two equal points: got %+v", got)
	}
}

func TestNeighbour(t *testing.T) {
	for _, c := range []struct{ ours, theirs, want float64 }{
		{1000, 1000, 1.03}, {1010, 1000, 1.03}, {990, 1000, 0.97}, {1200, 1000, 1.2}, {100, 1000, 0.5}, {9000, 1000, 2},
	} {
		if got := neighbour(c.ours, c.theirs); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v / %v: got %v, want %v", c.ours, c.theirs, got, c.want)
		}
	}
}

func TestWorst(t *testing.T) {
	var w worst
	w.take("240p", -0.001, 0.2)
	w.take("360p", 0.003, -0.05)
	if r := w.row("q"); r.figure != "worst SSIM -0.0010 (240p), worst PSNR -0.05 dB (360p)" || r.met != "yes" {
		t.Errorf("got %+v", r)
	}
	w.take("480p", -0.0021, 0)
	if r := w.row("q"); r.met == "yes" {
		t.Errorf("got %+v", r)
	}
}
