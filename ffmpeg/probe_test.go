package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func generate(t testing.TB, name, args string) []byte {
	t.Helper()
	b, err := runFFmpeg(args, name)
	require.NoError(t, err)
	return b
}

func TestProbe(t *testing.T) {
	m := recorded(t)
	flv, err := recordedFLV()
	require.NoError(t, err)
	avcAAC := "-t 4 " + x264 + aac
	for name, c := range map[string]struct {
		data         []byte
		video, audio string
		videoPackets int
	}{
		"TS segment":       {m.segments(t)[0], "h264", "aac", 60},
		"FLV":              {flv, "h264", "aac", 240},
		"FLV audio":        {generate(t, "a.flv", testAudio+"-t 4 "+aac), "", "aac", 0},
		"MP4":              {generate(t, "a.mp4", testVideo+testAudio+avcAAC), "h264", "aac", 120},
		"MP4 faststart":    {generate(t, "a.mp4", testVideo+testAudio+avcAAC+" -movflags +faststart"), "h264", "aac", 120},
		"fragmented MP4":   {generate(t, "a.mp4", testVideo+testAudio+avcAAC+" -movflags +frag_keyframe+empty_moov+default_base_moof"), "h264", "aac", 120},
		"TS of ffmpeg":     {generate(t, "a.ts", testVideo+testAudio+avcAAC), "h264", "aac", 120},
		"TS video":         {m.only(0).segments(t)[1], "h264", "", 60},
		"TS audio":         {m.only(1).segments(t)[1], "", "aac", 0},
		"HEVC":             {generate(t, "a.mp4", testVideo+"-t 2 -c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p"), "hevc", "", 60},
		"VP9 and Opus":     {generate(t, "a.mp4", testVideo+testAudio+"-t 2 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p -c:a libopus"), "vp9", "opus", 60},
		"junk before a TS": {append([]byte("junk"), m.segments(t)[0]...), "h264", "aac", 60},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := Probe(c.data)
			require.NoError(t, err)
			require.NotEmpty(t, info.Format)
			require.Positive(t, info.Duration)
			require.Less(t, info.Duration, 9*time.Second)
			v, a := info.Video(), info.Audio()
			require.Equal(t, c.video != "", v != nil)
			require.Equal(t, c.audio != "", a != nil)
			if v != nil {
				require.Nil(t, v.Audio)
				require.Equal(t, c.video, v.Codec)
				require.Equal(t, c.videoPackets, v.Packets)
				fps := v.Video.FPS
				v.Video.FPS = 0
				require.Equal(t, VideoInfo{Width: 320, Height: 240, PixFormat: PixelFormat{PixelFormatYUV420P}, StartsWithKey: true}, *v.Video)
				require.InDelta(t, 30, fps, 0.2)
			}
			if a != nil {
				require.Nil(t, a.Video)
				require.Equal(t, c.audio, a.Codec)
				require.Positive(t, a.Packets)
				require.Contains(t, []int{1, 2}, a.Audio.Channels)
				require.Contains(t, []int{44100, 48000}, a.Audio.SampleRate)
			}
		})
	}
}

// Times come through exactly, and the first packet's kind is told.
func TestProbeTimes(t *testing.T) {
	m := recorded(t).only(0)
	m = m.shift(time.Hour - m.packets[0].PTS)
	info, err := Probe(m.segments(t)[0])
	require.NoError(t, err)
	require.Equal(t, time.Hour, info.Start)
	require.Equal(t, time.Hour, info.Tracks[0].Start)
	require.InDelta(t, 2, info.Tracks[0].Duration.Seconds(), 0.1)

	m.packets = m.packets[1:]
	info, err = Probe(m.segments(t)[0])
	require.NoError(t, err)
	require.False(t, info.Tracks[0].Video.StartsWithKey)
}

// zeroFrame is a segment whose PMT has video, but which has only sound.
func zeroFrame(t testing.TB) []byte {
	m := recorded(t)
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer mux.Close()
	for _, p := range m.of(1)[:80] {
		require.NoError(t, mux.WritePacket(1, p))
	}
	b, err := mux.Cut()
	require.NoError(t, err)
	return b
}

func TestGetCodecInfoBytes(t *testing.T) {
	m := recorded(t)
	none := PixelFormat{RawValue: PixelFormatNone}
	for name, c := range map[string]struct {
		data   []byte
		status CodecStatus
		want   MediaFormatInfo
	}{
		"both": {generate(t, "a.ts", testVideo+testAudio+"-t 4 "+x264+aac), CodecStatusOk, MediaFormatInfo{
			Format: "mpegts", Acodec: "aac", Vcodec: "h264", PixFormat: PixelFormat{PixelFormatYUV420P}, Width: 320, Height: 240, FPS: 30, DurSecs: 4}},
		"no pictures": {zeroFrame(t), CodecStatusNeedsBypass, MediaFormatInfo{
			Format: "mpegts", Acodec: "aac", Vcodec: "h264", PixFormat: none, DurSecs: 1}},
		"audio": {m.only(1).segments(t)[1], CodecStatusMissing, MediaFormatInfo{
			Format: "mpegts", Acodec: "aac", PixFormat: none, DurSecs: 1}},
		"video": {m.only(0).segments(t)[1], CodecStatusMissing, MediaFormatInfo{
			Format: "mpegts", Vcodec: "h264", PixFormat: PixelFormat{PixelFormatYUV420P}, Width: 320, Height: 240, FPS: 30, DurSecs: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			status, f, err := GetCodecInfoBytes(c.data)
			require.NoError(t, err)
			require.Equal(t, c.status, status)
			require.Equal(t, c.want.Acodec != "", f.AudioBitrate > 0)
			f.AudioBitrate = 0
			require.InDelta(t, c.want.FPS, f.FPS, 0.2)
			f.FPS = c.want.FPS
			if c.want.DurSecs != f.DurSecs { // a frame more or less
				require.InDelta(t, c.want.DurSecs, f.DurSecs, 1)
				f.DurSecs = c.want.DurSecs
			}
			require.Equal(t, c.want, f)
		})
	}
	status, f, err := GetCodecInfoBytes([]byte("nothing of the kind"))
	require.ErrorIs(t, err, ErrFormat)
	require.Equal(t, CodecStatusInternalError, status)
	require.Equal(t, MediaFormatInfo{PixFormat: none}, f)
}

// box makes an MP4 box.
func box(kind string, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(b))), kind...), b...)
}

func TestProbeErrors(t *testing.T) {
	claim := binary.BigEndian.AppendUint32(nil, 100_000_000)
	ftyp := box("ftyp", []byte("isom\x00\x00\x02\x00isom"))
	for name, c := range map[string]struct {
		data []byte
		want error // nil for an *Error
	}{
		"nothing":   {nil, ErrFormat},
		"short":     {[]byte{0x47}, ErrFormat},
		"text":      {bytes.Repeat([]byte("GIF89a text "), 100), ErrFormat},
		"WebM":      {generate(t, "a.webm", testVideo+"-t 1 -c:v libvpx -deadline realtime"), ErrFormat},
		"playlist":  {[]byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"), ErrFormat},
		"empty MP4": {ftyp, nil},
		"stsz":      {append(ftyp, box("moov", box("trak", box("mdia", box("minf", box("stbl", box("stsz", make([]byte, 4), []byte{0, 0, 0, 1}, claim))))))...), nil},
		"trun":      {append(ftyp, box("moof", box("traf", box("trun", make([]byte, 4), claim)))...), nil},
		"cmov":      {append(ftyp, box("moov", box("cmov"))...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := Probe(c.data)
			require.Nil(t, info)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				return
			}
			require.ErrorAs(t, err, new(*Error))
		})
	}
}

// A file cut off at any place, or with damage, gives an answer or an error.
func TestProbeDamaged(t *testing.T) {
	for _, data := range [][]byte{
		recorded(t).segments(t)[0],
		generate(t, "a.mp4", testVideo+testAudio+"-t 1 "+x264+aac+"-movflags +faststart"),
	} {
		for n := 0; n < len(data); n += len(data)/23 + 1 {
			Probe(data[:n])
			broken := bytes.Clone(data)
			for i := n; i < len(broken); i += 997 {
				broken[i] ^= 0x55
			}
			Probe(broken)
		}
	}
}

func TestProbeTooManyPixels(t *testing.T) {
	if testing.Short() {
		t.Skip("encodes a large picture")
	}
	data := generate(t, "a.ts", "-f lavfi -i color=size=8192x4864:rate=1 -frames:v 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p")
	info, err := Probe(data)
	require.NoError(t, err)
	require.Equal(t, PixelFormatNone, info.Video().Video.PixFormat.RawValue)
}

func TestPixelFormatProperties(t *testing.T) {
	for raw, want := range map[int]struct {
		chroma ChromaSubsampling
		depth  ColorDepthBits
	}{
		PixelFormatNV12:        {ChromaSubsampling420, ColorDepth8Bit},
		PixelFormatNV21:        {ChromaSubsampling420, ColorDepth8Bit},
		PixelFormatYUV420P:     {ChromaSubsampling420, ColorDepth8Bit},
		PixelFormatYUV422P:     {ChromaSubsampling422, ColorDepth8Bit},
		PixelFormatYUV444P:     {ChromaSubsampling444, ColorDepth8Bit},
		PixelFormatUYVY422:     {ChromaSubsampling422, ColorDepth8Bit},
		PixelFormatYUYV422:     {ChromaSubsampling422, ColorDepth8Bit},
		PixelFormatYUV420P10BE: {ChromaSubsampling420, ColorDepth10Bit},
		PixelFormatYUV420P10LE: {ChromaSubsampling420, ColorDepth10Bit},
		PixelFormatYUV422P10BE: {ChromaSubsampling422, ColorDepth10Bit},
		PixelFormatYUV422P10LE: {ChromaSubsampling422, ColorDepth10Bit},
		PixelFormatYUV444P10BE: {ChromaSubsampling444, ColorDepth10Bit},
		PixelFormatYUV444P10LE: {ChromaSubsampling444, ColorDepth10Bit},
	} {
		chroma, depth, err := PixelFormat{raw}.Properties()
		require.NoError(t, err)
		require.Equal(t, want.chroma, chroma, raw)
		require.Equal(t, want.depth, depth, raw)
	}
	for _, raw := range []int{PixelFormatNone, -2, 2, 1 << 20, math.MaxInt32} { // 2 is RGB24
		_, _, err := PixelFormat{raw}.Properties()
		require.ErrorIs(t, err, ErrFormat, raw)
	}
}

func TestScaled(t *testing.T) {
	f := MediaFormatInfo{Width: 1280, Height: 720}
	require.Equal(t, 240, f.ScaledHeight(426))
	require.Equal(t, 426, f.ScaledWidth(240))
	require.Equal(t, 2, f.ScaledHeight(1))
	require.Zero(t, f.ScaledHeight(0))
	require.Zero(t, (&MediaFormatInfo{}).ScaledWidth(100))
}

func TestNames(t *testing.T) {
	require.Equal(t, []int{0, 1, 2}, []int{int(FormatNone), int(FormatMPEGTS), int(FormatMP4)})
	require.Equal(t, []int{0, 1, 2, 3}, []int{int(H264), int(H265), int(VP8), int(VP9)})
	require.Equal(t, []int{-1, 0, 1, 2}, []int{int(CodecStatusInternalError), int(CodecStatusOk), int(CodecStatusNeedsBypass), int(CodecStatusMissing)})
	require.Equal(t, FormatMP4, ExtensionFormats[".mp4"])
	require.Equal(t, ".ts", FormatExtensions[FormatNone])
	require.Equal(t, "hevc", H265.String())
	require.Equal(t, "VideoCodec(9)", VideoCodec(9).String())
	require.Equal(t, "Format(9)", Format(9).String())
}

func TestLogLevel(t *testing.T) {
	quietLog()
	before := FfmpegGetLogLevel()
	defer FfmpegSetLogLevel(before)
	InitFFmpeg()
	require.Equal(t, int(FFLogWarning), FfmpegGetLogLevel())
	FfmpegSetLogLevel(int(FFLogFatal))
	quietLog() // a chosen level stays
	require.Equal(t, int(FFLogFatal), FfmpegGetLogLevel())
}

func BenchmarkProbe(b *testing.B) {
	s := recorded(b).segments(b)[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Probe(s); err != nil {
			b.Fatal(err)
		}
	}
}
