package stream

import (
	"hash/crc32"
	"strconv"
	"time"
)

// Source is the name of the rendition that the publisher sent. Every presentation has
// it, it decides where segments begin, and the master playlist lists it first.
const Source = "source"

// SegmentFormat is the container of a segment.
type SegmentFormat uint8

// MPEGTS is an MPEG-2 transport stream: the zero value, and the only format so far.
const MPEGTS SegmentFormat = 0

// Segment is one piece of media that can be decoded on its own.
//
// Once appended to an HLSBuffer a segment is immutable, together with the bytes of Data
// and what Info points to: all readers share them and nobody copies them.
type Segment struct {
	// Seq is the media sequence number. Append assigns it when it is 0 in a segment of
	// the source. A segment of another rendition carries the number of the source
	// segment that it was made from.
	Seq uint64
	// Data is the segment as it is sent.
	Data []byte
	// Start is the timestamp of the first frame on the clock of the stream. Duration
	// reaches to the start of the next segment.
	Start, Duration time.Duration
	// ProgramTime is the wall clock at Start. When it is zero, the buffer derives it
	// from the segment before, or from the time of the call.
	ProgramTime time.Time
	// Arrived is when the last of its media came in; the zero time when that is unknown.
	Arrived time.Time
	// Discontinuity says that timestamps or encoding break before this segment. The
	// source decides: Append overwrites it in the segments of other renditions.
	Discontinuity bool
	// Independent says that the segment starts with a keyframe.
	Independent bool
	Format      SegmentFormat
	// Info describes the media for the master playlist; nil when unknown.
	Info *RenditionInfo

	etag string
}

// RenditionInfo says what is in the segments of a rendition. A zero field means unknown
// and is left out of the master playlist.
type RenditionInfo struct {
	Codecs        string // RFC 6381, for example "avc1.64001f,mp4a.40.2"
	Width, Height int    // of the picture
	FrameRate     float64
}

// ETag is a strong HTTP entity tag, with its quotes. It follows from the contents, so
// that servers with the same segment agree. It is empty before Append.
func (s *Segment) ETag() string { return s.etag }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// makeETag has to tell apart what one URL delivers before and after a restart with the
// same sequence numbers; nobody gains by forging it. A checksum that the processor
// computes at memory speed, beside the start and the length, is enough.
func (s *Segment) makeETag() string {
	b := make([]byte, 0, 64)
	b = append(b, '"')
	b = strconv.AppendUint(b, s.Seq, 36)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(s.Start), 36)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(len(s.Data)), 36)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(crc32.Checksum(s.Data, castagnoli)), 36)
	b = append(b, '"')
	return string(b)
}

// MaxName is the longest name that ValidName accepts.
const MaxName = 128

// ValidName reports whether s may name a stream or rendition, that is appear in a path, a
// playlist or a log line as it is: 1 to 128 of the characters A-Z a-z 0-9 _ . - and no dot
// in front.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > MaxName || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
