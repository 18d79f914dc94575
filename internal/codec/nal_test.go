package codec

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// makeAU puts a length of the given size in front of each NAL unit.
func makeAU(nalLengthSize int, nals ...string) []byte {
	var au []byte
	for _, nal := range nals {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(nal)))
		au = append(au, size[8-nalLengthSize:]...)
		au = append(au, nal...)
	}
	return au
}

func TestAccessUnits(t *testing.T) {
	const sei, sps, pps, aud, p, idr = "\x06\x05\x01\x00\x80", "\x67\x42", "\x68\xce", "\x09\xf0", "\x41\x9a\x20", "\x65\x88\x84"
	for _, c := range []struct {
		name  string
		nals  []string
		idr   bool
		valid bool
	}{
		{"P", []string{p}, false, true},
		{"IDR", []string{idr}, true, true},
		{"IDR of low reference value", []string{"\x25\x88"}, true, true},
		{"IDR of one byte", []string{"\x65"}, true, true},
		{"all around an IDR", []string{aud, sps, pps, sei, idr, idr}, true, true},
		{"parameter sets only", []string{sps, pps, sei}, false, true},
		{"empty unit", []string{""}, false, false},
		{"empty unit before an IDR", []string{"", idr}, true, false},
		{"nothing", nil, false, false},
	} {
		for _, size := range []int{1, 2, 4} {
			au := makeAU(size, c.nals...)
			require.Equal(t, c.idr, HasIDR(au, size), "%s, lengths of %d", c.name, size)
			require.Equal(t, c.valid, ValidAU(au, size), "%s, lengths of %d", c.name, size)
		}
	}
}

func TestAccessUnitsMalformed(t *testing.T) {
	idr := makeAU(4, "\x65\x88\x84")
	for n := range idr {
		require.False(t, HasIDR(idr[:n], 4), "%d bytes", n)
		require.False(t, ValidAU(idr[:n], 4), "%d bytes", n)
	}
	for n := 1; n < 4; n++ { // a length that is cut short behind a whole unit
		au := append(makeAU(4, "\x65\x88\x84"), make([]byte, n)...)
		require.True(t, HasIDR(au, 4))
		require.False(t, ValidAU(au, 4))
	}
	for _, au := range [][]byte{
		{0xff, 0xff, 0xff, 0xff, 0x65},
		{0x7f, 0xff, 0xff, 0xff, 0x65},
		{0, 0, 0, 2, 0x65},
		{0, 0, 0, 1, 0x65, 0x88}, // Annex B
	} {
		require.False(t, ValidAU(au, 4), "%x", au)
	}
	for _, size := range []int{-1, 0, 3, 5, 8, 1 << 30} {
		require.False(t, HasIDR(idr, size))
		require.False(t, ValidAU(idr, size))
		_, _, ok := X264Keyint(x264AU, size)
		require.False(t, ok)
	}
}

func TestAccessUnitsDoNotAllocate(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !HasIDR(x264AU, 4) || !ValidAU(x264AU, 4) {
			t.Error("not an access unit with an IDR")
		}
	}))
}

func FuzzAccessUnit(f *testing.F) {
	f.Add(x264AU, 4)
	f.Add(makeAU(4, "\x09\xf0", "\x67\x42", "\x68\xce", "\x65\x88"), 4)
	f.Add(makeAU(2, "\x06"+x264Message("keyint=infinite "), "\x41\x9a"), 2)
	f.Add(makeAU(1, "\x41", "", "\x65"), 1)
	f.Add([]byte{0, 0, 0, 1, 0x65, 0x88}, 4)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, 4)
	f.Fuzz(func(t *testing.T, au []byte, nalLengthSize int) {
		// The same walk, written out plainly.
		var nals []string
		hasIDR, valid, slow := false, nalLengthSize == 1 || nalLengthSize == 2 || nalLengthSize == 4, au
		for valid && len(slow) > 0 {
			if len(slow) < nalLengthSize {
				valid = false
				break
			}
			size := uint64(0)
			for _, b := range slow[:nalLengthSize] {
				size = size<<8 | uint64(b)
			}
			if slow = slow[nalLengthSize:]; size > uint64(len(slow)) {
				valid = false
				break
			}
			hasIDR = hasIDR || size > 0 && slow[0]&31 == 5
			nals = append(nals, string(slow[:size]))
			slow = slow[size:]
		}
		empty := len(nals) == 0
		for _, nal := range nals {
			empty = empty || nal == ""
		}
		require.Equal(t, hasIDR, HasIDR(au, nalLengthSize))
		require.Equal(t, valid && !empty, ValidAU(au, nalLengthSize))
		if ValidAU(au, nalLengthSize) {
			require.Equal(t, au, makeAU(nalLengthSize, nals...))
		}

		frames, infinite, ok := X264Keyint(au, nalLengthSize)
		require.Equal(t, ok && !infinite, frames > 0)
		require.True(t, ok || !infinite)
		require.Less(t, frames, x264InfiniteKeyint)
	})
}

func BenchmarkHasIDR(b *testing.B) {
	for _, c := range []struct {
		name string
		au   []byte
	}{
		{"IDR", makeAU(4, "\x09\xf0", "\x67\x42", "\x68\xce", "\x65"+string(make([]byte, 50000)))},
		{"P", makeAU(4, "\x41"+string(make([]byte, 8000)))},
		{"P of 8 slices", makeAU(4, "\x41", "\x41", "\x41", "\x41", "\x41", "\x41", "\x41", "\x41")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				HasIDR(c.au, 4)
			}
		})
	}
}

func BenchmarkValidAU(b *testing.B) {
	au := makeAU(4, "\x09\xf0", "\x67\x42", "\x68\xce", "\x65"+string(make([]byte, 50000)))
	b.ReportAllocs()
	for b.Loop() {
		ValidAU(au, 4)
	}
}
