//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segmentTime is how long a segment is, in seconds.
const segmentTime = 2

// source is a clip that is made by ffmpeg's own generators.
type source struct {
	name    string
	height  int
	seconds int
	input   string // for lavfi
	bitrate string
}

// Noise makes test pictures that need their bits; the Mandelbrot set is fine detail in
// slow motion.
var generated = []source{
	{"testsrc720", 720, 12, "testsrc2=size=1280x720:rate=30,noise=alls=12:allf=t", "4M"},
	{"mandelbrot720", 720, 12, "mandelbrot=size=1280x720:rate=30", "4M"},
	{"testsrc1080", 1080, 8, "testsrc2=size=1920x1080:rate=30,noise=alls=12:allf=t", "8M"},
	{"mandelbrot1080", 1080, 8, "mandelbrot=size=1920x1080:rate=30", "8M"},
}

func clipNames() []string {
	var names []string
	for _, g := range generated {
		names = append(names, g.name)
	}
	return names
}

// clip is a stream and the segments that it was cut into.
type clip struct {
	name          string
	dir           string
	file          string // MPEG-TS
	width, height int
	rate          string // pictures per second, as a fraction
	kilobits      float64
	segments      []string // files
	starts        []int    // the number of the first picture of each segment
	frames        int
}

func (c *clip) String() string {
	return fmt.Sprintf("%s: %dx%d, %s pictures/s, %d pictures in %d segments, %.0f kbit/s",
		filepath.Base(c.name), c.width, c.height, strings.TrimSuffix(c.rate, "/1"), c.frames, len(c.segments), c.kilobits)
}

// h264 is how the stream is encoded, whatever its pictures: a keyframe every 2 s and
// nowhere else, B-pictures, AAC. The whole line for a generated clip:
//
//	ffmpeg -f lavfi -i INPUT -f lavfi -i sine=frequency=440:sample_rate=48000 -t SECONDS
//	  -c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -sc_threshold 0
//	  -force_key_frames 'expr:gte(t,n_forced*2)' -b:v RATE -maxrate 1.25*RATE -bufsize 1.5*RATE
//	  -c:a aac -b:a 128k -ac 2 -f mpegts clip.ts
func h264(rate ...string) []string {
	args := []string{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "3", "-sc_threshold", "0",
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%d)", segmentTime), "-forced-idr", "1"}
	args = append(args, rate...)
	return append(args, "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "mpegts")
}

func (b *bench) generateClip(ctx context.Context, name string) (*clip, error) {
	s := generated[slices.Index(clipNames(), name)]
	if b.quick {
		s.seconds = min(s.seconds, 6)
	}
	bits, err := strconv.Atoi(strings.TrimSuffix(s.bitrate, "M"))
	if err != nil {
		return nil, err
	}
	return b.newClip(ctx, name, append([]string{
		"-f", "lavfi", "-i", s.input, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", strconv.Itoa(s.seconds)},
		h264("-b:v", s.bitrate, "-maxrate", fmt.Sprint(bits*1_250_000), "-bufsize", fmt.Sprint(bits*1_500_000))...))
}

// convertClip encodes a video anew, at a high quality, with the keyframes that segments
// need. One that is too short is looped.
func (b *bench) convertClip(ctx context.Context, file string) (*clip, error) {
	height, err := ffprobe(ctx, file, "-show_entries", "stream=height")
	if err != nil {
		return nil, err
	}
	if len(height) == 0 {
		return nil, fmt.Errorf("%s has no video", file)
	}
	seconds := 12
	if h, _ := strconv.Atoi(strings.Trim(height[0], ",")); h > 720 {
		seconds = 8
	}
	if b.quick {
		seconds = 6
	}
	b.note("A clip that is given is encoded by x264 first (crf 18, veryfast, a keyframe every %d s), and looped when it is shorter than %d s.", segmentTime, seconds)
	return b.newClip(ctx, file, append([]string{
		"-stream_loop", "-1", "-i", file, "-t", strconv.Itoa(seconds), "-map", "0:v:0", "-map", "0:a:0?"}, h264("-crf", "18")...))
}

// newClip makes the stream by ffmpeg, and cuts it.
func (b *bench) newClip(ctx context.Context, name string, args []string) (*clip, error) {
	c := &clip{name: name}
	var err error
	if c.dir, err = os.MkdirTemp(b.dir, "clip-"); err != nil {
		return nil, err
	}
	c.file = filepath.Join(c.dir, "clip.ts")
	if _, err := ffmpeg(ctx, append(args, c.file)...); err != nil {
		return nil, err
	}
	if _, err := ffmpeg(ctx, "-copyts", "-i", c.file, "-map", "0", "-c", "copy", "-f", "segment", "-segment_format", "mpegts",
		"-segment_time", strconv.Itoa(segmentTime), filepath.Join(c.dir, "source-%03d.ts")); err != nil {
		return nil, err
	}
	if c.segments, err = filepath.Glob(filepath.Join(c.dir, "source-*.ts")); err != nil {
		return nil, err
	}
	return c, c.probe(ctx)
}

// probe finds out what the contenders have to know.
func (c *clip) probe(ctx context.Context) error {
	lines, err := ffprobe(ctx, c.file, "-show_entries", "stream=width,height,r_frame_rate")
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return fmt.Errorf("%s has no video", c.file)
	}
	f := strings.Split(strings.TrimRight(lines[0], ","), ",")
	if len(f) != 3 {
		return fmt.Errorf("ffprobe says %q", lines[0])
	}
	c.width, _ = strconv.Atoi(f[0])
	c.height, _ = strconv.Atoi(f[1])
	c.rate = f[2]
	if c.height > c.width {
		return fmt.Errorf("%dx%d: only landscape video can be measured", c.width, c.height)
	}
	bytes := 0
	for _, s := range c.segments {
		v, err := readVideo(ctx, s)
		if err != nil {
			return err
		}
		if !v.key {
			return fmt.Errorf("segment %s does not begin with a keyframe", filepath.Base(s))
		}
		c.starts = append(c.starts, c.frames)
		c.frames += v.frames
		bytes += v.bytes
	}
	c.kilobits = float64(bytes) * 8 / 1000 / c.seconds()
	return nil
}

func (c *clip) seconds() float64 {
	return float64(c.frames) / max(fraction(c.rate), 1)
}

// fraction reads a number such as 30000/1001.
func fraction(s string) float64 {
	a, b, _ := strings.Cut(s, "/")
	num, _ := strconv.ParseFloat(a, 64)
	den, err := strconv.ParseFloat(b, 64)
	if err != nil || den == 0 {
		den = 1
	}
	return num / den
}

// keyframes is an expression for -force_key_frames that is true at the starts of segments.
func (c *clip) keyframes() string {
	var terms []string
	for _, n := range c.starts {
		terms = append(terms, fmt.Sprintf("eq(n,%d)", n))
	}
	return "expr:" + strings.Join(terms, "+")
}

// video is what is in the video packets of a file.
type video struct {
	frames, bytes int
	key           bool // it begins with a keyframe
}

func readVideo(ctx context.Context, file string) (v video, err error) {
	lines, err := ffprobe(ctx, file, "-show_entries", "packet=size,flags")
	if err != nil {
		return v, err
	}
	for i, l := range lines {
		size, flags, _ := strings.Cut(l, ",")
		n, err := strconv.Atoi(size)
		if err != nil {
			return v, fmt.Errorf("ffprobe says %q", l)
		}
		v.frames++
		v.bytes += n
		if i == 0 {
			v.key = strings.HasPrefix(flags, "K")
		}
	}
	return v, nil
}

// rung is one rendition, of which the contenders agree on everything.
type rung struct {
	name          string
	box           string // of the profile
	width, height int
	bitrate       int
	threads       int // of the encoder
}

// Peaks and buffer are those of ffmpeg.Ladder.
func (r *rung) maxrate() int { return r.bitrate * 5 / 4 }
func (r *rung) buffer() int  { return r.bitrate * 3 / 2 }

// rungsFor are those below a source of this size, the smallest first.
func rungsFor(width, height, cores int) []rung {
	all := []rung{
		{name: "240p", box: "426x240", width: 426, bitrate: 600_000},
		{name: "360p", box: "640x360", width: 640, bitrate: 1_200_000},
		{name: "480p", box: "854x480", width: 854, bitrate: 1_600_000},
		{name: "720p", box: "1280x720", width: 1280, bitrate: 3_000_000},
	}
	var rungs []rung
	for _, r := range all {
		if r.width < width {
			// The shape is the source's, and sides are even.
			r.height = 2 * int(math.Round(float64(r.width)*float64(height)/float64(width)/2))
			r.threads = 1
			rungs = append(rungs, r)
		}
	}
	// As in ffmpeg.Ladder, cores that would be left over go to the largest.
	if n := len(rungs); n > 0 && cores > n {
		rungs[n-1].threads = min(1+cores-n, 4)
	}
	return rungs
}
