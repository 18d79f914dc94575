package ffmpeg

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// smallOutput is a rendition that costs little, with the pictures of the source and without sound.
var smallOutput = TranscodeOptions{
	Profile:      VideoProfile{Name: "small", Bitrate: "100k", Resolution: "128x96"},
	AudioEncoder: ComponentOptions{Name: "drop"},
}

func atRate(p TranscodeOptions, fps, den uint) TranscodeOptions {
	p.Profile.Framerate, p.Profile.FramerateDen = fps, den
	return p
}

func outputTo(p TranscodeOptions, path string) TranscodeOptions {
	p.Oname = path
	return p
}

// madeFile is the path of a file that the ffmpeg program made.
func madeFile(t testing.TB, args, name string) string {
	t.Helper()
	b, err := runFFmpeg(args, name)
	require.NoError(t, err)
	return mediaFile(t, b, name)
}

func mediaFile(t testing.TB, b []byte, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func testPattern(rate string, seconds float64) string {
	return fmt.Sprintf("-f lavfi -i testsrc2=size=128x96:rate=%s -t %g -c:v libx264 -preset ultrafast -pix_fmt yuv420p ", rate, seconds)
}

// namesIn lists what is in a folder.
func namesIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// videoTimes are the sorted presentation times of the first video track.
func videoTimes(t testing.TB, path string) []clock {
	t.Helper()
	r := takeApart(t, readPath(t, path))
	i := slices.IndexFunc(r.tracks, func(p *params) bool { return p.codecInfo().width > 0 || p.codecName() == "h264" })
	require.GreaterOrEqual(t, i, 0)
	var times []clock
	for _, u := range r.of(i) {
		times = append(times, u.pts)
	}
	slices.Sort(times)
	return times
}

func readPath(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func TestTranscode3FrameCounts(t *testing.T) {
	vfr := madeFile(t, "-f lavfi -i testsrc2=size=128x96:rate=30 -t 2 -vf select='not(eq(mod(n,5),1))' -fps_mode passthrough -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "vfr.ts")
	for _, c := range []struct {
		name      string
		in        string
		fps, den  uint
		from, out int
	}{
		{"30 to 30", madeFile(t, testPattern("30", 2), "in.ts"), 30, 1, 60, 60},
		{"60 to 30", madeFile(t, testPattern("60", 2), "in.ts"), 30, 1, 120, 60},
		{"24 to 30", madeFile(t, testPattern("24", 2), "in.ts"), 30, 1, 48, 60},
		{"25 to 30000/1001", madeFile(t, testPattern("25", 2), "in.ts"), 30000, 1001, 50, 60},
		{"30000/1001 to 25", madeFile(t, testPattern("30000/1001", 2.002), "in.ts"), 25, 1, 60, 50},
		{"30 to 1", madeFile(t, testPattern("30", 2), "in.ts"), 1, 0, 60, 2},
		{"30 to 1, half a second", madeFile(t, testPattern("30", 0.5), "in.ts"), 1, 1, 15, 1},
		{"as the source", madeFile(t, testPattern("24", 2), "in.ts"), 0, 0, 48, 48},
		{"as a source with a variable rate", vfr, 0, 0, 48, 48},
		{"one picture", madeFile(t, testPattern("30", 0.02), "in.ts"), 0, 0, 1, 1},
		{"one picture of 30 at 60", madeFile(t, testPattern("30", 0.02), "in.ts"), 60, 1, 1, 2},
		{"one picture of 60 at 30", madeFile(t, testPattern("60", 0.01), "in.ts"), 30, 1, 1, 1},
		{"three pictures", madeFile(t, testPattern("30", 0.09), "in.ts"), 30, 1, 3, 3},
		{"FLV", madeFile(t, testPattern("30", 1), "in.flv"), 30, 1, 30, 30},
		{"MP4", madeFile(t, testPattern("30", 1), "in.mp4"), 30, 1, 30, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.ts")
			res, err := Transcode3(&TranscodeOptionsIn{Fname: c.in}, []TranscodeOptions{outputTo(atRate(smallOutput, c.fps, c.den), out)})
			require.NoError(t, err)
			require.Equal(t, MediaInfo{Frames: c.from, Pixels: int64(c.from) * 128 * 96}, res.Decoded)
			require.Equal(t, []MediaInfo{{Frames: c.out, Pixels: int64(c.out) * 128 * 96}}, res.Encoded)
			require.Equal(t, strconv.Itoa(c.out), readFile(t, readPath(t, out)).Streams[0].Frames)
			if c.fps == 0 {
				require.Equal(t, videoTimes(t, c.in), videoTimes(t, out), "every picture at its own time")
			}
		})
	}
}

func TestTranscode3Clip(t *testing.T) {
	in := madeFile(t, testPattern("30", 4), "in.ts")
	dir := t.TempDir()
	clip := func(name string, from, until time.Duration) TranscodeOptions {
		p := outputTo(smallOutput, filepath.Join(dir, name+".ts"))
		p.From, p.To = from, until
		return p
	}
	ps := []TranscodeOptions{clip("all", 0, 0), clip("middle", time.Second, 3*time.Second), clip("rest", 3*time.Second, 0),
		atRate(clip("begin", 0, 500*time.Millisecond), 10, 1)}
	res, err := Transcode3(&TranscodeOptionsIn{Fname: in}, ps)
	require.NoError(t, err)
	start := videoTimes(t, in)[0]
	for i, want := range []struct {
		frames int
		from   time.Duration
	}{{120, 0}, {60, time.Second}, {30, 3 * time.Second}, {5, 0}} {
		require.Equal(t, want.frames, res.Encoded[i].Frames, ps[i].Oname)
		times := videoTimes(t, ps[i].Oname)
		require.Len(t, times, want.frames)
		require.Equal(t, start+toClock(want.from), times[0])
	}
	p := clip("nothing", 5*time.Second, 0)
	_, err = Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{p})
	require.ErrorIs(t, err, ErrTranscoderVid)
	require.NoFileExists(t, p.Oname)
}

func TestTranscode3CopyAndDrop(t *testing.T) {
	in := mediaFile(t, recorded(t).segments(t)[0], "in.ts")
	src := takeApart(t, readPath(t, in))
	dir := t.TempDir()
	option := func(name, video, audio string) TranscodeOptions {
		return TranscodeOptions{Oname: filepath.Join(dir, name), Profile: smallOutput.Profile,
			VideoEncoder: ComponentOptions{Name: video}, AudioEncoder: ComponentOptions{Name: audio}}
	}
	ps := []TranscodeOptions{
		option("copy.ts", "copy", "copy"), option("copy.mp4", "copy", ""), option("sound.ts", "drop", "copy"),
		option("silent.ts", "copy", "drop"), option("encoded.ts", "", ""), option("aac.mp4", "", "aac"),
	}
	res, err := Transcode3(&TranscodeOptionsIn{Fname: in}, ps)
	require.NoError(t, err)
	require.Equal(t, 60, res.Decoded.Frames)
	for i, frames := range []int{0, 0, 0, 0, 60, 60} {
		require.Equal(t, frames, res.Encoded[i].Frames, ps[i].Oname)
	}
	for i, codecs := range [][]string{{"h264", "aac"}, {"h264", "aac"}, {"aac"}, {"h264"}, {"h264", "aac"}, {"h264", "aac"}} {
		got := readFile(t, readPath(t, ps[i].Oname))
		require.Len(t, got.Streams, len(codecs), ps[i].Oname)
		for j, codec := range codecs {
			require.Equal(t, codec, got.Streams[j].CodecName, ps[i].Oname)
		}
	}
	copied := takeApart(t, readPath(t, ps[0].Oname))
	for track := range src.tracks {
		want, got := src.of(track), copied.of(track)
		require.Equal(t, len(want), len(got), "units of track %d", track)
		for i := range want {
			require.True(t, slices.Equal(want[i].data, got[i].data), "unit %d of track %d", i, track)
			require.InDelta(t, want[i].pts.seconds(), got[i].pts.seconds(), 0.001)
		}
	}
	// The published names for the same, without a profile.
	out := filepath.Join(dir, "transmuxed.mp4")
	res, err = Transcode3(&TranscodeOptionsIn{Fname: in, Transmuxing: true}, []TranscodeOptions{{Oname: out, VideoEncoder: ComponentOptions{Name: "libx264"}}})
	require.NoError(t, err)
	require.Equal(t, &TranscodeResults{Encoded: []MediaInfo{{}}}, res)
	require.Len(t, readFile(t, readPath(t, out)).Streams, 2)
}

func TestTranscode3Formats(t *testing.T) {
	in := madeFile(t, testPattern("30", 0.2), "in.ts")
	dir := t.TempDir()
	mp4, ts := []byte("ftyp"), []byte{0x47}
	for i, c := range []struct {
		name, muxer string
		format      Format
		want        []byte
	}{
		{"a", "", FormatNone, ts},
		{"a.xyz", "", FormatNone, ts},
		{"a.ts", "", FormatNone, ts},
		{"a.MP4", "", FormatNone, mp4},
		{"a.mp4", "mpegts", FormatNone, ts},
		{"a.ts", "mp4", FormatNone, mp4},
		{"a.ts", "", FormatMP4, mp4},
		{"a.mp4", "", FormatMPEGTS, ts},
		{"a.mp4", "mp4", FormatMP4, mp4},
	} {
		p := outputTo(smallOutput, filepath.Join(dir, strconv.Itoa(i)+c.name))
		p.Muxer.Name, p.Profile.Format = c.muxer, c.format
		_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{p})
		require.NoError(t, err)
		require.Contains(t, string(readPath(t, p.Oname)[:8]), string(c.want), "%+v", c)
	}
	p := outputTo(smallOutput, filepath.Join(dir, "b.ts"))
	p.Profile.Format, p.Muxer.Name = FormatMP4, "mpegts"
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{p})
	require.ErrorIs(t, err, ErrFormat)
	p.Profile.Format, p.Muxer.Name = FormatNone, "matroska"
	_, err = Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{p})
	require.ErrorIs(t, err, ErrFormat)
}

func TestTranscode3Options(t *testing.T) {
	in := madeFile(t, testPattern("30", 1), "in.ts")
	dir := t.TempDir()
	titled := outputTo(smallOutput, filepath.Join(dir, "titled.mp4"))
	titled.Metadata = map[string]string{"title": "a title"}
	named := outputTo(smallOutput, filepath.Join(dir, "named.ts"))
	named.Metadata = map[string]string{"service_name": "a service"}
	muxed := outputTo(smallOutput, filepath.Join(dir, "muxed.ts"))
	muxed.Muxer.Opts = map[string]string{"mpegts_start_pid": "0x321"}
	best, worst := outputTo(smallOutput, filepath.Join(dir, "best.ts")), outputTo(smallOutput, filepath.Join(dir, "worst.ts"))
	best.Profile.Quality, worst.Profile.Quality = 10, 50
	best.Profile.Bitrate, worst.Profile.Bitrate = "5M", "5M"
	intra := outputTo(smallOutput, filepath.Join(dir, "intra.ts"))
	intra.Profile.GOP = GOPIntraOnly
	tuned := outputTo(smallOutput, filepath.Join(dir, "tuned.ts"))
	tuned.VideoEncoder = ComponentOptions{Name: "libx264", Opts: map[string]string{"g": "10", "sc_threshold": "0"}}
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{titled, named, muxed, best, worst, intra, tuned})
	require.NoError(t, err)
	require.Equal(t, "a title", readFile(t, readPath(t, titled.Oname)).Format.Tags["title"])
	require.Equal(t, "a service", readFile(t, readPath(t, named.Oname)).Programs[0].Tags["service_name"])
	require.Greater(t, len(readPath(t, best.Oname)), 3*len(readPath(t, worst.Oname)))
	for name, keys := range map[string]int{intra.Oname: 30, tuned.Oname: 3} {
		n := 0
		for _, p := range readFile(t, readPath(t, name)).Packets {
			if strings.HasPrefix(p.Flags, "K") {
				n++
			}
		}
		require.Equal(t, keys, n, name)
	}
	pids := map[int]bool{}
	for _, p := range readTS(t, readPath(t, muxed.Oname)) {
		pids[p.pid] = true
	}
	require.True(t, pids[0x321], "the option of the muxer: %v", pids)
	wrong := outputTo(smallOutput, filepath.Join(dir, "wrong.ts"))
	wrong.VideoEncoder = ComponentOptions{Name: "libx264", Opts: map[string]string{"no-such-option": "1"}}
	_, err = Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{wrong})
	require.ErrorContains(t, err, "no-such-option")
	require.False(t, Retryable(err))
}

// A call that fails says why and leaves nothing behind.
func TestTranscode3Refuses(t *testing.T) {
	in := madeFile(t, testPattern("30", 0.2), "in.ts")
	dir := t.TempDir()
	out := filepath.Join(dir, "out.ts")
	link := filepath.Join(t.TempDir(), "link.ts")
	require.NoError(t, os.Symlink(in, link))
	type input = TranscodeOptionsIn
	with := func(change func(*TranscodeOptions)) []TranscodeOptions {
		p := outputTo(smallOutput, out)
		change(&p)
		return []TranscodeOptions{p}
	}
	same := func(*TranscodeOptions) {}
	for _, c := range []struct {
		name string
		in   *input
		ps   []TranscodeOptions
		want error
	}{
		{"no input", nil, with(same), ErrTranscoderOptions},
		{"no name", &input{}, with(same), ErrTranscoderOptions},
		{"a missing file", &input{Fname: filepath.Join(dir, "missing.ts")}, with(same), fs.ErrNotExist},
		{"a folder", &input{Fname: dir}, with(same), nil},
		{"no outputs", &input{Fname: in}, nil, ErrTranscoderOptions},
		{"eleven outputs", &input{Fname: in}, make([]TranscodeOptions, 11), ErrTranscoderOptions},
		{"no output's name", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname = "" }), ErrTranscoderOptions},
		{"a missing folder", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname = filepath.Join(dir, "missing", "a.ts") }), fs.ErrNotExist},
		{"output is a folder", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname = dir }), ErrTranscoderOptions},
		{"output is the input", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname = filepath.Dir(in) + "/./in.ts" }), ErrTranscoderOptions},
		{"output is a link to the input", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname = link }), ErrTranscoderOptions},
		{"two outputs of one name", &input{Fname: in}, append(with(same), with(func(p *TranscodeOptions) { p.Oname = dir + "/../" + filepath.Base(dir) + "/out.ts" })...), ErrTranscoderOptions},
		{"a signature of a pipe", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Oname, p.CalcSign = "pipe:1", true }), ErrTranscoderOptions},
		{"no resolution", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Profile.Resolution = "" }), ErrTranscoderRes},
		{"a profile", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Profile.Quality = 64 }), ErrProfile},
		{"a codec that TS has not", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Profile.Encoder = VP8 }), ErrFormat},
		{"an encoder", &input{Fname: in}, with(func(p *TranscodeOptions) { p.VideoEncoder.Name = "no-such-encoder" }), ErrFormat},
		{"an audio encoder", &input{Fname: in}, with(func(p *TranscodeOptions) { p.AudioEncoder.Name = "opus" }), ErrFormat},
		{"a demuxer", &input{Fname: in, Demuxer: ComponentOptions{Name: "image2"}}, with(same), ErrFormat},
		{"options of a demuxer", &input{Fname: in, Demuxer: ComponentOptions{Opts: map[string]string{"a": "b"}}}, with(same), ErrFormat},
		{"From after To", &input{Fname: in}, with(func(p *TranscodeOptions) { p.From, p.To = 2, 1 }), ErrTranscoderOptions},
		{"AMD in", &input{Fname: in, Accel: Amd}, with(same), ErrTranscoderHw},
		{"AMD out", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Accel = Amd }), ErrTranscoderHw},
		{"Netint out", &input{Fname: in}, with(func(p *TranscodeOptions) { p.Accel = Netint }), ErrTranscoderHw},
		{"a device", &input{Fname: in, Accel: Nvidia, Device: "0"}, with(func(p *TranscodeOptions) { p.Accel, p.Device = Nvidia, "1" }), ErrTranscoderHw},
		{"no media", &input{Fname: mediaFile(t, []byte("hello"), "a.ts")}, with(same), nil},
		{"an empty file", &input{Fname: mediaFile(t, nil, "a.ts")}, with(same), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := Transcode3(c.in, c.ps)
			require.Error(t, err)
			require.Nil(t, res)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, namesIn(t, dir))
			tr := NewTranscoder()
			defer tr.StopTranscoder()
			_, again := tr.Transcode(c.in, c.ps)
			require.EqualError(t, again, err.Error())
			require.Empty(t, namesIn(t, dir))
		})
	}
	require.NotEmpty(t, readPath(t, in), "the input is as it was")
}

// One failing output fails the call, and the others are not left behind either.
func TestTranscode3OneFails(t *testing.T) {
	in := madeFile(t, testPattern("30", 0.2), "in.ts")
	dir := t.TempDir()
	bad := outputTo(smallOutput, filepath.Join(dir, "bad.ts"))
	bad.AudioEncoder.Name, bad.VideoEncoder.Name = "copy", "drop" // there is no sound
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{outputTo(smallOutput, filepath.Join(dir, "good.ts")), bad})
	require.ErrorContains(t, err, "output 1")
	require.ErrorContains(t, err, bad.Oname)
	require.Empty(t, namesIn(t, dir))
}

func TestTranscode3ReplacesFiles(t *testing.T) {
	in := madeFile(t, testPattern("30", 0.2), "in.ts")
	out := mediaFile(t, []byte("what was here before"), "out.ts")
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{outputTo(smallOutput, out), outputTo(smallOutput, os.DevNull)})
	require.NoError(t, err)
	require.Len(t, videoTimes(t, out), 6)
	info, err := os.Stat(out)
	require.NoError(t, err)
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	require.Equal(t, fs.FileMode(0o666&^mask), info.Mode())
	require.Equal(t, []string{"out.ts"}, namesIn(t, filepath.Dir(out)))
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
}

func TestTranscode3Pipes(t *testing.T) {
	in, err := os.Open(madeFile(t, testPattern("30", 0.2), "in.ts"))
	require.NoError(t, err)
	defer in.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	var got []byte
	var wg sync.WaitGroup
	wg.Go(func() { got, _ = io.ReadAll(r) })
	_, err = Transcode3(&TranscodeOptionsIn{Fname: fmt.Sprintf("pipe:%d", in.Fd())}, []TranscodeOptions{outputTo(smallOutput, fmt.Sprintf("pipe:%d", w.Fd()))})
	w.Close()
	wg.Wait()
	require.NoError(t, err)
	require.Len(t, videoTimes(t, mediaFile(t, got, "got.ts")), 6)
}

func TestTranscode3Duration(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.ts")
	long := madeFile(t, "-f lavfi -i testsrc2=size=32x32:rate=2 -t 302 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "long.ts")
	for _, video := range []string{"", "copy"} {
		p := outputTo(smallOutput, out)
		p.VideoEncoder.Name = video
		_, err := Transcode3(&TranscodeOptionsIn{Fname: long}, []TranscodeOptions{p})
		require.ErrorIs(t, err, ErrTranscoderDuration)
		require.Empty(t, namesIn(t, dir))
	}
	whole := madeFile(t, "-f lavfi -i testsrc2=size=32x32:rate=2 -t 300 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "whole.ts")
	res, err := Transcode3(&TranscodeOptionsIn{Fname: whole}, []TranscodeOptions{outputTo(smallOutput, out)})
	require.NoError(t, err)
	require.Equal(t, 600, res.Encoded[0].Frames)
}

func TestTranscoderStops(t *testing.T) {
	in := madeFile(t, testPattern("30", 0.2), "in.ts")
	tr := NewTranscoder()
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			_, err := tr.Transcode(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{outputTo(smallOutput, filepath.Join(dir, strconv.Itoa(i)))})
			if err != nil {
				require.ErrorIs(t, err, ErrTranscoderStp)
			}
			tr.Discontinuity()
		})
	}
	wg.Go(tr.StopTranscoder)
	wg.Wait()
	tr.StopTranscoder()
	_, err := tr.Transcode(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{outputTo(smallOutput, filepath.Join(dir, "after"))})
	require.Equal(t, ErrTranscoderStp, err)
}

// streamSegments are the segments of a stream with sound, as files.
func streamSegments(t testing.TB) []string {
	var paths []string
	for i, s := range recorded(t).segments(t) {
		paths = append(paths, mediaFile(t, s, fmt.Sprintf("%d.ts", i)))
	}
	return paths
}

var streamed = []TranscodeOptions{
	{Profile: VideoProfile{Name: "15", Bitrate: "200k", Resolution: "160x120", Framerate: 15}},
	{Profile: VideoProfile{Name: "source", Bitrate: "200k", Resolution: "128x96"}, AudioEncoder: ComponentOptions{Name: "aac"}},
}

// transcodeEach transcodes the inputs with one Transcoder and returns the files for each option.
func transcodeEach(t testing.TB, tr *Transcoder, inputs []string) [][]string {
	t.Helper()
	dir := t.TempDir()
	outs := make([][]string, len(streamed))
	for n, in := range inputs {
		ps := slices.Clone(streamed)
		for i := range ps {
			ps[i].Oname = filepath.Join(dir, fmt.Sprintf("%d_%d.ts", i, n))
			outs[i] = append(outs[i], ps[i].Oname)
		}
		_, err := tr.Transcode(&TranscodeOptionsIn{Fname: in}, ps)
		require.NoError(t, err)
	}
	return outs
}

// unitTimes are the presentation times of what is of a kind, in order.
func unitTimes(t testing.TB, path, codec string) []float64 {
	t.Helper()
	r := takeApart(t, readPath(t, path))
	var times []float64
	for i, p := range r.tracks {
		if p.codecName() == codec {
			for _, u := range r.of(i) {
				times = append(times, u.pts.seconds())
			}
		}
	}
	slices.Sort(times)
	return times
}

func TestTranscoderJoins(t *testing.T) {
	tr := NewTranscoder()
	defer tr.StopTranscoder()
	inputs := streamSegments(t)
	for i, outs := range transcodeEach(t, tr, inputs) {
		for codec, step := range map[string]float64{"h264": []float64{1. / 15, 1. / 30}[i], "aac": 1024. / 44100} {
			last, n := 0.0, 0
			for k, out := range outs {
				for j, at := range unitTimes(t, out, codec) {
					if n++; n > 1 {
						require.InDelta(t, step, at-last, 0.0015, "output %d, %s %d of segment %d", i, codec, j, k)
					}
					last = at
				}
			}
			require.InDelta(t, 8, float64(n)*step, 0.15, "%s", codec)
		}
		var all []byte
		for _, out := range outs {
			all = append(all, readPath(t, out)...)
		}
		readFile(t, all) // decodes without complaint
	}
	require.NotNil(t, tr.ladder)
}

// Segments may come in any order: each output has the times of its own.
func TestTranscoderOrder(t *testing.T) {
	inputs := streamSegments(t)
	for name, order := range map[string][]int{
		"alternating": {0, 2, 1, 3, 0, 2}, "skipped": {0, 3}, "backwards": {3, 2, 1, 0}, "the same again": {1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tr := NewTranscoder()
			defer tr.StopTranscoder()
			var in []string
			for _, n := range order {
				in = append(in, inputs[n])
			}
			for i, outs := range transcodeEach(t, tr, in) {
				for k, out := range outs {
					video := unitTimes(t, in[k], "h264")
					first, last := video[0], video[len(video)-1]
					got := unitTimes(t, out, "h264")
					require.InDelta(t, first, got[0], 0.001, "output %d of call %d", i, k)
					require.InDelta(t, last, got[len(got)-1], 0.05)
					require.Len(t, got, []int{30, 60}[i])
					sound := unitTimes(t, out, "aac")
					require.Greater(t, sound[0], first-0.2, "sound of output %d of call %d", i, k)
					require.Less(t, sound[len(sound)-1], last+0.2, "sound of output %d of call %d", i, k)
				}
			}
		})
	}
}

// A hole in the sound becomes silence.
func TestTranscode3AudioHole(t *testing.T) {
	r := takeApart(t, recorded(t).segments(t)[0])
	start := r.start(1)
	r.units = slices.DeleteFunc(r.units, func(u unit) bool {
		return u.track == 1 && u.pts > start+clockRate/2 && u.pts < start+clockRate
	})
	in := mediaFile(t, r.mustWrite(t, containerOptions{}), "in.ts")
	for _, sound := range []string{"copy", "aac"} {
		p := outputTo(smallOutput, filepath.Join(t.TempDir(), "out.ts"))
		p.AudioEncoder.Name = sound
		_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{p})
		require.NoError(t, err, sound)
		times := unitTimes(t, p.Oname, "aac")
		for i, at := range times[1:] {
			if gap := at - times[i]; sound == "aac" {
				require.InDelta(t, 1024./44100, gap, 0.002)
			}
		}
		require.InDelta(t, 2, times[len(times)-1]-times[0], 0.1)
	}
}

// The same segment gives the same pictures, whichever came before.
func TestTranscoderOpenGroups(t *testing.T) {
	// Open groups of pictures: those before the keyframe refer to the segment before.
	whole := madeFile(t, "-f lavfi -i mandelbrot=size=128x96:rate=30 -t 4 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 30 -bf 3 -x264-params open-gop=1:keyint=30:min-keyint=30:scenecut=0:b-adapt=0", "open.ts")
	r := takeApart(t, readPath(t, whole))
	var segments []string
	units := r.of(0)
	for i := 0; i < len(units); {
		end := i + 1
		for end < len(units) && !(units[end].key && end-i > 25) {
			end++
		}
		part := recording{tracks: r.tracks[:1], units: units[i:end]}
		segments = append(segments, mediaFile(t, part.mustWrite(t, containerOptions{}), fmt.Sprintf("%d.ts", len(segments))))
		i = end
	}
	require.GreaterOrEqual(t, len(segments), 3)
	dir := t.TempDir()
	alone := filepath.Join(dir, "alone.ts")
	sharp := smallOutput
	sharp.Profile.Bitrate = "2M"
	_, err := Transcode3(&TranscodeOptionsIn{Fname: segments[2]}, []TranscodeOptions{outputTo(sharp, alone)})
	require.NoError(t, err)
	tr := NewTranscoder()
	defer tr.StopTranscoder()
	skipped := filepath.Join(dir, "skipped.ts")
	for _, n := range []int{0, 2} {
		_, err = tr.Transcode(&TranscodeOptionsIn{Fname: segments[n]}, []TranscodeOptions{outputTo(sharp, skipped)})
		require.NoError(t, err)
	}
	want, err := makeSignature(Input{Path: alone})
	require.NoError(t, err)
	got, err := makeSignature(Input{Path: skipped})
	require.NoError(t, err)
	a, err := parseSignature(want)
	require.NoError(t, err)
	b, err := parseSignature(got)
	require.NoError(t, err)
	require.Len(t, b, len(a))
	for i := range a {
		d, _ := distance(a[i:i+1], []signedPicture{{a[i].at, b[i].cells}}, 0)
		require.Less(t, d, 4.0, "picture %d", i)
	}
}

func TestTranscoderChanges(t *testing.T) {
	inputs := streamSegments(t)
	dir := t.TempDir()
	tr := NewTranscoder()
	defer tr.StopTranscoder()
	call := func(n int, p TranscodeOptions) *Ladder {
		t.Helper()
		_, err := tr.Transcode(&TranscodeOptionsIn{Fname: inputs[n]}, []TranscodeOptions{p})
		require.NoError(t, err)
		return tr.ladder
	}
	first := call(0, outputTo(smallOutput, filepath.Join(dir, "0.ts")))
	p := outputTo(smallOutput, filepath.Join(dir, "1.ts"))
	p.From, p.To = 500*time.Millisecond, time.Second
	require.Same(t, first, call(1, p), "the same but for name and clip")
	require.Len(t, videoTimes(t, p.Oname), 15)
	require.Same(t, first, call(2, outputTo(smallOutput, p.Oname)))
	require.Len(t, videoTimes(t, p.Oname), 60, "the clip was for one call")
	p = outputTo(smallOutput, p.Oname)
	p.Profile.Resolution = "64x48"
	require.NotSame(t, first, call(3, p))
}

func TestRetryable(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{ErrTranscoderRes, false}, {ErrTranscoderVid, false}, {ErrTranscoderDuration, false}, {ErrTranscoderOptions, false},
		{ErrFormat, false}, {ErrProfile, false}, {context.Canceled, false}, {context.DeadlineExceeded, false},
		{errInvalid("read"), false}, {&Error{Op: "open encoder", Code: -int(syscall.EINVAL)}, false},
		{&Error{Op: "find", Code: lastCodes[3]}, false},
		{ErrTranscoderHw, true}, {ErrTranscoderStp, true}, {ErrTooLarge, true}, {io.ErrUnexpectedEOF, true}, {syscall.ENOSPC, true},
		{&Error{Op: "open", Code: -int(syscall.ENOMEM)}, true}, {&Error{Op: "read", Code: -int(syscall.EIO)}, true},
		{&Error{Op: "read", Code: -int(syscall.EAGAIN)}, true},
	} {
		for _, err := range []error{c.err, fmt.Errorf("output 1: %w", c.err), fmt.Errorf("%w: %w", ErrTranscoderHw, c.err)} {
			require.Equal(t, c.want, Retryable(err), err.Error())
			found := slices.ContainsFunc(NonRetryableErrs, func(text string) bool { return strings.Contains(err.Error(), text) })
			require.Equal(t, c.want, !found, err.Error())
		}
	}
	require.False(t, Retryable(nil))
	for _, text := range NonRetryableErrs {
		require.Greater(t, len(text), 5)
	}
}
