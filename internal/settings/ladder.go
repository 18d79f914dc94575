package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// maxExtra is how many presets can be added to an automatic ladder, which has up to five itself.
const maxExtra = 5

// ladder reads which renditions are made, and asks the linked FFmpeg whether it can.
func (p *parser) ladder() {
	if p.bad["transcodingOptions"] || p.bad["extraRenditions"] {
		return
	}
	s := p.s
	if !s.Broadcaster && !s.Transcoder {
		return
	}
	w, err := explicit(s.TranscodingOptions)
	if err != nil {
		p.fail("transcodingOptions", err)
	}
	extra, err := named(p.judged.extra)
	switch {
	case err != nil:
		p.fail("extraRenditions", err)
	case len(extra) > maxExtra:
		p.fail("extraRenditions", fmt.Errorf("%s: write at most %d names", quote(p.judged.extra), maxExtra))
	case len(extra) > 0 && !w.auto && !p.bad["transcodingOptions"]:
		p.fail("extraRenditions", fmt.Errorf("adds to the automatic ladder, and -transcodingOptions is %s: write all names there, or leave it out",
			quote(s.TranscodingOptions)))
	}
	if p.bad["transcodingOptions"] || p.bad["extraRenditions"] {
		return
	}
	s.Auto, s.Renditions, s.ExtraRenditions = w.auto, w.renditions, extra
	s.Warnings = append(s.Warnings, w.warnings...)
	p.checkLadder()
	if s.MaxAttempts == 0 && !p.bad["maxAttempts"] {
		if len(w.renditions)+len(extra) > 0 {
			p.warn("-maxAttempts 0 makes no renditions: those that are asked for are left out.")
		}
		s.Auto, s.Renditions, s.ExtraRenditions = false, nil, nil
	}
}

// wanted is what a text of -transcodingOptions says.
type wanted struct {
	auto       bool
	renditions []ffmpeg.Rendition
	warnings   []string
}

// ParseLadder reads a text as -transcodingOptions has it, while the program runs: preset names,
// JSON, "auto" or "none", but no file, because it may come from the network. The error says
// what to write. The encoders are software; the slice is the caller's.
func ParseLadder(text string) (auto bool, renditions []ffmpeg.Rendition, err error) {
	w, err := parseLadder(strings.TrimSpace(text))
	if err != nil {
		return false, nil, err
	}
	if err := encodable(ffmpeg.LadderOptions{Renditions: w.renditions}); err != nil {
		return false, nil, fmt.Errorf("cannot be made here: %w", err)
	}
	return w.auto, w.renditions, nil
}

// explicit reads -transcodingOptions, which may be the name of a file.
func explicit(v string) (wanted, error) {
	if !isFileName(v) {
		return parseLadder(v)
	}
	text, err := readFile(v)
	if err != nil {
		return wanted{}, err
	}
	w, err := parseJSON(text)
	if err != nil {
		return w, fmt.Errorf("%s: %w", quote(v), err)
	}
	return w, nil
}

func parseLadder(v string) (wanted, error) {
	switch {
	case v == "" || v == "auto":
		return wanted{auto: true}, nil
	case v == "none":
		return wanted{}, nil
	case strings.HasPrefix(v, "["):
		return parseJSON(v)
	}
	renditions, err := named(v)
	return wanted{renditions: renditions}, err
}

// isFileName reports whether a value means a file: it looks like one, or is one and no preset.
func isFileName(v string) bool {
	if v == "" || v == "auto" || v == "none" || strings.HasPrefix(v, "[") {
		return false
	}
	if strings.HasSuffix(strings.ToLower(v), ".json") || strings.Contains(v, "/") {
		return true
	}
	if _, err := transcoder.NamedRendition(v); err == nil || strings.Contains(v, ",") {
		return false
	}
	info, err := os.Stat(v)
	return err == nil && info.Mode().IsRegular()
}

// parseJSON reads an array of profiles.
func parseJSON(text string) (wanted, error) {
	var w wanted
	profiles, err := ffmpeg.ParseProfiles([]byte(text))
	if err != nil {
		return w, &plain{err}
	}
	if len(profiles) == 0 {
		return w, errors.New(`the array is empty: write "none" for the source only`)
	}
	for i, profile := range profiles {
		switch {
		case !stream.ValidName(profile.Name):
			return w, fmt.Errorf("profile %d has the name %s: write 1 to %d of A-Z a-z 0-9 _ . - with no dot in front",
				i+1, quote(profile.Name), stream.MaxName)
		case profile.Encoder == ffmpeg.H265:
			w.warnings = append(w.warnings, fmt.Sprintf(
				"the rendition %s is HEVC in an MPEG transport stream, which browsers and Apple's players do not play.", profile.Name))
		case profile.Encoder != ffmpeg.H264:
			return w, fmt.Errorf("profile %d (%s): segments are MPEG transport streams, which cannot carry %v: write H.264",
				i+1, quote(profile.Name), profile.Encoder)
		}
		w.renditions = append(w.renditions, ffmpeg.Rendition{Profile: profile})
	}
	return w, unique(w.renditions)
}

// named reads preset names with commas.
func named(v string) ([]ffmpeg.Rendition, error) {
	var renditions []ffmpeg.Rendition
	for _, name := range list(v) {
		if name == "" {
			return nil, fmt.Errorf("%s has a comma too many: write names with one comma between them", quote(v))
		}
		r, err := transcoder.NamedRendition(name)
		if err != nil {
			return nil, unknownPreset(name)
		}
		renditions = append(renditions, r)
	}
	return renditions, unique(renditions)
}

// unknownPreset names what may be meant.
func unknownPreset(name string) error {
	if name == "auto" || name == "none" {
		return fmt.Errorf("%q stands alone: remove the other names", name)
	}
	hint := suggest(name, Presets(), "")
	if hint == "" {
		hint = ": lpms presets lists them"
	}
	return fmt.Errorf("there is no preset %s%s", quote(name), hint)
}

// Presets are the names that -transcodingOptions takes, by size, the largest first. The slice is
// the caller's.
func Presets() []string {
	names := transcoder.PresetNames()
	slices.SortFunc(names, func(a, b string) int {
		sizeA, rateA := size(a)
		sizeB, rateB := size(b)
		return cmp.Or(cmp.Compare(sizeB, sizeA), cmp.Compare(rateB, rateA), cmp.Compare(a, b))
	})
	return names
}

// size is the pixels of a preset's box, zero without pictures, and its frame rate.
func size(name string) (pixels int, rate uint) {
	r, err := transcoder.NamedRendition(name)
	if err != nil {
		return 0, 0
	}
	w, h, _ := ffmpeg.VideoProfileResolution(r.Profile) // of sound: 0 and 0
	return w * h, r.Profile.Framerate
}

// Names are those of the renditions, in their order; never nil.
func Names(renditions []ffmpeg.Rendition) []string {
	names := []string{}
	for _, r := range renditions {
		names = append(names, r.Profile.Name)
	}
	return names
}

// unique refuses names that stand there twice, that of the source, and too many.
func unique(renditions []ffmpeg.Rendition) error {
	if n := len(renditions); n > ffmpeg.MaxRenditions {
		return fmt.Errorf("%d renditions: write at most %d", n, ffmpeg.MaxRenditions)
	}
	seen := map[string]bool{}
	for _, r := range renditions {
		switch name := r.Profile.Name; {
		case name == stream.Source:
			return fmt.Errorf("%q is the name of the source, which is always there: write another one", name)
		case seen[name]:
			return fmt.Errorf("the rendition %q stands there twice: remove one", name)
		}
		seen[r.Profile.Name] = true
	}
	return nil
}

// encodable asks the linked FFmpeg whether it has what the renditions need. It opens no encoder
// and no device.
func encodable(o ffmpeg.LadderOptions) error {
	if len(o.Renditions) == 0 {
		return nil
	}
	l, err := ffmpeg.NewLadder(o)
	if err != nil {
		return &plain{err}
	}
	l.Close()
	return nil
}

// checkLadder asks whether all that may be made can be made.
func (p *parser) checkLadder() {
	s := p.s
	all := slices.Concat(s.Renditions, s.ExtraRenditions)
	if s.Auto {
		// Which presets an automatic ladder has is known with the source; they all need the
		// same encoder.
		all = append(all, ffmpeg.Rendition{Profile: ffmpeg.P144p30fps16x9})
	}
	err := encodable(ffmpeg.LadderOptions{Renditions: all, Preset: s.Preset, Accel: s.Accel, Device: s.Device})
	if err == nil || s.MaxAttempts == 0 {
		return
	}
	name, hint := "transcodingOptions", "write other renditions"
	switch {
	case s.Accel != ffmpeg.Software:
		name, hint = "nvidia", "leave it out to transcode on the CPU, or install an FFmpeg with NVENC"
	case errors.Is(err, ffmpeg.ErrFormat):
		hint = `the linked FFmpeg lacks it: install one that has it (see install_ffmpeg.sh), or write "none"`
	}
	p.fail(name, fmt.Errorf("cannot be made here: %w: %s", err, hint))
}

// plain is an error of package ffmpeg without the prefix that users have no use for.
type plain struct{ err error }

func (e *plain) Error() string {
	text := e.err.Error()
	for _, sentinel := range []error{ffmpeg.ErrProfile, ffmpeg.ErrTranscoderRes} {
		text = strings.ReplaceAll(text, sentinel.Error()+": ", "")
	}
	return text
}

func (e *plain) Unwrap() error { return e.err }
