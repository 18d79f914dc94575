package testsignal

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every part of a busy picture changes from one to the next, and so much that it takes the
// bitrate that was asked for.
func TestBusy(t *testing.T) {
	o, err := Options{Busy: true, Width: 640, Height: 360}.withDefaults()
	require.NoError(t, err)
	b := newBusy(&o)
	b.update(30)
	before := slices.Clone(b.y)
	b.update(31)
	for y := 0; y < b.h; y += b.h / 9 {
		for x := 0; x+80 <= b.w; x += 80 {
			require.NotEqual(t, before[y*b.w+x:][:80], b.y[y*b.w+x:][:80], "at %d, %d", x, y)
		}
	}
	for n := range int64(2000) { // the edges of the texture are never passed
		b.update(n)
	}
}

func TestBusyTakesItsBitrate(t *testing.T) {
	o := Options{Busy: true, Width: 640, Height: 360, Bitrate: 1_500_000, Unpaced: true, Duration: 6 * time.Second, Now: atNoon}
	_, packets := readAll(t, o)
	bits := 0
	for _, p := range packets {
		bits += 8 * len(p.Data)
	}
	require.Greater(t, bits/6, 1_200_000)
}
