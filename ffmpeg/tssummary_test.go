package ffmpeg

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSummarizeTS(t *testing.T) {
	sound := " -f lavfi -i sine=sample_rate=48000"
	for _, c := range []struct {
		name, args   string
		fps          int
		video, audio *TSTrack
	}{
		{"pictures and sound", "-f lavfi -i testsrc2=size=320x180:rate=30" + sound + " -t 2 -c:v libx264 -bf 2 -c:a aac", 30,
			&TSTrack{Codec: "h264", Units: 60, Key: true}, &TSTrack{Codec: "aac", Key: true}},
		{"HEVC", "-f lavfi -i testsrc2=size=320x180:rate=10 -t 2 -c:v libx265 -x265-params log-level=none", 10, &TSTrack{Codec: "hevc", Units: 20, Key: true}, nil},
		{"sound", sound + " -t 1 -c:a aac", 0, nil, &TSTrack{Codec: "aac", Key: true}},
		{"others", "-f lavfi -i testsrc2=size=320x180:rate=10" + sound + " -t 1 -c:v mpeg2video -c:a mp2", 10, &TSTrack{Units: 10, Key: true}, &TSTrack{Key: true}},
		{"over the wrap", "-f lavfi -i testsrc2=size=320x180:rate=10 -t 2 -c:v libx264 -output_ts_offset 95442.5", 10, &TSTrack{Codec: "h264", Units: 20, Key: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := clip(t, "summary.ts", c.args+" -pix_fmt yuv420p -shortest")
			s, err := SummarizeTS(data)
			require.NoError(t, err)
			info, err := Probe(data)
			require.NoError(t, err)
			require.Equal(t, c.video != nil, s.Video != nil)
			require.Equal(t, c.audio != nil, s.Audio != nil)
			if s.Video != nil {
				const turn = (1 << 33) * time.Second / 90000
				start := info.Video().Start % turn
				require.InDelta(t, start, s.Video.Start, float64(time.Millisecond))
				length := time.Duration(c.video.Units-1) * time.Second / time.Duration(c.fps)
				require.InDelta(t, (start+length)%turn, s.Video.Last, float64(time.Millisecond))
				s.Video.Start, s.Video.Last = 0, 0
				require.Equal(t, c.video, s.Video)
			}
			if s.Audio != nil {
				require.InDelta(t, info.Audio().Start, s.Audio.Start, float64(time.Millisecond))
				require.Positive(t, s.Audio.Units)
				require.Greater(t, s.Audio.Last, s.Audio.Start)
				s.Audio.Start, s.Audio.Last, s.Audio.Units = 0, 0, 0
				require.Equal(t, c.audio, s.Audio)
			}
		})
	}
}

func TestSummarizeTSRefuses(t *testing.T) {
	good := clip(t, "summary.ts", "-f lavfi -i testsrc2=size=320x180:rate=10 -t 1 -c:v libx264 -pix_fmt yuv420p")
	broken := slices.Clone(good)
	broken[10*tsPacketSize] = 0
	withoutTables := slices.Clone(good)
	for p := withoutTables; len(p) > 0; p = p[tsPacketSize:] {
		if p[1]&0x1f == 0 && p[2] == 0 { // the PAT
			p[1], p[2] = p[1]|0x1f, 0xff
		}
	}
	damaged := slices.Clone(good)
	damaged[10*tsPacketSize+1] |= 0x80
	for name, data := range map[string][]byte{
		"nothing": nil, "a part of a packet": good[:len(good)-1], "no packet": broken, "a damaged packet": damaged,
		"no tables": withoutTables, "another format": make([]byte, 10*tsPacketSize),
	} {
		_, err := SummarizeTS(data)
		require.ErrorIs(t, err, ErrFormat, name)
	}
}

func FuzzSummarizeTS(f *testing.F) {
	f.Add(clip(f, "summary.ts", "-f lavfi -i testsrc2=size=64x64:rate=10 -f lavfi -i sine -t 1 -c:v libx264 -pix_fmt yuv420p -c:a aac"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := SummarizeTS(data)
		if err != nil {
			return
		}
		for _, track := range []*TSTrack{s.Video, s.Audio} {
			if track != nil && (track.Units < 0 || track.Start < 0 || track.Last < 0) {
				t.Fatalf("%+v", track)
			}
		}
	})
}
