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
	f := flag.NewFlagSet("lpms bench", flag.ContinueOnError)
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
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	o, err := benchOptions(*ladder, *size, *bitrate*1000, *fps)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms bench:", err)
		return 2
	}
	o.Backend.Local = transcoder.LocalOptions{Preset: *preset}
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
	fmt.Printf("\nThis machine carries %d such streams.\n", best.Streams)
	return 0
}

func ladderText(v string) string {
	if v == "" {
		return "derived from the source"
	}
	return strings.TrimSpace(v)
}

// benchOptions checks what the source is to be.
func benchOptions(ladder, size string, bitrate, fps int) (o capacity.Options, err error) {
	auto, renditions, err := settings.ParseLadder(ladder)
	if err != nil {
		return o, err
	}
	o.Backend = backend.Options{Auto: auto, Renditions: renditions, Attempts: 1}
	w, h, err := ffmpeg.VideoProfileResolution(ffmpeg.VideoProfile{Resolution: size})
	if err != nil {
		return o, fmt.Errorf("-size %q: write a width and a height, such as 1280x720", size)
	}
	o.Signal = testsignal.Options{Name: "bench", Width: w, Height: h, FrameRate: fps, Bitrate: bitrate}
	return o, nil
}
