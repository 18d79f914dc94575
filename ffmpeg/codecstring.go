package ffmpeg

// #include <libavcodec/avcodec.h>
// #include <libavutil/pixdesc.h>
import "C"

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// codecInfo is what the name of a codec in a playlist is made from. What the profile, level
// and depth are is unknown when they are not above zero.
type codecInfo struct {
	codec          string // libavcodec's name
	profile, level int    // as the codec's standard numbers them
	depth          int    // bits of a colour component
	width, height  int
	extradata      []byte
}

func (p *params) codecName() string { return C.GoString(C.avcodec_get_name(p.c.codec_id)) }

func (p *params) codecInfo() codecInfo {
	info := codecInfo{
		codec:   p.codecName(),
		profile: int(p.c.profile), level: int(p.c.level),
		width: int(p.c.width), height: int(p.c.height),
		extradata: p.extradata(),
	}
	if d := C.av_pix_fmt_desc_get(int32(p.c.format)); p.c.codec_type == C.AVMEDIA_TYPE_VIDEO && d != nil {
		info.depth = int(d.comp[0].depth)
	}
	return info
}

// codecString names the codec of a track as HLS playlists and MIME types do: RFC 6381 and
// what the codecs' own standards say. The first access unit that is a key has the
// parameters of streams that carry them in-band; it may be nil. The name is empty when it
// cannot be told.
func codecString(p *params, firstKey []byte) string { return p.codecInfo().string(firstKey) }

func (c codecInfo) string(first []byte) string {
	switch c.codec {
	case "h264":
		return c.avc(first)
	case "hevc":
		return c.hevc(first)
	case "vp9":
		return c.vp9(first)
	case "av1":
		return c.av1(first)
	case "aac":
		return c.aac(first)
	case "mp3":
		return "mp4a.40.34"
	case "ac3":
		return "ac-3"
	case "eac3":
		return "ec-3"
	case "opus":
		return "opus"
	}
	return ""
}

// sps is the first SPS of the stream, without its emulation prevention; nil without one.
func (c codecInfo) sps(s nalSyntax, first []byte) []byte {
	size, sets := s.configRecord(c.extradata)
	if size == 0 {
		if sets = s.parameterSets(first); sets == nil {
			sets = c.extradata
		}
	}
	nals, _ := s.head(sets)
	for _, nal := range nals {
		if s.role(nal[0]) == nalSPS {
			return bytes.ReplaceAll(nal, []byte{0, 0, 3}, []byte{0, 0})
		}
	}
	return nil
}

// avc: the three bytes after the header of the SPS, RFC 6381 3.3.
func (c codecInfo) avc(first []byte) string {
	sps := c.sps(avcNAL, first)
	if len(sps) < 4 {
		return ""
	}
	return fmt.Sprintf("avc1.%02x%02x%02x", sps[1], sps[2], sps[3])
}

// hevc: ISO/IEC 14496-15 annex E.3, from the profile_tier_level of the SPS (ITU-T H.265
// 7.3.3), which comes after a header of two bytes and one byte of numbers.
func (c codecInfo) hevc(first []byte) string {
	sps := c.sps(hevcNAL, first)
	if len(sps) < 15 {
		return ""
	}
	ptl := sps[3:15]
	name := "hvc1."
	if space := ptl[0] >> 6; space > 0 {
		name += string('A' + rune(space) - 1)
	}
	tier := "L"
	if ptl[0]&0x20 != 0 {
		tier = "H"
	}
	name += fmt.Sprintf("%d.%X.%s%d", ptl[0]&0x1f, bits.Reverse32(binary.BigEndian.Uint32(ptl[1:])), tier, ptl[11])
	for _, b := range bytes.TrimRight(ptl[5:11], "\x00") {
		name += fmt.Sprintf(".%X", b)
	}
	return name
}

// vp9: "VP Codec ISO Media File Format Binding" 1.0.
func (c codecInfo) vp9(first []byte) string {
	profile, depth := c.profile, c.depth
	if h, ok := readVP9(first); ok {
		profile, depth = h.profile, h.depth
	}
	if profile < 0 || profile > 3 {
		return ""
	}
	if depth < 8 || depth > 12 {
		depth = 8
	}
	level := c.level
	if level <= 0 {
		level = vp9Level(c.width, c.height)
	}
	return fmt.Sprintf("vp09.%02d.%02d.%02d", profile, level, depth)
}

// vp9Header is what a VP9 keyframe says of its pictures.
type vp9Header struct {
	profile, depth int
	subX, subY     int // chroma subsampling
	rgb            bool
}

// readVP9 reads the start of a keyframe: VP9 bitstream specification 6.2.
func readVP9(b []byte) (h vp9Header, ok bool) {
	r := bitReader{data: b}
	if r.read(2) != 2 {
		return h, false
	}
	h.profile = r.read(1) | r.read(1)<<1
	if h.profile == 3 {
		r.read(1)
	}
	existing, inter := r.read(1), r.read(1)
	r.read(2)
	if sync := r.read(24); existing != 0 || inter != 0 || sync != 0x498342 {
		return h, false
	}
	h.depth, h.subX, h.subY = 8, 1, 1
	if h.profile >= 2 {
		h.depth = 10 + 2*r.read(1)
	}
	odd := h.profile&1 == 1
	switch h.rgb = r.read(3) == 7; {
	case h.rgb:
		h.subX, h.subY = 0, 0
	default:
		r.read(1) // range
		if odd {
			h.subX, h.subY = r.read(1), r.read(1)
		}
	}
	return h, !r.bad
}

// pixelFormat is libavutil's number for the pictures, below zero when it has none.
func (h vp9Header) pixelFormat() int {
	if h.rgb {
		return C.AV_PIX_FMT_NONE
	}
	formats := map[[2]int][3]int{
		{1, 1}: {C.AV_PIX_FMT_YUV420P, C.AV_PIX_FMT_YUV420P10LE, C.AV_PIX_FMT_YUV420P12LE},
		{1, 0}: {C.AV_PIX_FMT_YUV422P, C.AV_PIX_FMT_YUV422P10LE, C.AV_PIX_FMT_YUV422P12LE},
		{0, 1}: {C.AV_PIX_FMT_YUV440P, C.AV_PIX_FMT_YUV440P10LE, C.AV_PIX_FMT_YUV440P12LE},
		{0, 0}: {C.AV_PIX_FMT_YUV444P, C.AV_PIX_FMT_YUV444P10LE, C.AV_PIX_FMT_YUV444P12LE},
	}
	return formats[[2]int{h.subX, h.subY}][h.depth/2-4]
}

// vp9Level is the lowest level for a size of picture, at 30 pictures per second (VP9
// bitstream specification annex A).
func vp9Level(width, height int) int {
	pixels := min(max(width, 0), 1<<16) * min(max(height, 0), 1<<16)
	for _, l := range []struct{ rate, level int }{
		{829440, 10}, {2764800, 11}, {4608000, 20}, {9216000, 21}, {20736000, 30}, {36864000, 31},
		{83558400, 40}, {160432128, 41}, {311951360, 50}, {588251136, 51}, {1176502272, 52},
		{2353004544, 60},
	} {
		if pixels*30 <= l.rate {
			return l.level
		}
	}
	return 61
}

// av1: AV1 ISOBMFF binding, section 5, from the av1C box or the sequence header.
func (c codecInfo) av1(first []byte) string {
	if e := c.extradata; len(e) >= 4 && e[0] == 0x81 {
		return av1String(int(e[1]>>5), int(e[1]&0x1f), e[2]&0x80 != 0, av1Depth(e[2]&0x40 != 0, e[2]&0x20 != 0))
	}
	header := av1SequenceHeader(first)
	if header == nil {
		header = av1SequenceHeader(c.extradata)
	}
	if s, ok := readAV1Sequence(header); ok {
		return av1String(s.profile, s.level, s.high, s.depth)
	}
	if c.profile >= 0 && c.level >= 0 && c.depth > 0 {
		return av1String(c.profile, c.level, false, c.depth)
	}
	return ""
}

func av1Depth(high, twelve bool) int {
	switch {
	case high && twelve:
		return 12
	case high:
		return 10
	}
	return 8
}

func av1String(profile, level int, high bool, depth int) string {
	tier := "M"
	if high {
		tier = "H"
	}
	return fmt.Sprintf("av01.%d.%02d%s.%02d", profile, level, tier, depth)
}

// av1SequenceHeader gives the first OBU of that kind with its header (AV1 bitstream
// specification 5.3), nil without one.
func av1SequenceHeader(b []byte) []byte {
	const sequenceHeader = 1
	for len(b) >= 2 {
		head := 1
		if b[0]&4 != 0 { // extension
			head++
		}
		size := len(b) - head
		if b[0]&2 != 0 { // has a size
			n, length := binary.Uvarint(b[head:]) // leb128
			if length <= 0 || n > uint64(len(b)-head-length) {
				return nil
			}
			head += length
			size = int(n)
		}
		if size < 0 {
			return nil
		}
		if b[0]>>3&0xf == sequenceHeader {
			return b[:head+size]
		}
		b = b[head+size:]
	}
	return nil
}

type av1Sequence struct {
	profile, level, depth int
	high                  bool
}

// readAV1Sequence reads a sequence header OBU as far as the depth: AV1 bitstream
// specification 5.5.
func readAV1Sequence(obu []byte) (s av1Sequence, ok bool) {
	if len(obu) < 2 {
		return s, false
	}
	head := 1 + int(obu[0]>>2&1)
	if obu[0]&2 != 0 {
		_, n := binary.Uvarint(obu[min(head, len(obu)):])
		if n <= 0 {
			return s, false
		}
		head += n
	}
	r := &bitReader{data: obu[min(head, len(obu)):]}
	s.profile = r.read(3)
	r.read(1) // still_picture
	reduced := r.read(1) == 1
	if reduced {
		s.level = r.read(5)
	} else {
		s.readOperatingPoints(r)
	}
	width, height := r.read(4)+1, r.read(4)+1
	r.read(width)
	r.read(height)
	if !reduced && r.read(1) == 1 { // frame ids
		r.read(7)
	}
	r.read(3) // superblocks, filter_intra, intra_edge_filter
	if !reduced {
		r.read(4) // interintra, masked, warped, dual filter
		order := r.read(1) == 1
		if order {
			r.read(2) // jnt_comp, ref_frame_mvs
		}
		screen := 2
		if r.read(1) == 0 {
			screen = r.read(1)
		}
		if screen > 0 && r.read(1) == 0 {
			r.read(1) // force_integer_mv
		}
		if order {
			r.read(3)
		}
	}
	r.read(3) // superres, cdef, restoration
	high := r.read(1) == 1
	s.depth = av1Depth(high, s.profile == 2 && high && r.read(1) == 1)
	return s, !r.bad
}

func (s *av1Sequence) readOperatingPoints(r *bitReader) {
	decoderModel, delayBits := false, 0
	if r.read(1) == 1 { // timing_info
		r.read(32)
		r.read(32)
		if r.read(1) == 1 {
			r.ue()
		}
		if decoderModel = r.read(1) == 1; decoderModel {
			delayBits = r.read(5) + 1
			r.read(32)
			r.read(10)
		}
	}
	displayDelay := r.read(1) == 1
	for i := range r.read(5) + 1 {
		r.read(12)
		level, high := r.read(5), false
		if level > 7 {
			high = r.read(1) == 1
		}
		if i == 0 {
			s.level, s.high = level, high
		}
		if decoderModel && r.read(1) == 1 {
			r.read(delayBits)
			r.read(delayBits)
			r.read(1)
		}
		if displayDelay && r.read(1) == 1 {
			r.read(4)
		}
	}
}

// aac: the object type that the configuration says, RFC 6381 3.3.
func (c codecInfo) aac(first []byte) string {
	object := 2
	if a, _, _, ok := readADTS(first); ok {
		object = a.object
	} else if r := (bitReader{data: c.extradata}); len(c.extradata) >= 2 {
		object = r.audioObject()
	} else if c.profile >= 0 {
		object = c.profile + 1
	}
	return fmt.Sprintf("mp4a.40.%d", object)
}
