package ffmpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	copied  = ComponentOptions{Name: "copy"}
	dropped = ComponentOptions{Name: "drop"}
)

// all is what most tests of inputs ask for: encoded pictures in both containers.
func all(audio ComponentOptions) LadderOptions {
	return LadderOptions{Renditions: []Rendition{
		{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: audio},
		{Profile: profile("128x72", 15, 1, FormatMP4), Audio: audio},
	}}
}

func TestLadderAudioOnly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.ts", "a.flv"} {
		data := clip(t, name, sine+"-t 2 "+aac+asIs)
		for _, audio := range []ComponentOptions{copied, {Name: "aac"}} {
			res := transcode(t, ladder(t, all(audio)), data)
			require.Zero(t, res.Decoded)
			for _, o := range res.Outputs {
				out := inspect(t, o.Data)
				require.Nil(t, out.Video)
				require.Zero(t, o.Media)
				require.Equal(t, "mp4a.40.2", o.Info.Codecs)
				require.InDelta(t, 2, o.Duration.Seconds(), 0.1)
				if audio.Name == "copy" {
					requireSameSound(t, data, o.Data)
				} else {
					require.InDelta(t, 88, out.Audio.decoded, 3)
				}
			}
		}
		l := ladder(t, LadderOptions{Renditions: []Rendition{{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: dropped}}})
		res, err := l.Transcode(t.Context(), Input{Data: data}, nil)
		require.NoError(t, err)
		require.ErrorIs(t, res.Outputs[0].Err, ErrTranscoderVid)
	}
}

func TestLadderVideoOnly(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", smallVideo+"-t 2 "+fastX264+asIs)
	opts := all(ComponentOptions{Name: "aac"})
	opts.Renditions = append(opts.Renditions, AudioOnly("sound", copied))
	res, err := ladder(t, opts).Transcode(t.Context(), Input{Data: data}, nil)
	require.NoError(t, err)
	for _, o := range res.Outputs[:2] {
		require.NoError(t, o.Err)
		require.Nil(t, inspect(t, o.Data).Audio)
	}
	require.ErrorIs(t, res.Outputs[2].Err, ErrTranscoderVid)
}

// A segment whose table promises pictures that are not there is passed on.
func TestLadderZeroFrames(t *testing.T) {
	t.Parallel()
	sound := zeroFrame(t)
	l := ladder(t, LadderOptions{Continuous: true, Renditions: all(copied).Renditions})
	good := recorded(t).segments(t)
	transcode(t, l, good[0])
	for _, o := range transcode(t, l, sound).Outputs {
		requireSameSound(t, sound, o.Data)
		require.Zero(t, o.Media)
	}
	// Pictures that no decoder can make anything of: the keyframe is missing.
	m := recorded(t)
	cut := media{tracks: m.tracks}
	for _, p := range m.packets {
		if p.track == 1 || p.DTS > time.Second && p.DTS < 1500*time.Millisecond && !p.Key {
			cut.packets = append(cut.packets, p)
		}
	}
	broken := cut.segments(t)[0]
	fresh := ladder(t, LadderOptions{Renditions: all(copied).Renditions})
	res, err := fresh.Transcode(t.Context(), Input{Data: broken}, nil)
	require.NoError(t, err)
	require.NoError(t, res.Outputs[0].Err)
	requireSameSound(t, broken, res.Outputs[0].Data)
	require.Zero(t, res.Decoded.Frames)
	src, out := inspectLoose(t, broken), inspectLoose(t, res.Outputs[0].Data)
	require.Equal(t, len(src.Video.packets), len(out.Video.packets), "the pictures are passed on")
	t.Logf("undecodable pictures into MP4: %v", res.Outputs[1].Err)
	// And the stream goes on.
	for _, o := range transcode(t, l, good[1]).Outputs {
		require.Positive(t, o.Media.Frames)
	}
}

// Audio that begins in the middle of a segment, or in a later one.
func TestLadderLateAudio(t *testing.T) {
	t.Parallel()
	for _, audio := range []ComponentOptions{copied, {Name: "aac"}} {
		late := clip(t, "a.ts", smallVideo+"-itsoffset 1.2 "+sine+"-t 3 "+fastX264+aac+asIs)
		for _, o := range transcode(t, ladder(t, all(audio)), late).Outputs {
			out := inspect(t, o.Data)
			require.NotNil(t, out.Audio)
			require.InDelta(t, 1.2, (out.Audio.times()[0] - out.Video.times()[0]).seconds(), 0.05)
			if audio.Name == "copy" {
				requireSameSound(t, late, o.Data)
			}
		}
		l := ladder(t, LadderOptions{Continuous: true, Renditions: all(audio).Renditions})
		for i, sound := range []string{"", sine, ""} {
			data := clip(t, "a.ts", smallVideo+sound+"-t 2 "+fastX264+aac+asIs+fmt.Sprintf("-output_ts_offset %d", 2*i))
			for _, o := range transcode(t, l, data).Outputs {
				require.Equal(t, sound != "", inspect(t, o.Data).Audio != nil)
			}
		}
	}
}

// A hole in the sound is silence for the encoder, and nothing else changes.
func TestLadderAudioHole(t *testing.T) {
	t.Parallel()
	m := recorded(t)
	holed := media{tracks: m.tracks}
	for _, p := range m.packets {
		if p.track == 0 || p.DTS < 500*time.Millisecond || p.DTS > 1300*time.Millisecond {
			holed.packets = append(holed.packets, p)
		}
	}
	data := holed.segments(t)[0]
	whole := m.segments(t)[0]
	opts := LadderOptions{Renditions: []Rendition{AudioOnly("aac", ComponentOptions{Name: "aac"}), AudioOnly("copy", copied)}}
	full := inspect(t, transcode(t, ladder(t, opts), whole).Outputs[0].Data).Audio.times()
	res := transcode(t, ladder(t, opts), data)
	got := inspect(t, res.Outputs[0].Data).Audio.times()
	require.InDelta(t, len(full), len(got), 1)
	require.InDelta(t, full[len(full)-1].seconds(), got[len(got)-1].seconds(), 0.05)
	requireSameSound(t, data, res.Outputs[1].Data)
}

// Each change of the source's size gives another size, from the first picture of the
// segment on.
func TestLadderSizeChanges(t *testing.T) {
	t.Parallel()
	for _, continuous := range []bool{false, true} {
		opts := all(copied)
		opts.Continuous = continuous
		l := ladder(t, opts)
		for _, c := range []struct{ src, want string }{{"320x180", "160x90"}, {"180x320", "90x160"}, {"320x240", "160x120"}, {"100x50", "100x50"}, {"320x180", "160x90"}} {
			data := clip(t, "a.ts", "-f lavfi -i testsrc2=size="+c.src+":rate=30 -t 0.5 "+fastX264+asIs)
			o := transcode(t, l, data).Outputs[0]
			size := inspectSize(t, o.Data)
			require.Equal(t, c.want, fmt.Sprintf("%dx%d", size[0], size[1]))
			require.Equal(t, 15, inspect(t, o.Data).Video.decoded)
			require.Greater(t, similarity(t, o.Data, data, "null"), 0.93)
		}
		// In the middle of a segment all pictures get the first one's size.
		both := append(bytes.Clone(clip(t, "a.ts", smallVideo+"-t 0.5 "+fastX264+asIs)),
			clip(t, "a.ts", "-f lavfi -i testsrc2=size=320x240:rate=30 -t 0.5 "+fastX264+asIs+"-output_ts_offset 0.5")...)
		out := inspect(t, transcode(t, l, both).Outputs[0].Data)
		require.Equal(t, 30, out.Video.decoded)
		require.Equal(t, [2]int{160, 90}, [2]int{out.Video.Width, out.Video.Height})
	}
}

// withoutTimes takes PTS and DTS out of the PES headers of a PID, except for the first ones.
func withoutTimes(t testing.TB, ts []byte, pid, keep int, dtsOnly bool) []byte {
	t.Helper()
	b := bytes.Clone(ts)
	for p := b; len(p) >= 188; p = p[188:] {
		if int(p[1]&0x1f)<<8|int(p[2]) != pid || p[1]&0x40 == 0 || p[3]&0x10 == 0 {
			continue
		}
		if keep--; keep >= 0 {
			continue
		}
		h := p[4:]
		if p[3]&0x20 != 0 {
			h = h[1+h[0]:]
		}
		require.Equal(t, []byte{0, 0, 1}, h[:3])
		// The bytes become stuffing (ISO/IEC 13818-1 2.4.3.7).
		if dtsOnly {
			if h[7]&0xc0 == 0xc0 {
				h[7] = h[7]&0x3f | 0x80
				h[9] = h[9]&0x0f | 0x20
				copy(h[14:19], []byte{0xff, 0xff, 0xff, 0xff, 0xff})
			}
			continue
		}
		h[7] &= 0x3f
		for i := range h[8] {
			h[9+i] = 0xff
		}
	}
	return b
}

func TestLadderMissingTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keep    int
		dtsOnly bool
		bf      string
	}{
		"no DTS":                         {0, true, "-bf 2 "},
		"only the first PTS":             {1, false, "-bf 0 "},
		"only the first PTS, B-frames":   {1, false, "-bf 2 "},
		"no PTS at all":                  {0, false, "-bf 0 "},
		"no PTS at all, with B-pictures": {0, false, "-bf 2 "},
	} {
		t.Run(name, func(t *testing.T) {
			source := clip(t, "a.ts", smallVideo+sine+"-t 2 "+fastX264+c.bf+aac+asIs+"-output_ts_offset 10")
			data := withoutTimes(t, source, 0x100, c.keep, c.dtsOnly)
			res := transcode(t, ladder(t, all(copied)), data)
			out := inspect(t, res.Outputs[0].Data)
			require.Equal(t, 60, out.Video.decoded)
			requireRising(t, out.Video)
			requireSameSound(t, source, res.Outputs[0].Data)
			require.Greater(t, similarity(t, res.Outputs[0].Data, source, "null"), 0.93, "in the right order")
			if c.dtsOnly {
				requireTimes(t, decodedTimes(t, source), out.Video.times())
			}
			times := out.Video.times()
			t.Logf("from %v to %v", times[0].duration(), times[59].duration())
			if c.keep > 0 || c.dtsOnly {
				require.InDelta(t, 10, times[0].seconds(), 0.1)
			}
			if c.keep > 0 {
				require.InDelta(t, 59./30, (times[59] - times[0]).seconds(), 0.2)
			}
		})
	}
}

// From and To cut by the time of pictures; the result says what is there.
func TestLadderClip(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", smallVideo+sine+"-t 4 "+fastX264+"-g 60 "+aac+asIs+"-output_ts_offset 5")
	src := inspectLoose(t, data)
	start := src.Video.times()[0]
	for _, c := range []struct{ from, to time.Duration }{
		{0, time.Second}, {time.Second, 2 * time.Second}, {1500 * time.Millisecond, 0}, {3900 * time.Millisecond, 5 * time.Second},
	} {
		var renditions []Rendition
		for _, p := range []VideoProfile{profile("160x90", 0, 1, FormatMPEGTS), profile("160x90", 0, 1, FormatMP4), profile("160x90", 10, 1, FormatMPEGTS)} {
			renditions = append(renditions, Rendition{Profile: p, From: c.from, To: c.to})
		}
		renditions[0].Audio = ComponentOptions{Name: "aac"}
		res := transcode(t, ladder(t, LadderOptions{Renditions: renditions}), data)
		end := c.to
		if end == 0 || end > 4*time.Second {
			end = 4 * time.Second
		}
		for i, o := range res.Outputs {
			out := inspect(t, o.Data)
			want := (end - c.from).Seconds() * 30
			if i == 2 {
				want = max((end-c.from).Seconds()*10, 1)
			}
			require.EqualValues(t, math.Round(want), out.Video.decoded, "%v to %v, output %d", c.from, c.to, i)
			require.True(t, (out.Video.times()[0] - start - toClock(c.from)).within(tick))
			require.Equal(t, out.Video.decoded, o.Media.Frames)
			require.InDelta(t, (end - c.from).Seconds(), o.Duration.Seconds(), 0.001)
			require.InDelta(t, (start + toClock(c.from)).duration(), o.Start, float64(time.Millisecond))
			sound := out.Audio.times()
			require.InDelta(t, (start + toClock(c.from)).seconds(), sound[0].seconds(), 0.06, "sound")
			require.InDelta(t, (start + toClock(end)).seconds(), sound[len(sound)-1].seconds(), 0.08, "sound")
		}
	}
	l := ladder(t, LadderOptions{Renditions: []Rendition{{Profile: profile("160x90", 0, 1, FormatMPEGTS), From: time.Minute}, {Profile: profile("160x90", 0, 1, FormatMPEGTS)}}})
	res, err := l.Transcode(t.Context(), Input{Data: data}, nil)
	require.NoError(t, err)
	require.Error(t, res.Outputs[0].Err)
	require.NoError(t, res.Outputs[1].Err)
}

func TestLadderCopyAndDrop(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.ts", "a.mp4"} {
		data := clip(t, name, smallVideo+sine+"-t 2 "+fastX264+"-bf 2 "+aac+asIs)
		l := ladder(t, LadderOptions{Renditions: []Rendition{
			{Profile: VideoProfile{Format: FormatMPEGTS}, Video: copied},
			{Profile: VideoProfile{Format: FormatMP4}, Video: copied},
			{Profile: VideoProfile{Format: FormatMPEGTS}, Video: dropped},
			{Profile: VideoProfile{Format: FormatMP4}, Video: copied, Audio: dropped},
			{Profile: profile("160x90", 0, 1, FormatMP4), Audio: dropped},
		}})
		res := transcode(t, l, data)
		want := pictureHash(t, data)
		for i, o := range res.Outputs {
			out := inspect(t, o.Data)
			require.Equal(t, i != 2, out.Video != nil)
			require.Equal(t, i < 3, out.Audio != nil)
			if i < 3 {
				requireSameSound(t, data, o.Data)
			}
			if i < 4 {
				require.Zero(t, o.Media, "nothing was encoded")
			}
			if i == 0 || i == 1 || i == 3 {
				require.Equal(t, want, pictureHash(t, o.Data))
				requireTimes(t, decodedTimes(t, data), out.Video.times())
			}
		}
		require.Equal(t, 60, res.Decoded.Frames)
	}
	// Without an encoder nothing is decoded.
	data := clip(t, "a.ts", smallVideo+sine+"-t 2 "+fastX264+"-bf 2 "+aac+asIs)
	res := transcode(t, ladder(t, LadderOptions{Renditions: []Rendition{{Video: copied}}}), data)
	require.Zero(t, res.Decoded)
}

// pictureHash is the hash of all decoded pictures.
func pictureHash(t testing.TB, data []byte) string {
	t.Helper()
	return string(remux(t, data, "", "-map 0:v -fps_mode passthrough -f md5", "md5"))
}

func TestLadderMetadata(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", smallVideo+"-t 0.5 "+fastX264+asIs)
	l := ladder(t, LadderOptions{Renditions: []Rendition{
		{Profile: profile("160x90", 0, 1, FormatMP4), Metadata: map[string]string{"title": "A title", "comment": "ü"}},
		{Profile: profile("160x90", 0, 1, FormatMPEGTS), Metadata: map[string]string{"service_name": "A name", "service_provider": "Somebody"}},
	}})
	res := transcode(t, l, data)
	tags := inspect(t, res.Outputs[0].Data).Format.Tags
	require.Equal(t, "A title", tags["title"])
	require.Equal(t, "ü", tags["comment"])
	programs := inspect(t, res.Outputs[1].Data).Programs
	require.Len(t, programs, 1)
	require.Equal(t, "A name", programs[0].Tags["service_name"])
	require.Equal(t, "Somebody", programs[0].Tags["service_provider"])
}

// Quality is CRF: more of it is fewer bits, and the bitrate stays the limit.
func TestLadderQuality(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", "-f lavfi -i testsrc2=size=320x180:rate=30,noise=alls=20:allf=t -t 2 "+fastX264+"-b:v 4M "+asIs)
	var renditions []Rendition
	for _, q := range []uint{20, 35, 50, 63} {
		p := profile("320x180", 0, 1, FormatMPEGTS)
		p.Bitrate, p.Quality = "10M", q
		renditions = append(renditions, Rendition{Profile: p})
	}
	limited := renditions[0]
	limited.Profile.Bitrate = "300k"
	renditions = append(renditions, limited)
	res := transcode(t, ladder(t, LadderOptions{Renditions: renditions}), data)
	var sizes []int
	for _, o := range res.Outputs {
		sizes = append(sizes, len(o.Data))
	}
	t.Logf("bytes with CRF 20, 35, 50, 63, and 20 limited: %v", sizes)
	require.Greater(t, sizes[0], 2*sizes[1])
	require.Greater(t, sizes[1], 2*sizes[2])
	require.GreaterOrEqual(t, sizes[2], sizes[3])
	require.Less(t, sizes[4], (2*375_000+450_000)/8) // the peak rate, and what the buffer holds
	// What ffmpeg's own x264 makes with the same settings.
	ref := remux(t, data, "", "-c:v libx264 -preset superfast -crf 20 -maxrate 12.5M -bufsize 15M", "ref.mp4")
	require.InDelta(t, videoBits(t, ref), videoBits(t, res.Outputs[0].Data), float64(videoBits(t, ref))*0.05)
}

// Keyframes stand where the profile wants them.
func TestLadderKeyframes(t *testing.T) {
	t.Parallel()
	segments := pieces(t, liveSource)[:2]
	scenes := clip(t, "a.ts", "-f lavfi -i testsrc2=size=320x180:rate=30,negate=enable='between(mod(t\\,2)\\,0.5\\,1.4)' -t 4 "+fastX264+asIs)
	with := func(gop time.Duration, prof Profile, fps uint) Rendition {
		p := profile("160x90", fps, 1, FormatMPEGTS)
		p.GOP, p.Profile = gop, prof
		return Rendition{Profile: p, Audio: dropped}
	}
	opts := LadderOptions{Renditions: []Rendition{
		with(0, ProfileNone, 0), with(time.Second, ProfileH264High, 0), with(500*time.Millisecond, ProfileH264Main, 10),
		with(GOPIntraOnly, ProfileNone, 0), with(time.Second, ProfileH264Baseline, 0), with(0, ProfileH264ConstrainedHigh, 0),
	}}
	names := []string{"High", "High", "Main", "High", "Constrained Baseline", "High"}
	for _, continuous := range []bool{false, true} {
		opts.Continuous = continuous
		l := ladder(t, opts)
		for n, s := range segments {
			for i, o := range transcode(t, l, s).Outputs {
				out := inspect(t, o.Data)
				require.Equal(t, names[i], out.Video.Profile)
				requireIDR(t, o.Data)
				keys, want := out.Video.keys(), []clock{0}
				switch i {
				case 1, 4:
					want = []clock{0, clockRate}
				case 2:
					want = []clock{0, clockRate / 2, clockRate, clockRate * 3 / 2}
				case 3:
					want = want[:0]
					for k := range 60 {
						want = append(want, clock(k)*clockRate/30)
					}
				}
				require.Equal(t, len(want), len(keys), "segment %d, rendition %d: %v", n, i, keys)
				for k := range want {
					require.True(t, (want[k] - keys[k]).within(2*tick))
				}
				if i >= 3 {
					require.Zero(t, out.Video.Reorder)
					for _, p := range out.Video.packets {
						require.Equal(t, p.pts, p.dts, "no B-pictures")
					}
				}
			}
		}
		// The encoder may put others where the scene changes, and those that are asked for
		// stand where they would without.
		for i, o := range transcode(t, l, scenes).Outputs[:2] {
			keys := inspect(t, o.Data).Video.keys()
			t.Logf("source with scene changes, rendition %d: %d keyframes", i, len(keys))
			require.GreaterOrEqual(t, len(keys), []int{1, 4}[i])
			for at := clock(0); at < 4*clockRate; at += clockRate {
				if i == 1 || at == 0 {
					require.True(t, slices.ContainsFunc(keys, func(k clock) bool { return (k - at).within(2 * tick) }), "at %v: %v", at.duration(), keys)
				}
			}
		}
	}
}

// Other codecs where libavcodec has an encoder; otherwise the error names it.
func TestLadderCodecs(t *testing.T) {
	t.Parallel()
	segments := pieces(t, liveSource)[:2]
	for codec, c := range map[VideoCodec]struct{ name, prefix string }{
		H265: {"hevc", "hvc1."}, VP9: {"vp9", "vp09."}, AV1: {"av1", "av01."}, H264: {"h264", "avc1."},
	} {
		p := profile("160x90", 0, 1, FormatMP4)
		p.Encoder = codec
		opts := LadderOptions{Continuous: true, Renditions: []Rendition{{Profile: p}}}
		if l, err := NewLadder(opts); err != nil {
			require.ErrorIs(t, err, ErrFormat)
			require.Contains(t, err.Error(), encoders[codec][0])
			t.Logf("%s: %v", codec, err)
			continue
		} else {
			l.Close()
		}
		l := ladder(t, opts)
		for _, s := range segments {
			o := transcode(t, l, s).Outputs[0]
			out := inspect(t, o.Data)
			require.Equal(t, c.name, out.Video.Codec)
			require.Contains(t, o.Info.Codecs, c.prefix)
			require.Equal(t, 60, out.Video.decoded)
			require.True(t, out.Video.packets[0].key)
			requireTimes(t, decodedTimes(t, s), out.Video.times())
			like := similarity(t, o.Data, s, "null")
			t.Logf("%s: %s, SSIM %.4f", codec, o.Info.Codecs, like)
			require.Greater(t, like, 0.9)
		}
	}
	p := profile("160x90", 0, 1, FormatMPEGTS)
	p.Encoder = H265
	o := transcode(t, ladder(t, LadderOptions{Renditions: []Rendition{{Profile: p}}}), segments[0]).Outputs[0]
	require.Equal(t, 60, inspect(t, o.Data).Video.decoded)
	p = profile("160x90", 0, 1, FormatMPEGTS)
	p.ColorDepth, p.ChromaFormat = ColorDepth10Bit, ChromaSubsampling422
	o = transcode(t, ladder(t, LadderOptions{Renditions: []Rendition{{Profile: p}}}), segments[0]).Outputs[0]
	require.Equal(t, "yuv422p10le", inspect(t, o.Data).Video.PixFmt)
}

func TestLadderRefusals(t *testing.T) {
	t.Parallel()
	good := Rendition{Profile: profile("160x90", 0, 1, FormatMPEGTS)}
	with := func(change func(*Rendition)) LadderOptions {
		r := good
		change(&r)
		return LadderOptions{Renditions: []Rendition{r}}
	}
	many := LadderOptions{}
	for range MaxRenditions + 1 {
		many.Renditions = append(many.Renditions, good)
	}
	for name, c := range map[string]struct {
		opts LadderOptions
		want error
		text string
	}{
		"none":          {LadderOptions{}, ErrProfile, "renditions"},
		"too many":      {many, ErrProfile, "11 renditions"},
		"encoder":       {with(func(r *Rendition) { r.Video.Name = "libx999" }), ErrFormat, "libx999"},
		"decoder name":  {with(func(r *Rendition) { r.Video.Name = "libdav1d" }), ErrFormat, "libdav1d"},
		"audio encoder": {with(func(r *Rendition) { r.Audio.Name = "mp3" }), ErrFormat, "mp3"},
		"audio rate":    {with(func(r *Rendition) { r.Audio = ComponentOptions{"aac", map[string]string{"ar": "x"}} }), ErrFormat, "ar"},
		"nothing":       {with(func(r *Rendition) { r.Video, r.Audio = dropped, dropped }), ErrFormat, "nothing"},
		"resolution":    {with(func(r *Rendition) { r.Profile.Resolution = "1x" }), ErrTranscoderRes, ""},
		"bitrate":       {with(func(r *Rendition) { r.Profile.Bitrate = "much" }), ErrProfile, "much"},
		"clip":          {with(func(r *Rendition) { r.From, r.To = 2, 1 }), ErrFormat, "From"},
		"depth":         {with(func(r *Rendition) { r.Profile.ColorDepth = ColorDepth16Bit }), ErrFormat, "16"},
		"Amd":           {LadderOptions{Renditions: []Rendition{good}, Accel: Amd}, ErrTranscoderHw, "Amd"},
		"Netint":        {LadderOptions{Renditions: []Rendition{good}, Accel: Netint}, ErrTranscoderHw, "Netint"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLadder(c.opts)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Nil(t, l)
			require.False(t, Retryable(err) && !errors.Is(err, ErrTranscoderHw))
		})
	}
}

// Without the hardware, the reason is told.
func TestLadderNvidia(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", smallVideo+"-t 0.5 "+fastX264+asIs)
	l, err := NewLadder(LadderOptions{Renditions: []Rendition{{Profile: profile("160x90", 0, 1, FormatMPEGTS)}}, Accel: Nvidia})
	if err == nil {
		defer l.Close()
		_, err = l.Transcode(t.Context(), Input{Data: data}, nil)
	}
	require.ErrorIs(t, err, ErrTranscoderHw)
	require.Greater(t, len(err.Error()), len(ErrTranscoderHw.Error())+10, "with the reason")
	require.True(t, Retryable(err), "another machine may have it")
	t.Log(err)
}

// Files are the same as bytes, whatever they begin with, and however long they are.
func TestLadderFiles(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"MP4":              clip(t, "a.mp4", smallVideo+sine+"-t 6 "+fastX264+"-bf 2 "+aac),
		"TS":               bytes.Join(pieces(t, liveSource), nil),
		"TS from open GOP": bytes.Join(pieces(t, openGOP+aac+"-output_ts_offset 20")[1:], nil),
	} {
		t.Run(name, func(t *testing.T) {
			opts := all(copied)
			want := transcode(t, ladder(t, opts), data)
			var files [2]bytes.Buffer
			var read time.Duration
			got, err := ladder(t, opts).TranscodeTo(t.Context(), Input{Path: fileOf(t, data)}, []io.Writer{&files[0], &files[1]}, func(d time.Duration) { read = d })
			require.NoError(t, err)
			require.Equal(t, want.Decoded, got.Decoded)
			require.InDelta(t, want.Outputs[0].Duration.Seconds(), read.Seconds(), 0.2, "progress")
			for i := range files {
				require.NoError(t, got.Outputs[i].Err)
				require.Equal(t, want.Outputs[i].Media, got.Outputs[i].Media)
				require.EqualValues(t, files[i].Len(), got.Outputs[i].Bytes)
				require.Nil(t, got.Outputs[i].Data)
				a, b := inspect(t, want.Outputs[i].Data), inspect(t, files[i].Bytes())
				requireTimes(t, a.Video.times(), b.Video.times())
				requireSameSound(t, want.Outputs[i].Data, files[i].Bytes())
			}
		})
	}
}
