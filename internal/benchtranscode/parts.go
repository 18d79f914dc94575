//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// maxOverhead is what ours may take beyond decoding and encoding.
const maxOverhead = 0.15

// part is one piece of the work, done by ffmpeg alone.
type part struct {
	name string
	args []string
	less []string // parts that are in it too
	cpu  []float64
}

// The parts that others contain.
const (
	startPart  = "start"
	decodePart = "decode"
)

// measureParts measures what decoding, scaling, encoding and muxing cost each by itself.
func measureParts(ctx context.Context, b *bench, c *clip, of *contenders, r *report) error {
	raw, err := of.rawFiles(ctx)
	if err != nil {
		return err
	}
	long, err := of.outputs(ctx, oneProcess)
	if err != nil {
		return err
	}
	start := &part{name: startPart, args: []string{"-f", "lavfi", "-i", "color=size=16x16", "-frames:v", "1", "-f", "null", "-"}}
	decode := &part{name: decodePart, less: []string{startPart}, args: []string{"-threads", "1", "-i", c.file, "-map", "0:v", "-f", "null", "-"}}
	var reads, encodes []*part
	for i := range of.rungs {
		g := &of.rungs[i]
		read := &part{name: "read " + g.name, args: append(of.rawInput(raw.rungs[i], g.width, g.height), "-f", "null", "-")}
		encode := &part{name: "encode " + g.name, less: []string{read.name}, args: of.rawInput(raw.rungs[i], g.width, g.height)}
		encode.args = append(encode.args, of.encodeArgs(g)...)
		encode.args = append(encode.args, "-force_key_frames", c.keyframes(), "-f", "null", "-")
		reads, encodes = append(reads, read), append(encodes, encode)
	}
	fan := &part{name: "scale, each from the source", less: []string{decodePart, startPart}, args: of.scaleArgs(scales(of.rungs))}
	cascade := &part{name: "scale, each from the next larger", less: []string{decodePart, startPart}, args: of.scaleArgs(cascaded(of.rungs))}
	mux := &part{name: "demux and mux", less: []string{startPart}}
	for _, g := range of.rungs {
		file := filepath.Join(long, g.name+".ts")
		if err := join(file, long, g.name, len(c.segments)); err != nil {
			return err
		}
		mux.args = append(mux.args, "-i", file)
	}
	for i, g := range of.rungs {
		mux.args = append(mux.args, "-map", strconv.Itoa(i), "-c", "copy")
		mux.args = append(mux.args, of.segmentArgs(long, "mux-"+g.name)...)
	}

	// What runs at the same time: about as many processes as a ladder has threads.
	groups := [][]*part{{start}, append([]*part{decode}, encodes...), reads, {fan, cascade}, {mux}}
	var mine []float64
	for n, begin := 0, time.Now(); !b.enough(n, min(b.repeat, 2), begin); n++ {
		for _, g := range groups {
			if err := b.calm(ctx); err != nil {
				return err
			}
			if err := together(ctx, g); err != nil {
				return err
			}
		}
		out, err := of.run(ctx, ours)
		if err != nil {
			return err
		}
		begun, err := of.start(ctx)
		if err != nil {
			return err
		}
		mine = append(mine, (out.cpu - begun).Seconds())
	}

	cpu := make(map[string]float64)
	t := table{head: []string{"part, by ffmpeg alone", "CPU s", "of ours"}}
	total := slices.Min(mine)
	sum := 0.0
	for _, g := range groups {
		for _, p := range g {
			f := slices.Min(p.cpu)
			for _, l := range p.less {
				f -= cpu[l]
			}
			cpu[p.name] = max(f, 0)
		}
	}
	// The encoders were measured before the reading that they contain.
	for _, p := range encodes {
		cpu[p.name] = max(slices.Min(p.cpu)-cpu[p.less[0]], 0)
	}
	for _, g := range groups[1:] {
		for _, p := range g {
			if p == decode || len(p.less) == 1 && p != mux {
				sum += cpu[p.name]
			}
			if len(p.less) > 0 {
				t.add(p.name, benchhost.Number(cpu[p.name]), percent(cpu[p.name]/total))
			}
		}
	}
	t.add("decode and encodes", benchhost.Number(sum), percent(sum/total))
	t.add(ours, benchhost.Number(total), percent(1))
	r.tables = append(r.tables, t)
	over := total/sum - 1
	r.rows = append(r.rows, row{
		what:   "CPU of ours, continuous, beyond decode and encodes alone",
		figure: fmt.Sprintf("%s: %s CPU s - %s CPU s", signedPercent(over), benchhost.Number(total), benchhost.Number(sum)),
		limit:  "at most " + percent(maxOverhead),
		met:    verdict(over <= maxOverhead),
	})
	b.note("Parts: processes of ffmpeg that do nothing else, over the whole stream; decode (with demuxing, 1 thread) and the encodes run at the same time, as they do in a ladder. Encodes are from raw pictures of the right size, minus a process that only reads these; scaling is minus decode; all, and ours, are minus the start of a process. \"Demux and mux\" copies all renditions of the long process into segments. Each is the least of its runs: what disturbs a run only adds to it.")
	return nil
}

// scaleArgs decode and scale and do nothing with it.
func (o *contenders) scaleArgs(graph string) []string {
	args := []string{"-threads", "1", "-i", o.c.file, "-filter_complex", graph}
	for i := range o.rungs {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-f", "null", "-")
	}
	return args
}

// cascaded is a filter graph that makes each size from the next larger one.
func cascaded(rungs []rung) string {
	graph := ""
	in := "[0:v]"
	for i := len(rungs) - 1; i >= 0; i-- {
		r := rungs[i]
		graph += fmt.Sprintf("%sscale=%d:%d", in, r.width, r.height)
		if i > 0 {
			in = fmt.Sprintf("[c%d]", i)
			graph += fmt.Sprintf(",split[v%d]%s;", i, in)
		} else {
			graph += "[v0]"
		}
	}
	return graph
}

// together runs some parts at the same time.
func together(ctx context.Context, parts []*part) error {
	var wg sync.WaitGroup
	errs := make([]error, len(parts))
	for i, p := range parts {
		wg.Go(func() {
			u, err := ffmpeg(ctx, p.args...)
			p.cpu = append(p.cpu, u.cpu.Seconds())
			errs[i] = err
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", parts[i].name, err)
		}
	}
	return nil
}

func percent(f float64) string { return fmt.Sprintf("%.0f %%", math.Round(100*f)) }

func signedPercent(f float64) string { return fmt.Sprintf("%+.1f %%", 100*f) }
