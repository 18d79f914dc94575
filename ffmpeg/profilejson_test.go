package ffmpeg

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJsonProfiles(t *testing.T) {
	p := VideoProfile{Name: "low", Bitrate: "100000", Resolution: "256x144"}
	with := func(change func(*VideoProfile)) VideoProfile {
		p := p
		change(&p)
		return p
	}
	for fields, want := range map[string]VideoProfile{
		``:                                   p,
		`, "fps": 15`:                        with(func(p *VideoProfile) { p.Framerate = 15 }),
		`, "fps": 30000, "fpsDen": 1001`:     with(func(p *VideoProfile) { p.Framerate, p.FramerateDen = 30000, 1001 }),
		`, "fps": 0, "fpsDen": 0`:            p,
		`, "profile": ""`:                    p,
		`, "profile": "H264Baseline"`:        with(func(p *VideoProfile) { p.Profile = ProfileH264Baseline }),
		`, "profile": "h264constrainedhigh"`: with(func(p *VideoProfile) { p.Profile = ProfileH264ConstrainedHigh }),
		`, "gop": ""`:                        p,
		`, "gop": "intra"`:                   with(func(p *VideoProfile) { p.GOP = GOPIntraOnly }),
		`, "gop": "2"`:                       with(func(p *VideoProfile) { p.GOP = 2 * time.Second }),
		`, "gop": "0.5"`:                     with(func(p *VideoProfile) { p.GOP = time.Second / 2 }),
		`, "gop": "2.002"`:                   with(func(p *VideoProfile) { p.GOP = 2002 * time.Millisecond }),
		`, "gop": "3600"`:                    with(func(p *VideoProfile) { p.GOP = time.Hour }),
		`, "encoder": ""`:                    p,
		`, "encoder": "H.264"`:               p,
		`, "encoder": "h264"`:                p,
		`, "encoder": "HEVC"`:                with(func(p *VideoProfile) { p.Encoder = H265 }),
		`, "encoder": "hevc"`:                with(func(p *VideoProfile) { p.Encoder = H265 }),
		`, "encoder": "H.265"`:               with(func(p *VideoProfile) { p.Encoder = H265 }),
		`, "encoder": "H265"`:                with(func(p *VideoProfile) { p.Encoder = H265 }),
		`, "encoder": "VP8"`:                 with(func(p *VideoProfile) { p.Encoder = VP8 }),
		`, "encoder": "vp9"`:                 with(func(p *VideoProfile) { p.Encoder = VP9 }),
		`, "colorDepth": 2`:                  with(func(p *VideoProfile) { p.ColorDepth = ColorDepth10Bit }),
		`, "chromaFormat": 2`:                with(func(p *VideoProfile) { p.ChromaFormat = ChromaSubsampling444 }),
		`, "quality": 63`:                    with(func(p *VideoProfile) { p.Quality = 63 }),
		`, "name": ""`:                       with(func(p *VideoProfile) { p.Name = "256x144_100000" }),
		`, "bitrate": 0`:                     with(func(p *VideoProfile) { p.Bitrate = "0" }),
		`, "width": 427, "height": 2`:        with(func(p *VideoProfile) { p.Resolution = "427x2" }),
		`, "more": {"profiles": [1, null]}`:  p,
	} {
		t.Run(fields, func(t *testing.T) {
			got, err := ParseProfiles([]byte(`[{"name": "low", "width": 256, "height": 144, "bitrate": 100000` + fields + `}]`))
			require.NoError(t, err)
			require.Equal(t, []VideoProfile{want}, got)
			require.NoError(t, want.validate())
		})
	}
}

// FFmpeg's name of every codec is accepted, in any case.
func TestJsonProfileEncoders(t *testing.T) {
	for name, codec := range FfmpegNameToVideoCodec {
		for _, name := range []string{name, strings.ToUpper(name)} {
			got, err := ParseProfilesFromJsonProfileArray([]JsonProfile{{Width: 2, Height: 2, Encoder: name}})
			require.NoError(t, err)
			require.Equal(t, codec, got[0].Encoder)
		}
	}
}

func TestJsonProfilesArray(t *testing.T) {
	in := []JsonProfile{
		{Name: "high", Width: 1280, Height: 720, Bitrate: 4_000_000, FPS: 60, Quality: 20},
		{Width: 256, Height: 144, Encoder: "VP9"},
	}
	want := []VideoProfile{
		{Name: "high", Resolution: "1280x720", Bitrate: "4000000", Framerate: 60, Quality: 20},
		{Name: "256x144_0", Resolution: "256x144", Bitrate: "0", Encoder: VP9},
	}
	got, err := ParseProfilesFromJsonProfileArray(in)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Empty(t, in[1].Name, "the input is as it was")

	b, err := json.Marshal(in)
	require.NoError(t, err)
	got, err = ParseProfiles(b)
	require.NoError(t, err)
	require.Equal(t, want, got)

	for _, none := range []string{"[]", "null"} {
		got, err = ParseProfiles([]byte(none))
		require.NoError(t, err)
		require.Empty(t, got)
	}
	got, err = ParseProfiles([]byte("[" + strings.Repeat(`{"width": 2, "height": 2},`, 99) + `{"width": 2, "height": 2}]`))
	require.NoError(t, err)
	require.Len(t, got, 100)
}

func TestJsonProfileErrors(t *testing.T) {
	for fields, want := range map[string]string{
		`"width": 0`:                 "width 0 and height 144: write 2 to 16384",
		`"width": 1`:                 "width 1 and height 144",
		`"height": -144`:             "width 256 and height -144",
		`"height": 20000`:            "height 20000",
		`"width": "256"`:             `"width" must be a whole number, not string`,
		`"width": 256.5`:             `"width" must be a whole number, not number 256.5`,
		`"bitrate": -1`:              "bitrate -1: write bits per second, or 0 for none",
		`"bitrate": 2000000000`:      "write bits per second up to 1000000000",
		`"bitrate": "400k"`:          `"bitrate" must be a whole number`,
		`"bitrate": 1e30`:            `"bitrate" must be a whole number`,
		`"fps": 29.97`:               `with "fpsDen" for fractions (29.97 is 30000 and 1001), not number 29.97`,
		`"fps": -1`:                  `"fps" must be a whole number, 0 or more`,
		`"fps": 241`:                 "frame rate 241/1: write at most 240",
		`"fps": 30, "fpsDen": 9e99`:  `"fpsDen" must be a whole number, 0 or more`,
		`"fpsDen": 1000001`:          "the denominator is at most 1000000",
		`"profile": "H264Extended"`:  `no encoder profile "H264Extended": write none, H264Baseline`,
		`"gop": 2`:                   `"gop" must be a text in quotes, not number`,
		`"gop": "0"`:                 `gop "0": write "intra", or seconds up to 3600`,
		`"gop": "-1"`:                `gop "-1"`,
		`"gop": "+1"`:                `gop "+1"`,
		`"gop": "Intra"`:             `gop "Intra"`,
		`"gop": "2s"`:                `gop "2s"`,
		`"gop": "1m3"`:               `gop "1m3"`,
		`"gop": "1.2.3"`:             `gop "1.2.3"`,
		`"gop": "."`:                 `gop "."`,
		`"gop": "1e2"`:               `gop "1e2"`,
		`"gop": "inf"`:               `gop "inf"`,
		`"gop": "0.0000000001"`:      `gop "0.0000000001"`,
		`"gop": "3600.1"`:            `gop "3600.1"`,
		`"gop": "99999999999999999"`: `gop "99999999999999999"`,
		`"encoder": "MPEG-2"`:        `no encoder "MPEG-2": write H.264, HEVC, VP8, VP9 or AV1`,
		`"colorDepth": 10`:           "colorDepth 10: write 0, 2, 4 or 8",
		`"colorDepth": "8"`:          `"colorDepth" must be a whole number`,
		`"chromaFormat": -1`:         "chromaFormat -1: write 0 (4:2:0)",
		`"quality": 64`:              "quality 64: write 1 (best) to 63",
		`"quality": -1`:              `"quality" must be a whole number, 0 or more`,
	} {
		t.Run(fields, func(t *testing.T) {
			good := `{"name": "first", "width": 2, "height": 2}`
			got, err := ParseProfiles([]byte(`[` + good + `, {"name": "low", "width": 256, "height": 144, ` + fields + `}, ` + good + `]`))
			require.Nil(t, got)
			require.ErrorIs(t, err, ErrProfile)
			require.ErrorContains(t, err, `profile 2 of 3 ("low"): `)
			require.ErrorContains(t, err, want)
			require.Equal(t, 1, strings.Count(err.Error(), ErrProfile.Error()), err)
		})
	}
	_, err := ParseProfiles([]byte(`[{}]`))
	require.ErrorIs(t, err, ErrTranscoderRes)
	require.ErrorContains(t, err, "profile 1 of 1: ")
}

func TestJsonErrors(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"nothing":    {"", "write an array, as ["},
		"object":     {`{"profiles": []}`, "write an array, as ["},
		"text":       {`"P240p30fps16x9"`, "write an array, as ["},
		"cut off":    {`[{"width": 2, "height": 2}`, "unexpected end"},
		"more":       {`[] []`, "after top-level value"},
		"names":      {`["P240p30fps16x9"]`, "profile 1 of 1: it must be an object, not string: write an array, as ["},
		"nil":        {`[null]`, "profile 1 of 1: TranscoderInvalidResolution"},
		"deep":       {strings.Repeat("[", 30_000), "exceeded max depth"},
		"too many":   {"[" + strings.Repeat(`{},`, 100) + "{}]", "101 profiles: write at most 100"},
		"too much":   {"[" + strings.Repeat(" ", 64<<10) + "]", "65538 bytes of JSON: write at most 65536"},
		"long name":  {`[{"name": "` + strings.Repeat("n", 10_000) + `"}]`, "profile 1 of 1 "},
		"long value": {`[{"width": 2, "height": 2, "gop": "` + strings.Repeat("1", 10_000) + `"}]`, "profile 1 of 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseProfiles([]byte(c.data))
			require.Nil(t, got)
			require.ErrorIs(t, err, ErrProfile)
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 400)
		})
	}
	_, err := ParseProfilesFromJsonProfileArray(make([]JsonProfile, 101))
	require.ErrorContains(t, err, "101 profiles")
}

// Whatever parses is valid; whatever does not says so with ErrProfile, in a few words.
func FuzzParseProfiles(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"name": "low", "width": 256, "height": 144, "bitrate": 100000, "fps": 30000, "fpsDen": 1001}]`))
	f.Add([]byte(`[{"width": 427, "height": 241, "gop": "0.5", "profile": "main", "quality": 23}, {"width": 2, "height": 2, "gop": "intra"}]`))
	f.Add([]byte(`[{"width": 16384, "height": 16384, "bitrate": 1000000000, "encoder": "h.265", "colorDepth": 2, "chromaFormat": 1}]`))
	f.Add([]byte(`[{"WIDTH": 2, "height": 2, "gop": "1.2.3", "fps": 29.97}]`))
	f.Add([]byte(`[null, 1, "two", [3], {"name": {}}]`))
	f.Add([]byte(`{"profiles": [`))
	f.Fuzz(func(t *testing.T, data []byte) {
		profiles, err := ParseProfiles(data)
		if err != nil {
			require.ErrorIs(t, err, ErrProfile)
			require.Nil(t, profiles)
			return
		}
		require.LessOrEqual(t, len(profiles), maxProfiles)
		for _, p := range profiles {
			require.NoError(t, p.validate())
			require.NotEmpty(t, p.Name)
			w, h, err := VideoProfileResolution(p)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%dx%d", w, h), p.Resolution)
			num, den := p.frameRate()
			require.True(t, num >= 0 && den > 0)
			w, h = fitSize(w, h, w, h)
			require.True(t, w >= 2 && h >= 2)
		}
	})
}
