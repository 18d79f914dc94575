package transcoder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// tenSeconds makes five segments of 2 s: 640x360 at 30 frames a second, with B-frames and
// sound.
const tenSeconds = "-nostdin -v error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 " +
	"-t 10 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 2 -c:a aac -b:a 64k " +
	"-f segment -segment_time 2 -segment_time_delta 0.02 -segment_format mpegts"

func realSegments(t *testing.T, args string) (out []stream.Segment) {
	dir := t.TempDir()
	text, err := exec.Command("ffmpeg", append(strings.Fields(args), filepath.Join(dir, "%d.ts"))...).CombinedOutput()
	require.NoError(t, err, string(text))
	for n := 0; ; n++ {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(n, ".ts")))
		if err != nil {
			return out
		}
		out = append(out, stream.Segment{Data: data, Duration: 2 * s, Independent: true})
	}
}

// decoded is what ffprobe sees in a segment.
type decoded struct {
	width, height int
	frames        int
	first         time.Duration // of the picture
	key           bool
	sound         int // frames
}

func probe(t *testing.T, data []byte) (d decoded) {
	path := filepath.Join(t.TempDir(), "segment.ts")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_entries",
		"frame=media_type,width,height,pts_time,key_frame", path)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	require.Empty(t, stderr.String())
	var out struct {
		Frames []struct {
			Type   string `json:"media_type"`
			Width  int
			Height int
			Time   string `json:"pts_time"`
			Key    int    `json:"key_frame"`
		}
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &out))
	for _, f := range out.Frames {
		if f.Type == "audio" {
			d.sound++
			continue
		}
		seconds, err := strconv.ParseFloat(f.Time, 64)
		require.NoError(t, err)
		if d.frames == 0 {
			d.first = time.Duration(seconds * float64(s)).Round(time.Microsecond)
			d.key = f.Key == 1
		}
		require.True(t, d.frames == 0 || d.width == f.Width && d.height == f.Height)
		d.width, d.height = f.Width, f.Height
		d.frames++
	}
	return d
}

// checkCounters checks the continuity counters (ISO/IEC 13818-1 2.4.3.3) of a segment that
// follows others.
func checkCounters(t *testing.T, counters map[int]byte, b []byte) {
	require.Zero(t, len(b)%188)
	for ; len(b) > 0; b = b[188:] {
		pid, payload, cc := int(b[1]&0x1f)<<8|int(b[2]), b[3]&0x10 != 0, b[3]&0x0f
		if last, seen := counters[pid]; seen && payload {
			require.Equal(t, (last+1)&15, cc, "PID %d", pid)
		}
		counters[pid] = cc
	}
}

// Real segments through the real ladder, read by a program that is not ours.
func TestRealLadder(t *testing.T) {
	sizes := map[string][2]int{"middle": {426, 240}, "small": {256, 144}, "slow": {160, 90}}
	ladder := []ffmpeg.Rendition{
		{Profile: ffmpeg.VideoProfile{Name: "middle", Resolution: "426x240", Bitrate: "500k"}},
		{Profile: ffmpeg.VideoProfile{Name: "small", Resolution: "256x144", Bitrate: "200k", Profile: ffmpeg.ProfileH264Baseline}},
		{Profile: ffmpeg.VideoProfile{Name: "slow", Resolution: "160x90", Bitrate: "50k", Framerate: 15}, Audio: ffmpeg.ComponentOptions{Name: "drop"}},
	}
	for _, perSegment := range []bool{false, true} {
		t.Run(fmt.Sprint("perSegment=", perSegment), func(t *testing.T) {
			buf := newBuffer()
			tr, err := New(buf, Options{
				Stream: "real", Engine: NewLocal(LocalOptions{PerSegment: perSegment}), Renditions: ladder,
				MaxLag:  time.Minute, // a slow machine is no reason to fail
				OnEvent: func(e Event) { t.Log(e) },
			})
			require.NoError(t, err)
			result := make(chan error, 1)
			go func() { result <- tr.Run(t.Context()) }()
			var sources []decoded
			for _, seg := range realSegments(t, tenSeconds) {
				sources = append(sources, probe(t, seg.Data))
				seg.Start = sources[len(sources)-1].first
				_, err := buf.Append(stream.Source, seg)
				require.NoError(t, err)
			}
			buf.End()
			require.NoError(t, <-result)
			require.Len(t, sources, 5)
			for name, size := range sizes {
				rate := 30
				if name == "slow" {
					rate = 15
				}
				segs := buf.SegmentsAfter(name, 0)
				require.Len(t, segs, 5, name)
				frames := 0
				counters := map[int]byte{}
				for i, seg := range segs {
					checkCounters(t, counters, seg.Data)
					d := probe(t, seg.Data)
					require.Equal(t, size, [2]int{d.width, d.height}, "%s %d", name, i)
					require.Equal(t, sources[i].first, d.first, "%s %d", name, i)
					require.True(t, d.key)
					frames += d.frames
					if rate == 30 {
						require.Equal(t, sources[i].frames, d.frames, "%s %d", name, i)
						require.Equal(t, sources[i].sound, d.sound, "%s %d", name, i)
					} else {
						require.Zero(t, d.sound)
					}
					require.Equal(t, size, [2]int{seg.Info.Width, seg.Info.Height})
					require.InDelta(t, rate, seg.Info.FrameRate, 0.1)
					require.Contains(t, seg.Info.Codecs, "avc1.")
				}
				require.Equal(t, 10*rate, frames, name)
				source, _ := playlist(t, buf, stream.Source)
				list, ended := playlist(t, buf, name)
				require.True(t, ended)
				for i := range list {
					require.Equal(t, source[i], list[i])
				}
			}
		})
	}
}

// A session whose stream has left segments out goes on exactly where the source is.
func TestRealGap(t *testing.T) {
	session, err := NewLocal(LocalOptions{}).Open("real", []ffmpeg.Rendition{
		{Profile: ffmpeg.VideoProfile{Name: "small", Resolution: "256x144", Bitrate: "200k"}},
	})
	require.NoError(t, err)
	defer session.Close()
	for i, seg := range realSegments(t, tenSeconds) {
		if i == 2 {
			continue
		}
		seg.Seq = uint64(firstSeq + i)
		want := probe(t, seg.Data)
		want.width, want.height = 256, 144
		var got ffmpeg.Output
		require.NoError(t, session.Transcode(t.Context(), Input{Segment: &seg}, func(_ int, out ffmpeg.Output) { got = out }))
		require.NoError(t, got.Err)
		require.Equal(t, want, probe(t, got.Data), "segment %d", i)
	}
}
