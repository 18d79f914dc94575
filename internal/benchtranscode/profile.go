//go:build linux

package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/livepeer/lpms/internal/benchhost"
)

// share is what one library, or one function of it, took of the processor time.
type share struct {
	object, symbol string
	percent        float64
}

var shareLine = regexp.MustCompile(`^\s*([0-9.]+)%\s+(\S+)(?:\s+\[.\]\s+(.*?)(?:\s+-\s+-)?)?\s*$`)

// parseShares reads perf report --sort dso or --sort dso,symbol.
func parseShares(report []byte) []share {
	var shares []share
	for line := range strings.Lines(string(report)) {
		if m := shareLine.FindStringSubmatch(line); m != nil {
			p, err := strconv.ParseFloat(m[1], 64)
			if err == nil {
				shares = append(shares, share{m[2], m[3], p})
			}
		}
	}
	return shares
}

// measureProfile says which library our processor time is spent in, and which of our own
// functions, or of the kernel's.
func measureProfile(ctx context.Context, b *bench, of *contenders, r *report) error {
	if _, err := exec.LookPath("perf"); err != nil {
		b.note("Profile: left out, there is no perf.")
		return nil
	}
	dir, err := of.folder("profile")
	if err != nil {
		return err
	}
	job, err := of.job(dir, true, of.c.segments)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "perf.data")
	if _, err := command(ctx, bytes.NewReader(job), "perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", data, b.self, "-child"); err != nil {
		b.note("Profile: left out, perf cannot record here (%v).", err)
		return nil
	}
	self := filepath.Base(b.self)
	t := table{head: []string{"ours, continuous: processor time in", "share"}}
	for _, sort := range []string{"dso", "dso,symbol"} {
		u, err := command(ctx, nil, "perf", "report", "-q", "--stdio", "-i", data, "--sort", sort)
		if err != nil {
			return err
		}
		for _, s := range parseShares(u.stdout) {
			switch {
			case s.percent < minShare:
			case s.symbol == "" && s.object == self:
				t.add("this program: Go, and the C of package ffmpeg", benchhost.Number(s.percent)+" %")
			case s.symbol == "":
				t.add(s.object, benchhost.Number(s.percent)+" %")
			case s.object == self:
				t.add("of this program, "+s.symbol, benchhost.Number(s.percent)+" %")
			case strings.HasPrefix(s.object, "[kernel"):
				t.add("of the kernel, "+s.symbol, benchhost.Number(s.percent)+" %")
			}
		}
	}
	r.tables = append(r.tables, t)
	b.note("Profile: perf record -e cpu-clock of one more run. With a libav that is linked statically all of it is one program.")
	return nil
}

// minShare is what is worth a line, in percent.
const minShare = 0.3
