package codec

// Frame rates outside of these are taken for a clock, not for a rate.
const (
	maxFrameRate = 300      // H.264 A.3.1 and A.3.2: fR is 1/172, from level 5.2 on 1/300
	minFrameRate = 1.0 / 60 // a picture a minute
)

// vui is what this package keeps of the video usability information.
type vui struct {
	sarWidth, sarHeight int     // 1:1 when unspecified
	frameRate           float64 // frames a second, 0 unknown
	fixedFrameRate      bool
	maxReorder          int // -1 unknown
}

var noVUI = vui{sarWidth: 1, sarHeight: 1, maxReorder: -1}

// sampleAspects is table E-1, by aspect_ratio_idc.
var sampleAspects = [...][2]int{
	1: {1, 1}, 2: {12, 11}, 3: {10, 11}, 4: {16, 11}, 5: {40, 33}, 6: {24, 11},
	7: {20, 11}, 8: {32, 11}, 9: {80, 33}, 10: {18, 11}, 11: {15, 11}, 12: {64, 33},
	13: {160, 99}, 14: {4, 3}, 15: {3, 2}, 16: {2, 1},
}

const extendedSAR = 255

// parseVUI reads vui_parameters, H.264 E.1.1; not ok when they run past the end.
func parseVUI(r *bitReader) (v vui, ok bool) {
	v = noVUI
	if r.flag() { // aspect_ratio_info_present_flag
		var w, h int
		switch idc := int(r.u(8)); {
		case idc == extendedSAR:
			w, h = int(r.u(16)), int(r.u(16))
		case idc < len(sampleAspects):
			w, h = sampleAspects[idc][0], sampleAspects[idc][1]
		}
		if w > 0 && h > 0 { // else unspecified, E.2.1
			v.sarWidth, v.sarHeight = w, h
		}
	}
	if r.flag() { // overscan_info_present_flag
		r.skip(1)
	}
	if r.flag() { // video_signal_type_present_flag
		r.skip(3 + 1)
		if r.flag() { // colour_description_present_flag
			r.skip(8 + 8 + 8)
		}
	}
	if r.flag() { // chroma_loc_info_present_flag
		r.ue()
		r.ue()
	}
	if r.flag() { // timing_info_present_flag
		units, scale := r.u(32), r.u(32)
		fixed := r.flag()
		if units > 0 && scale > 0 {
			// A tick is a field: two make a frame, E.2.1 under num_units_in_tick.
			rate := float64(scale) / (2 * float64(units))
			if rate >= minFrameRate && rate <= maxFrameRate {
				v.frameRate, v.fixedFrameRate = rate, fixed
			}
		}
	}
	nalHRD := r.flag()
	if nalHRD {
		skipHRD(r)
	}
	vclHRD := r.flag()
	if vclHRD {
		skipHRD(r)
	}
	if nalHRD || vclHRD {
		r.skip(1) // low_delay_hrd_flag
	}
	r.skip(1)     // pic_struct_present_flag
	if r.flag() { // bitstream_restriction_flag
		r.skip(1) // motion_vectors_over_pic_boundaries_flag
		r.ue()    // max_bytes_per_pic_denom
		r.ue()    // max_bits_per_mb_denom
		r.ue()    // log2_max_mv_length_horizontal
		r.ue()    // log2_max_mv_length_vertical
		reorder, buffering := r.ue(), r.ue()
		if reorder <= buffering && buffering <= 16 { // E.2.1; otherwise not to be believed
			v.maxReorder = int(reorder)
		}
	}
	return v, !r.bad
}

// skipHRD passes over hrd_parameters, E.1.2.
func skipHRD(r *bitReader) {
	count := r.ue() // cpb_cnt_minus1
	if count > 31 {
		r.bad = true
		return
	}
	r.skip(4 + 4)
	for range count + 1 {
		r.ue() // bit_rate_value_minus1
		r.ue() // cpb_size_value_minus1
		r.skip(1)
	}
	r.skip(5 + 5 + 5 + 5)
}
