package ffmpeg

import (
	"math"
	"testing"
	"time"

	"github.com/livepeer/m3u8"
	"github.com/stretchr/testify/require"
)

func TestProfileNames(t *testing.T) {
	require.Equal(t, []int{0, 1, 2, 3}, []int{int(Software), int(Nvidia), int(Amd), int(Netint)})
	require.Equal(t, map[Acceleration]string{Software: "SW", Nvidia: "Nvidia", Amd: "Amd", Netint: "Netint"}, AccelerationNameLookup)
	require.EqualError(t, ErrTranscoderHw, "TranscoderInvalidHardware")
	require.EqualError(t, ErrTranscoderRes, "TranscoderInvalidResolution")
	require.EqualError(t, ErrTranscoderVid, "TranscoderInvalidVideo")
	require.Equal(t, "640x360_1200000", DefaultProfileName(640, 360, 1200000))
}

func TestProfileEncoderNames(t *testing.T) {
	for i, c := range []struct {
		names     []string
		parameter string
		bframes   bool
	}{
		ProfileNone:                {[]string{"", "none", "None"}, "", true},
		ProfileH264Baseline:        {[]string{"H264Baseline", "h264baseline", "baseline", "BASELINE"}, "baseline", false},
		ProfileH264Main:            {[]string{"H264Main", "main"}, "main", true},
		ProfileH264High:            {[]string{"H264High", "high"}, "high", true},
		ProfileH264ConstrainedHigh: {[]string{"H264ConstrainedHigh", "ConstrainedHigh"}, "high", false},
	} {
		for _, name := range c.names {
			p, err := EncoderProfileNameToValue(name)
			require.NoError(t, err, name)
			require.Equal(t, Profile(i), p, name)
		}
		require.Equal(t, c.parameter, ProfileParameters[Profile(i)])
		require.Equal(t, c.bframes, Profile(i).bframes(), i)
	}
	require.Len(t, ProfileParameters, 5)
	for _, name := range []string{"H264", "H264none", "H264High10", " high", "high\n"} {
		_, err := EncoderProfileNameToValue(name)
		require.ErrorIs(t, err, ErrProfile, name)
		require.ErrorContains(t, err, "write none, H264Baseline, H264Main, H264High or H264ConstrainedHigh")
	}
}

func TestProfileBitrate(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "0": 0, "400k": 400_000, "1200K": 1_200_000, "2.5M": 2_500_000, "600000": 600_000,
		"4.5k": 4500, ".5k": 500, "2.3M": 2_300_000, "1000M": 1e9, "1000000000": 1e9, "0001k": 1000,
	} {
		n, err := VideoProfile{Bitrate: text}.bitrate()
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{
		"-1", "+1", "-1k", "k", "M", ".", ".k", "2.5", "1.2.3k", "400 k", " 400k", "400kk", "400kb", "1G", "4m",
		"1e3", "1e3k", "0x10", "0x1p3k", "1_000", "inf", "infk", "nan", "nanM", "1001M", "1000000001", "9999999999999999999999",
		"1" + string(make([]byte, 400)) + "k", "400k\n", "4００k",
	} {
		n, err := VideoProfile{Bitrate: text}.bitrate()
		require.ErrorIs(t, err, ErrProfile, text)
		require.ErrorContains(t, err, "as 600000, 600k or 2.5M")
		require.Less(t, len(err.Error()), 400)
		require.Zero(t, n)
	}
}

func TestProfileFrameRate(t *testing.T) {
	for name, c := range map[string]struct{ fps, fpsDen, num, den int }{
		"source":             {0, 0, 0, 1},
		"source, with a den": {0, 1001, 0, 1},
		"whole":              {30, 0, 30, 1},
		"fraction":           {30000, 1001, 30000, 1001},
		"below one":          {1, 2, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			num, den := VideoProfile{Framerate: uint(c.fps), FramerateDen: uint(c.fpsDen)}.frameRate()
			require.Equal(t, []int{c.num, c.den}, []int{num, den})
		})
	}
}

func TestProfileResolution(t *testing.T) {
	for text, want := range map[string][2]int{
		"256x144": {256, 144}, "427x241": {427, 241}, "144x256": {144, 256}, "2x16384": {2, 16384},
	} {
		w, h, err := VideoProfileResolution(VideoProfile{Resolution: text})
		require.NoError(t, err, text)
		require.Equal(t, want, [2]int{w, h})
	}
	for _, text := range []string{
		"", "x", "256", "256x", "x144", "256X144", "256:144", "-256x144", "+256x144", "256x144x2", "256x 144",
		"1x144", "256x1", "0x0", "16385x144", "4294967298x144", "99999999999999999999x2", "0x10x4", "2_56x144",
	} {
		w, h, err := VideoProfileResolution(VideoProfile{Resolution: text})
		require.ErrorIs(t, err, ErrTranscoderRes, text)
		require.ErrorContains(t, err, "write WIDTHxHEIGHT")
		require.Zero(t, w+h)
	}
}

func TestProfileToVariantParams(t *testing.T) {
	require.Equal(t, m3u8.VariantParams{Bandwidth: 400_000, Resolution: "256x144"}, VideoProfileToVariantParams(P144p30fps16x9))
	require.Equal(t, m3u8.VariantParams{Bandwidth: 1e9}, VideoProfileToVariantParams(VideoProfile{Bitrate: "1000M"}))
	require.Equal(t, m3u8.VariantParams{Resolution: "2x2"}, VideoProfileToVariantParams(VideoProfile{Bitrate: "much", Resolution: "2x2"}))
}

func TestProfileValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*VideoProfile)
		text   string // of the error, or empty
	}{
		"as it is":          {func(p *VideoProfile) {}, ""},
		"no name":           {func(p *VideoProfile) { p.Name = "" }, ""},
		"all":               {func(p *VideoProfile) { p.Format, p.Profile, p.Encoder = FormatMP4, ProfileH264High, VP9 }, ""},
		"deep":              {func(p *VideoProfile) { p.ColorDepth, p.ChromaFormat = ColorDepth16Bit, ChromaSubsampling444 }, ""},
		"no bitrate":        {func(p *VideoProfile) { p.Bitrate = "" }, ""},
		"source's rate":     {func(p *VideoProfile) { p.Framerate = 0 }, ""},
		"NTSC":              {func(p *VideoProfile) { p.Framerate, p.FramerateDen = 30000, 1001 }, ""},
		"fastest":           {func(p *VideoProfile) { p.Framerate, p.FramerateDen = 240_000_000, 1_000_000 }, ""},
		"intra":             {func(p *VideoProfile) { p.GOP = GOPIntraOnly }, ""},
		"GOP":               {func(p *VideoProfile) { p.GOP = time.Hour }, ""},
		"quality":           {func(p *VideoProfile) { p.Quality = 63 }, ""},
		"resolution":        {func(p *VideoProfile) { p.Resolution = "0x144" }, "TranscoderInvalidResolution"},
		"bitrate":           {func(p *VideoProfile) { p.Bitrate = "fast" }, `bitrate "fast"`},
		"too fast":          {func(p *VideoProfile) { p.Framerate = 241 }, "frame rate 241/1: write at most 240"},
		"too fast, by den":  {func(p *VideoProfile) { p.Framerate, p.FramerateDen = 240_241, 1001 }, "frame rate 240241/1001"},
		"much too fast":     {func(p *VideoProfile) { p.Framerate = math.MaxUint }, "write at most 240"},
		"rate denominator":  {func(p *VideoProfile) { p.FramerateDen = math.MaxUint }, "the denominator is at most"},
		"negative GOP":      {func(p *VideoProfile) { p.GOP = -2 }, "GOP -2ns"},
		"long GOP":          {func(p *VideoProfile) { p.GOP = time.Hour + 1 }, "write a time up to 1h0m0s"},
		"too much quality":  {func(p *VideoProfile) { p.Quality = 64 }, "quality 64"},
		"unknown format":    {func(p *VideoProfile) { p.Format = 3 }, "format 3"},
		"negative format":   {func(p *VideoProfile) { p.Format = -1 }, "format -1"},
		"unknown profile":   {func(p *VideoProfile) { p.Profile = 5 }, "encoder profile 5"},
		"unknown encoder":   {func(p *VideoProfile) { p.Encoder = 99 }, "encoder 99"},
		"odd depth":         {func(p *VideoProfile) { p.ColorDepth = 1 }, "write 0, 2, 4 or 8"},
		"unknown chroma":    {func(p *VideoProfile) { p.ChromaFormat = 3 }, "write 0 (4:2:0)"},
		"an empty profile":  {func(p *VideoProfile) { *p = VideoProfile{} }, "TranscoderInvalidResolution"},
		"aspect is no rule": {func(p *VideoProfile) { p.AspectRatio = "wide" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := P144p30fps16x9
			c.change(&p)
			err := p.validate()
			if c.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrProfile)
			require.ErrorContains(t, err, c.text)
		})
	}
	require.ErrorIs(t, VideoProfile{Resolution: "1x1"}.validate(), ErrTranscoderRes)
}
