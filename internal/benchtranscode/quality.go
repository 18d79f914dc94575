//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/livepeer/lpms/internal/benchhost"
)

// score is how good a rendition is. Near compares with the source scaled to the rendition's
// size, far compares the rendition scaled up with the source itself.
type score struct {
	kilobits           float64
	nearSSIM, nearPSNR float64
	farSSIM, farPSNR   float64
}

// raws are the pictures of a clip without compression, for comparisons and encoders.
type raws struct {
	source string
	rungs  []string // scaled by ffmpeg's default scaler
}

func (o *contenders) rawFiles(ctx context.Context) (raws, error) {
	r := raws{source: filepath.Join(o.c.dir, "source.yuv")}
	args := []string{"-i", o.c.file, "-filter_complex", scales(o.rungs)}
	for i, g := range o.rungs {
		r.rungs = append(r.rungs, filepath.Join(o.c.dir, g.name+".yuv"))
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-fps_mode", "passthrough", "-f", "rawvideo", r.rungs[i])
	}
	args = append(args, "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", r.source)
	if _, err := os.Stat(r.source); err == nil {
		return r, nil // they are there
	}
	if _, err := ffmpeg(ctx, args...); err != nil {
		os.Remove(r.source)
		return r, err
	}
	for i, g := range o.rungs {
		if err := o.checkRaw(r.rungs[i], g.width, g.height); err != nil {
			return r, err
		}
	}
	return r, o.checkRaw(r.source, o.c.width, o.c.height)
}

// checkRaw checks that every picture is there.
func (o *contenders) checkRaw(file string, width, height int) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	chroma := (width + 1) / 2 * ((height + 1) / 2)
	if want := int64(o.c.frames) * int64(width*height+2*chroma); st.Size() != want {
		return fmt.Errorf("%s has %d bytes, not %d of %d pictures", filepath.Base(file), st.Size(), want, o.c.frames)
	}
	return nil
}

// rawInput are the arguments that read raw pictures.
func (o *contenders) rawInput(file string, width, height int) []string {
	return []string{"-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", fmt.Sprintf("%dx%d", width, height), "-framerate", o.c.rate, "-i", file}
}

var (
	metricLine = regexp.MustCompile(`\[(?:Parsed_)?(?:ssim|psnr)@(\w+?)(?:_\d+)? @ .*?(?:All|average):(inf|[0-9.]+)`)
	frameLine  = regexp.MustCompile(`(?m)^frame=\s*(\d+)`)
)

// parseMetrics reads what the filters ssim@NAME and psnr@NAME print at their end.
func parseMetrics(log []byte) map[string]float64 {
	values := make(map[string]float64)
	for _, m := range metricLine.FindAllSubmatch(log, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		if err == nil {
			values[string(m[1])] = v
		}
	}
	return values
}

// parseFrames reads how many pictures ffmpeg -progress has counted at its end.
func parseFrames(progress []byte) int {
	all := frameLine.FindAllSubmatch(progress, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(all[len(all)-1][1]))
	return n
}

// judge compares the segments of a rendition with the source, picture by picture.
func (o *contenders) judge(ctx context.Context, raw raws, dir string, i int) (s score, err error) {
	r := &o.rungs[i]
	joined := filepath.Join(dir, r.name+".ts")
	defer os.Remove(joined)
	if err := join(joined, dir, r.name, len(o.c.segments)); err != nil {
		return s, err
	}
	v, err := readVideo(ctx, joined)
	if err != nil {
		return s, err
	}
	// Pictures are numbered, so that each is compared with its own.
	const number = "settb=1/1000,setpts=N"
	graph := fmt.Sprintf("[0:v]%s[a];[1:v]%s,split[r0][r1];[2:v]%s,split[s0][s1];"+
		"[a][r0]ssim@nearSSIM[b];[b][r1]psnr@nearPSNR,scale=%d:%d:flags=bicubic[c];"+
		"[c][s0]ssim@farSSIM[d];[d][s1]psnr@farPSNR[e]", number, number, number, o.c.width, o.c.height)
	args := []string{"-v", "info", "-nostdin", "-nostats", "-progress", "pipe:1", "-i", joined}
	args = append(args, o.rawInput(raw.rungs[i], r.width, r.height)...)
	args = append(args, o.rawInput(raw.source, o.c.width, o.c.height)...)
	args = append(args, "-filter_complex", graph, "-map", "[e]", "-fps_mode", "passthrough", "-f", "null", "-")
	u, err := command(ctx, nil, "ffmpeg", args...)
	if err != nil {
		return s, err
	}
	if n := parseFrames(u.stdout); n != o.c.frames || v.frames != o.c.frames {
		return s, fmt.Errorf("%s has %d pictures in %d packets, the source %d", r.name, n, v.frames, o.c.frames)
	}
	m := parseMetrics(u.stderr)
	if len(m) != 4 {
		return s, fmt.Errorf("%s: ffmpeg printed %d of 4 qualities", r.name, len(m))
	}
	return score{
		kilobits: float64(v.bytes) * 8 / 1000 / o.c.seconds(),
		nearSSIM: m["nearSSIM"], nearPSNR: m["nearPSNR"], farSSIM: m["farSSIM"], farPSNR: m["farPSNR"],
	}, nil
}

// join puts MPEG-TS segments one after the other.
func join(file, dir, rung string, n int) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	for i := range n {
		in, err := os.Open(filepath.Join(dir, segmentName(rung, i)))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, segmentName(rung, n))); err == nil {
		return fmt.Errorf("%s has more than %d segments", rung, n)
	}
	return out.Close()
}

// judgeAll judges all renditions of some outputs, several at a time.
func (o *contenders) judgeAll(ctx context.Context, raw raws, dirs []string) (map[string][]score, error) {
	scores := make(map[string][]score)
	for _, d := range dirs {
		scores[d] = make([]score, len(o.rungs))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, runtime.NumCPU())
	for _, d := range dirs {
		for i := range o.rungs {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				s, err := o.judge(ctx, raw, d, i)
				mu.Lock()
				defer mu.Unlock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", filepath.Base(d), err)
				}
				scores[d][i] = s
			})
		}
	}
	wg.Wait()
	return scores, failed
}

const (
	maxLostSSIM = 0.002
	maxLostPSNR = 0.1
)

// measureQuality compares ours with ffmpeg at the same bits: continuous with the long
// process, and segments by themselves with the processes per segment.
func measureQuality(ctx context.Context, b *bench, c *clip, of *contenders, r *report) error {
	raw, err := of.rawFiles(ctx)
	if err != nil {
		return err
	}
	dirs := make(map[string]string)
	for _, name := range contenderNames {
		if dirs[name], err = of.outputs(ctx, name); err != nil {
			return err
		}
	}
	var all []string
	for _, d := range dirs {
		all = append(all, d)
	}
	scores, err := of.judgeAll(ctx, raw, all)
	if err != nil {
		return err
	}
	raws := table{head: []string{"rendition", "contender", "kbit/s", "SSIM", "PSNR dB", "SSIM, scaled up", "PSNR dB, scaled up"}}
	for i := range of.rungs {
		for _, name := range contenderNames {
			s := scores[dirs[name]][i]
			raws.add(of.rungs[i].name, name, benchhost.Number(s.kilobits), four(s.nearSSIM), benchhost.Number(s.nearPSNR), four(s.farSSIM), benchhost.Number(s.farPSNR))
		}
	}
	diffs := table{head: []string{"rendition", "ours", "bits / ffmpeg's", "SSIM", "PSNR dB", "SSIM, scaled up", "PSNR dB, scaled up"}}
	for _, pair := range [][2]string{{ours, oneProcess}, {oursByItself, perSegment}} {
		mine, theirs := scores[dirs[pair[0]]], scores[dirs[pair[1]]]
		other, err := of.neighbours(ctx, raw, pair[1], mine, theirs)
		if err != nil {
			return err
		}
		var near, far worst
		for i, m := range mine {
			at := atBits(theirs[i], other[i], m.kilobits)
			diffs.add(of.rungs[i].name, pair[0], fmt.Sprintf("%.3f", m.kilobits/theirs[i].kilobits),
				fmt.Sprintf("%+.4f", m.nearSSIM-at.nearSSIM), fmt.Sprintf("%+.2f", m.nearPSNR-at.nearPSNR),
				fmt.Sprintf("%+.4f", m.farSSIM-at.farSSIM), fmt.Sprintf("%+.2f", m.farPSNR-at.farPSNR))
			near.take(of.rungs[i].name, m.nearSSIM-at.nearSSIM, m.nearPSNR-at.nearPSNR)
			far.take(of.rungs[i].name, m.farSSIM-at.farSSIM, m.farPSNR-at.farPSNR)
		}
		r.rows = append(r.rows,
			near.row(fmt.Sprintf("quality at the same bits: %s - %s", pair[0], pair[1])),
			far.row(fmt.Sprintf("the same, renditions scaled up: %s - %s", pair[0], pair[1])))
	}
	r.tables = append(r.tables, diffs, raws)
	b.note("Quality: SSIM (All) and PSNR (average) of ffmpeg's filters, over all pictures. The first two columns compare with the source scaled to the rendition's size by ffmpeg's bicubic scaler, which is what the ffmpeg contenders encode; the last two compare the rendition, scaled up, with the source. The table of differences has four columns of ours minus ffmpeg's.")
	b.note("The same bits: ffmpeg encodes each rendition once more, with its rates changed so that it comes near our number of bits (by %.0f %% at least); its quality at our bits lies on the line through its two results, over the logarithm of the bits. kbit/s are those of the video packets. \"Worst\" may be of two different renditions.", 100*minNeighbour)
	return nil
}

// minNeighbour is how far apart two bit rates are at least, for a line through both.
const minNeighbour = 0.03

// neighbour is the factor for the rates of a second run, which is to come near our bits.
func neighbour(ours, theirs float64) float64 {
	f := ours / theirs
	if math.Abs(f-1) < minNeighbour {
		f = 1 + math.Copysign(minNeighbour, f-1)
	}
	return min(max(f, 0.5), 2)
}

// neighbours lets an ffmpeg contender run once more, at other rates, and judges that.
func (o *contenders) neighbours(ctx context.Context, raw raws, name string, mine, theirs []score) ([]score, error) {
	rungs := slices.Clone(o.rungs)
	for i := range rungs {
		rungs[i].bitrate = int(float64(rungs[i].bitrate) * neighbour(mine[i].kilobits, theirs[i].kilobits))
	}
	dir, err := o.folder("neighbour")
	if err != nil {
		return nil, err
	}
	run := o.runPerSegment
	if name == oneProcess {
		run = o.runOneProcess
	}
	if _, err := run(ctx, dir, rungs); err != nil {
		return nil, err
	}
	scores, err := o.judgeAll(ctx, raw, []string{dir})
	return scores[dir], err
}

// atBits is the quality at a bit rate on the line through two results.
func atBits(a, b score, kilobits float64) score {
	line := func(qa, qb float64) float64 {
		return interpolate(math.Log(a.kilobits), qa, math.Log(b.kilobits), qb, math.Log(kilobits))
	}
	return score{
		kilobits: kilobits,
		nearSSIM: line(a.nearSSIM, b.nearSSIM), nearPSNR: line(a.nearPSNR, b.nearPSNR),
		farSSIM: line(a.farSSIM, b.farSSIM), farPSNR: line(a.farPSNR, b.farPSNR),
	}
}

// interpolate is the value at x on the line through two points. Points that lie above each
// other make no line: then it is the first.
func interpolate(x0, y0, x1, y1, x float64) float64 {
	if math.Abs(x1-x0) < 1e-3 {
		return y0
	}
	return y0 + (y1-y0)*(x-x0)/(x1-x0)
}

// worst keeps the lowest differences.
type worst struct {
	ssim, psnr     float64
	ssimOf, psnrOf string
}

func (w *worst) take(rung string, ssim, psnr float64) {
	if w.ssimOf == "" || ssim < w.ssim {
		w.ssim, w.ssimOf = ssim, rung
	}
	if w.psnrOf == "" || psnr < w.psnr {
		w.psnr, w.psnrOf = psnr, rung
	}
}

func (w *worst) row(what string) row {
	return row{
		what:   what,
		figure: fmt.Sprintf("worst SSIM %+.4f (%s), worst PSNR %+.2f dB (%s)", w.ssim, w.ssimOf, w.psnr, w.psnrOf),
		limit:  fmt.Sprintf("at least -%v, -%v dB", maxLostSSIM, maxLostPSNR),
		met:    verdict(w.ssim >= -maxLostSSIM && w.psnr >= -maxLostPSNR),
	}
}

func four(f float64) string { return fmt.Sprintf("%.4f", f) }
