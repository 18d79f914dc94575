package ffmpeg

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Segments that were muxed independently are one stream after the join.
func TestContinuity(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	var one []byte
	var join Continuity
	for i := range 3 {
		segment := r.shift(clock(i)*3*clockRate).mustWrite(t, containerOptions{})
		before := bytes.Clone(segment)
		require.NoError(t, join.Join(segment))
		if i == 0 {
			require.Equal(t, before, segment)
		} else {
			require.NotEqual(t, before, segment)
		}
		for at := range segment {
			if at%188 != 3 {
				require.Equal(t, before[at], segment[at])
			}
		}
		one = append(one, segment...)
	}
	checkTS(t, one)
	three := recording{tracks: r.tracks}
	for i := range 3 {
		three.units = append(three.units, r.shift(clock(i)*3*clockRate).units...)
	}
	requireSame(t, three, readFile(t, one), 1.0/90000)
}

func TestContinuityPackets(t *testing.T) {
	packet := func(pid int, flags byte) []byte {
		p := make([]byte, 188)
		p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), flags
		return p
	}
	counters := map[uint16]uint8{0x100: 15, 0x101: 7}
	b := bytes.Join([][]byte{
		packet(0x100, 0x20|3),  // no payload: as the one before
		packet(0x100, 0x10|4),  // counts
		packet(0x1fff, 0x10|9), // null
		packet(0x101, 0x30),
		packet(0x102, 0x10|12), // new
		packet(0x102, 0x20|12),
		packet(0x100, 0xd0|5), // scrambled
	}, nil)
	require.NoError(t, continueTS(counters, b))
	var got []byte
	for i := 3; i < len(b); i += 188 {
		got = append(got, b[i])
	}
	require.Equal(t, []byte{0x2f, 0x10, 0x19, 0x38, 0x1c, 0x2c, 0xd1}, got)
	require.Equal(t, map[uint16]uint8{0x100: 1, 0x101: 8, 0x102: 12}, counters)

	for _, bad := range [][]byte{b[:187], append(bytes.Clone(b), 0x47), append(bytes.Clone(b[:188]), make([]byte, 188)...)} {
		before := bytes.Clone(bad)
		require.ErrorIs(t, continueTS(counters, bad), ErrFormat)
		require.Equal(t, before, bad)
	}
	require.Equal(t, map[uint16]uint8{0x100: 1, 0x101: 8, 0x102: 12}, counters)
	require.NoError(t, new(Continuity).Join(nil))
}
