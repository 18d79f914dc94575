package codec

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// spsFields builds sequence parameter sets. Zero is 640x368, 4:2:0, 8 bit, baseline.
type spsFields struct {
	profile, constraints, level byte
	id                          uint32
	high                        func(w *bitWriter) // replaces the fields of the High profiles
	log2FrameNum                uint32
	poc                         func(w *bitWriter) // replaces pic_order_cnt_type 0
	refs                        uint32
	mbWidth, mapUnits           uint32 // not minus 1
	interlaced                  bool
	crop                        *[4]uint32
	vui                         func(w *bitWriter)
}

func (f spsFields) nal() []byte {
	w := &bitWriter{}
	if f.profile == 0 {
		f.profile = 66
	}
	w.u(8, uint64(f.profile)).u(8, uint64(f.constraints)).u(8, uint64(f.level)).ue(f.id)
	if f.high != nil {
		f.high(w)
	}
	w.ue(f.log2FrameNum)
	if f.poc != nil {
		f.poc(w)
	} else {
		w.ue(0).ue(4)
	}
	w.ue(f.refs).u(1, 0)
	if f.mbWidth == 0 {
		f.mbWidth = 40
	}
	if f.mapUnits == 0 {
		f.mapUnits = 23
	}
	w.ue(f.mbWidth - 1).ue(f.mapUnits - 1)
	if f.interlaced {
		w.u(2, 0)
	} else {
		w.u(1, 1)
	}
	w.u(1, 1) // direct_8x8_inference_flag
	if f.crop != nil {
		w.u(1, 1)
		for _, c := range f.crop {
			w.ue(c)
		}
	} else {
		w.u(1, 0)
	}
	if f.vui != nil {
		w.u(1, 1)
		f.vui(w)
	} else {
		w.u(1, 0)
	}
	w.u(1, 1) // rbsp_stop_one_bit
	return append([]byte{0x67}, escape(w.data)...)
}

// high writes the fields of the High profiles without scaling lists.
func high(format, luma, chroma uint32) func(w *bitWriter) {
	return func(w *bitWriter) {
		w.ue(format)
		if format == 3 {
			w.u(1, 0)
		}
		w.ue(luma).ue(chroma).u(2, 0)
	}
}

// scaling writes the fields of the High profiles with scaling lists, each of the given deltas;
// empty means that the list is not present.
func scaling(format uint32, lists ...[]int32) func(w *bitWriter) {
	return func(w *bitWriter) {
		w.ue(format)
		if format == 3 {
			w.u(1, 0)
		}
		w.ue(0).ue(0).u(1, 0).u(1, 1)
		for _, list := range lists {
			if len(list) == 0 {
				w.u(1, 0)
				continue
			}
			w.u(1, 1)
			for _, delta := range list {
				w.se(delta)
			}
		}
	}
}

// vuiFields writes VUI parameters with everything but the named parts absent.
type vuiFields struct {
	aspect, overscan, colour, chroma, timing, hrd, restriction func(w *bitWriter)
}

func (v vuiFields) write(w *bitWriter) {
	optional := func(f func(w *bitWriter)) {
		if f == nil {
			w.u(1, 0)
			return
		}
		w.u(1, 1)
		f(w)
	}
	optional(v.aspect)
	optional(v.overscan)
	optional(v.colour)
	optional(v.chroma)
	optional(v.timing)
	optional(v.hrd)
	optional(v.hrd)
	if v.hrd != nil {
		w.u(1, 0)
	}
	w.u(1, 0)
	optional(v.restriction)
}

func vuiTiming(units, scale uint64) func(w *bitWriter) {
	return vuiFields{timing: func(w *bitWriter) { w.u(32, units).u(32, scale).u(1, 1) }}.write
}

func vuiAspect(idc, width, height uint64) func(w *bitWriter) {
	return vuiFields{aspect: func(w *bitWriter) {
		if w.u(8, idc); idc == 255 {
			w.u(16, width).u(16, height)
		}
	}}.write
}

func vuiReorder(reorder, buffering uint32) func(w *bitWriter) {
	return vuiFields{restriction: func(w *bitWriter) {
		w.u(1, 1).ue(0).ue(0).ue(11).ue(11).ue(reorder).ue(buffering)
	}}.write
}

func vuiHRD(count uint32) func(w *bitWriter) {
	return vuiFields{
		aspect:   func(w *bitWriter) { w.u(8, 1) },
		overscan: func(w *bitWriter) { w.u(1, 1) },
		colour:   func(w *bitWriter) { w.u(3, 5).u(1, 0).u(1, 1).u(24, 0x010101) },
		chroma:   func(w *bitWriter) { w.ue(5).ue(5) },
		hrd: func(w *bitWriter) {
			w.ue(count).u(8, 0)
			for range count + 1 {
				w.ue(100).ue(math.MaxUint32-1).u(1, 0)
			}
			w.u(20, 0)
		},
		timing:      func(w *bitWriter) { w.u(32, 1).u(32, 50).u(1, 0) },
		restriction: func(w *bitWriter) { w.u(1, 1).ue(0).ue(0).ue(11).ue(11).ue(1).ue(3) },
	}.write
}

func flat(n int) []int32 { return make([]int32, n) }

// spsCases are sequence parameter sets that the encoders here do not make.
var spsCases = []struct {
	name   string
	fields spsFields
	want   error // or
	check  func(t *testing.T, s *sps)
}{
	{name: "plain", check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{640, 368, 40, 23}, []int{s.width, s.height, s.mbWidth, s.mbHeight})
		require.Equal(t, noVUI, s.vui)
		require.Equal(t, -1, s.maxReorder())
		require.True(t, s.frameMbsOnly)
	}},
	{name: "identifier 31", fields: spsFields{id: 31}},
	{name: "identifier 32", fields: spsFields{id: 32}, want: ErrConfig},

	{name: "8192x4320", fields: spsFields{mbWidth: 512, mapUnits: 270}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{8192, 4320}, []int{s.width, s.height})
	}},
	{name: "4320x8192 interlaced", fields: spsFields{mbWidth: 270, mapUnits: 256, interlaced: true}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{4320, 8192}, []int{s.width, s.height})
	}},
	{name: "8208 wide", fields: spsFields{mbWidth: 513, mapUnits: 1}, want: ErrTooLarge},
	{name: "8208 high", fields: spsFields{mbWidth: 1, mapUnits: 513}, want: ErrTooLarge},
	{name: "8224 high interlaced", fields: spsFields{mbWidth: 1, mapUnits: 257, interlaced: true}, want: ErrTooLarge},
	{name: "8192x8192", fields: spsFields{mbWidth: 512, mapUnits: 512}, want: ErrTooLarge},
	{name: "wrapping width", fields: spsFields{mbWidth: math.MaxUint32}, want: ErrTooLarge},
	{name: "wrapping height", fields: spsFields{mapUnits: math.MaxUint32}, want: ErrTooLarge},

	{name: "cropped on all sides", fields: spsFields{crop: &[4]uint32{1, 2, 3, 4}}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{634, 354}, []int{s.width, s.height})
	}},
	{name: "cropped on all sides, interlaced", fields: spsFields{crop: &[4]uint32{1, 2, 3, 4}, interlaced: true}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{634, 736 - 28}, []int{s.width, s.height})
	}},
	{name: "cropped to one column", fields: spsFields{profile: 244, high: high(3, 0, 0), crop: &[4]uint32{0, 639, 0, 0}}, check: func(t *testing.T, s *sps) {
		require.Equal(t, 1, s.width)
	}},
	{name: "cropped monochrome", fields: spsFields{profile: 100, high: high(0, 0, 0), crop: &[4]uint32{0, 1, 0, 1}}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{639, 367}, []int{s.width, s.height})
	}},
	{name: "cropped separate planes", fields: spsFields{profile: 244, crop: &[4]uint32{0, 1, 0, 1},
		high: func(w *bitWriter) { w.ue(3).u(1, 1).ue(0).ue(0).u(2, 0) }}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{639, 367, 3}, []int{s.width, s.height, s.chromaFormat})
	}},
	{name: "cropped away", fields: spsFields{crop: &[4]uint32{160, 160, 0, 0}}, want: ErrConfig},
	{name: "cropped beyond", fields: spsFields{crop: &[4]uint32{0, 0, 0, 8000}}, want: ErrConfig},
	{name: "cropped by wrapping", fields: spsFields{crop: &[4]uint32{math.MaxUint32 - 1, 0, 0, 0}}, want: ErrConfig},

	{name: "14 bit", fields: spsFields{profile: 244, high: high(3, 6, 6)}, check: func(t *testing.T, s *sps) {
		require.Equal(t, 14, s.bitDepth)
	}},
	{name: "15 bit", fields: spsFields{profile: 244, high: high(3, 7, 0)}, want: ErrConfig},
	{name: "chroma of 15 bit", fields: spsFields{profile: 244, high: high(3, 0, 7)}, want: ErrConfig},
	{name: "chroma format 4", fields: spsFields{profile: 100, high: high(4, 0, 0)}, want: ErrConfig},
	{name: "chroma format without end", fields: spsFields{profile: 100, high: func(w *bitWriter) { w.u(64, 0) }}, want: ErrConfig},

	{name: "8 scaling lists", fields: spsFields{profile: 100, high: scaling(1,
		flat(16), nil, flat(16), nil, nil, flat(16), flat(64), nil)}},
	{name: "12 scaling lists", fields: spsFields{profile: 244, high: scaling(3,
		flat(16), nil, nil, nil, nil, nil, flat(64), nil, nil, nil, nil, flat(64))}},
	{name: "scaling list that ends early", fields: spsFields{profile: 100, high: scaling(1,
		[]int32{-8}, nil, nil, nil, nil, nil, []int32{1, 2, 3, -14}, nil)}},
	{name: "scaling delta of 128", fields: spsFields{profile: 100, high: scaling(1, []int32{128})}, want: ErrConfig},
	{name: "scaling delta of -129", fields: spsFields{profile: 100, high: scaling(1, []int32{-129})}, want: ErrConfig},

	{name: "frame numbers of 16 bits", fields: spsFields{log2FrameNum: 12}},
	{name: "frame numbers of 17 bits", fields: spsFields{log2FrameNum: 13}, want: ErrConfig},
	{name: "order count of 17 bits", fields: spsFields{poc: func(w *bitWriter) { w.ue(0).ue(13) }}, want: ErrConfig},
	{name: "order count type 1", fields: spsFields{poc: func(w *bitWriter) {
		w.ue(1).u(1, 0).se(-5).se(math.MaxInt32).ue(255)
		for i := range int32(255) {
			w.se(i - 128)
		}
	}}, check: func(t *testing.T, s *sps) {
		require.Equal(t, []int{640, 368}, []int{s.width, s.height})
		require.Equal(t, -1, s.maxReorder())
	}},
	{name: "order count type 1, cycle of 256", fields: spsFields{poc: func(w *bitWriter) { w.ue(1).u(1, 0).se(0).se(0).ue(256) }}, want: ErrConfig},
	{name: "order count type 2", fields: spsFields{poc: func(w *bitWriter) { w.ue(2) }}, check: func(t *testing.T, s *sps) {
		require.Zero(t, s.maxReorder())
	}},
	{name: "order count type 3", fields: spsFields{poc: func(w *bitWriter) { w.ue(3) }}, want: ErrConfig},
	{name: "16 reference frames", fields: spsFields{refs: 16}},
	{name: "17 reference frames", fields: spsFields{refs: 17}, want: ErrConfig},

	{name: "aspect 2:1", fields: spsFields{vui: vuiAspect(16, 0, 0)}, check: sampleAspect(2, 1)},
	{name: "aspect unspecified", fields: spsFields{vui: vuiAspect(0, 0, 0)}, check: sampleAspect(1, 1)},
	{name: "aspect reserved", fields: spsFields{vui: vuiAspect(17, 0, 0)}, check: sampleAspect(1, 1)},
	{name: "aspect 65535:1", fields: spsFields{vui: vuiAspect(255, 65535, 1)}, check: sampleAspect(65535, 1)},
	{name: "aspect 0:1", fields: spsFields{vui: vuiAspect(255, 0, 1)}, check: sampleAspect(1, 1)},
	{name: "aspect 1:0", fields: spsFields{vui: vuiAspect(255, 1, 0)}, check: sampleAspect(1, 1)},

	{name: "30000/1001", fields: spsFields{vui: vuiTiming(1001, 60000)}, check: frameRate(30000. / 1001)},
	{name: "one picture in 10 s", fields: spsFields{vui: vuiTiming(10, 2)}, check: frameRate(0.1)},
	{name: "no units", fields: spsFields{vui: vuiTiming(0, 60)}, check: frameRate(0)},
	{name: "no scale", fields: spsFields{vui: vuiTiming(1, 0)}, check: frameRate(0)},
	{name: "clock of 90 kHz", fields: spsFields{vui: vuiTiming(1, 90000)}, check: frameRate(0)},
	{name: "slower than all", fields: spsFields{vui: vuiTiming(math.MaxUint32, 1)}, check: frameRate(0)},

	{name: "reorder 2 of 4", fields: spsFields{vui: vuiReorder(2, 4)}, check: reorder(2)},
	{name: "reorder 16 of 16", fields: spsFields{vui: vuiReorder(16, 16)}, check: reorder(16)},
	{name: "reorder 3 of 2", fields: spsFields{vui: vuiReorder(3, 2)}, check: reorder(-1)},
	{name: "reorder 17 of 17", fields: spsFields{vui: vuiReorder(17, 17)}, check: reorder(-1)},
	{name: "intra only", fields: spsFields{profile: 100, constraints: 0x10, high: high(1, 0, 0)}, check: reorder(0)},
	{name: "constraint 3 of another profile", fields: spsFields{profile: 77, constraints: 0x10}, check: reorder(-1)},

	{name: "HRD of 32 buffers", fields: spsFields{vui: vuiHRD(31)}, check: func(t *testing.T, s *sps) {
		require.Equal(t, vui{sarWidth: 1, sarHeight: 1, frameRate: 25, maxReorder: 1}, s.vui)
	}},
	{name: "HRD of 33 buffers", fields: spsFields{vui: vuiHRD(32)}, check: func(t *testing.T, s *sps) {
		require.Equal(t, noVUI, s.vui)
	}},
}

func sampleAspect(width, height int) func(t *testing.T, s *sps) {
	return func(t *testing.T, s *sps) {
		require.Equal(t, []int{width, height}, []int{s.vui.sarWidth, s.vui.sarHeight})
	}
}

func frameRate(want float64) func(t *testing.T, s *sps) {
	return func(t *testing.T, s *sps) {
		require.InDelta(t, want, s.vui.frameRate, 1e-9)
		require.Equal(t, want > 0, s.vui.fixedFrameRate)
	}
}

func reorder(want int) func(t *testing.T, s *sps) {
	return func(t *testing.T, s *sps) { require.Equal(t, want, s.maxReorder()) }
}

func TestParseSPS(t *testing.T) {
	for _, c := range spsCases {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseSPS(c.fields.nal())
			require.ErrorIs(t, err, c.want)
			if c.check != nil {
				c.check(t, s)
			}
		})
	}
}

// TestParseSPSCutVUI: what is cut inside of the VUI costs the hints; in front of it, everything.
func TestParseSPSCutVUI(t *testing.T) {
	nal := spsFields{vui: vuiHRD(0)}.nal()
	needed := len(spsFields{}.nal()) // ends in the bits behind vui_parameters_present_flag
	for n := range nal {
		s, err := parseSPS(slices.Clip(nal[:n]))
		if n < needed {
			require.ErrorIs(t, err, ErrConfig, "%d bytes", n)
			continue
		}
		require.NoError(t, err, "%d bytes", n)
		require.Equal(t, []int{640, 368}, []int{s.width, s.height})
		if s.vui != noVUI {
			require.Equal(t, vui{sarWidth: 1, sarHeight: 1, frameRate: 25, maxReorder: 1}, s.vui, "%d bytes", n)
		}
	}
}
