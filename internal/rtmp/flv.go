package rtmp

// VideoTag is the parsed header of a video message (FLV E.4.3, E-RTMP "Enhanced
// Video"). Data aliases the message.
type VideoTag struct {
	Kind            TagKind
	Key             bool
	CompositionTime int32 // milliseconds, signed 24 bits on the wire
	Data            []byte
}

// AudioTag is the parsed header of an audio message (FLV E.4.2, E-RTMP "Enhanced
// Audio"). Data aliases the message.
type AudioTag struct {
	Kind TagKind
	Data []byte
}

// TagKind is what a tag carries.
type TagKind uint8

const (
	TagIgnore TagKind = iota // nothing for us: an empty tag, an end of sequence, colour information
	TagConfig                // AVCDecoderConfigurationRecord, AudioSpecificConfig
	TagFrame                 // one access unit
)

const (
	flvKeyFrame  = 1
	flvVideoInfo = 5 // a seek command, no picture
	flvH264      = 7
	flvAAC       = 10
	flvExAudio   = 9
	exVideo      = 0x80
	fourCCAVC    = "avc1"
	fourCCAAC    = "mp4a"
	exSeqStart   = 0
	exFrames     = 1
	exFramesX    = 3
	exMetadata   = 4
	exAudioMulti = 5
	exMultitrack = 6
	exModEx      = 7
	maxModEx     = 8
)

var flvVideoNames = map[byte]string{
	2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2", 12: "HEVC (id 12)", 13: "AV1 (id 13)",
}

var flvAudioNames = map[byte]string{
	0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM little-endian", 4: "Nellymoser 16 kHz", 5: "Nellymoser 8 kHz", 6: "Nellymoser",
	7: "G.711 A-law", 8: "G.711 mu-law", 11: "Speex", 13: "Opus (id 13)", 14: "MP3 8 kHz", 15: "device-specific",
}

// ParseVideo parses a video message. The error is an *UnsupportedCodecError for a
// codec other than H.264.
func ParseVideo(b []byte) (VideoTag, error) {
	if len(b) == 0 {
		return VideoTag{}, nil
	}
	if b[0]&exVideo != 0 {
		return parseExVideo(b)
	}
	frame, codec := b[0]>>4, b[0]&0xf
	if frame == flvVideoInfo {
		return VideoTag{}, nil
	}
	if codec != flvH264 {
		return VideoTag{}, &UnsupportedCodecError{"video", codecName(flvVideoNames, codec)}
	}
	if len(b) < 5 {
		return VideoTag{}, protocolf("video tag of %d bytes", len(b))
	}
	t := VideoTag{Key: frame == flvKeyFrame, CompositionTime: si24(b[2:]), Data: b[5:]}
	switch b[1] {
	case 0:
		t.Kind = TagConfig
	case 1:
		t.Kind = TagFrame
	}
	return t.nonEmpty(), nil
}

func (t VideoTag) nonEmpty() VideoTag {
	if len(t.Data) == 0 {
		t.Kind = TagIgnore
	}
	return t
}

func parseExVideo(b []byte) (VideoTag, error) {
	frame, typ := b[0]>>4&7, b[0]&0xf
	typ, b, err := skipModEx(typ, b[1:])
	if err != nil {
		return VideoTag{}, err
	}
	if frame == flvVideoInfo && typ != exMetadata {
		return VideoTag{}, nil
	}
	if typ == exMultitrack {
		return VideoTag{}, &UnsupportedCodecError{"video", "multitrack"}
	}
	if len(b) < 4 {
		return VideoTag{}, protocolf("enhanced video tag without FourCC")
	}
	fourCC := string(b[:4])
	b = b[4:]
	if fourCC != fourCCAVC {
		return VideoTag{}, &UnsupportedCodecError{"video", printable(fourCC)}
	}
	t := VideoTag{Key: frame == flvKeyFrame, Data: b}
	switch typ {
	case exSeqStart:
		t.Kind = TagConfig
	case exFrames:
		if len(b) < 3 {
			return VideoTag{}, protocolf("enhanced video tag without composition time")
		}
		t.Kind, t.CompositionTime, t.Data = TagFrame, si24(b), b[3:]
	case exFramesX:
		t.Kind = TagFrame
	}
	return t.nonEmpty(), nil
}

// ParseAudio parses an audio message. The error is an *UnsupportedCodecError for
// a codec other than AAC.
func ParseAudio(b []byte) (AudioTag, error) {
	if len(b) == 0 {
		return AudioTag{}, nil
	}
	codec := b[0] >> 4
	if codec == flvExAudio {
		return parseExAudio(b)
	}
	if codec != flvAAC {
		return AudioTag{}, &UnsupportedCodecError{"audio", codecName(flvAudioNames, codec)}
	}
	if len(b) < 2 {
		return AudioTag{}, protocolf("audio tag of %d bytes", len(b))
	}
	t := AudioTag{Data: b[2:]}
	switch b[1] {
	case 0:
		t.Kind = TagConfig
	case 1:
		t.Kind = TagFrame
	}
	return t.nonEmpty(), nil
}

func (t AudioTag) nonEmpty() AudioTag {
	if len(t.Data) == 0 {
		t.Kind = TagIgnore
	}
	return t
}

func parseExAudio(b []byte) (AudioTag, error) {
	typ, b, err := skipModEx(b[0]&0xf, b[1:])
	if err != nil {
		return AudioTag{}, err
	}
	if typ == exAudioMulti {
		return AudioTag{}, &UnsupportedCodecError{"audio", "multitrack"}
	}
	if len(b) < 4 {
		return AudioTag{}, protocolf("enhanced audio tag without FourCC")
	}
	fourCC := string(b[:4])
	if fourCC != fourCCAAC {
		return AudioTag{}, &UnsupportedCodecError{"audio", printable(fourCC)}
	}
	t := AudioTag{Data: b[4:]}
	switch typ {
	case exSeqStart:
		t.Kind = TagConfig
	case exFrames:
		t.Kind = TagFrame
	}
	return t.nonEmpty(), nil
}

// skipModEx skips the modifiers in front of an enhanced tag (E-RTMP, "ModEx"):
// a size, the data, and the next packet type in the low four bits.
func skipModEx(typ byte, b []byte) (byte, []byte, error) {
	for range maxModEx {
		if typ != exModEx {
			return typ, b, nil
		}
		if len(b) < 1 {
			break
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				break
			}
			size = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) < size+1 {
			break
		}
		typ = b[size] & 0xf
		b = b[size+1:]
	}
	return 0, nil, protocolf("enhanced tag with a broken modifier")
}

func si24(b []byte) int32 { return int32(be24(b)<<8) >> 8 }

func codecName(names map[byte]string, id byte) string {
	if n := names[id]; n != "" {
		return n
	}
	return "id " + string("0123456789abcdef"[id&0xf])
}

// printable keeps what a stranger sent out of logs unless it is plain text.
func printable(fourCC string) string {
	for _, c := range []byte(fourCC) {
		if c < 0x20 || c > 0x7e {
			return "of an unreadable FourCC"
		}
	}
	return fourCC
}

// AppendVideoTag appends an H.264 video tag.
func AppendVideoTag(b []byte, t *VideoTag) []byte {
	frame, typ := byte(2), byte(1)
	if t.Key {
		frame = flvKeyFrame
	}
	if t.Kind == TagConfig {
		typ = 0
	}
	c := uint32(t.CompositionTime)
	b = append(b, frame<<4|flvH264, typ, byte(c>>16), byte(c>>8), byte(c))
	return append(b, t.Data...)
}

// AppendAudioTag appends an AAC audio tag. Its sound bits are fixed at 44.1 kHz,
// 16 bit, stereo: for AAC the configuration decides (FLV E.4.2.1).
func AppendAudioTag(b []byte, t *AudioTag) []byte {
	typ := byte(1)
	if t.Kind == TagConfig {
		typ = 0
	}
	return append(append(b, flvAAC<<4|0xf, typ), t.Data...)
}
