package codec

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// bitWriter is the opposite of bitReader: tests build with it what no encoder here makes.
type bitWriter struct {
	data []byte
	n    int // bits
}

func (w *bitWriter) u(n int, v uint64) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.data = append(w.data, 0)
		}
		w.data[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
	return w
}

func (w *bitWriter) ue(v uint32) *bitWriter {
	x := uint64(v) + 1
	size := 0
	for x>>size > 1 {
		size++
	}
	return w.u(size, 0).u(size+1, x)
}

func (w *bitWriter) se(v int32) *bitWriter {
	if v > 0 {
		return w.ue(uint32(2*int64(v) - 1))
	}
	return w.ue(uint32(-2 * int64(v)))
}

// escape is the opposite of unescape.
func escape(rbsp []byte) []byte {
	var out []byte
	zeros := 0
	for _, b := range rbsp {
		if zeros == 2 && b <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

func TestBitReader(t *testing.T) {
	w := (&bitWriter{}).u(1, 1).u(3, 5).u(32, 0xdeadbeef).u(13, 0x1234).ue(0).ue(7).se(-3).se(3).se(0)
	r := &bitReader{data: w.data}
	require.True(t, r.flag())
	require.EqualValues(t, 5, r.u(3))
	require.Equal(t, uint32(0xdeadbeef), r.u(32))
	require.EqualValues(t, 0x1234, r.u(13))
	require.EqualValues(t, 0, r.ue())
	require.EqualValues(t, 7, r.ue())
	require.EqualValues(t, -3, r.se())
	require.EqualValues(t, 3, r.se())
	require.EqualValues(t, 0, r.se())
	require.False(t, r.bad)
	r.align()
	require.Zero(t, r.left())
	r.align()
	require.False(t, r.bad)
	r.skip(0)
	require.False(t, r.bad)

	require.Zero(t, r.u(1))
	require.True(t, r.bad)
}

func TestBitReaderStaysBad(t *testing.T) {
	for name, read := range map[string]func(r *bitReader){
		"u":    func(r *bitReader) { r.u(17) },
		"skip": func(r *bitReader) { r.skip(17) },
		"ue":   func(r *bitReader) { r.skip(8); r.ue() },
	} {
		r := &bitReader{data: []byte{0xff, 0}}
		read(r)
		require.True(t, r.bad, name)
		require.Zero(t, r.u(1), name)
		require.Zero(t, r.ue(), name)
		require.Zero(t, r.se(), name)
	}
}

func TestExpGolombRange(t *testing.T) {
	for _, v := range []uint32{0, 1, 2, 254, 255, 1 << 16, math.MaxUint32 - 1} {
		r := &bitReader{data: (&bitWriter{}).ue(v).data}
		require.Equal(t, v, r.ue())
		require.False(t, r.bad)
	}
	for _, v := range []int32{0, 1, -1, 127, -128, math.MaxInt32, -math.MaxInt32} {
		r := &bitReader{data: (&bitWriter{}).se(v).data}
		require.Equal(t, v, r.se())
		require.False(t, r.bad)
	}
	// 32 leading zeros are more than any code has.
	r := &bitReader{data: (&bitWriter{}).u(32, 0).u(32, math.MaxUint32).u(32, 0).data}
	r.ue()
	require.True(t, r.bad)
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"\x00\x00\x03\x01", "\x00\x00\x01"},
		{"\x00\x00\x03", "\x00\x00"},
		{"\x00\x00\x03\x00\x00\x03\x00", "\x00\x00\x00\x00\x00"},
		{"\x00\x03\x00\x00", "\x00\x03\x00\x00"},
		{"\x00\x00\x00\x03", "\x00\x00\x00"},
	} {
		require.Equal(t, c.want, string(unescape(nil, []byte(c.in))), "%q", c.in)
	}
	rbsp := []byte{0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 4, 0, 0}
	require.Equal(t, rbsp, unescape(nil, escape(rbsp)))
}
