package ffmpeg

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exactCase is a source and what must become of it.
type exactCase struct {
	name, args string
	period     float64 // seconds of a picture
	size       [2]int  // of the renditions in a box of 160x90
	fps        [2]uint // of the second rendition
	filters    string  // what the pictures of the first look like
	source     func(t testing.TB) []byte
}

var exactCases = map[string]exactCase{
	"B-frames":       {args: smallVideo + sine + "-t 2 " + fastX264 + "-g 60 -bf 3 " + aac + asIs, fps: [2]uint{25, 1}},
	"24000/1001":     {args: "-f lavfi -i testsrc2=size=320x180:rate=24000/1001 " + sine + "-t 2 " + fastX264 + "-bf 2 " + aac + asIs, period: 1001. / 24000, fps: [2]uint{30, 1}},
	"30000/1001":     {args: "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 " + sine + "-t 2 " + fastX264 + aac + asIs, period: 1001. / 30000, fps: [2]uint{24000, 1001}},
	"60 to 30":       {args: "-f lavfi -i testsrc2=size=320x180:rate=60 -t 1 " + fastX264 + asIs, period: 1. / 60, fps: [2]uint{30, 1}},
	"15 to 60":       {args: "-f lavfi -i testsrc2=size=320x180:rate=15 -t 2 " + fastX264 + asIs, period: 1. / 15, fps: [2]uint{60, 1}},
	"to 2":           {args: smallVideo + "-t 2 " + fastX264 + asIs, fps: [2]uint{2, 1}},
	"to 30000/1001":  {args: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 " + fastX264 + asIs, period: 1. / 25, fps: [2]uint{30000, 1001}},
	"variable":       {args: smallVideo + sine + "-t 3 -vf select='not(eq(mod(n,7),3)+eq(mod(n,7),4)+between(n,40,55))' -fps_mode vfr " + fastX264 + "-bf 2 " + aac + asIs, fps: [2]uint{30, 1}},
	"late start":     {args: smallVideo + sine + "-t 2 " + fastX264 + aac + asIs + "-output_ts_offset 1234.567", fps: [2]uint{10, 1}},
	"10 bits":        {args: smallVideo + "-t 1 -c:v libx264 -preset superfast -pix_fmt yuv420p10le " + asIs, fps: [2]uint{15, 1}},
	"4:2:2":          {args: smallVideo + "-t 1 -c:v libx264 -preset superfast -pix_fmt yuv422p " + asIs, fps: [2]uint{15, 1}},
	"4:2:2, 10 bits": {args: smallVideo + "-t 1 -c:v libx264 -preset superfast -pix_fmt yuv422p10le " + asIs, fps: [2]uint{15, 1}},
	"full range":     {args: smallVideo + "-t 1 -c:v libx264 -preset superfast -pix_fmt yuvj420p " + asIs, fps: [2]uint{15, 1}},
	"portrait":       {args: "-f lavfi -i testsrc2=size=180x320:rate=30 -t 1 " + fastX264 + asIs, size: [2]int{90, 160}, fps: [2]uint{15, 1}},
	"4:3":            {args: "-f lavfi -i testsrc2=size=320x240:rate=30 -t 1 " + fastX264 + asIs, size: [2]int{160, 120}, fps: [2]uint{15, 1}},
	"odd size":       {args: "-f lavfi -i testsrc2=size=321x181:rate=30 -t 1 -c:v libx264 -preset superfast -pix_fmt yuv444p " + asIs, fps: [2]uint{15, 1}},
	"odd and small":  {args: "-f lavfi -i testsrc2=size=121x67:rate=30 -t 1 -c:v libx264 -preset superfast -pix_fmt yuv444p " + asIs, size: [2]int{120, 66}, fps: [2]uint{15, 1}},
	"never upscaled": {args: "-f lavfi -i testsrc2=size=128x72:rate=30 -t 1 " + fastX264 + asIs, size: [2]int{128, 72}, fps: [2]uint{15, 1}},
	"anamorphic":     {args: "-f lavfi -i testsrc2=size=320x240:rate=30,setsar=4/3 -t 1 " + fastX264 + asIs, size: [2]int{160, 120}, fps: [2]uint{15, 1}},
	"interlaced": {args: "-f lavfi -i testsrc2=size=320x180:rate=50,tinterlace=interleave_top -t 2 -c:v libx264 -preset superfast -pix_fmt yuv420p -flags +ildct+ilme -x264-params tff=1 " + asIs,
		period: 1. / 25, fps: [2]uint{50, 1}, filters: "bwdif=mode=send_frame"},
	"one picture":             {args: "-f lavfi -i testsrc2=size=320x180:rate=30:duration=0.5 -f lavfi -i sine=frequency=440:sample_rate=44100:duration=0.5 -vf select=eq(n\\,0) " + fastX264 + aac + asIs, fps: [2]uint{30, 1}},
	"one picture, interlaced": {args: "-f lavfi -i testsrc2=size=320x180:rate=50,tinterlace=interleave_top -frames:v 1 -c:v libx264 -preset superfast -pix_fmt yuv420p -flags +ildct+ilme -x264-params tff=1 " + asIs, period: 1. / 25, fps: [2]uint{25, 1}, filters: "bwdif=mode=send_frame"},
	"one picture, to 2":       {args: smallVideo + "-frames:v 1 " + fastX264 + asIs, fps: [2]uint{2, 1}},
	"two pictures":            {args: smallVideo + "-frames:v 2 " + fastX264 + asIs, fps: [2]uint{30, 1}},
	"HEVC":                    {args: smallVideo + "-t 1 -c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=2 -pix_fmt yuv420p " + asIs, fps: [2]uint{15, 1}},
	"MP4":                     {name: "a.mp4", args: smallVideo + sine + "-t 2 " + fastX264 + "-bf 2 " + aac, fps: [2]uint{25, 1}},
	"MP4, 24000/1001":         {name: "a.mp4", args: "-f lavfi -i testsrc2=size=320x180:rate=24000/1001 " + sine + "-t 2 " + fastX264 + aac, period: 1001. / 24000, fps: [2]uint{60, 1}},
	"fragmented MP4":          {name: "a.mp4", args: smallVideo + sine + "-t 2 " + fastX264 + "-bf 2 " + aac + "-movflags +frag_keyframe+empty_moov+default_base_moof", fps: [2]uint{25, 1}},
	"MP4, VP9 odd":            {name: "a.mp4", args: "-f lavfi -i testsrc2=size=321x181:rate=30 -t 1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -pix_fmt yuv420p", fps: [2]uint{15, 1}},
	"MP4, AV1":                {name: "a.mp4", args: smallVideo + "-t 1 -c:v libsvtav1 -preset 12 -b:v 1M -pix_fmt yuv420p", fps: [2]uint{15, 1}},
	"FLV":                     {name: "a.flv", args: smallVideo + sine + "-t 2 " + fastX264 + "-bf 2 " + aac, fps: [2]uint{25, 1}},
	"rotated by 90":           {source: rotated("90"), size: [2]int{90, 160}, fps: [2]uint{15, 1}},
	"rotated by 180":          {source: rotated("180"), fps: [2]uint{15, 1}},
	"rotated by 270":          {source: rotated("270"), size: [2]int{90, 160}, fps: [2]uint{15, 1}},
}

// rotated is an MP4 with a display matrix, as telephones write it.
func rotated(degrees string) func(t testing.TB) []byte {
	return func(t testing.TB) []byte {
		upright := clip(t, "a.mp4", smallVideo+"-t 1 "+fastX264)
		return remux(t, upright, "", "-c copy -metadata:s:v:0 rotate="+degrees, "a.mp4")
	}
}

// Each source gives a rendition with the source's times, in a transport stream, and one with
// a rate of its own, in MP4: both begin with an IDR picture at the source's time, have the
// pictures that the rule says, at their exact times, and show what the source shows.
func TestLadderExact(t *testing.T) {
	for name, c := range exactCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.defaults()
			data := c.data(t)
			l := ladder(t, LadderOptions{Renditions: []Rendition{
				{Profile: profile("160x90", 0, 1, FormatMPEGTS)},
				{Profile: profile("160x90", c.fps[0], c.fps[1], FormatMP4)},
			}})
			res := transcode(t, l, data)
			c.check(t, data, res)
		})
	}
}

func (c *exactCase) defaults() {
	if c.name == "" {
		c.name = "a.ts"
	}
	if c.period == 0 {
		c.period = 1. / 30
	}
	if c.size == [2]int{} {
		c.size = [2]int{160, 90}
	}
	if c.filters == "" {
		c.filters = "null"
	}
}

func (c *exactCase) data(t testing.TB) []byte {
	if c.source != nil {
		return c.source(t)
	}
	return clip(t, c.name, c.args)
}

func (c *exactCase) check(t *testing.T, data []byte, res *LadderResult) {
	src, _ := probeMedia(t, data)
	shown := decodedTimes(t, data)
	require.NotEmpty(t, shown)
	start, last := shown[0], shown[len(shown)-1]
	length := float64(last-start)/float64(clockRate) + c.period

	same, paced := inspect(t, res.Outputs[0].Data), inspect(t, res.Outputs[1].Data)
	requireTimes(t, shown, same.Video.times())
	slots := max(int(math.Round(length*float64(c.fps[0])/float64(c.fps[1]))), 1)
	grid := make([]clock, slots)
	for i := range grid {
		grid[i] = start + clock(mulDiv(int64(i)*int64(c.fps[1]), int64(clockRate), int64(c.fps[0])))
	}
	requireTimes(t, grid, paced.Video.times())
	requireIDR(t, res.Outputs[0].Data)
	for i, out := range []*ladderFile{same, paced} {
		requireRising(t, out.Video)
		require.True(t, out.Video.packets[0].key)
		require.True(t, (start - out.Video.packets[0].pts).within(tick), "the first picture is the first to be decoded")
		require.Equal(t, len(out.Video.packets), out.Video.decoded)
		require.Equal(t, c.size, [2]int{out.Video.Width, out.Video.Height})
		require.Equal(t, "yuv420p", withoutJ(out.Video.PixFmt))
		require.Equal(t, src.Video.SAR == "4:3", out.Video.SAR == "4:3", out.Video.SAR)

		// What the result says is what there is.
		o := res.Outputs[i]
		require.Equal(t, MediaInfo{out.Video.decoded, int64(out.Video.decoded) * int64(c.size[0]*c.size[1])}, o.Media)
		require.InDelta(t, start.duration(), o.Start, float64(20*time.Microsecond))
		require.InDelta(t, length, o.Duration.Seconds(), 0.001)
		require.Equal(t, c.size, [2]int{o.Info.Width, o.Info.Height})
		require.Contains(t, o.Info.Codecs, "avc1.")
		require.Equal(t, src.Audio != nil, out.Audio != nil)
		if src.Audio != nil {
			require.Contains(t, o.Info.Codecs, ",mp4a.40.2")
			requireSameSound(t, data, o.Data)
		}
	}
	require.Equal(t, MediaInfo{len(shown), int64(len(shown)) * int64(src.Video.Width*src.Video.Height)}, res.Decoded)
	require.InDelta(t, 1/c.period, res.Outputs[0].Info.FrameRate, 0.01)
	require.InDelta(t, float64(c.fps[0])/float64(c.fps[1]), res.Outputs[1].Info.FrameRate, 0.001)
	if src.Audio != nil {
		return // others have shown it
	}
	like := similarity(t, res.Outputs[0].Data, data, c.filters)
	t.Logf("%d and %d pictures, SSIM %.4f", len(shown), slots, like)
	require.Greater(t, like, 0.93)
}

func withoutJ(pixFmt string) string {
	if pixFmt == "yuvj420p" { // how ffprobe calls the full range
		return "yuv420p"
	}
	return pixFmt
}

// requireSameSound asserts that two files have the same AAC frames.
func requireSameSound(t testing.TB, want, got []byte) {
	t.Helper()
	w, g := aacFrames(t, want), aacFrames(t, got)
	require.Equal(t, len(w), len(g), "frames of sound")
	for i := range w {
		require.True(t, bytes.Equal(w[i], g[i]), "frame %d", i)
	}
	src, out := inspectLoose(t, want).Audio.times(), inspectLoose(t, got).Audio.times()
	require.Equal(t, len(src), len(out))
	for i := range src {
		// The clock of FLV rounds to milliseconds, what follows from the samples does not.
		require.True(t, (src[i] - out[i]).within(clockRate/900), "frame %d of sound: at %v instead of %v", i, out[i].duration(), src[i].duration())
	}
}
