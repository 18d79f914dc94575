package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// transcode makes all renditions. Those that fail are an error; the others are written.
func transcode(ctx context.Context, o *options) error {
	in, err := openInput(ctx, o.input)
	if err != nil {
		return err
	}
	defer in.Close()
	files, err := createFiles(o)
	if err != nil {
		return err
	}
	defer files.discard()
	l, err := ffmpeg.NewLadder(o.ladder())
	if err != nil {
		return err
	}
	defer l.Close()
	bar := newProgress(os.Stderr, in)
	// The descriptor is shared with the Ladder's, so that progress sees how far it has read.
	res, err := l.TranscodeTo(ctx, ffmpeg.Input{Path: fmt.Sprintf("pipe:%d", in.Fd())}, files.sinks(), bar.show)
	bar.end()
	if ctx.Err() != nil {
		return context.Cause(ctx) // standard input was cut
	}
	if err != nil {
		return err
	}
	var failed []error
	for i, out := range res.Outputs {
		err := out.Err
		if err == nil {
			err = files[i].commit()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", o.profiles[i].Name, err))
		}
	}
	if err := report(os.Stdout, o.profiles, res, time.Since(bar.began)); err != nil {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// openInput opens the input. Standard input is read through a pipe, which ends with ctx: a
// read that waits for the other side could not be stopped.
func openInput(ctx context.Context, name string) (*os.File, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || info.IsDir() {
			f.Close()
			return nil, errors.Join(err, fmt.Errorf("%s is a folder", name))
		}
		return f, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { w.Close() })
	go func() {
		io.Copy(w, os.Stdin) // an input that is cut is reported by what becomes of it
		w.Close()
	}()
	return r, nil
}

// ladder is what is asked of the Ladder.
func (o *options) ladder() ffmpeg.LadderOptions {
	opts := ffmpeg.LadderOptions{Preset: o.preset, Threads: o.threads}
	audio := ffmpeg.ComponentOptions{Name: o.audio}
	if o.audio == "light" {
		audio = ffmpeg.LightAudio()
	}
	for _, p := range o.profiles {
		p.Format = ffmpeg.ExtensionFormats[o.extension()]
		opts.Renditions = append(opts.Renditions, ffmpeg.Rendition{Profile: p, Audio: audio})
	}
	return opts
}

// extension is that of the outputs.
func (o *options) extension() string {
	if strings.EqualFold(filepath.Ext(o.input), ".mp4") {
		return ".mp4"
	}
	return ".ts"
}

// outputPath is where a rendition goes.
func (o *options) outputPath(p ffmpeg.VideoProfile) string {
	name, dir := filepath.Base(o.input), filepath.Dir(o.input)
	if o.input == "-" {
		name, dir = "stdin", "."
	}
	if o.dir != "" {
		dir = o.dir
	}
	return filepath.Join(dir, p.Name+"_"+strings.TrimSuffix(name, filepath.Ext(name))+o.extension())
}

// file is an output, which has another name until it is complete.
type file struct {
	*os.File
	path string
	done bool
}

type files []*file

// createFiles opens all outputs, or none.
func createFiles(o *options) (files, error) {
	var fs files
	for _, p := range o.profiles {
		f, err := createFile(o.outputPath(p))
		if err != nil {
			fs.discard()
			return nil, err
		}
		fs = append(fs, f)
	}
	return fs, nil
}

// createFile opens what will replace the file at path when it is complete.
func createFile(path string) (*file, error) {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", path)
	}
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s.part is there: another transcode writes it, or one was killed; remove it", path)
	}
	if err != nil {
		return nil, err
	}
	return &file{File: f, path: path}, nil
}

func (f *file) commit() error {
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return nil
}

func (fs files) sinks() []io.Writer {
	var sinks []io.Writer
	for _, f := range fs {
		sinks = append(sinks, f)
	}
	return sinks
}

// discard removes what was not committed.
func (fs files) discard() {
	for _, f := range fs {
		if !f.done {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

// report writes the table.
func report(w io.Writer, profiles []ffmpeg.VideoProfile, res *ffmpeg.LadderResult, took time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "rendition\tsize\tframes\tbytes\tkbit/s\tduration")
	var longest time.Duration
	for i, out := range res.Outputs {
		if out.Err != nil {
			fmt.Fprintf(t, "%s\tfailed\n", profiles[i].Name)
			continue
		}
		longest = max(longest, out.Duration)
		fmt.Fprintf(t, "%s\t%dx%d\t%d\t%d\t%.0f\t%.2f s\n", profiles[i].Name, out.Info.Width, out.Info.Height,
			out.Media.Frames, out.Bytes, float64(out.Bytes)*8/1000/max(out.Duration.Seconds(), 1e-9), out.Duration.Seconds())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d frames read, %.2f s in all, %.1f x realtime\n", res.Decoded.Frames, took.Seconds(), longest.Seconds()/max(took.Seconds(), 1e-9))
	return err
}
