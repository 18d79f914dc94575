package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/backend"
	"github.com/livepeer/lpms/internal/capacity"
	"github.com/livepeer/lpms/internal/settings"
	"github.com/livepeer/lpms/internal/testsignal"
	"github.com/livepeer/lpms/transcoder"
)

// bench measures how many streams of a ladder this machine carries.
func bench(ctx context.Context, args []string) int {
	if asksForCluster(args) {
		return benchCluster(ctx, args, os.Stdout)
	}
	f := flag.NewFlagSet("lpms bench", flag.ContinueOnError)
	f.Bool("cluster", false, "measure the way to workers on other machines instead; its flags: lpms bench -cluster -help")
	ladder := f.String("transcodingOptions", "", "the `ladder`, as lpms has it; by default derived from the source")
	size := f.String("size", "1280x720", "picture `size` of the source")
	fps := f.Int("fps", 30, "pictures per second of the source")
	bitrate := f.Int("bitrate", 3000, "bitrate of the source in `kbit/s`")
	preset := f.String("preset", "", "preset of x264")
	step := f.Duration("step", 15*time.Second, "how long each number of streams is tried")
	most := f.Int("max", 64, "the largest number of streams to try")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "lpms bench measures how many streams of a ladder this machine carries in real time.\n\nFlags:")
		f.PrintDefaults()
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(os.Stderr, "lpms bench: %q is not a flag: write -name value\n", f.Arg(0))
		return 2
	}
	o, err := benchOptions(*ladder, *preset, *size, *bitrate*1000, *fps)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms bench:", err)
		return 2
	}
	o.Step, o.Max = *step, *most
	fmt.Printf("source %s, %d fps, %d kbit/s; ladder %s; %d cores\n", *size, *fps, *bitrate, ladderText(*ladder), runtime.GOMAXPROCS(0))
	fmt.Printf("%8s  %-8s  %10s  %6s  %6s  %10s\n", "streams", "carried", "renditions", "cores", "lag s", "memory MB")
	o.OnTrial = func(t capacity.Trial) {
		verdict := "yes"
		if !t.Carried {
			verdict = "no"
		}
		fmt.Printf("%8d  %-8s  %10d  %6.2f  %6.2f  %10d  %s\n", t.Streams, verdict, t.Streams*t.Made, t.CPU, t.Lag, t.Memory>>20, t.Why)
	}
	best, err := capacity.Run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms bench:", err)
		return 1
	}
	atLeast := ""
	if best.Streams == o.Max {
		atLeast = "at least "
	}
	fmt.Printf("\nThis machine carries %s%d such streams.\n", atLeast, best.Streams)
	return 0
}

func ladderText(v string) string {
	if v == "" {
		return "derived from the source"
	}
	return strings.TrimSpace(v)
}

// benchOptions checks the ladder, as the server does, and what the source is to be.
func benchOptions(ladder, preset, size string, bitrate, fps int) (o capacity.Options, err error) {
	noEnv := func(string) (string, bool) { return "", false }
	args := []string{"-transcodingOptions", ladder}
	if preset != "" {
		args = append(args, "-preset", preset)
	}
	s, err := settings.Parse(args, noEnv, os.Stdout)
	if err != nil {
		return o, err
	}
	o.Backend = backend.Options{
		Auto: s.Auto, Renditions: s.Renditions, Attempts: 1,
		Local: transcoder.LocalOptions{Preset: s.Preset},
	}
	w, h, err := ffmpeg.VideoProfileResolution(ffmpeg.VideoProfile{Resolution: size})
	if err != nil {
		return o, fmt.Errorf("-size %q: write a width and a height, such as 1280x720", size)
	}
	o.Signal = testsignal.Options{Name: "bench", Busy: true, Width: w, Height: h, FrameRate: fps, Bitrate: bitrate}
	return o, nil
}
