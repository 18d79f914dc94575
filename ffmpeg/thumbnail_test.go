package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The quarters of a test picture, from the top left, line by line.
var quarters = [4]color.RGBA{{200, 30, 20, 255}, {30, 180, 60, 255}, {20, 40, 210, 255}, {230, 230, 230, 255}}

// quartered are arguments of ffmpeg for pictures of quarters; coded is the filter that makes
// the source's pixels.
func quartered(w, h int, coded string) string {
	src := fmt.Sprintf("-f lavfi -i color=%s:size=%dx%d:rate=10,format=rgb24", hexColor(quarters[0]), w, h)
	for i, at := range []string{"x=iw/2:y=0", "x=0:y=ih/2", "x=iw/2:y=ih/2"} {
		src += fmt.Sprintf(",drawbox=%s:w=iw/2:h=ih/2:t=fill:color=%s", at, hexColor(quarters[i+1]))
	}
	return src + "," + coded + " -t 0.5 "
}

func hexColor(c color.RGBA) string { return fmt.Sprintf("0x%02x%02x%02x", c.R, c.G, c.B) }

const (
	sd = "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt601:out_range=tv,format="
	hd = "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt709:out_range=tv,format="

	veryFast = "-c:v libx264 -preset ultrafast -qp 12 "
	tag709   = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 "
)

// readJPEG decodes a JPEG of JFIF, as browsers do.
func readJPEG(t testing.TB, b []byte) image.Image {
	t.Helper()
	require.Equal(t, "JFIF", string(b[6:10]))
	require.NotContains(t, string(b), "Lavc")
	img, err := jpeg.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Less(t, len(b), 40_000)
	return img
}

// requireColor asserts the mean colour around the middle of a part of a picture.
func requireColor(t testing.TB, want color.RGBA, img image.Image, part image.Rectangle) {
	t.Helper()
	part = part.Inset(min(part.Dx(), part.Dy()) / 4)
	var sum [3]float64
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			sum[0], sum[1], sum[2] = sum[0]+float64(r>>8), sum[1]+float64(g>>8), sum[2]+float64(b>>8)
		}
	}
	n := float64(part.Dx() * part.Dy())
	for i, v := range [3]uint8{want.R, want.G, want.B} {
		require.InDelta(t, float64(v), sum[i]/n, 5, "colour %d of %v: %v", i, want, [3]int{int(sum[0] / n), int(sum[1] / n), int(sum[2] / n)})
	}
}

// requireQuarters asserts the colours of quarters.
func requireQuarters(t testing.TB, want [4]color.RGBA, img image.Image) {
	t.Helper()
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	for i, c := range want {
		x, y := i%2*w/2, i/2*h/2
		requireColor(t, c, img, image.Rect(x, y, x+w/2, y+h/2))
	}
}

// turned are the quarters after quarter turns clockwise.
func turned(turns int) [4]color.RGBA {
	q := quarters
	for range turns {
		q = [4]color.RGBA{q[2], q[0], q[3], q[1]}
	}
	return q
}

// thumbnailSources are pictures of quarters in all forms that publishers send.
var thumbnailSources = map[string]struct {
	file, args string
	rotate     string // ffmpeg's name for the display matrix: degrees to the left
	turns      int    // quarter turns to the right that it asks for
	size       [2]int
}{
	"SD":              {file: "a.ts", args: quartered(640, 360, sd+"yuv420p") + veryFast, size: [2]int{320, 180}},
	"HD":              {file: "a.ts", args: quartered(1280, 720, hd+"yuv420p") + veryFast + tag709, size: [2]int{320, 180}},
	"HD, not tagged":  {file: "a.ts", args: quartered(1280, 720, hd+"yuv420p") + veryFast, size: [2]int{320, 180}},
	"HD in BT.601":    {file: "a.ts", args: quartered(1280, 720, sd+"yuv420p") + veryFast + "-colorspace smpte170m ", size: [2]int{320, 180}},
	"10 bits":         {file: "a.ts", args: quartered(640, 360, sd+"yuv420p10le") + veryFast, size: [2]int{320, 180}},
	"10 bits, HD":     {file: "a.ts", args: quartered(1280, 720, hd+"yuv420p10le") + veryFast + tag709, size: [2]int{320, 180}},
	"10 bits, small":  {file: "a.ts", args: quartered(64, 36, sd+"yuv420p10le") + veryFast, size: [2]int{64, 36}},
	"4:2:2":           {file: "a.ts", args: quartered(640, 360, sd+"yuv422p") + veryFast, size: [2]int{320, 180}},
	"4:2:2, 10 bits":  {file: "a.ts", args: quartered(1280, 720, hd+"yuv422p10le") + veryFast + tag709, size: [2]int{320, 180}},
	"4:4:4":           {file: "a.ts", args: quartered(640, 360, sd+"yuv444p") + veryFast, size: [2]int{320, 180}},
	"full range":      {file: "a.ts", args: quartered(640, 360, "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt601:out_range=pc,format=yuvj420p") + veryFast, size: [2]int{320, 180}},
	"full, 10 bits":   {file: "a.ts", args: quartered(640, 360, "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt601:out_range=pc,format=yuv420p10le") + veryFast + "-color_range pc ", size: [2]int{320, 180}},
	"RGB":             {file: "a.mp4", args: quartered(640, 360, "format=rgb24") + "-c:v libx264rgb -preset ultrafast -qp 12 ", size: [2]int{320, 180}},
	"HEVC, 10 bits":   {file: "a.ts", args: quartered(640, 360, sd+"yuv420p10le") + "-c:v libx265 -preset ultrafast -x265-params log-level=none:qp=12 ", size: [2]int{320, 180}},
	"FLV":             {file: "a.flv", args: quartered(640, 360, sd+"yuv420p") + veryFast, size: [2]int{320, 180}},
	"MP4":             {file: "a.mp4", args: quartered(640, 360, sd+"yuv420p") + veryFast, size: [2]int{320, 180}},
	"portrait":        {file: "a.ts", args: quartered(360, 640, sd+"yuv420p") + veryFast, size: [2]int{102, 180}},
	"square":          {file: "a.ts", args: quartered(400, 400, sd+"yuv420p") + veryFast, size: [2]int{180, 180}},
	"4:3":             {file: "a.ts", args: quartered(640, 480, sd+"yuv420p") + veryFast, size: [2]int{240, 180}},
	"wide":            {file: "a.ts", args: quartered(860, 360, sd+"yuv420p") + veryFast, size: [2]int{320, 134}},
	"PAL, 16:9":       {file: "a.ts", args: quartered(720, 576, sd+"yuv420p,setsar=64/45") + veryFast, size: [2]int{320, 180}},
	"narrow pixels":   {file: "a.ts", args: quartered(640, 360, sd+"yuv420p,setsar=1/2") + veryFast, size: [2]int{160, 180}},
	"interlaced":      {file: "a.ts", args: quartered(640, 360, sd+"yuv420p") + veryFast + "-flags +ildct+ilme -x264-params tff=1 ", size: [2]int{320, 180}},
	"small":           {file: "a.ts", args: quartered(96, 64, sd+"yuv420p") + veryFast, size: [2]int{96, 64}},
	"small, wide SAR": {file: "a.ts", args: quartered(96, 64, sd+"yuv420p,setsar=2") + veryFast, size: [2]int{96, 32}},
	"odd":             {file: "a.ts", args: quartered(99, 67, sd+"yuv444p") + veryFast, size: [2]int{98, 66}},
	"tiny":            {file: "a.ts", args: quartered(32, 16, sd+"yuv420p") + veryFast, size: [2]int{32, 16}},

	"turned":                {args: quartered(640, 360, sd+"yuv420p") + veryFast, rotate: "270", turns: 1, size: [2]int{102, 180}},
	"turned around":         {args: quartered(640, 360, sd+"yuv420p") + veryFast, rotate: "180", turns: 2, size: [2]int{320, 180}},
	"turned to the left":    {args: quartered(640, 360, sd+"yuv420p") + veryFast, rotate: "90", turns: 3, size: [2]int{102, 180}},
	"turned and anamorphic": {args: quartered(720, 576, sd+"yuv420p,setsar=64/45") + veryFast, rotate: "270", turns: 1, size: [2]int{102, 180}},
}

func thumbnailSource(t testing.TB, name string) []byte {
	c := thumbnailSources[name]
	if c.rotate == "" {
		return clip(t, c.file, c.args+asIs)
	}
	return remux(t, clip(t, "a.mp4", c.args), "", "-c copy -metadata:s:v:0 rotate="+c.rotate, "a.mp4")
}

// The one of the first keyframe, and the one beside a rendition, look like the source.
func TestThumbnail(t *testing.T) {
	t.Parallel()
	for name, c := range thumbnailSources {
		t.Run(name, func(t *testing.T) {
			data := thumbnailSource(t, name)
			alone, err := Thumbnail(data)
			require.NoError(t, err)
			var beside [][]byte
			l := ladder(t, LadderOptions{Renditions: []Rendition{{Profile: profile("64x36", 0, 1, FormatMPEGTS)}},
				Thumbnail: func(jpeg []byte) { beside = append(beside, jpeg) }})
			transcode(t, l, data)
			require.Len(t, beside, 1)
			for _, b := range [][]byte{alone, beside[0]} {
				img := readJPEG(t, b)
				require.Equal(t, c.size, [2]int{img.Bounds().Dx(), img.Bounds().Dy()})
				requireQuarters(t, turned(c.turns), img)
			}
		})
	}
}

// The colour bars of SMPTE, at 75 %.
func TestThumbnailBars(t *testing.T) {
	t.Parallel()
	data := clip(t, "a.ts", "-f lavfi -i smptebars=size=640x480:rate=10 -t 0.3 -pix_fmt yuv420p "+veryFast+asIs)
	b, err := Thumbnail(data)
	require.NoError(t, err)
	img := readJPEG(t, b)
	for i, c := range []color.RGBA{{180, 180, 180, 0}, {180, 180, 16, 0}, {16, 180, 180, 0}, {16, 180, 16, 0}, {180, 16, 180, 0}, {180, 16, 16, 0}, {16, 16, 180, 0}} {
		for _, v := range []*uint8{&c.R, &c.G, &c.B} {
			*v = uint8(math.Round(float64(*v-16) * 255 / 219)) // they are given as levels of limited range
		}
		requireColor(t, c, img, image.Rect(i*240/7, 10, (i+1)*240/7, 100))
	}
}

func TestThumbnailSize(t *testing.T) {
	for _, c := range []struct {
		name string
		w, h int
		sar  rational
		want [2]int
	}{
		{"16:9", 1920, 1080, rational{}, [2]int{320, 180}},
		{"SAR of no meaning", 1920, 1080, rational{0, 1}, [2]int{320, 180}},
		{"square pixels", 1366, 768, rational{1, 1}, [2]int{320, 180}},
		{"portrait", 1080, 1920, rational{1, 1}, [2]int{102, 180}},
		{"4:3", 640, 480, rational{1, 1}, [2]int{240, 180}},
		{"21:9", 2560, 1080, rational{1, 1}, [2]int{320, 136}},
		{"just the box", 320, 180, rational{1, 1}, [2]int{320, 180}},
		{"smaller", 160, 90, rational{1, 1}, [2]int{160, 90}},
		{"smaller and odd", 161, 91, rational{1, 1}, [2]int{160, 90}},
		{"DV PAL", 720, 576, rational{16, 15}, [2]int{240, 180}},
		{"a line", 8000, 2, rational{1, 1}, [2]int{320, 2}},
		{"a pixel", 1, 1, rational{1, 1}, [2]int{2, 2}},
		{"mad pixels", 640, 360, rational{math.MaxInt32, 1}, [2]int{320, 2}},
		{"other mad pixels", 640, 360, rational{1, math.MaxInt32}, [2]int{2, 180}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, h := thumbnailSize(c.w, c.h, c.sar)
			require.Equal(t, c.want, [2]int{w, h})
		})
	}
	for w := 2; w < 700; w += 7 {
		for h := 2; h < 700; h += 5 {
			for _, sar := range []rational{{1, 1}, {64, 45}, {3, 4}} {
				x, y := thumbnailSize(w, h, sar)
				bad := x > min(w, ThumbnailWidth) || y > min(h, ThumbnailHeight) || x < 2 || y < 2 || x%2 != 0 || y%2 != 0
				// The shape is right to within a sample.
				shape := float64(w) * sar.float() / float64(h)
				bad = bad || x > 2 && y > 2 && math.Abs(float64(x)-shape*float64(y)) > 2*max(1, shape)
				if bad {
					t.Fatalf("%dx%d, %v: %dx%d", w, h, sar, x, y)
				}
			}
		}
	}
}

// twoSegments are a red second, a green one, and two blue ones. With openGOP the second
// segment begins with the last green pictures, which refer to the segment before.
func twoSegments(t testing.TB, openGOP bool) [][]byte {
	params := "-x264-params keyint=20:min-keyint=20:scenecut=0"
	if openGOP {
		params += ":open-gop=1"
	}
	return pieces(t, "-filter_complex color=red:s=192x108:r=10:d=1[a];color=lime:s=192x108:r=10:d=1[b];"+
		"color=blue:s=192x108:r=10:d=2[c];[a][b][c]concat=n=3 "+
		"-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 "+params)
}

// Each segment has a picture of its own, and the renditions are what they are without.
func TestThumbnailOfSegments(t *testing.T) {
	t.Parallel()
	for _, openGOP := range []bool{false, true} {
		for _, threads := range []int{1, 4} {
			t.Run(fmt.Sprint("openGOP=", openGOP, ",threads=", threads), func(t *testing.T) {
				segments := twoSegments(t, openGOP)
				require.Len(t, segments, 2)
				opts := all(copied)
				opts.Continuous, opts.Threads = true, threads
				plain := joined(t, ladder(t, opts), segments)
				var got [][]byte
				opts.Thumbnail = func(jpeg []byte) { got = append(got, jpeg) }
				l := ladder(t, opts)
				require.Equal(t, plain, joined(t, l, segments))
				require.Len(t, got, 2)
				requireColor(t, color.RGBA{R: 255}, readJPEG(t, got[0]), image.Rect(0, 0, 192, 108))
				second := color.RGBA{B: 255}
				if openGOP {
					second = color.RGBA{G: 255}
				}
				requireColor(t, second, readJPEG(t, got[1]), image.Rect(0, 0, 192, 108))

				_, err := l.Transcode(t.Context(), Input{Data: segments[0], Discontinuity: true, NoThumbnail: true}, nil)
				require.NoError(t, err)
				require.Len(t, got, 2)
			})
		}
	}
}

// Where no picture is decoded there is none, and nothing fails.
func TestThumbnailNone(t *testing.T) {
	data := clip(t, "a.ts", smallVideo+sine+"-t 1 "+fastX264+aac+asIs)
	sound := clip(t, "a.ts", sine+"-t 1 "+aac+asIs)
	count := 0
	count1 := func([]byte) { count++ }
	l := ladder(t, LadderOptions{Renditions: []Rendition{{Video: copied}, AudioOnly("sound", copied)}, Thumbnail: count1})
	transcode(t, l, data)
	opts := all(copied)
	opts.Thumbnail = count1
	l = ladder(t, opts)
	transcode(t, l, sound)
	_, err := l.Transcode(t.Context(), Input{Data: randomBytes(20_000)}, nil)
	require.Error(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err = l.Transcode(ctx, Input{Data: data}, nil)
	require.Error(t, err)
	require.Zero(t, count)
	transcode(t, l, data)
	require.Equal(t, 1, count)
}

// A callback that takes its time is waited for, also when the input is given up meanwhile.
func TestThumbnailWaits(t *testing.T) {
	data := clip(t, "a.ts", smallVideo+"-t 4 "+fastX264+asIs)
	for _, threads := range []int{1, 2} {
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		called, returned := make(chan struct{}), false
		opts := all(copied)
		opts.Threads = threads
		opts.Thumbnail = func([]byte) {
			cancel(enough)
			close(called)
			<-ctx.Done()
			returned = true
		}
		l := ladder(t, opts)
		_, err := l.Transcode(ctx, Input{Data: data}, nil)
		<-called
		require.True(t, returned)
		require.True(t, err == nil || errors.Is(err, enough), err)
	}
}

// What is no picture is refused with an error that has a type.
func TestThumbnailRefuses(t *testing.T) {
	t.Parallel()
	good := clip(t, "a.ts", smallVideo+"-t 1 "+fastX264+asIs)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":         {nil, ErrFormat},
		"no bytes":        {[]byte{}, ErrFormat},
		"text":            {[]byte("#EXTM3U\nfile:///etc/passwd\n"), ErrFormat},
		"a JPEG":          {[]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00"), ErrFormat},
		"sound":           {clip(t, "a.ts", sine+"-t 1 "+aac+asIs), ErrTranscoderVid},
		"another codec":   {clip(t, "a.ts", smallVideo+"-t 0.2 -c:v mpeg2video "+asIs), ErrTranscoderVid},
		"a large picture": {clip(t, "a.ts", "-f lavfi -i color=size=8192x4864:rate=1 -frames:v 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p "+asIs), ErrTranscoderVid},
		"null packets":    {bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 100), ErrTranscoderVid},
		"no keyframe":     {remux(t, good, "", "-c copy -bsf:v noise=drop=key -muxdelay 0 ", "a.ts"), ErrTranscoderVid},
		"only a header":   {clip(t, "a.mp4", smallVideo+"-t 1 "+fastX264+"-movflags +faststart")[:600], nil},
		"FLV of noise":    {append([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"), randomBytes(5000)...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Thumbnail(c.data)
			require.Error(t, err)
			require.Nil(t, b)
			require.True(t, strings.HasPrefix(err.Error(), "thumbnail: "))
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.True(t, typed(err), err)
		})
	}
}

// Whatever is broken in a file, there is a picture, or an error that has a type.
func TestThumbnailDamaged(t *testing.T) {
	t.Parallel()
	worked := 0
	for name, data := range map[string][]byte{
		"TS":  clip(t, "a.ts", smallVideo+"-t 0.3 "+fastX264+asIs),
		"MP4": clip(t, "a.mp4", smallVideo+"-t 0.3 "+fastX264),
	} {
		noise := randomBytes(20_000)
		for i := range 300 {
			bad := bytes.Clone(data)
			for n := range 1 + i%20 {
				at := (int(noise[i*40+2*n])<<8 | int(noise[i*40+2*n+1])) * 7 % len(bad)
				bad[at] ^= noise[i*40+n] | 1
			}
			b, err := Thumbnail(bad[:len(bad)-i*len(bad)/1000])
			if err != nil {
				require.True(t, typed(err), "%s %d: %v", name, i, err)
				continue
			}
			worked++
			readJPEG(t, b)
		}
	}
	require.Positive(t, worked)
}

// Every size of libav's allocations fails once: there is an *Error, or it works, and nothing
// stays open.
func TestThumbnailAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	data := thumbnailSource(t, "turned")
	failed, worked := 0, 0
	for size := 1; size < 16<<20; size += 1 + size/20 {
		before := LiveHandles()
		limitAllocations(size)
		b, err := Thumbnail(data)
		limitAllocations(noLimit)
		require.Equal(t, before, LiveHandles())
		if err != nil {
			require.True(t, typed(err), "limit %d: %v", size, err)
			failed++
			continue
		}
		worked++
		// What the decoder could not do is seen in the picture.
		require.Equal(t, image.Pt(102, 180), readJPEG(t, b).Bounds().Size())
	}
	t.Logf("%d sizes failed, %d worked", failed, worked)
	require.Greater(t, failed, 20)
	require.Positive(t, worked)
}

// The same beside renditions: without limit, there is one again.
func TestLadderThumbnailAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	data := clip(t, "a.ts", "-f lavfi -i testsrc2=size=320x180:rate=10 -t 0.4 "+fastX264+asIs)
	var mu sync.Mutex
	count := 0
	opts := LadderOptions{Threads: 1, Renditions: []Rendition{{Profile: profile("64x36", 0, 1, FormatMPEGTS)}, {Profile: profile("32x18", 15, 1, FormatMP4)}},
		Thumbnail: func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			count++
			readJPEG(t, b)
		}}
	for size := 1; size < 4<<20; size += 1 + size/10 {
		mu.Lock()
		count = 0
		mu.Unlock()
		err := transcodeLimited(t, opts, data, size)
		mu.Lock()
		if err == nil {
			require.Equal(t, 2, count, "limit %d", size)
		} else {
			require.Positive(t, count, "limit %d", size)
		}
		mu.Unlock()
	}
}

// decodedPicture is the first picture of a file.
func decodedPicture(t testing.TB, data []byte) *picture {
	t.Helper()
	d, err := openDemuxer(Input{Data: data})
	require.NoError(t, err)
	defer d.close()
	u, err := d.next()
	require.NoError(t, err)
	dec, err := openDecoder(d.tracks[u.track].params, 1, Software, "")
	require.NoError(t, err)
	defer dec.close()
	require.NoError(t, dec.send(&u))
	require.NoError(t, dec.send(nil))
	p, err := dec.receive()
	require.NoError(t, err)
	return p
}

// Nobody is told of one that cannot be made.
func TestThumbnailFails(t *testing.T) {
	p := decodedPicture(t, thumbnailSource(t, "SD"))
	defer p.release()
	count := 0
	r := &run{
		Ladder: &Ladder{opts: LadderOptions{Thumbnail: func([]byte) { count++ }}},
		ctx:    t.Context(), d: &demuxer{tracks: make([]demuxTrack, 1)}, turns: make(chan struct{}, 1),
	}
	r.makeThumbnail(p)
	r.wg.Wait()
	require.Equal(t, 1, count)
	width := p.c.width
	p.c.width = 0
	_, err := p.jpeg(rational{})
	require.ErrorAs(t, err, new(*Error))
	r.makeThumbnail(p)
	r.wg.Wait()
	require.Equal(t, 1, count)
	p.c.width = width
}

func BenchmarkThumbnail(b *testing.B) {
	data := clip(b, "a.ts", "-f lavfi -i testsrc2=size=1920x1080:rate=30 -frames:v 1 "+fastX264+asIs)
	p := decodedPicture(b, data)
	defer p.release()
	for b.Loop() {
		_, err := p.jpeg(rational{1, 1})
		require.NoError(b, err)
	}
}
