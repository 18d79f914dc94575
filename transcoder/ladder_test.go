package transcoder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// lines shows renditions as name, box, bitrate and frame rate.
func lines(rs []ffmpeg.Rendition) (out []string) {
	for _, r := range rs {
		p := r.Profile
		line := fmt.Sprintf("%s %s %s", p.Name, p.Resolution, p.Bitrate)
		if p.Framerate > 0 {
			line += fmt.Sprintf(" %d/%d", p.Framerate, max(p.FramerateDen, 1))
		}
		out = append(out, line)
	}
	return out
}

func TestDefaultLadder(t *testing.T) {
	wide30 := []string{"P480p30fps16x9 854x480 1500k", "P360p30fps16x9 640x360 730k", "P240p30fps16x9 426x240 365k", "P144p15fps16x9 256x144 100k 15/1"}
	halved := []string{"P480p30fps16x9 854x480 1500k 30/1", "P360p30fps16x9 640x360 730k 30/1", "P240p30fps16x9 426x240 365k 30/1", "P144p15fps16x9 256x144 100k 15/1"}
	upright := []string{"P480p30fps 480x854 1500k", "P360p30fps 360x640 730k", "P240p30fps 240x426 365k", "P144p15fps 144x256 100k 15/1"}
	for _, c := range []struct {
		name string
		src  Source
		want []string
	}{
		{"1080p60", Source{1920, 1080, 60, true, 0}, append([]string{"P720p60fps16x9 1280x720 4500k"}, halved...)},
		{"1080p30", Source{1920, 1080, 30, true, 0}, append([]string{"P720p30fps16x9 1280x720 3000k"}, wide30...)},
		{"1080p120", Source{1920, 1080, 120, true, 0}, append([]string{"P720p60fps16x9 1280x720 4500k 60/1"}, halved...)},
		{"2160p60", Source{3840, 2160, 60, true, 0}, append([]string{"P720p60fps16x9 1280x720 4500k"}, halved...)},
		{"1080p with 4 Mbit/s", Source{1920, 1080, 30, true, 4_000_000}, append([]string{"P720p30fps16x9 1280x720 3000k"}, wide30...)},
		{"1080p with 3.5 Mbit/s", Source{1920, 1080, 30, true, 3_500_000}, wide30},
		{"1080p upright", Source{1080, 1920, 30, true, 0}, append([]string{"P720p30fps 720x1280 3000k"}, upright...)},
		{"1080p of an unknown rate", Source{1920, 1080, 0, true, 0}, []string{"P720p16x9 1280x720 3000k", "P480p16x9 854x480 1500k",
			"P360p16x9 640x360 730k", "P240p16x9 426x240 365k", "P144p15fps16x9 256x144 100k 15/1"}},
		{"1080p of 90000 a second, which is no rate", Source{1920, 1080, 90000, true, 0}, []string{"P720p16x9 1280x720 3000k", "P480p16x9 854x480 1500k",
			"P360p16x9 640x360 730k", "P240p16x9 426x240 365k", "P144p15fps16x9 256x144 100k 15/1"}},
		{"720p30", Source{1280, 720, 30, true, 0}, wide30},
		{"720p30, a quiet picture", Source{1280, 720, 30, true, 500_000}, wide30[2:]},
		{"720p30, a still", Source{1280, 720, 30, true, 60_000}, []string{"P144p15fps16x9 256x144 50k 15/1"}},
		{"720p30 of which nothing was sent yet", Source{1280, 720, 30, true, 900}, wide30},
		{"720p30 without sound", Source{1280, 720, 30, false, 0}, wide30},
		{"720p30 upright", Source{720, 1280, 30, true, 0}, upright},
		{"720p25", Source{1280, 720, 25, true, 0}, []string{"P480p25fps16x9 854x480 1350k", "P360p25fps16x9 640x360 655k",
			"P240p25fps16x9 426x240 330k", "P144p12fps16x9 256x144 90k 25/2"}},
		{"720p50", Source{1280, 720, 50, true, 0}, []string{"P480p25fps16x9 854x480 1350k 25/1", "P360p25fps16x9 640x360 655k 25/1",
			"P240p25fps16x9 426x240 330k 25/1", "P144p12fps16x9 256x144 90k 25/2"}},
		{"720p59.94", Source{1280, 720, 60000.0 / 1001, true, 0}, []string{"P480p30fps16x9 854x480 1500k 30000/1001", "P360p30fps16x9 640x360 730k 30000/1001",
			"P240p30fps16x9 426x240 365k 30000/1001", "P144p15fps16x9 256x144 100k 15000/1001"}},
		{"720p29.97", Source{1280, 720, 30000.0 / 1001, true, 0}, slices.Concat(wide30[:3], []string{"P144p15fps16x9 256x144 100k 15000/1001"})},
		{"768p", Source{1366, 768, 30, true, 0}, wide30},
		{"576p25 of 5:4", Source{720, 576, 25, true, 0}, []string{"P480p25fps 600x480 1035k", "P360p25fps 450x360 505k", "P240p25fps 300x240 250k", "P144p12fps 180x144 70k 25/2"}},
		{"480p", Source{854, 480, 30, true, 0}, wide30[1:]},
		{"640x480", Source{640, 480, 30, true, 0}, []string{"P360p30fps4x3 480x360 590k", "P240p30fps4x3 320x240 295k", "P144p15fps4x3 192x144 80k 15/1"}},
		{"360p24", Source{640, 360, 24, true, 0}, []string{"P240p24fps16x9 426x240 320k", "P144p12fps16x9 256x144 90k 12/1"}},
		{"360p23.976", Source{640, 360, 24000.0 / 1001, true, 0}, []string{"P240p24fps16x9 426x240 320k", "P144p12fps16x9 256x144 90k 12000/1001"}},
		{"360p10", Source{640, 360, 10, true, 0}, []string{"P240p10fps16x9 426x240 190k", "P144p10fps16x9 256x144 80k"}},
		{"360p, odd", Source{641, 359, 30, true, 0}, []string{"P240p30fps16x9 426x238 365k", "P144p15fps16x9 256x144 100k 15/1"}},
		{"240p", Source{426, 240, 30, true, 0}, wide30[3:]},
		{"240p with 50 kbit/s", Source{426, 240, 30, true, 50_000}, []string{"P144p15fps16x9 256x144 41k 15/1"}},
		{"320x180 with 50 kbit/s", Source{320, 180, 30, true, 50_000}, nil}, // less than twice 144p
		{"320x180", Source{320, 180, 30, true, 0}, wide30[3:]},
		{"256x144", Source{256, 144, 30, true, 0}, nil},
		{"thumbnail", Source{64, 36, 30, true, 0}, nil},
		{"1:1", Source{1080, 1080, 30, true, 0}, []string{"P720p30fps 720x720 1950k", "P480p30fps 480x480 975k", "P360p30fps 360x360 475k",
			"P240p30fps 240x240 235k", "P144p15fps 144x144 65k 15/1"}},
		{"21:9", Source{2560, 1080, 60, true, 0}, []string{"P540p60fps 1280x540 3625k", "P360p30fps 854x360 1210k 30/1", "P270p30fps 640x270 590k 30/1",
			"P180p30fps 426x180 295k 30/1", "P108p15fps 256x108 80k 15/1"}},
		{"a line", Source{4000, 10, 30, true, 0}, nil},
		{"audio only", Source{Audio: true, Bitrate: 128_000}, nil},
		{"nothing", Source{}, nil},
		{"nonsense", Source{-1, math.MaxInt, math.NaN(), true, -5}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := DefaultLadder(c.src)
			require.Equal(t, c.want, lines(got))
			checkLadder(t, c.src, got)
		})
	}
	// The last one has its own sound, unless the source's is less.
	r := DefaultLadder(Source{1280, 720, 30, true, 0})
	require.Equal(t, ffmpeg.ComponentOptions{Name: "aac", Opts: map[string]string{"b": "32k", "ac": "1"}}, r[3].Audio)
	require.Zero(t, r[2].Audio)
	require.Equal(t, "16:9", r[3].Profile.AspectRatio)
	require.Zero(t, DefaultLadder(Source{1280, 720, 30, true, 60_000})[0].Audio)
	r[3].Audio.Opts["b"] = "1k"
	require.Equal(t, "32k", DefaultLadder(Source{1280, 720, 30, true, 0})[3].Audio.Opts["b"], "each caller has its own")
}

func bitrate(t *testing.T, r ffmpeg.Rendition) int {
	k, unit := strings.CutSuffix(r.Profile.Bitrate, "k")
	require.True(t, unit)
	n, err := strconv.Atoi(k)
	require.NoError(t, err)
	return 1000 * n
}

// checkLadder asserts what holds for all of them.
func checkLadder(t *testing.T, src Source, rs []ffmpeg.Rendition) {
	t.Helper()
	known := src.known()
	require.NoError(t, Check(rs), "%+v", src)
	require.LessOrEqual(t, len(rs), ffmpeg.MaxRenditions)
	if len(rs) > 0 {
		l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: rs})
		require.NoError(t, err, "%+v", src)
		l.Close()
	}
	pixels, bits := src.Width*src.Height, math.MaxInt
	for _, r := range rs {
		w, h, err := ffmpeg.VideoProfileResolution(r.Profile)
		require.NoError(t, err)
		require.True(t, w <= src.Width && h <= src.Height, "%+v: %dx%d", src, w, h)
		require.True(t, w%2 == 0 && h%2 == 0, "%+v: %dx%d", src, w, h)
		require.LessOrEqual(t, 4*w*h, 3*pixels, "%+v: %dx%d", src, w, h)
		pixels = w * h
		require.Less(t, bitrate(t, r), bits, "%+v", src)
		bits = bitrate(t, r)
		require.Positive(t, bits)
		if known.Bitrate > 0 {
			require.Less(t, bits, known.Bitrate, "%+v", src)
		}
		long, short := float64(max(src.Width, src.Height)), float64(min(src.Width, src.Height))
		require.LessOrEqual(t, math.Abs(float64(max(w, h))*short/long-float64(min(w, h))), 1.001, "%+v: %dx%d", src, w, h)
		fps := float64(r.Profile.Framerate) / float64(max(r.Profile.FramerateDen, 1))
		if known.FrameRate > 0 {
			require.LessOrEqual(t, fps, known.FrameRate, "%+v", src)
		}
		require.True(t, stream.ValidName(r.Profile.Name))
	}
	if known.Width*known.Height >= 2*256*144 && 9*min(known.Width, known.Height) >= 2*max(known.Width, known.Height) {
		require.NotEmpty(t, rs, "%+v", src)
	}
}

func TestDefaultLadderRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	rates := []float64{0, 1, 5, 10, 12.5, 14.98, 15, 20, 23.976, 24, 25, 29.97, 30, 33, 33.01, 40, 48, 50, 59.94, 60, 75, 90, 100, 120, 144, 239.76}
	for range 3000 {
		src := Source{Width: 2 + rnd.IntN(2600), Height: 2 + rnd.IntN(1600), Audio: rnd.IntN(4) > 0, FrameRate: rates[rnd.IntN(len(rates))]}
		if rnd.IntN(2) > 0 {
			src.Bitrate = int(math.Exp(rnd.Float64() * 17))
		}
		if rnd.IntN(4) == 0 {
			src.FrameRate = 1 + rnd.Float64()*150
		}
		rs := DefaultLadder(src)
		checkLadder(t, src, rs)
		// Upright it is the same ladder, but for the shape in its names.
		turned := src
		turned.Width, turned.Height = src.Height, src.Width
		for i, r := range DefaultLadder(turned) {
			w, h, _ := ffmpeg.VideoProfileResolution(rs[i].Profile)
			require.Equal(t, fmt.Sprintf("%dx%d", h, w), r.Profile.Resolution)
			require.Equal(t, rs[i].Profile.Bitrate, r.Profile.Bitrate)
		}
		require.Equal(t, rs, FitLadder(src, rs), "it fits as it is: %+v", src)
	}
}

// named makes renditions of presets.
func named(t *testing.T, names ...string) (rs []ffmpeg.Rendition) {
	for _, n := range names {
		r, err := NamedRendition(n)
		require.NoError(t, err)
		rs = append(rs, r)
	}
	return rs
}

func TestFitLadder(t *testing.T) {
	copies := ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: "copy"}, Video: ffmpeg.ComponentOptions{Name: "copy"}}
	broken := ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: "broken", Resolution: "640"}}
	wide := ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: "wide", Resolution: "1280x400", Bitrate: "1M"}}
	ntsc := ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: "ntsc", Resolution: "640x360", Framerate: 30000, FramerateDen: 1001}}
	for _, c := range []struct {
		name   string
		src    Source
		wanted []ffmpeg.Rendition
		want   []string
	}{
		{"all fit", Source{1920, 1080, 60, true, 0}, named(t, "P720p60fps16x9", "P360p30fps16x9"),
			[]string{"P720p60fps16x9 1280x720 6000k 60/1", "P360p30fps16x9 640x360 1200k 30/1"}},
		{"some are larger", Source{640, 360, 30, true, 0}, named(t, "P720p30fps16x9", "P576p30fps16x9", "P240p30fps16x9"),
			[]string{"P240p30fps16x9 426x240 600k 30/1"}},
		{"the source's own size, the order of the list", Source{640, 360, 30, true, 0}, named(t, "P240p30fps16x9", "P360p30fps16x9", "P720p30fps16x9"),
			[]string{"P240p30fps16x9 426x240 600k 30/1", "P360p30fps16x9 640x360 1200k 30/1"}},
		{"upright", Source{720, 1280, 30, true, 0}, named(t, "P720p30fps16x9", "P360p30fps16x9"),
			[]string{"P720p30fps16x9 1280x720 4000k 30/1", "P360p30fps16x9 640x360 1200k 30/1"}},
		{"upright and small", Source{360, 640, 30, true, 0}, named(t, "P720p30fps16x9", "P360p30fps16x9"), []string{"P360p30fps16x9 640x360 1200k 30/1"}},
		{"4:3 in 16:9", Source{960, 720, 30, true, 0}, named(t, "P720p30fps16x9"), []string{"P720p30fps16x9 1280x720 4000k 30/1"}},
		{"one side is larger", Source{1000, 500, 30, true, 0}, append([]ffmpeg.Rendition{wide}, named(t, "P720p30fps16x9")...), []string{"wide 1280x400 1M"}},
		{"nothing fits", Source{201, 113, 30, true, 0}, named(t, "P720p30fps16x9", "P144p30fps16x9", "P240p30fps16x9"),
			[]string{"P144p30fps16x9 200x112 400k 30/1"}},
		{"nothing but sound fits", Source{200, 112, 25, true, 0}, named(t, "P240p30fps16x9", "P144p30fps16x9", "audio"),
			[]string{"P144p30fps16x9 200x112 400k", "audio  "}},
		{"slower", Source{1280, 720, 25, true, 0}, named(t, "P360p30fps16x9", "P360p25fps16x9", "P240p15fps16x9"),
			[]string{"P360p30fps16x9 640x360 1200k", "P360p25fps16x9 640x360 1000k 25/1", "P240p15fps16x9 426x240 250k 15/1"}},
		{"a little slower", Source{1280, 720, 30000.0 / 1001, true, 0}, append(named(t, "P360p30fps16x9"), ntsc), []string{"P360p30fps16x9 640x360 1200k", "ntsc 640x360  30000/1001"}},
		{"very slow", Source{1280, 720, 1, true, 0}, named(t, "2G"), []string{"P72p2fps16x9 128x72 4k"}},
		{"an unknown rate", Source{1280, 720, 0, true, 0}, named(t, "P360p30fps16x9"), []string{"P360p30fps16x9 640x360 1200k 30/1"}},
		{"without sound", Source{1280, 720, 30, false, 0}, named(t, "audio", "P360p30fps16x9"), []string{"P360p30fps16x9 640x360 1200k 30/1"}},
		{"without video", Source{Audio: true}, append(named(t, "P360p30fps16x9", "audio"), copies), []string{"audio  "}},
		{"without anything", Source{}, append(named(t, "P360p30fps16x9", "audio"), copies), nil},
		{"the source as it is", Source{200, 112, 25, true, 0}, []ffmpeg.Rendition{copies}, []string{"copy  "}},
		{"a broken one is for NewLadder", Source{200, 112, 25, true, 0}, []ffmpeg.Rendition{broken}, []string{"broken 640 "}},
		{"none", Source{1280, 720, 30, true, 0}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.wanted)
			require.Equal(t, c.want, lines(FitLadder(c.src, c.wanted)))
			require.Equal(t, before, c.wanted)
		})
	}
}

func TestNamedRendition(t *testing.T) {
	names := PresetNames()
	require.True(t, slices.IsSorted(names))
	require.Len(t, names, len(ffmpeg.VideoProfileLookup)+2)
	for _, n := range names {
		r, err := NamedRendition(n)
		require.NoError(t, err)
		want := ffmpeg.Rendition{Profile: ffmpeg.VideoProfileLookup[n]}
		switch n {
		case "audio":
			want = ffmpeg.AudioOnly("audio", ffmpeg.ComponentOptions{Name: "copy"})
		case "2G", "P72p2fps16x9":
			want = ffmpeg.Rendition{Profile: ffmpeg.P72p2fps16x9, Audio: ffmpeg.LightAudio()}
		}
		require.Equal(t, want, r)
		l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: []ffmpeg.Rendition{r}})
		require.NoError(t, err)
		l.Close()
	}
	for name, like := range map[string]string{
		"P720p31fps16x9": "P720p30fps16x9", "p720p60fps16x9": "P720p60fps16x9", "2g": "2G", "AUDIO": "audio", "360p25": "P360p25fps16x9",
		"P144p15": "P144p15fps16x9", "": "2G", "P576p30fps16x9 ": "P576p30fps16x9", strings.Repeat("P\n\xff", 1000): "",
	} {
		_, err := NamedRendition(name)
		require.ErrorIs(t, err, ErrUnknownPreset)
		require.ErrorContains(t, err, "write for example "+like)
		require.ErrorContains(t, err, "transcoder.PresetNames")
		require.Less(t, len(err.Error()), 300)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestSourceOf(t *testing.T) {
	require.Zero(t, SourceOf(nil))
	require.Zero(t, SourceOf(&ffmpeg.Info{}))
	require.Equal(t, Source{Audio: true, Bitrate: 5}, SourceOf(&ffmpeg.Info{BitRate: 5, Tracks: []ffmpeg.TrackInfo{{Audio: &ffmpeg.AudioInfo{}}}}))
	for _, seg := range realSegments(t, tenSeconds)[:2] {
		info, err := ffmpeg.Probe(seg.Data)
		require.NoError(t, err)
		src := SourceOf(info)
		require.Equal(t, [2]int{640, 360}, [2]int{src.Width, src.Height})
		require.InDelta(t, 30, src.FrameRate, 0.01)
		require.True(t, src.Audio)
		require.InEpsilon(t, len(seg.Data)*8/2, src.Bitrate, 0.1)
	}
}

// Of a source that is hard to encode, all renditions come out as they were proposed, and
// no segment of the last one has more than Apple's 192 kbit/s.
func TestDefaultLadderReal(t *testing.T) {
	segs := realSegments(t, strings.Replace(strings.Replace(tenSeconds, "rate=30", "rate=30,noise=alls=40:allf=t", 1), "-t 10", "-t 6", 1))
	info, err := ffmpeg.Probe(segs[0].Data)
	require.NoError(t, err)
	rs := DefaultLadder(SourceOf(info))
	require.Equal(t, []string{"P240p30fps16x9 426x240 365k", "P144p15fps16x9 256x144 100k 15/1"}, lines(rs))
	thumbnails := 0
	engine := NewLocal(LocalOptions{Thumbnail: func(name string, jpeg []byte) {
		require.Equal(t, "real", name)
		require.Equal(t, "\xff\xd8\xff", string(jpeg[:3]))
		thumbnails++
	}})
	session, err := engine.Open("real", rs)
	require.NoError(t, err)
	defer session.Close()
	for i := range segs {
		segs[i].Seq, segs[i].Start = uint64(i+1), 2*s*time.Duration(i)
		outs := make([]ffmpeg.Output, len(rs))
		require.NoError(t, session.Transcode(t.Context(), Input{Segment: &segs[i]}, func(n int, out ffmpeg.Output) { outs[n] = out }))
		for n, size := range [][3]int{{426, 240, 60}, {256, 144, 30}} {
			require.NoError(t, outs[n].Err)
			d := probe(t, outs[n].Data)
			require.Equal(t, size, [3]int{d.width, d.height, d.frames})
			require.NotZero(t, d.sound)
		}
		require.Less(t, 8*len(outs[1].Data)/2, 192_000)
	}
	require.Equal(t, len(segs), thumbnails)
}
