package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/nareix/joy4/codec/h264parser"
)

// MaxAVCConfigSize is the largest AVCDecoderConfigurationRecord that is read, in bytes.
const MaxAVCConfigSize = 64 << 10

// AVC is the configuration of an H.264 stream. The caller must not write to the slices in it.
type AVC struct {
	// Config is complete: its methods answer from what was read here and may all be called.
	// Its record and parameter sets share one private copy of the bytes that came in.
	Config h264parser.CodecData

	// As the first SPS says, which is what a decoder obeys; senders fill the bytes of the
	// record less carefully.
	Profile, Constraints, Level byte

	Width, Height       int     // displayed luma samples: cropped, before the sample aspect ratio
	SARWidth, SARHeight int     // sample aspect ratio as coded, not reduced; 1:1 when unspecified
	FrameRate           float64 // frames a second by the VUI's clock, 0 unknown
	FixedFrameRate      bool    // the clock above is kept: fixed_frame_rate_flag
	NALLengthSize       int     // bytes of the length before each NAL unit: 1, 2 or 4
	BitDepth            int     // of luma, 8 to 14
	ChromaFormat        int     // 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	Interlaced          bool    // pictures may be fields: frame_mbs_only_flag is 0
	MaxReorder          int     // frames that decoding and output order may differ by, 0 to 16; -1 unknown
}

// ParseAVCConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1.2), the body of
// an RTMP AVC sequence header, with its sequence parameter sets (H.264 7.3.2.1.1). The record is
// copied: the caller may use its buffer again.
//
// Limits: MaxAVCConfigSize; every SPS at most MaxDimension and MaxPixels; one SPS and one PPS at
// least. A record that ends before the fields which the High profiles add is accepted, as many
// senders leave them out, and reserved bits are not looked at.
// Errors wrap ErrConfig, ErrTooLarge or ErrUnsupported.
func ParseAVCConfig(record []byte) (*AVC, error) {
	if len(record) > MaxAVCConfigSize {
		return nil, fmt.Errorf("%w: AVC record of %d bytes", ErrTooLarge, len(record))
	}
	if len(record) < 6 {
		return nil, fmt.Errorf("%w: AVC record of %d bytes", ErrConfig, len(record))
	}
	// 5.3.3.1.1: a reader does not attempt a version that it does not know.
	if record[0] != 1 {
		return nil, fmt.Errorf("%w: AVC record version %d", ErrUnsupported, record[0])
	}
	record = bytes.Clone(record)
	info := h264parser.AVCDecoderConfRecord{
		AVCProfileIndication: record[1],
		ProfileCompatibility: record[2],
		AVCLevelIndication:   record[3],
		LengthSizeMinusOne:   record[4] & 3,
	}
	if info.LengthSizeMinusOne == 2 {
		return nil, fmt.Errorf("%w: NAL unit lengths of 3 bytes", ErrConfig)
	}

	var err error
	rest := record[6:]
	if info.SPS, rest, err = parameterSets(rest, int(record[5]&0x1f)); err != nil {
		return nil, fmt.Errorf("%w in an SPS", err)
	}
	if len(rest) == 0 {
		return nil, fmt.Errorf("%w: AVC record ends before its PPS", ErrConfig)
	}
	if info.PPS, _, err = parameterSets(rest[1:], int(rest[0])); err != nil {
		return nil, fmt.Errorf("%w in a PPS", err)
	}
	if len(info.SPS) == 0 || len(info.PPS) == 0 {
		return nil, fmt.Errorf("%w: AVC record with %d SPS and %d PPS", ErrConfig, len(info.SPS), len(info.PPS))
	}
	for _, nal := range info.PPS {
		if len(nal) < 2 || nal[0]&0x1f != nalPPS {
			return nil, fmt.Errorf("%w: not a PPS", ErrConfig)
		}
	}
	var first *sps
	for _, nal := range info.SPS { // all of them: a slice may activate any
		s, err := parseSPS(nal)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = s
		}
	}
	return newAVC(record, info, first), nil
}

func newAVC(record []byte, info h264parser.AVCDecoderConfRecord, s *sps) *AVC {
	return &AVC{
		Config: h264parser.CodecData{
			Record:     record,
			RecordInfo: info,
			SPSInfo: h264parser.SPSInfo{
				ProfileIdc: uint(s.profile),
				LevelIdc:   uint(s.level),
				MbWidth:    uint(s.mbWidth),
				MbHeight:   uint(s.mbHeight),
				CropLeft:   uint(s.cropLeft),
				CropRight:  uint(s.cropRight),
				CropTop:    uint(s.cropTop),
				CropBottom: uint(s.cropBottom),
				Width:      uint(s.width),
				Height:     uint(s.height),
			},
		},
		Profile:        s.profile,
		Constraints:    s.constraints,
		Level:          s.level,
		Width:          s.width,
		Height:         s.height,
		SARWidth:       s.vui.sarWidth,
		SARHeight:      s.vui.sarHeight,
		FrameRate:      s.vui.frameRate,
		FixedFrameRate: s.vui.fixedFrameRate,
		NALLengthSize:  int(info.LengthSizeMinusOne) + 1,
		BitDepth:       s.bitDepth,
		ChromaFormat:   s.chromaFormat,
		Interlaced:     !s.frameMbsOnly,
		MaxReorder:     s.maxReorder(),
	}
}

// parameterSets splits count NAL units, each behind a length of 16 bits, off b.
func parameterSets(b []byte, count int) (sets [][]byte, rest []byte, err error) {
	for range count {
		if len(b) < 2 {
			return nil, nil, fmt.Errorf("%w: AVC record cut short", ErrConfig)
		}
		size := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if size > len(b) {
			return nil, nil, fmt.Errorf("%w: AVC record cut short", ErrConfig)
		}
		sets = append(sets, b[:size:size])
		b = b[size:]
	}
	return sets, b, nil
}

// CodecString is the name of the codec in MIME types and HLS playlists, such as avc1.64001f:
// RFC 6381 3.3, in the lower case that Apple's HLS examples use.
func (a *AVC) CodecString() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", a.Profile, a.Constraints, a.Level)
}
