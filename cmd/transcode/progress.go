package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress is a line on a terminal that is written anew a few times a second.
type progress struct {
	w     io.Writer // nil where nobody looks
	in    *os.File
	size  int64 // of the input, 0 when unknown
	began time.Time
	next  time.Time // when it is written again
}

func newProgress(out, in *os.File) *progress {
	p := &progress{in: in, began: time.Now()}
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.w = out
	}
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		p.size = info.Size()
	}
	return p
}

// show says how much media was read.
func (p *progress) show(read time.Duration) {
	now := time.Now()
	if p.w == nil || now.Before(p.next) {
		return
	}
	p.next = now.Add(200 * time.Millisecond)
	fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(read, now.Sub(p.began)))
}

// line is what is shown after some time.
func (p *progress) line(read, took time.Duration) string {
	s := fmt.Sprintf("%.1f s, %.1f x realtime", read.Seconds(), read.Seconds()/max(took.Seconds(), 1e-9))
	if at, err := p.in.Seek(0, io.SeekCurrent); err == nil && p.size > 0 {
		s = fmt.Sprintf("%3d%%  %s", min(at*100/p.size, 100), s)
	}
	return s
}

// end removes the line.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
