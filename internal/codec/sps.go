package codec

import "fmt"

// Limits of the coded picture, before cropping: it is what a decoder allocates.
const (
	MaxDimension = 8192       // luma samples, width and height each
	MaxPixels    = 36_000_000 // luma samples; level 6.2 allows 35,651,584 (H.264 table A-1)
)

// sps is what this package keeps of a sequence parameter set.
type sps struct {
	profile, constraints, level byte

	chromaFormat int // chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	bitDepth     int // of luma

	mbWidth, mbHeight                        int // of the coded frame
	cropLeft, cropRight, cropTop, cropBottom int // in crop units, as coded
	width, height                            int // displayed luma samples
	frameMbsOnly                             bool
	outputInOrder                            bool // decoding order is known to be output order
	vui                                      vui
}

// parseSPS reads a sequence parameter set NAL unit, H.264 7.3.2.1.1, header byte included.
func parseSPS(nal []byte) (*sps, error) {
	if len(nal) == 0 {
		return nil, fmt.Errorf("%w: empty SPS", ErrConfig)
	}
	if t := nal[0] & 0x1f; t != nalSPS {
		return nil, fmt.Errorf("%w: NAL unit of type %d in place of an SPS", ErrConfig, t)
	}
	r := &bitReader{data: unescape(make([]byte, 0, len(nal)), nal[1:])}
	s := &sps{chromaFormat: 1, bitDepth: 8}
	s.profile = byte(r.u(8))
	s.constraints = byte(r.u(8))
	s.level = byte(r.u(8))
	if id := r.ue(); id > 31 { // 7.4.2.1.1, as all ranges below
		return nil, fmt.Errorf("%w: seq_parameter_set_id %d", ErrConfig, id)
	}

	separatePlanes := false
	if hasChromaFormat(s.profile) {
		format := r.ue()
		if format > 3 {
			return nil, fmt.Errorf("%w: chroma_format_idc %d", ErrConfig, format)
		}
		s.chromaFormat = int(format)
		if format == 3 {
			separatePlanes = r.flag()
		}
		luma, chroma := r.ue(), r.ue()
		if luma > 6 || chroma > 6 {
			return nil, fmt.Errorf("%w: bit depth over 14", ErrConfig)
		}
		s.bitDepth = 8 + int(luma)
		r.skip(1)     // qpprime_y_zero_transform_bypass_flag
		if r.flag() { // seq_scaling_matrix_present_flag
			if !skipScalingMatrix(r, s.chromaFormat) {
				return nil, fmt.Errorf("%w: scaling list", ErrConfig)
			}
		}
	}

	if v := r.ue(); v > 12 {
		return nil, fmt.Errorf("%w: log2_max_frame_num_minus4 %d", ErrConfig, v)
	}
	switch pocType := r.ue(); pocType {
	case 0:
		if v := r.ue(); v > 12 {
			return nil, fmt.Errorf("%w: log2_max_pic_order_cnt_lsb_minus4 %d", ErrConfig, v)
		}
	case 1:
		r.skip(1) // delta_pic_order_always_zero_flag
		r.se()    // offset_for_non_ref_pic
		r.se()    // offset_for_top_to_bottom_field
		cycle := r.ue()
		if cycle > 255 {
			return nil, fmt.Errorf("%w: num_ref_frames_in_pic_order_cnt_cycle %d", ErrConfig, cycle)
		}
		for range cycle {
			r.se()
		}
	case 2:
		s.outputInOrder = true // 8.2.1.3
	default:
		return nil, fmt.Errorf("%w: pic_order_cnt_type %d", ErrConfig, pocType)
	}
	if v := r.ue(); v > 16 { // MaxDpbFrames, A.3.1
		return nil, fmt.Errorf("%w: max_num_ref_frames %d", ErrConfig, v)
	}
	r.skip(1) // gaps_in_frame_num_value_allowed_flag

	mbWidth, mapUnits := r.ue(), r.ue() // both minus 1
	s.frameMbsOnly = r.flag()
	if !s.frameMbsOnly {
		r.skip(1) // mb_adaptive_frame_field_flag
	}
	r.skip(1) // direct_8x8_inference_flag
	var crop [4]uint32
	if r.flag() {
		for i := range crop {
			crop[i] = r.ue()
		}
	}
	hasVUI := r.flag()
	if r.bad {
		return nil, fmt.Errorf("%w: SPS cut short", ErrConfig)
	}
	if err := s.setSize(mbWidth, mapUnits, crop, separatePlanes); err != nil {
		return nil, err
	}

	s.vui = noVUI
	if hasVUI {
		// The picture decodes without these hints, and encoders that cut them short exist:
		// hints that cannot be read are unknown, not an error.
		if v, ok := parseVUI(r); ok {
			s.vui = v
		}
	}
	return s, nil
}

// setSize computes and checks the picture size: 7.4.2.1.1, equations 7-13 to 7-22.
func (s *sps) setSize(mbWidthMinus1, mapUnitsMinus1 uint32, crop [4]uint32, separatePlanes bool) error {
	if mbWidthMinus1 >= MaxDimension/16 || mapUnitsMinus1 >= MaxDimension/16 {
		return fmt.Errorf("%w: picture side over %d samples", ErrTooLarge, MaxDimension)
	}
	fieldFactor := 2 // 2 - frame_mbs_only_flag: map units of interlaced video are two rows
	if s.frameMbsOnly {
		fieldFactor = 1
	}
	s.mbWidth = int(mbWidthMinus1) + 1
	s.mbHeight = (int(mapUnitsMinus1) + 1) * fieldFactor
	width, height := s.mbWidth*16, s.mbHeight*16
	if height > MaxDimension || width*height > MaxPixels {
		return fmt.Errorf("%w: picture of %dx%d", ErrTooLarge, width, height)
	}

	unitX, unitY := 1, fieldFactor
	if !separatePlanes {
		switch s.chromaFormat {
		case 1:
			unitX, unitY = 2, 2*fieldFactor
		case 2:
			unitX = 2
		}
	}
	for _, c := range crop {
		if c > MaxDimension {
			return fmt.Errorf("%w: cropping of %d units", ErrConfig, c)
		}
	}
	s.cropLeft, s.cropRight, s.cropTop, s.cropBottom = int(crop[0]), int(crop[1]), int(crop[2]), int(crop[3])
	s.width = width - unitX*(s.cropLeft+s.cropRight)
	s.height = height - unitY*(s.cropTop+s.cropBottom)
	if s.width <= 0 || s.height <= 0 {
		return fmt.Errorf("%w: the whole picture is cropped away", ErrConfig)
	}
	return nil
}

// maxReorder is the number of frames that can precede another in decoding order and follow it
// in output order, -1 when the stream does not tell.
func (s *sps) maxReorder() int {
	if s.vui.maxReorder >= 0 {
		return s.vui.maxReorder
	}
	if s.outputInOrder {
		return 0
	}
	// E.2.1 under max_num_reorder_frames: these profiles are intra only with constraint_set3_flag.
	switch s.profile {
	case 44, 86, 100, 110, 122, 244:
		if s.constraints&0x10 != 0 {
			return 0
		}
	}
	return -1
}

// hasChromaFormat tells the profiles whose SPS carries chroma_format_idc, 7.3.2.1.1.
func hasChromaFormat(profile byte) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	}
	return false
}

// skipScalingMatrix passes over the scaling lists, 7.3.2.1.1.1.
func skipScalingMatrix(r *bitReader, chromaFormat int) bool {
	lists := 8
	if chromaFormat == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				delta := r.se()
				if r.bad || delta < -128 || delta > 127 {
					return false
				}
				next = (last + delta + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
	return true
}
