package testsignal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/segmenter"
	"github.com/livepeer/lpms/stream"
)

// noon is in the middle of a picture: at 30 a second, it begins at .400.
var noon = time.Date(2026, 7, 30, 11, 59, 58, 420_000_000, time.UTC)

func atNoon() time.Time { return noon }

// readAll reads a source to its end.
func readAll(t testing.TB, o Options) (s *Source, packets []stream.Packet) {
	t.Helper()
	s, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	for {
		p, err := s.ReadStreamPacket()
		if errors.Is(err, io.EOF) {
			return s, packets
		}
		require.NoError(t, err)
		packets = append(packets, p)
	}
}

// mux makes one transport stream.
func mux(t testing.TB, packets []stream.Packet) []byte {
	t.Helper()
	h := packets[0].Headers
	avc, err := codec.ParseAVCConfig(h.Video.(interface{ AVCDecoderConfRecordBytes() []byte }).AVCDecoderConfRecordBytes())
	require.NoError(t, err)
	asc := h.Audio.(interface{ MPEG4AudioConfigBytes() []byte }).MPEG4AudioConfigBytes()
	m, err := ffmpeg.NewMuxer(ffmpeg.FormatMPEGTS,
		ffmpeg.Track{Video: &ffmpeg.VideoTrack{Codec: ffmpeg.H264, Extradata: avc.Config.Record, Width: avc.Width, Height: avc.Height}},
		ffmpeg.Track{Audio: &ffmpeg.AudioTrack{Extradata: asc}})
	require.NoError(t, err)
	defer m.Close()
	for _, p := range packets {
		require.NoError(t, m.WritePacket(int(p.Idx), ffmpeg.Packet{DTS: p.Time, PTS: p.PTS(), Key: p.IsKeyFrame, Data: p.Data}))
	}
	b, err := m.Cut()
	require.NoError(t, err)
	return b
}

// run gives data to a tool, which has nothing to complain about, and returns its output.
func run(t testing.TB, data []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, append([]string{"-v", "error"}, args...)...)
	cmd.Stdin = bytes.NewReader(data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Empty(t, stderr.String())
	return out
}

// luma decodes the pictures.
func luma(t testing.TB, ts []byte, w, h int) []*planes {
	t.Helper()
	raw := run(t, ts, "ffmpeg", "-i", "-", "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	var out []*planes
	for p := range slices.Chunk(raw, w*h*3/2) {
		out = append(out, &planes{w: w, h: h, y: p[:w*h]})
	}
	return out
}

// sound decodes the left channel.
func sound(t testing.TB, ts []byte) []float64 {
	t.Helper()
	raw := run(t, ts, "ffmpeg", "-i", "-", "-map", "0:a", "-af", "pan=mono|c0=c0", "-f", "f32le", "-")
	var out []float64
	for b := range slices.Chunk(raw, 4) {
		out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	}
	return out
}

// packet is one of ffprobe's.
type packet struct {
	Type     string `json:"codec_type"`
	PTS      int64  `json:"pts"`
	Duration int64  `json:"duration"`
	Flags    string `json:"flags"`
}

func TestMedia(t *testing.T) {
	for name, c := range map[string]struct {
		o        Options
		pictures int
		keys     []int // the numbers of the keyframes
	}{
		"default":   {Options{Duration: 5 * time.Second}, 150, []int{0, 60, 120}},
		"144p, 25":  {Options{Width: 256, Height: 144, FrameRate: 25, Keyframe: time.Second, SampleRate: 44100, Duration: 3 * time.Second}, 75, []int{0, 25, 50}},
		"4:3, 24":   {Options{Width: 640, Height: 480, FrameRate: 24, Keyframe: 1500 * time.Millisecond, Duration: 3100 * time.Millisecond}, 75, []int{0, 36, 72}},
		"tall, 50":  {Options{Width: 144, Height: 256, FrameRate: 50, Keyframe: 333 * time.Millisecond, Duration: time.Second, Bitrate: 100_000}, 50, []int{0, 17, 34}},
		"only keys": {Options{Width: 160, Height: 90, FrameRate: 1, Keyframe: time.Millisecond, Duration: 3 * time.Second}, 3, []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Unpaced, c.o.Now = true, atNoon
			s, packets := readAll(t, c.o)
			_, err := s.ReadStreamPacket()
			require.ErrorIs(t, err, io.EOF, "it stays at its end")
			o := s.opts
			ts := mux(t, packets)
			run(t, ts, "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")

			var got struct {
				Streams []struct {
					Type   string `json:"codec_type"`
					Codec  string `json:"codec_name"`
					Width  int
					Height int
					Frames string `json:"nb_read_frames"`
					Rate   string `json:"r_frame_rate"`
					Sample string `json:"sample_rate"`
					Ch     int    `json:"channels"`
					B      int    `json:"has_b_frames"`
				}
				Packets []packet
			}
			require.NoError(t, json.Unmarshal(run(t, ts, "ffprobe", "-of", "json", "-count_frames", "-show_streams", "-show_packets", "-"), &got))
			require.Len(t, got.Streams, 2)
			v, a := got.Streams[0], got.Streams[1]
			require.Equal(t, []string{"video", "h264", "audio", "aac"}, []string{v.Type, v.Codec, a.Type, a.Codec})
			require.Equal(t, []int{o.Width, o.Height, 0, 2}, []int{v.Width, v.Height, v.B, a.Ch})
			require.Equal(t, fmt.Sprint(c.pictures), v.Frames)
			require.Equal(t, fmt.Sprint(o.SampleRate), a.Sample)
			if o.FrameRate > 1 {
				require.Equal(t, fmt.Sprintf("%d/1", o.FrameRate), v.Rate)
			}

			var keys []int
			var pictures, frames int64
			for _, p := range got.Packets {
				if p.Type == "audio" {
					require.InDelta(t, float64(frames*1024*90000)/float64(o.SampleRate), p.PTS, 0.51, "no hole in the sound")
					frames++
					continue
				}
				require.InDelta(t, float64(pictures*90000)/float64(o.FrameRate), p.PTS, 0.51)
				if strings.HasPrefix(p.Flags, "K") {
					keys = append(keys, int(pictures))
				}
				pictures++
			}
			require.Equal(t, c.keys, keys)
			require.EqualValues(t, math.Ceil(o.Duration.Seconds()*float64(o.SampleRate)/1024), frames)
		})
	}
}

// What viewers see and hear: the time and the number in each picture, the flash and the beep
// at full seconds.
func TestPictureAndSound(t *testing.T) {
	for name, o := range map[string]Options{
		"720p": {Width: 1280, Height: 720},
		"144p": {Width: 256, Height: 144, Bitrate: 150_000},
		"60":   {Width: 426, Height: 240, FrameRate: 60},
	} {
		t.Run(name, func(t *testing.T) {
			o.Unpaced, o.Now, o.Duration = true, atNoon, 4*time.Second
			s, packets := readAll(t, o)
			ts := mux(t, packets)
			pictures := luma(t, ts, o.Width, o.Height)
			require.Len(t, pictures, 4*s.opts.FrameRate)

			begin := s.line.begin
			require.WithinDuration(t, noon, begin, 20*time.Millisecond)
			var flashes []time.Duration
			lit := false
			for n, p := range pictures {
				at := time.Duration(n) * time.Second / time.Duration(s.opts.FrameRate)
				wall := begin.Add(at + time.Nanosecond) // at is rounded down
				require.Equal(t, wall.Format("15:04:05.000"), read(p, s.card.clock, "00:00:00.000"), "picture %d", n)
				require.Equal(t, fmt.Sprintf("FRAME %07d", n), read(p, s.card.number, "FRAME 0000000"))
				l := s.card.lamps[0]
				was := lit
				lit = p.y[(l.y0+l.y1)/2*p.w+(l.x0+l.x1)/2] > 128
				require.Equal(t, wall.Nanosecond() < int(flash), lit, "picture %d", n)
				if lit && !was {
					flashes = append(flashes, at)
				}
			}
			require.Len(t, flashes, 4)
			heard := beeps(sound(t, ts), s.opts.SampleRate)
			require.Len(t, heard, len(flashes))
			for i, at := range flashes {
				require.Zero(t, begin.Add(at+time.Nanosecond).Nanosecond()/1e6)
				require.InDelta(t, at, heard[i], float64(10*time.Millisecond))
			}
		})
	}
}

// read recognizes the characters of a text in a decoded picture: each is what looks most like it.
func read(p *planes, t *text, like string) string {
	out := []byte(like)
	digits := make(map[rune]mask)
	for r := '0'; r <= '9'; r++ {
		digits[r] = newMask(r, t.unit)
	}
	at := float64(t.x)
	for i, c := range like {
		if c >= '0' && c <= '9' {
			best := math.MaxInt
			for r, m := range digits {
				off := 0
				x := int(math.Round(at))
				for j, a := range m.a {
					want := int(t.paper) + (int(t.ink)-int(t.paper))*int(a)/255
					d := want - int(p.y[(t.y+j/m.w)*p.w+x+j%m.w])
					off += d * d
				}
				if off < best {
					best, out[i] = off, byte(r)
				}
			}
		}
		at += width(c) * t.unit
	}
	return string(out)
}

// beeps finds where 880 Hz begins, in steps of 10 ms, which hold enough periods of both tones.
func beeps(samples []float64, rate int) (out []time.Duration) {
	window := rate / 100
	beeping := false
	for i := 0; i+window <= len(samples); i += window {
		was := beeping
		beep := level(samples[i:i+window], rate, beepHz)
		beeping = beep > float64(window)*beepLevel/4 && beep > level(samples[i:i+window], rate, toneHz)
		if beeping && !was {
			out = append(out, time.Duration(i)*time.Second/time.Duration(rate))
		}
	}
	return out
}

// level is how much there is of a frequency.
func level(samples []float64, rate int, hz float64) float64 {
	var re, im float64
	for i, v := range samples {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im = re+v*cos, im+v*sin
	}
	return math.Hypot(re, im)
}

// The way of a real publisher: through a stream and the segmenter.
func TestSegments(t *testing.T) {
	s, err := New(Options{Width: 320, Height: 180, Duration: 8 * time.Second, Unpaced: true, Now: atNoon})
	require.NoError(t, err)
	defer s.Close()
	codecs, err := s.Streams()
	require.NoError(t, err)
	require.Len(t, codecs, 2)

	v := stream.NewVideoStream("test", stream.RTMP)
	b := stream.NewHLSBuffer()
	sg := segmenter.New(v, b, segmenter.Options{})
	require.NoError(t, v.WriteRTMPToStream(t.Context(), s))
	require.NoError(t, sg.Run(t.Context()))
	segments := b.SegmentsAfter(stream.Source, 0)
	require.Len(t, segments, 4)
	for i, seg := range segments {
		require.Equal(t, 2*time.Second, seg.Duration)
		require.Equal(t, time.Duration(i)*2*time.Second, seg.Start)
		require.True(t, seg.Independent)
		require.False(t, seg.Discontinuity)
		require.WithinDuration(t, noon.Add(-20*time.Millisecond+seg.Start), seg.ProgramTime, time.Millisecond)
		require.Equal(t, 30.0, seg.Info.FrameRate)
	}
	require.Zero(t, sg.Stats().Dropped)
}

func BenchmarkSource(b *testing.B) {
	s, err := New(Options{Unpaced: true})
	require.NoError(b, err)
	defer s.Close()
	for n := 0; b.Loop(); n++ { // a second of media each
		for {
			p, err := s.ReadStreamPacket()
			require.NoError(b, err)
			if p.Time >= time.Duration(n+1)*time.Second {
				break
			}
		}
	}
}
