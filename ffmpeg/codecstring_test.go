package ffmpeg

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The names are those that FFmpeg's DASH muxer gives, for whatever container they come from.
func TestCodecString(t *testing.T) {
	named := regexp.MustCompile(`codecs="([^"]*)"`)
	for name := range containerSources {
		t.Run(name, func(t *testing.T) {
			r := takeApart(t, source(t, name))
			mp4 := r.mustWrite(t, containerOptions{format: FormatMP4})
			dir := t.TempDir()
			cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", tempFile(t, mp4), "-map", "0", "-c", "copy", "-f", "dash", filepath.Join(dir, "a.mpd"))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			mpd, err := os.ReadFile(filepath.Join(dir, "a.mpd"))
			require.NoError(t, err)
			want := named.FindAllStringSubmatch(string(mpd), -1)
			require.Len(t, want, len(r.tracks))
			for i, p := range r.tracks {
				got := codecString(p, r.of(i)[0].data)
				require.NotEmpty(t, got)
				if strings.Contains(name, "22k") && i == 1 {
					require.Equal(t, "mp4a.40.2", got)
					continue
				}
				switch codec := p.codecName(); codec {
				case "hevc": // FFmpeg 5.1 names it hev1, without more
					require.Regexp(t, `^hvc1\.1\.6\.L\d+(\.[0-9A-F]+)*$`, got)
				case "mp3": // HLS's name; FFmpeg has that of MPEG-4 systems
					require.Equal(t, "mp4a.40.34", got)
				case "vp9": // its level is for a lower rate
					require.Regexp(t, `^vp09\.00\.1[01]\.08$`, got)
				default:
					require.Equal(t, want[i][1], got)
				}
			}
		})
	}
}

func TestCodecStringByHand(t *testing.T) {
	sps := []byte{0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 0x4d, 0x40, 0x1f, 0x95, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 1}
	hevc := []byte{0, 0, 0, 1, 0x42, 1, 1, 0x62, 0x20, 0, 0, 3, 0, 0xb0, 0, 0, 3, 0, 0, 3, 0, 120, 0, 0}
	for name, c := range map[string]struct {
		info  codecInfo
		first []byte
		want  string
	}{
		"avcC":               {codecInfo{codec: "h264", extradata: []byte{1, 100, 0, 41, 0xff, 0xe1, 0, 5, 0x67, 100, 0, 41, 1, 1, 0, 1, 0x68}}, sps, "avc1.640029"},
		"Annex B":            {codecInfo{codec: "h264"}, sps, "avc1.4d401f"},
		"Annex B in header":  {codecInfo{codec: "h264", extradata: sps}, nil, "avc1.4d401f"},
		"emulation":          {codecInfo{codec: "h264"}, []byte{0, 0, 1, 0x67, 0x42, 0, 0, 3, 30}, "avc1.420000"},
		"no SPS":             {codecInfo{codec: "h264"}, []byte{0, 0, 1, 0x65, 1, 2, 3}, ""},
		"no H.264":           {codecInfo{codec: "h264"}, nil, ""},
		"HEVC":               {codecInfo{codec: "hevc"}, hevc, "hvc1.A2.4.H120.B0"},
		"no HEVC":            {codecInfo{codec: "hevc", extradata: []byte{1, 2, 3}}, []byte{0, 0, 1, 0x42}, ""},
		"VP9 profile 2":      {codecInfo{codec: "vp9", level: 51}, []byte{0x92, 0x49, 0x83, 0x42, 0x80}, "vp09.02.51.12"},
		"VP9 of parameters":  {codecInfo{codec: "vp9", width: 3840, height: 2160}, nil, "vp09.00.50.08"},
		"no VP9":             {codecInfo{codec: "vp9", profile: -99}, nil, ""},
		"av1C":               {codecInfo{codec: "av1", extradata: []byte{0x81, 0x2d, 0xc0, 0}}, nil, "av01.1.13H.10"},
		"AV1 of parameters":  {codecInfo{codec: "av1", profile: 0, level: 4, depth: 8}, nil, "av01.0.04M.08"},
		"no AV1":             {codecInfo{codec: "av1", profile: -99, level: -99}, nil, ""},
		"HE-AAC":             {codecInfo{codec: "aac", extradata: []byte{0x2b, 0x11, 0x88, 0}}, nil, "mp4a.40.5"},
		"HE-AAC v2":          {codecInfo{codec: "aac", extradata: []byte{0xeb, 0x11, 0x88, 0}}, nil, "mp4a.40.29"},
		"xHE-AAC":            {codecInfo{codec: "aac", extradata: []byte{0xf9, 0x46, 0x40, 0}}, nil, "mp4a.40.42"},
		"AAC by profile":     {codecInfo{codec: "aac", profile: 0}, nil, "mp4a.40.1"},
		"AAC of nothing":     {codecInfo{codec: "aac", profile: -99}, nil, "mp4a.40.2"},
		"something else":     {codecInfo{codec: "theora"}, nil, ""},
		"what was not there": {codecInfo{}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.info.string(c.first))
		})
	}
}

// Whatever the bytes, reading them ends, and a name is a name.
func FuzzCodecString(f *testing.F) {
	codecs := []string{"h264", "hevc", "vp9", "av1", "aac", "mp3", "ac3", "eac3", "opus", "mp2"}
	for i, name := range []string{"avc+aac.ts", "hevc+aac.mp4", "vp9+opus.mp4", "av1+aac.mp4"} {
		r := takeApart(f, source(f, name))
		f.Add(i, r.tracks[0].extradata(), r.units[0].data)
	}
	f.Add(4, []byte{0x12, 0x10}, []byte{0xff, 0xf1, 0x50, 0x80, 1, 0x1f, 0xfc, 0})
	f.Fuzz(func(t *testing.T, codec int, extradata, first []byte) {
		c := codecInfo{codec: codecs[uint(codec)%uint(len(codecs))], extradata: extradata}
		require.Regexp(t, `^[-a-zA-Z0-9.]*$`, c.string(first))
		audioHeader(c.codec, first)
		adtsFromASC(extradata)
		for _, s := range []nalSyntax{avcNAL, hevcNAL} {
			size, sets := s.configRecord(extradata)
			if size > 0 {
				toAnnexB(first, size)
			}
			out := s.withSets(first, sets)
			require.GreaterOrEqual(t, len(s.parameterSets(out)), len(s.parameterSets(sets)))
			if s.parameterSets(first) != nil {
				require.Nil(t, s.parameterSets(s.withoutSets(first, first)))
			}
		}
		continueTS(map[uint16]uint8{}, first)
	})
}

// Whatever a unit is, it is written or refused, and what comes out are whole packets and boxes.
func FuzzContainer(f *testing.F) {
	var all []recording
	for i, name := range []string{"avc+aac.ts", "avc+aac.mp4", "hevc+aac.ts", "hevc+aac.mp4", "vp9+opus.mp4", "av1+aac.mp4", "avc+ac3.ts"} {
		r := takeApart(f, source(f, name))
		all = append(all, r)
		f.Add(i, 0, r.of(0)[0].data, int64(0), int64(0))
		f.Add(i, 1, r.of(1)[0].data, int64(-5), int64(1<<62))
	}
	f.Fuzz(func(t *testing.T, n, track int, data []byte, dts, later int64) {
		r := all[uint(n)%uint(len(all))]
		before := LiveHandles()
		for _, format := range []Format{FormatMPEGTS, FormatMP4} {
			c, err := newContainer(r.tracks, containerOptions{format: format})
			if err != nil {
				require.ErrorIs(t, err, ErrFormat)
				continue
			}
			u := unit{track: track & 1, dts: clock(dts), pts: clock(dts), key: true, data: data}
			for _, u := range []unit{u, {track: u.track, dts: u.dts + 1, pts: u.dts + clock(later&math33), data: data}, r.of(1 - u.track)[0]} {
				if err := c.write(u); err != nil {
					require.True(t, known(err), err)
				}
			}
			if err := c.finish(); err != nil {
				require.True(t, known(err), err)
			} else if b := c.take(); format == FormatMPEGTS {
				readTS(t, b)
			} else {
				require.Empty(t, eachBox(b, func(string, []byte) {}))
			}
			c.close()
		}
		require.Equal(t, before, LiveHandles())
	})
}

const math33 = 1<<33 - 1
