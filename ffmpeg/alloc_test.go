package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every size of allocation fails once: there is an *Error, or it works, and nothing stays open.
func TestAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	m := recorded(t)
	segment := m.segments(t)[0]
	before := LiveHandles()
	failed := 0
	check := func(size int, err error) bool {
		if err != nil {
			require.ErrorAs(t, err, new(*Error), "limit %d", size)
			failed++
		}
		return err == nil
	}
	mux := func(size int) {
		limitAllocations(size)
		mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
		if !check(size, err) {
			return
		}
		defer mux.Close()
		for _, p := range m.packets[:20] {
			check(size, mux.WritePacket(p.track, p.Packet))
		}
		_, err = mux.Cut()
		check(size, err)
		// With memory again, it goes on.
		limitAllocations(noLimit)
		for _, p := range m.packets[20:40] {
			require.NoError(t, mux.WritePacket(p.track, p.Packet))
		}
		_, err = mux.Cut()
		require.NoError(t, err)
	}
	for size := 1; size < 1<<20; size += 1 + size/40 {
		mux(size)
		limitAllocations(size)
		_, err := Probe(segment)
		check(size, err)
		require.Equal(t, before, LiveHandles())
	}
	// Failures while a muxer is open.
	open, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer open.Close()
	size := 1
	for _, p := range m.packets {
		limitAllocations(size)
		check(size, open.WritePacket(p.track, p.Packet))
		_, err := open.Cut()
		check(size, err)
		size += 1 + size/40
	}
	limitAllocations(noLimit)
	require.Positive(t, failed)
}
