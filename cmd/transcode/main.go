// Command transcode makes smaller renditions of a media file, all at once, with one decode:
//
//	transcode in.ts P144p30fps16x9,P240p30fps16x9
//
// It is an example of a program on ffmpeg.Ladder, and a tool to try profiles with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/livepeer/lpms/ffmpeg"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(os.Stdout, o.flags)
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "transcode: %v\nSee transcode -help.\n", err)
		return 2
	}
	if err := transcode(ctx, o); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted, nothing was written")
		}
		fmt.Fprintln(os.Stderr, "transcode:", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	flags    *flag.FlagSet
	input    string // "-" is standard input
	dir      string
	preset   string
	audio    string
	threads  int
	profiles []ffmpeg.VideoProfile
}

// x264Presets are the names that -preset takes, the fastest first.
var x264Presets = []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"}

func parse(args []string) (*options, error) {
	f := flag.NewFlagSet("transcode", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	o := &options{flags: f}
	f.StringVar(&o.dir, "o", "", "`folder` to write to (default: the input's)")
	f.StringVar(&o.preset, "preset", "superfast", "x264's and x265's `preset`: "+strings.Join(x264Presets, ", "))
	f.StringVar(&o.audio, "audio", "copy", "what `becomes` of the sound: copy, drop, aac, or light (mono, 4 kbit/s, for P72p2fps16x9)")
	f.IntVar(&o.threads, "threads", 0, "`cores` to use (default: all)")
	file := f.String("profiles", "", "JSON `file` with an array of profiles")
	var words []string
	for {
		// Flags may stand before and after the other arguments.
		if err := f.Parse(args); err != nil {
			return o, err
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		words, args = append(words, args[0]), args[1:]
	}
	if len(words) == 0 {
		return o, errors.New("which file? Write transcode INPUT PROFILES")
	}
	o.input, words = words[0], words[1:]
	if o.input == "pipe:0" || o.input == "pipe:" {
		o.input = "-"
	}
	if *file != "" {
		words = append(words, "@"+*file)
	}
	if len(words) == 0 {
		return o, fmt.Errorf("which renditions? Write some of %s, or @FILE.json", strings.Join(presetNames(), ", "))
	}
	if !slices.Contains(x264Presets, o.preset) {
		return o, fmt.Errorf("no preset %q: write one of %s", o.preset, strings.Join(x264Presets, ", "))
	}
	if !slices.Contains([]string{"copy", "drop", "aac", "light"}, o.audio) {
		return o, fmt.Errorf("-audio %q: write copy, drop, aac or light", o.audio)
	}
	if o.threads < 0 {
		return o, fmt.Errorf("-threads %d: write a number above zero", o.threads)
	}
	for _, list := range words {
		for name := range strings.SplitSeq(list, ",") {
			ps, err := profiles(name)
			if err != nil {
				return o, err
			}
			o.profiles = append(o.profiles, ps...)
		}
	}
	return o, o.checkProfiles()
}

// profiles are those of one word: a preset's name, or @ and the name of a JSON file.
func profiles(word string) ([]ffmpeg.VideoProfile, error) {
	if file, ok := strings.CutPrefix(word, "@"); ok {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ps, err := ffmpeg.ParseProfiles(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return ps, nil
	}
	p, known := ffmpeg.VideoProfileLookup[word]
	if !known {
		return nil, fmt.Errorf("no rendition %q: write one of %s, or @FILE.json", word, strings.Join(presetNames(), ", "))
	}
	return []ffmpeg.VideoProfile{p}, nil
}

// checkProfiles makes sure that each has a file of its own.
func (o *options) checkProfiles() error {
	if n := len(o.profiles); n == 0 || n > ffmpeg.MaxRenditions {
		return fmt.Errorf("%d renditions: write 1 to %d", n, ffmpeg.MaxRenditions)
	}
	seen := map[string]bool{}
	for _, p := range o.profiles {
		if p.Name == "" || p.Name != filepath.Base(p.Name) || strings.HasPrefix(p.Name, ".") {
			return fmt.Errorf("a rendition cannot have the name %q: it begins a file's name", p.Name)
		}
		if seen[p.Name] {
			return fmt.Errorf("two renditions have the name %q", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// presetNames are the known renditions, the largest first.
func presetNames() []string {
	var names []string
	for name := range ffmpeg.VideoProfileLookup {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := height(b) - height(a); d != 0 {
			return d
		}
		return strings.Compare(b, a)
	})
	return names
}

func height(preset string) int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(preset, "P"), "p")
	n, _ := strconv.Atoi(digits)
	return n
}

func usage(w io.Writer, f *flag.FlagSet) {
	fmt.Fprint(w, `transcode makes renditions of a media file (MPEG-TS, MP4 or FLV), all at once.

  transcode [flags] INPUT PROFILES

For each profile it writes the file PROFILE_INPUT, as MP4 when the input's name ends in
.mp4, and else as MPEG-TS with .ts. INPUT may be -, standard input; the files then are
named PROFILE_stdin.ts. A file is there, in place of an older one,
when it is complete.

PROFILES is a list with commas. @FILE.json in it stands for the profiles of a JSON file:
  [{"name": "low", "width": 426, "height": 240, "bitrate": 300000, "fps": 15}]
with, if wanted, fpsDen, profile (H264Baseline, H264Main, H264High, H264ConstrainedHigh),
gop ("2.0" seconds, or "intra"), encoder (H.264, HEVC, VP8, VP9, AV1), quality (1 to 63).
The other profiles are:
`)
	for _, name := range presetNames() {
		p := ffmpeg.VideoProfileLookup[name]
		fmt.Fprintf(w, "  %-15s %9s  %3d pictures/s  %s bit/s\n", name, p.Resolution, p.Framerate, p.Bitrate)
	}
	fmt.Fprint(w, "\nFlags:\n")
	f.SetOutput(w)
	f.PrintDefaults()
	fmt.Fprint(w, `
The table on standard output says what was made. Exit codes: 0 all was written, 1 something
could not be done, 2 the command line makes no sense.

  transcode -o /tmp movie.ts P240p30fps16x9,P144p15fps16x9
`)
}
