package codec

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// x264AU is the start of the first access unit of
//
//	ffmpeg -f lavfi -i testsrc=s=16x16:r=25 -pix_fmt yuv420p -frames:v 2 -c:v libx264 -preset ultrafast -f flv x.flv
//	ffprobe -show_packets -show_data x.flv
//
// its SEI unit to the byte, and of the IDR slice behind it the first bytes.
var x264AU = []byte("\x00\x00\x02\x54" +
	"\x06\x05\xff\xff\x50\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xef" +
	"x264 - core 164 r3095 baee400 - H.264/MPEG-4 AVC codec - Copyleft 2003-2022 - http://www.videolan.org/x264.html - " +
	"options: cabac=0 ref=1 deblock=0:0:0 analyse=0:0 me=dia subme=0 psy=1 psy_rd=1.00:0.00 mixed_ref=0 me_range=16 " +
	"chroma_me=1 trellis=0 8x8dct=0 cqm=0 deadzone=21,11 fast_pskip=1 chroma_qp_offset=0 threads=1 lookahead_threads=1 " +
	"sliced_threads=0 nr=0 decimate=1 interlaced=0 bluray_compat=0 constrained_intra=0 bframes=0 weightp=0 " +
	"keyint=250 keyint_min=25 scenecut=0 intra_refresh=0 rc=crf mbtree=0 crf=23.0 qcomp=0.60 qpmin=0 qpmax=69 qpstep=4 " +
	"ip_ratio=1.40 aq=0\x00" + "\x80" +
	"\x00\x00\x00\x08\x65\x88\x84\x3a\x0c\x60\x01\xd0")

// x264Message is one SEI message of x264 with these options, without the NAL unit's header.
func x264Message(options string) string {
	return seiMessage(5, string(x264UUID)+"x264 - core 164 - options: cabac=1 "+options)
}

func seiMessage(kind int, payload string) string {
	number := func(n int) string { return strings.Repeat("\xff", n/255) + string([]byte{byte(n % 255)}) }
	return number(kind) + number(len(payload)) + payload
}

func TestX264Keyint(t *testing.T) {
	const slice = "\x65\x88\x84"
	sei := func(messages ...string) string {
		return "\x06" + string(escape([]byte(strings.Join(messages, "")+"\x80")))
	}
	timing := seiMessage(1, "\x00\x00\x00\x01\x00\x00")
	for _, c := range []struct {
		name     string
		nals     []string
		frames   int
		infinite bool
		ok       bool
	}{
		{"250", []string{sei(x264Message("keyint=250 keyint_min=25 ")), slice}, 250, false, true},
		{"1", []string{sei(x264Message("keyint=1 keyint_min=1 "))}, 1, false, true},
		{"infinite", []string{sei(x264Message("keyint=infinite keyint_min=25 ")), slice}, 0, true, true},
		{"infinite as a number", []string{sei(x264Message("keyint=1073741824 ")), slice}, 0, true, true},
		{"behind other units", []string{"\x09\xf0", "\x67\x42", "\x68\xce", "", sei(timing), sei(x264Message("keyint=48 ")), slice}, 48, false, true},
		{"behind an escaped message of its unit", []string{sei(timing, x264Message("keyint=48 ")), slice}, 48, false, true},
		{"behind a message of a long type and size", []string{sei(seiMessage(600, strings.Repeat("x", 510)), x264Message("keyint=48 ")), slice}, 48, false, true},
		{"last option, with its NUL", []string{sei(x264Message("keyint=48\x00"))}, 48, false, true},

		{"last option, cut", []string{"\x06" + x264Message("keyint=48")}, 0, false, false},
		{"behind the slice", []string{slice, sei(x264Message("keyint=48 "))}, 0, false, false},
		{"behind a P slice", []string{"\x41\x9a", sei(x264Message("keyint=48 "))}, 0, false, false},
		{"no keyint", []string{sei(x264Message("keyint_min=25 xkeyint=12 ")), slice}, 0, false, false},
		{"0", []string{sei(x264Message("keyint=0 "))}, 0, false, false},
		{"-1", []string{sei(x264Message("keyint=-1 "))}, 0, false, false},
		{"too large", []string{sei(x264Message("keyint=2147483648 "))}, 0, false, false},
		{"far too large", []string{sei(x264Message("keyint=99999999999999999999 "))}, 0, false, false},
		{"empty", []string{sei(x264Message("keyint= "))}, 0, false, false},
		{"words", []string{sei(x264Message("keyint=many "))}, 0, false, false},
		{"no options", []string{sei(seiMessage(5, string(x264UUID)+"x264 - core 164 keyint=48 "))}, 0, false, false},
		{"another program", []string{sei(seiMessage(5, string(x264UUID)+"y264 - core 1 options: a=1 keyint=48 "))}, 0, false, false},
		{"another UUID", []string{sei(seiMessage(5, strings.Repeat("u", 16)+"x264 - core 1 options: a=1 keyint=48 "))}, 0, false, false},
		{"another payload type", []string{sei(seiMessage(4, string(x264UUID)+"x264 - core 1 options: a=1 keyint=48 "))}, 0, false, false},
		{"P", []string{"\x41\x9a"}, 0, false, false},
		{"empty SEI", []string{"\x06"}, 0, false, false},
		{"SEI of type bytes", []string{"\x06" + strings.Repeat("\xff", 300)}, 0, false, false},
		{"SEI without a size", []string{"\x06\x05"}, 0, false, false},
		{"nothing", nil, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames, infinite, ok := X264Keyint(makeAU(4, c.nals...), 4)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.infinite, infinite)
			require.Equal(t, c.frames, frames)
		})
	}
}

func TestX264KeyintReal(t *testing.T) {
	require.True(t, ValidAU(x264AU, 4))
	require.True(t, HasIDR(x264AU, 4))
	frames, infinite, ok := X264Keyint(x264AU, 4)
	require.True(t, ok)
	require.False(t, infinite)
	require.Equal(t, 250, frames)

	// A unit that is cut short counts for nothing.
	sei := 4 + 0x254
	for n := range sei {
		_, _, ok := X264Keyint(x264AU[:n], 4)
		require.False(t, ok, "%d bytes", n)
	}

	au := bytes.Replace(x264AU, []byte("keyint=250 "), []byte("keyint=9999"), 1) // runs into the next option
	_, _, ok = X264Keyint(au, 4)
	require.False(t, ok)
}

// TestX264KeyintBounded: nothing behind the first 8 KiB of a unit is looked at.
func TestX264KeyintBounded(t *testing.T) {
	for _, c := range []struct {
		padding int
		ok      bool
	}{{7000, true}, {9000, false}} {
		au := makeAU(4, "\x06"+x264Message(strings.Repeat("x", c.padding)+" keyint=48 "))
		frames, _, ok := X264Keyint(au, 4)
		require.Equal(t, c.ok, ok, "%d bytes", c.padding)
		require.Equal(t, c.ok, frames == 48)
	}
	// What is looked at counts although the unit goes on.
	frames, _, ok := X264Keyint(makeAU(4, "\x06"+x264Message("keyint=48 "+strings.Repeat("x", 1<<20))), 4)
	require.True(t, ok)
	require.Equal(t, 48, frames)
}

func BenchmarkX264Keyint(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		X264Keyint(x264AU, 4)
	}
}
