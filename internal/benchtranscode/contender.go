//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// The contenders.
const (
	perSegment   = "ffmpeg, a process per segment"
	oneProcess   = "ffmpeg, one long process"
	ours         = "ours, continuous"
	oursByItself = "ours, each segment by itself"
)

var contenderNames = []string{perSegment, oneProcess, ours, oursByItself}

// contenders runs those that transcode a clip.
type contenders struct {
	b     *bench
	c     *clip
	rungs []rung
	ran   map[string]string // the folder of what was made last
}

// outcome is what one run took.
type outcome struct {
	cpu     time.Duration
	segment time.Duration // wall time of one, on average
}

func newContenders(b *bench, c *clip) *contenders {
	return &contenders{b: b, c: c, rungs: rungsFor(c.width, c.height, runtime.NumCPU()), ran: make(map[string]string)}
}

// folder makes an empty folder for the outputs of a run.
func (o *contenders) folder(name string) (string, error) {
	dir := filepath.Join(o.c.dir, strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, name))
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o755)
}

// run lets a contender transcode the clip.
func (o *contenders) run(ctx context.Context, name string) (outcome, error) {
	dir, err := o.folder(name)
	if err != nil {
		return outcome{}, err
	}
	if err := o.b.calm(ctx); err != nil {
		return outcome{}, err
	}
	foreign, begin := benchhost.ForeignTime(), time.Now()
	var out outcome
	switch name {
	case perSegment:
		out, err = o.runPerSegment(ctx, dir, o.rungs)
	case oneProcess:
		out, err = o.runOneProcess(ctx, dir, o.rungs)
	default:
		out, err = o.runOurs(ctx, dir, name == ours)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	o.b.others = max(o.b.others, (benchhost.ForeignTime()-foreign).Seconds()/time.Since(begin).Seconds())
	o.ran[name] = dir
	return out, nil
}

// outputs returns where a contender's output is, and lets it run when it has not.
func (o *contenders) outputs(ctx context.Context, name string) (string, error) {
	if o.ran[name] == "" {
		if _, err := o.run(ctx, name); err != nil {
			return "", err
		}
	}
	return o.ran[name], nil
}

// encodeArgs are the options of one rendition's encoder.
func (o *contenders) encodeArgs(r *rung) []string {
	return []string{"-c:v", "libx264", "-preset", o.b.preset, "-forced-idr", "1", "-threads", strconv.Itoa(r.threads),
		"-b:v", strconv.Itoa(r.bitrate), "-maxrate", strconv.Itoa(r.maxrate()), "-bufsize", strconv.Itoa(r.buffer())}
}

// scales is a filter graph that makes all sizes, [v0], [v1] and so on, each from the source.
func scales(rungs []rung) string {
	var heads, chains string
	for i, r := range rungs {
		heads += fmt.Sprintf("[s%d]", i)
		chains += fmt.Sprintf(";[s%d]scale=%d:%d[v%d]", i, r.width, r.height, i)
	}
	return fmt.Sprintf("[0:v]split=%d%s%s", len(rungs), heads, chains)
}

func (o *contenders) runPerSegment(ctx context.Context, dir string, rungs []rung) (outcome, error) {
	var out outcome
	for i, file := range o.c.segments {
		args := []string{"-copyts", "-i", file, "-filter_complex", scales(rungs)}
		for j := range rungs {
			args = append(args, "-map", fmt.Sprintf("[v%d]", j), "-map", "0:a?")
			args = append(args, o.encodeArgs(&rungs[j])...)
			args = append(args, "-c:a", "copy", "-f", "mpegts", filepath.Join(dir, segmentName(rungs[j].name, i)))
		}
		u, err := ffmpeg(ctx, args...)
		if err != nil {
			return out, err
		}
		out.cpu += u.cpu
		out.segment += u.wall
	}
	out.segment /= time.Duration(len(o.c.segments))
	return out, nil
}

func (o *contenders) runOneProcess(ctx context.Context, dir string, rungs []rung) (outcome, error) {
	args := []string{"-copyts", "-i", o.c.file, "-filter_complex", scales(rungs)}
	for j := range rungs {
		args = append(args, "-map", fmt.Sprintf("[v%d]", j), "-map", "0:a?")
		args = append(args, o.encodeArgs(&rungs[j])...)
		args = append(args, "-force_key_frames", o.c.keyframes(), "-c:a", "copy")
		args = append(args, o.segmentArgs(dir, rungs[j].name)...)
	}
	u, err := ffmpeg(ctx, args...)
	return outcome{cpu: u.cpu, segment: u.wall / time.Duration(len(o.c.segments))}, err
}

// segmentArgs cut an output as the source is cut.
func (o *contenders) segmentArgs(dir, rung string) []string {
	args := []string{"-f", "segment", "-segment_format", "mpegts"}
	if len(o.c.starts) > 1 {
		var cuts []string
		for _, n := range o.c.starts[1:] {
			cuts = append(cuts, strconv.Itoa(n))
		}
		args = append(args, "-segment_frames", strings.Join(cuts, ","))
	}
	return append(args, filepath.Join(dir, rung+"-%03d.ts"))
}

// job is what the program is told when it is our contender.
func (o *contenders) job(dir string, continuous bool, segments []string) ([]byte, error) {
	job := childJob{Segments: segments, Dir: dir, Continuous: continuous, Preset: o.b.preset}
	for _, r := range o.rungs {
		job.Rungs = append(job.Rungs, childRung{Name: r.name, Box: r.box, Bitrate: r.bitrate, Width: r.width, Height: r.height})
	}
	return json.Marshal(job)
}

func (o *contenders) runOurs(ctx context.Context, dir string, continuous bool) (outcome, error) {
	job, err := o.job(dir, continuous, o.c.segments)
	if err != nil {
		return outcome{}, err
	}
	u, err := command(ctx, bytes.NewReader(job), o.b.self, "-child")
	if err != nil {
		return outcome{}, err
	}
	var walls []time.Duration
	if err := json.Unmarshal(u.stdout, &walls); err != nil {
		return outcome{}, err
	}
	out := outcome{cpu: u.cpu}
	for _, w := range walls {
		out.segment += w / time.Duration(len(walls))
	}
	return out, nil
}

// start is what our process takes without any segment.
func (o *contenders) start(ctx context.Context) (time.Duration, error) {
	job, err := o.job("", true, nil)
	if err != nil {
		return 0, err
	}
	u, err := command(ctx, bytes.NewReader(job), o.b.self, "-child")
	return u.cpu, err
}

const (
	maxOfPerSegment = 0.80 // CPU
	maxOfOneProcess = 0.95 // CPU
	maxOfWall       = 0.70
)

// measureTime lets the contenders run in turns.
func measureTime(ctx context.Context, b *bench, c *clip, of *contenders, r *report) error {
	cpu, wall := make(map[string][]float64), make(map[string][]float64)
	n := 0
	for begin := time.Now(); !b.enough(n, b.repeat, begin); n++ {
		for _, name := range contenderNames {
			out, err := of.run(ctx, name)
			if err != nil {
				return err
			}
			cpu[name] = append(cpu[name], out.cpu.Seconds())
			wall[name] = append(wall[name], out.segment.Seconds())
		}
	}
	ratio := func(what string, of map[string][]float64, a, b string, limit float64) row {
		m := median(ratios(of[a], of[b]))
		return row{
			what:   fmt.Sprintf("%s: %s / %s", what, a, b),
			figure: benchhost.Number(m),
			limit:  "at most " + benchhost.Number(limit),
			met:    verdict(m <= limit),
		}
	}
	r.rows = append(r.rows,
		ratio("CPU", cpu, ours, perSegment, maxOfPerSegment),
		ratio("CPU", cpu, ours, oneProcess, maxOfOneProcess),
		ratio("CPU", cpu, oursByItself, perSegment, maxOfPerSegment),
		ratio("wall time per segment", wall, ours, perSegment, maxOfWall),
		ratio("wall time per segment", wall, oursByItself, perSegment, maxOfWall),
	)
	t := table{head: []string{"contender", "CPU s", "CPU s per s of media", "CPU, least to most", "wall ms per segment"}}
	for _, name := range contenderNames {
		low, high := span(cpu[name])
		m := median(cpu[name])
		t.add(name, benchhost.Number(m), benchhost.Number(m/c.seconds()), benchhost.Number(low)+" - "+benchhost.Number(high), benchhost.Number(1000*median(wall[name])))
	}
	r.tables = append(r.tables, t)
	b.note("%s: %d runs of each in turns.", c.name, n)
	b.note("Time: medians; a ratio is the median of the ratios within each turn. CPU is user and system time of the whole process, with its start; wall time of ours is from reading a segment until all outputs are written. All contenders: x264 %s, maxrate 1.25 b, bufsize 1.5 b, audio copied, MPEG-TS. ffmpeg: its default of decoder threads, bicubic scaling from the source; encoder threads as in ours: %s.", b.preset, threadsOf(of.rungs))
	return nil
}

func threadsOf(rungs []rung) string {
	var s []string
	for _, r := range rungs {
		s = append(s, fmt.Sprintf("%s %d", r.name, r.threads))
	}
	return strings.Join(s, ", ")
}
