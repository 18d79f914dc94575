package ffmpeg

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Sources for ffmpeg command lines, small enough to be encoded in no time. The pictures
// differ from each other, and have a time written on them.
const (
	smallVideo = "-f lavfi -i testsrc2=size=320x180:rate=30 "
	sine       = "-f lavfi -i sine=frequency=440:sample_rate=44100 " // 22 periods are 2205 samples
	fastX264   = "-c:v libx264 -preset superfast -pix_fmt yuv420p -b:v 1M "
	// Without it, the mpegts muxer begins at 1.4 s and moves times.
	asIs = "-muxdelay 0 -muxpreload 0 "
)

var clips sync.Map

// clip is the file that the ffmpeg program makes with args; each is made once.
func clip(t testing.TB, name, args string) []byte {
	t.Helper()
	f, _ := clips.LoadOrStore(name+" "+args, sync.OnceValues(func() ([]byte, error) { return runFFmpeg(args, name) }))
	b, err := f.(func() ([]byte, error))()
	require.NoError(t, err)
	return b
}

// remux is clip with a file as its first input; before stands before it, after behind it.
func remux(t testing.TB, in []byte, before, after, name string) []byte {
	t.Helper()
	b, err := runFFmpeg(before+" -i "+fileOf(t, in)+" "+after, name)
	require.NoError(t, err)
	return b
}

func fileOf(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "media")
	require.NoError(t, os.WriteFile(name, data, 0o644))
	return name
}

// pieces are the segments of about two seconds that ffmpeg's segment muxer makes, cut at
// keyframes; their times go on.
func pieces(t testing.TB, args string) [][]byte {
	t.Helper()
	f, _ := clips.LoadOrStore("pieces "+args, sync.OnceValues(func() ([][]byte, error) {
		dir, err := os.MkdirTemp("", "lpms-pieces")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		cmd := exec.Command("ffmpeg", append(strings.Fields("-nostdin -v error "+args+
			" -f segment -segment_time 1.9 -segment_format mpegts -segment_format_options mpegts_copyts=1"), filepath.Join(dir, "%03d.ts"))...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ffmpeg %s: %w: %s", args, err, text)
		}
		names, err := filepath.Glob(dir + "/*.ts")
		if err != nil {
			return nil, err
		}
		var all [][]byte
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
		return all, nil
	}))
	all, err := f.(func() ([][]byte, error))()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// ladderFile is what the ffprobe program says of a file.
type ladderFile struct {
	Video, Audio *ladderTrack // nil without
	Format       struct{ Tags map[string]string }
	Programs     []struct{ Tags map[string]string }
}

type ladderTrack struct {
	Index     int
	CodecType string `json:"codec_type"`
	Codec     string `json:"codec_name"`
	Profile   string
	PixFmt    string `json:"pix_fmt"`
	SAR       string `json:"sample_aspect_ratio"`
	Range     string `json:"color_range"`
	Field     string `json:"field_order"`
	TimeBase  string `json:"time_base"`
	Rate      string `json:"r_frame_rate"`
	Samples   string `json:"sample_rate"`
	Read      string `json:"nb_read_frames"`
	Width     int
	Height    int
	Channels  int
	Reorder   int `json:"has_b_frames"`

	decoded int // pictures or frames of sound
	packets []ladderUnit
}

// ladderUnit is one packet; the times are of this package's clock, which rounds none.
type ladderUnit struct {
	pts, dts clock
	key      bool
	size     int
}

// inspect reads a file with ffprobe, which must find nothing wrong.
func inspect(t testing.TB, data []byte) *ladderFile {
	t.Helper()
	f, complaints := probeMedia(t, data)
	require.Empty(t, complaints)
	return f
}

// probeMedia is inspect for files of others.
func probeMedia(t testing.TB, data []byte) (f *ladderFile, complaints string) {
	t.Helper()
	key := sha256.Sum256(data)
	if p, known := probedFiles.Load(key); known {
		return p.(probedMedia).file, p.(probedMedia).complaints
	}
	f, complaints = probeFile(t, data)
	probedFiles.Store(key, probedMedia{f, complaints})
	return f, complaints
}

type probedMedia struct {
	file       *ladderFile
	complaints string
}

var probedFiles sync.Map // by the hash: ffprobe costs more than what is tested

func probeFile(t testing.TB, data []byte) (f *ladderFile, complaints string) {
	t.Helper()
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_format", "-show_programs", "-show_streams", "-show_packets", "-i", fileOf(t, data))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var p struct {
		ladderFile
		Streams []*ladderTrack
		Packets []struct {
			Stream int `json:"stream_index"`
			PTS    *int64
			DTS    *int64
			Size   string
			Flags  string
		}
	}
	require.NoError(t, json.Unmarshal(out, &p))
	for _, s := range p.Streams {
		s.decoded, _ = strconv.Atoi(s.Read)
		if s.CodecType == "video" && p.Video == nil {
			p.Video = s
		}
		if s.CodecType == "audio" && p.Audio == nil && s.decoded > 0 {
			p.Audio = s
		}
	}
	for _, q := range p.Packets {
		s := p.Streams[q.Stream]
		u := ladderUnit{pts: noTime, dts: noTime, key: strings.HasPrefix(q.Flags, "K")}
		u.size, _ = strconv.Atoi(q.Size)
		if q.PTS != nil {
			u.pts = s.clock(t, *q.PTS)
		}
		if q.DTS != nil {
			u.dts = s.clock(t, *q.DTS)
		}
		s.packets = append(s.packets, u)
	}
	return &p.ladderFile, stderr.String()
}

func (s *ladderTrack) clock(t testing.TB, ticks int64) clock {
	var num, den int64
	_, err := fmt.Sscanf(s.TimeBase, "%d/%d", &num, &den)
	require.NoError(t, err)
	return clock(mulDiv(ticks, num*int64(clockRate), den))
}

// times are the presentation times in order.
func (s *ladderTrack) times() []clock {
	var all []clock
	for _, p := range s.packets {
		all = append(all, p.pts)
	}
	slices.Sort(all)
	return all
}

// keys are the presentation times of the keyframes, from the first picture on.
func (s *ladderTrack) keys() []clock {
	start := s.times()[0]
	var all []clock
	for _, p := range s.packets {
		if p.key {
			all = append(all, p.pts-start)
		}
	}
	return all
}

// decodedTimes are the times of the pictures, all of which ffprobe can decode.
func decodedTimes(t testing.TB, data []byte) []clock {
	t.Helper()
	f, _ := probeMedia(t, data)
	require.NotNil(t, f.Video)
	require.Equal(t, f.Video.decoded, len(f.Video.packets))
	return f.Video.times()
}

// tick is one of the 90 kHz of transport streams: rounding to them may cost half of one.
const tick = clockRate / 90000

func requireTimes(t testing.TB, want, got []clock) {
	t.Helper()
	require.Equal(t, len(want), len(got), "pictures")
	for i := range want {
		require.True(t, (want[i] - got[i]).within(tick), "picture %d: at %v instead of %v", i, got[i].duration(), want[i].duration())
	}
}

// requireRising asserts what containers want of decoding times.
func requireRising(t testing.TB, s *ladderTrack) {
	t.Helper()
	for i, p := range s.packets {
		require.NotEqual(t, noTime, p.pts)
		require.NotEqual(t, noTime, p.dts)
		require.LessOrEqual(t, p.dts, p.pts, "unit %d", i)
		if i > 0 {
			require.Greater(t, p.dts, s.packets[i-1].dts, "unit %d", i)
		}
	}
}

// requireIDR asserts that a transport stream begins with an IDR picture.
func requireIDR(t testing.TB, ts []byte) {
	t.Helper()
	for _, u := range readPES(t, readTS(t, ts)) {
		if types := nalTypes(u.data); len(types) > 0 && u.pid == 0x100 {
			require.Contains(t, types, 5)
			return
		}
	}
	require.Fail(t, "no picture")
}

var ssimLine = regexp.MustCompile(`SSIM.*All:([0-9.]+)`)

// similarity is the mean SSIM of the pictures of two files, one by one in their order, with
// filters that bring those of want to the size and number of those of got.
func similarity(t testing.TB, got, want []byte, filters string) float64 {
	t.Helper()
	f := inspectSize(t, got)
	graph := fmt.Sprintf("[1:v]%s,scale=%d:%d:flags=bicubic,format=yuv420p,settb=1/1000,setpts=N[b];[0:v]format=yuv420p,settb=1/1000,setpts=N[a];[a][b]ssim",
		filters, f[0], f[1])
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "info", "-i", fileOf(t, got), "-i", fileOf(t, want), "-lavfi", graph, "-fps_mode", "passthrough", "-f", "null", "-")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	m := ssimLine.FindSubmatch(out)
	require.NotNil(t, m, string(out))
	v, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	return v
}

func inspectSize(t testing.TB, data []byte) [2]int {
	t.Helper()
	f, _ := probeMedia(t, data)
	return [2]int{f.Video.Width, f.Video.Height}
}

// aacFrames are the payloads of the AAC frames of a file, as ffmpeg's adts muxer copies them.
func aacFrames(t testing.TB, data []byte) [][]byte {
	t.Helper()
	key := sha256.Sum256(data)
	if known, ok := aacPayloads.Load(key); ok {
		return known.([][]byte)
	}
	b := remux(t, data, "", "-map 0:a:0 -c copy -f adts", "a.aac")
	var frames [][]byte
	for len(b) > 0 {
		require.Greater(t, len(b), 7)
		require.EqualValues(t, 0xff, b[0])
		header, size := 9-2*int(b[1]&1), int(b[3]&3)<<11|int(b[4])<<3|int(b[5])>>5
		frames = append(frames, b[header:size])
		b = b[size:]
	}
	aacPayloads.Store(key, frames)
	return frames
}

var aacPayloads sync.Map // by the hash of the file

// samples decodes the sound of a file to mono; args are more of ffmpeg's.
func samples(t testing.TB, data []byte, args string) []float64 {
	t.Helper()
	b := remux(t, data, "", "-map 0:a:0 -ac 1 "+args+" -c:a pcm_s16le -f s16le", "a.pcm")
	all := make([]float64, len(b)/2)
	for i := range all {
		all[i] = float64(int16(uint16(b[2*i])|uint16(b[2*i+1])<<8)) / 32768
	}
	return all
}

// ladder makes a Ladder that is closed at the end of the test. That nothing of it is left
// then is what TestMain asks.
func ladder(t testing.TB, opts LadderOptions) *Ladder {
	t.Helper()
	l, err := NewLadder(opts)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

// transcode gives the outputs of one segment, all of which must be there.
func transcode(t testing.TB, l *Ladder, data []byte) *LadderResult {
	t.Helper()
	res, err := l.Transcode(t.Context(), Input{Data: data}, nil)
	require.NoError(t, err)
	for i, o := range res.Outputs {
		require.NoError(t, o.Err, "rendition %d", i)
		require.NotEmpty(t, o.Data, "rendition %d", i)
		require.EqualValues(t, len(o.Data), o.Bytes, "rendition %d", i)
	}
	return res
}

// joined transcodes segments one after the other and joins what comes of each rendition.
func joined(t testing.TB, l *Ladder, segments [][]byte) [][]byte {
	t.Helper()
	all := make([][]byte, len(l.rungs))
	for _, s := range segments {
		for i, o := range transcode(t, l, s).Outputs {
			all[i] = append(all[i], o.Data...)
		}
	}
	return all
}

// profile is a small one.
func profile(size string, fps, den uint, format Format) VideoProfile {
	return VideoProfile{Name: size, Bitrate: "600k", Resolution: size, Framerate: fps, FramerateDen: den, Format: format}
}
