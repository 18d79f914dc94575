//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestRungsFor(t *testing.T) {
	for _, c := range []struct {
		name                 string
		width, height, cores int
		want                 []rung
	}{
		{"720p, 2 cores", 1280, 720, 2, []rung{
			{"240p", "426x240", 426, 240, 600_000, 1}, {"360p", "640x360", 640, 360, 1_200_000, 1}, {"480p", "854x480", 854, 480, 1_600_000, 1}}},
		{"1080p, 16 cores", 1920, 1080, 16, []rung{
			{"240p", "426x240", 426, 240, 600_000, 1}, {"360p", "640x360", 640, 360, 1_200_000, 1}, {"480p", "854x480", 854, 480, 1_600_000, 1},
			{"720p", "1280x720", 1280, 720, 3_000_000, 4}}},
		{"wide", 640, 272, 1, []rung{{"240p", "426x240", 426, 182, 600_000, 1}}},
		{"small", 320, 240, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := rungsFor(c.width, c.height, c.cores); !slices.Equal(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestGraphs(t *testing.T) {
	rungs := rungsFor(1280, 720, 2)
	if got, want := scales(rungs), "[0:v]split=3[s0][s1][s2];[s0]scale=426:240[v0];[s1]scale=640:360[v1];[s2]scale=854:480[v2]"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := cascaded(rungs), "[0:v]scale=854:480,split[v2][c2];[c2]scale=640:360,split[v1][c1];[c1]scale=426:240[v0]"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := (&clip{starts: []int{0, 60}}).keyframes(), "expr:eq(n,0)+eq(n,60)"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestFraction(t *testing.T) {
	for s, want := range map[string]float64{"30/1": 30, "30000/1001": 30000.0 / 1001, "25": 25} {
		if got := fraction(s); got != want {
			t.Errorf("%s: got %v", s, got)
		}
	}
}
