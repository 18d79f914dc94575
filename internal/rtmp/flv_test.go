package rtmp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVideo(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		want  VideoTag
		codec string // of an UnsupportedCodecError
		err   error
	}{
		{name: "empty", in: ""},
		{name: "sequence header", in: "\x17\x00\x00\x00\x00conf", want: VideoTag{Kind: TagConfig, Key: true, Data: []byte("conf")}},
		{name: "keyframe", in: "\x17\x01\x00\x00\x50au", want: VideoTag{Kind: TagFrame, Key: true, CompositionTime: 80, Data: []byte("au")}},
		{name: "inter frame, negative composition time", in: "\x27\x01\xff\xff\xd8au", want: VideoTag{Kind: TagFrame, CompositionTime: -40, Data: []byte("au")}},
		{name: "end of sequence", in: "\x17\x02\x00\x00\x00", want: VideoTag{Key: true, Data: []byte{}}},
		{name: "seek command", in: "\x57\x00", want: VideoTag{}},
		{name: "cut short", in: "\x17\x01", err: ErrProtocol},
		{name: "H.263", in: "\x12abcdef", codec: "Sorenson H.263"},
		{name: "unknown id", in: "\x19abcdef", codec: "id 9"},
		{name: "E-RTMP avc1 sequence start", in: "\x90avc1conf", want: VideoTag{Kind: TagConfig, Key: true, Data: []byte("conf")}},
		{name: "E-RTMP avc1 frames", in: "\x91avc1\x00\x00\x21au", want: VideoTag{Kind: TagFrame, Key: true, CompositionTime: 33, Data: []byte("au")}},
		{name: "E-RTMP avc1 frames without composition time", in: "\xa3avc1au", want: VideoTag{Kind: TagFrame, Data: []byte("au")}},
		{name: "E-RTMP avc1 end", in: "\x92avc1", want: VideoTag{Key: true, Data: []byte{}}},
		{name: "E-RTMP hvc1", in: "\x90hvc1conf", codec: "hvc1"},
		{name: "E-RTMP av01", in: "\x90av01conf", codec: "av01"},
		{name: "E-RTMP vp09", in: "\x90vp09conf", codec: "vp09"},
		{name: "E-RTMP unreadable", in: "\x90\x00\x01\x02\x03conf", codec: "of an unreadable FourCC"},
		{name: "E-RTMP multitrack", in: "\x96\x00hvc1conf", codec: "multitrack"},
		{name: "E-RTMP ModEx before frames", in: "\x97\x02abc\x01avc1\x00\x00\x00au", want: VideoTag{Kind: TagFrame, Key: true, Data: []byte("au")}},
		{name: "E-RTMP ModEx of 16-bit size", in: "\x97\xff\x00\x01ab\x01avc1\x00\x00\x00au", want: VideoTag{Kind: TagFrame, Key: true, Data: []byte("au")}},
		{name: "E-RTMP ModEx cut short", in: "\x97\xf0a", err: ErrProtocol},
		{name: "E-RTMP without FourCC", in: "\x91av", err: ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseVideo([]byte(c.in))
			checkTag(t, "video", c.codec, c.err, err)
			if c.codec == "" && c.err == nil {
				require.Equal(t, c.want, got)
			}
		})
	}
}

func checkTag(t *testing.T, media, codec string, want, got error) {
	t.Helper()
	if codec == "" {
		require.ErrorIs(t, got, want)
		return
	}
	var u *UnsupportedCodecError
	require.ErrorAs(t, got, &u)
	require.Equal(t, UnsupportedCodecError{media, codec}, *u)
	require.Contains(t, u.Error(), codec)
}

func TestParseAudio(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		want  AudioTag
		codec string
		err   error
	}{
		{name: "empty", in: ""},
		{name: "sequence header", in: "\xaf\x00\x11\x90", want: AudioTag{Kind: TagConfig, Data: []byte{0x11, 0x90}}},
		{name: "frame", in: "\xaf\x01aac", want: AudioTag{Kind: TagFrame, Data: []byte("aac")}},
		{name: "empty frame", in: "\xaf\x01", want: AudioTag{Data: []byte{}}},
		{name: "cut short", in: "\xaf", err: ErrProtocol},
		{name: "MP3", in: "\x2fxx", codec: "MP3"},
		{name: "Speex", in: "\xbfxx", codec: "Speex"},
		{name: "E-RTMP mp4a start", in: "\x90mp4a\x11\x90", want: AudioTag{Kind: TagConfig, Data: []byte{0x11, 0x90}}},
		{name: "E-RTMP mp4a frame", in: "\x91mp4aaac", want: AudioTag{Kind: TagFrame, Data: []byte("aac")}},
		{name: "E-RTMP Opus", in: "\x90Opusx", codec: "Opus"},
		{name: "E-RTMP multitrack", in: "\x95\x00mp4a", codec: "multitrack"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseAudio([]byte(c.in))
			checkTag(t, "audio", c.codec, c.err, err)
			if c.codec == "" && c.err == nil {
				require.Equal(t, c.want, got)
			}
		})
	}
}

func TestTagRoundTrip(t *testing.T) {
	for _, v := range []VideoTag{
		{Kind: TagConfig, Key: true, Data: []byte{1}},
		{Kind: TagFrame, Key: true, CompositionTime: 1 << 22, Data: []byte{1, 2}},
		{Kind: TagFrame, CompositionTime: -(1 << 23), Data: []byte{1, 2}},
	} {
		got, err := ParseVideo(AppendVideoTag(nil, &v))
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	for _, a := range []AudioTag{{Kind: TagConfig, Data: []byte{1}}, {Kind: TagFrame, Data: []byte{1, 2}}} {
		got, err := ParseAudio(AppendAudioTag(nil, &a))
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
}

func FuzzFLVTags(f *testing.F) {
	for _, s := range []string{"\x17\x01\x00\x00\x50au", "\x97\x02abc\x01avc1\x00\x00\x00au", "\xaf\x01aac", "\x90mp4a\x11\x90"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := ParseVideo(b); err == nil && v.Kind != TagIgnore {
			if len(v.Data) == 0 || len(v.Data) >= len(b) {
				t.Fatalf("%d bytes of data in %d", len(v.Data), len(b))
			}
		}
		if a, err := ParseAudio(b); err == nil && a.Kind != TagIgnore && len(a.Data) == 0 {
			t.Fatal("frame without data")
		}
	})
}
