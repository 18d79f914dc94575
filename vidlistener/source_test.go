package vidlistener

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// Configurations made with: ffmpeg -f lavfi -i testsrc2=size=320x180 -c:v libx264
// -profile:v baseline (and 640x360 for the second), and AAC LC of 48 and 44.1 kHz.
var (
	avc180 = []byte{1, 66, 192, 13, 255, 225, 0, 24, 103, 66, 192, 13, 217, 1, 65, 150, 255, 0, 128, 0, 100, 16, 0, 0, 3, 0, 16, 0, 0, 3, 3, 200, 1, 0, 4, 104, 206, 60, 128}
	aac48  = []byte{0x11, 0x90}
	aac44  = []byte{0x12, 0x10}
)

// script is a publisher that says what it is told.
type script struct {
	messages []rtmp.Message
	end      error
	closed   bool
}

func (s *script) ReadMedia() (rtmp.Message, error) {
	if len(s.messages) == 0 {
		return rtmp.Message{}, s.end
	}
	m := s.messages[0]
	s.messages = s.messages[1:]
	return m, nil
}

func (s *script) Interrupt() { s.closed = true }

func videoMessage(ts uint32, kind rtmp.TagKind, key bool, ct int32, data []byte) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: ts,
		Payload: rtmp.AppendVideoTag(nil, &rtmp.VideoTag{Kind: kind, Key: key, CompositionTime: ct, Data: data})}
}

func audioMessage(ts uint32, kind rtmp.TagKind, data []byte) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, Timestamp: ts, Payload: rtmp.AppendAudioTag(nil, &rtmp.AudioTag{Kind: kind, Data: data})}
}

func metadataMessage(values ...any) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: rtmp.AppendAMF0(nil, values...)}
}

var (
	idr   = []byte{0, 0, 0, 2, 0x65, 0x88}
	inter = []byte{0, 0, 0, 2, 0x41, 0x9a}
)

// read reads everything that a publisher gives, with a clock that moves a second for
// each message unless it is frozen.
func read(t *testing.T, end error, messages ...rtmp.Message) ([]stream.Packet, *Source, error) {
	s := newSource(&script{messages: messages, end: end}, 64<<10)
	now := time.Unix(1000, 0)
	s.now = func() time.Time { now = now.Add(time.Second); return now }
	return drain(s)
}

func drain(s *Source) (out []stream.Packet, _ *Source, err error) {
	for {
		p, err := s.ReadStreamPacket()
		if err != nil {
			return out, s, err
		}
		out = append(out, p)
	}
}

func TestSource(t *testing.T) {
	packets, src, err := read(t, rtmp.ErrUnpublished,
		metadataMessage("@setDataFrame", "onMetaData", rtmp.ECMAArray{{Name: "width", Value: 320.0}}),
		videoMessage(0, rtmp.TagFrame, true, 0, idr), // before its configuration: nobody can decode it
		videoMessage(0, rtmp.TagConfig, true, 0, avc180),
		audioMessage(0, rtmp.TagConfig, aac48),
		videoMessage(0, rtmp.TagFrame, true, 80, idr),
		audioMessage(3, rtmp.TagFrame, []byte{1, 2}),
		videoMessage(0, rtmp.TagConfig, true, 0, avc180), // repeated
		videoMessage(40, rtmp.TagFrame, false, -40, inter),
	)
	require.Equal(t, io.EOF, err)
	require.True(t, src.CleanEnd())
	require.Len(t, packets, 3)
	require.Same(t, packets[0].Headers, packets[2].Headers, "a repeated header changes nothing")
	h := packets[0].Headers
	require.Equal(t, avc180, h.Video.(h264parser.CodecData).Record)
	require.Equal(t, aac48, h.Audio.(aacparser.CodecData).ConfigBytes)
	require.Equal(t, rtmp.AppendAMF0(nil, "onMetaData", rtmp.ECMAArray{{Name: "width", Value: 320.0}}), h.Metadata)
	require.True(t, packets[0].IsKeyFrame)
	require.Equal(t, 80*time.Millisecond, packets[0].CompositionTime)
	require.Equal(t, idr, packets[0].Data)
	require.True(t, packets[1].Audio)
	require.Equal(t, int8(1), packets[1].Idx)
	require.False(t, packets[2].IsKeyFrame)
	require.Zero(t, packets[2].CompositionTime, "a presentation before decoding is impossible")
}

func TestSourceEnds(t *testing.T) {
	lost := errors.New("connection reset")
	_, src, err := read(t, lost)
	require.ErrorIs(t, err, lost)
	require.False(t, src.CleanEnd())
	require.NoError(t, src.Close())
	require.True(t, src.conn.(*script).closed)
}

func TestSourceHeaderChange(t *testing.T) {
	packets, _, _ := read(t, io.EOF,
		audioMessage(0, rtmp.TagConfig, aac48),
		audioMessage(0, rtmp.TagFrame, []byte{1}),
		audioMessage(0, rtmp.TagConfig, aac44),
		audioMessage(21, rtmp.TagFrame, []byte{1}),
	)
	require.Len(t, packets, 2)
	require.Equal(t, aac48, packets[0].Headers.Audio.(aacparser.CodecData).ConfigBytes)
	require.Equal(t, aac44, packets[1].Headers.Audio.(aacparser.CodecData).ConfigBytes)
}

func TestSourceRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		m    rtmp.Message
		want string
	}{
		"HEVC":                     {rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x90hvc1x")}, "hvc1 is not supported"},
		"MP3":                      {rtmp.Message{Type: rtmp.TypeAudio, Payload: []byte{0x2f, 1}}, "MP3 is not supported"},
		"a broken AVC config":      {videoMessage(0, rtmp.TagConfig, true, 0, avc180[:9]), "video configuration"},
		"a broken AAC config":      {audioMessage(0, rtmp.TagConfig, []byte{0xff}), "audio configuration"},
		"a video tag of two bytes": {rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte{0x17, 1}}, "video tag"},
	} {
		_, src, err := read(t, io.EOF, c.m)
		require.ErrorContains(t, err, c.want, name)
		require.False(t, src.CleanEnd())
	}
}

// More than one change a second is not an encoder.
func TestSourceHeadersChangeTooOften(t *testing.T) {
	var ms []rtmp.Message
	for range 5 {
		ms = append(ms, audioMessage(0, rtmp.TagConfig, aac48), audioMessage(0, rtmp.TagConfig, aac44))
	}
	s := newSource(&script{messages: ms, end: io.EOF}, 64<<10)
	s.now = func() time.Time { return time.Unix(1000, 0) }
	_, _, err := drain(s)
	require.ErrorIs(t, err, ErrTooManyChanges)
	_, _, err = read(t, io.EOF, ms...)
	require.Equal(t, io.EOF, err, "once a second is allowed")
}

func TestSourceMetadataIsBounded(t *testing.T) {
	big := make([]byte, 70<<10)
	packets, _, _ := read(t, io.EOF,
		metadataMessage("onMetaData", rtmp.Object{{Name: "x", Value: string(big)}}),
		metadataMessage("onMetaData", "not an object"),
		metadataMessage("onCuePoint", rtmp.Object{}),
		rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: []byte{0xff}},
		audioMessage(0, rtmp.TagConfig, aac48),
		audioMessage(0, rtmp.TagFrame, []byte{1}),
	)
	require.Len(t, packets, 1)
	require.Nil(t, packets[0].Headers.Metadata)
}

// The av.DemuxCloser face reads ahead without a loss.
func TestSourceAsDemuxer(t *testing.T) {
	s := newSource(&script{end: io.EOF, messages: []rtmp.Message{
		audioMessage(0, rtmp.TagConfig, aac48),
		audioMessage(0, rtmp.TagFrame, []byte{1}),
		audioMessage(21, rtmp.TagFrame, []byte{2}),
	}}, 64<<10)
	streams, err := s.Streams()
	require.NoError(t, err)
	require.Len(t, streams, 1)
	for i := range byte(2) {
		p, err := s.ReadPacket()
		require.NoError(t, err)
		require.Equal(t, []byte{i + 1}, p.Data)
	}
	_, err = s.ReadPacket()
	require.Equal(t, io.EOF, err)
}
