package transcoder

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/livepeer/lpms/ffmpeg"
)

// ErrUnknownPreset is a name that NamedRendition does not know.
var ErrUnknownPreset = errors.New("transcoder: unknown preset")

// Source is what is known of a source, to choose its renditions by.
type Source struct {
	Width, Height int     // pixels, whichever way the picture lies; 0 without video
	FrameRate     float64 // pictures per second; 0 when unknown
	Audio         bool    // there is sound
	Bitrate       int     // bits per second of everything in it, measured; 0 when unknown
}

// SourceOf is the Source that ffmpeg.Probe has looked at, of which a segment is enough.
func SourceOf(info *ffmpeg.Info) Source {
	if info == nil {
		return Source{}
	}
	s := Source{Audio: info.Audio() != nil, Bitrate: info.BitRate}
	if t := info.Video(); t != nil {
		s.Width, s.Height, s.FrameRate = t.Video.Width, t.Video.Height, t.Video.FPS
	}
	return s
}

// Limits of a Source: beyond them, a value counts as unknown.
const (
	maxSide    = 16384 // pixels
	maxRate    = 240   // pictures per second
	minBitrate = 8000  // bits per second: less was measured while nothing happened
)

// known is the source without values that have no meaning.
func (s Source) known() Source {
	if s.Width <= 0 || s.Height <= 0 || s.Width > maxSide || s.Height > maxSide {
		s.Width, s.Height = 0, 0
	}
	if !(s.FrameRate > 0 && s.FrameRate <= maxRate) { // also not a number
		s.FrameRate = 0
	}
	if s.Bitrate < minBitrate {
		s.Bitrate = 0
	}
	return s
}

// rung is one step of the default ladder, for a source of 16:9.
type rung struct {
	height  int     // pixels
	bitrate float64 // of the pictures, in bits per second, at 30 pictures per second
	rate    float64 // pictures per second at most, or a tenth more
}

// rungs have the bitrates of the nearest sizes in Apple's HLS authoring specification; 480p
// lies between its 432p and its 540p. Nothing is larger than 720p, which is what two cores
// can do beside the others.
var rungs = []rung{
	{720, 3_000_000, 60},
	{480, 1_500_000, 30},
	{360, 730_000, 30},
	{240, 365_000, 30},
	cellular,
}

// cellular is the last rung, see cellularAudio.
var cellular = rung{144, 150_000, 15}

// cellularAudio is the sound of the last rung. Apple's rule 9.21 (for iOS) wants a variant
// whose peak is at most 192 kbit/s with everything: the pictures have 100k with peaks of
// 125k, and the container takes a tenth.
func cellularAudio() ffmpeg.ComponentOptions {
	return ffmpeg.ComponentOptions{Name: "aac", Opts: map[string]string{"b": "32k", "ac": "1"}}
}

const (
	headroom = 1.2 // how much more than a rendition a source has to have
	minShort = 32  // pixels of the shorter side of a picture that is worth making
)

// DefaultLadder proposes renditions that are smaller than the source, the largest first.
// Equal sources have equal ladders.
//
// Sizes are 720p, 480p, 360p, 240p and 144p, as far as they have at least a quarter fewer
// pixels than the source. None has the source's own size, whatever the source's bitrate:
// that is what the source is for, which is passed on beside them. The shape is the source's. Of
// upright pictures, 480p is 480 wide; pictures wider than 16:9 are as wide as 16:9 is, and
// lower. Names are like those of the presets, P480p30fps16x9, with the shorter side in
// front; without a shape when it is neither 16:9 nor 4:3, and without a rate when that is
// unknown.
//
// Renditions show all pictures of the source (Framerate 0) up to 30 a second, and 720p
// up to 60. Of a faster source they show every second one, or third: 25 of 50. The last
// one, of 144p, shows at most 15, has at most 100 kbit/s and mono sound of its own, so that it
// stays below the 192 kbit/s of Apple's rule for cellular networks. The others have the
// source's sound.
//
// Bitrates are lower for fewer pictures and for shapes with fewer pixels than 16:9. A
// rendition is left out when the source has less than 1.2 times its bitrate. When none is
// left, but the source has at least twice the pixels of 144p, the smallest stays, with the
// bitrate lowered to fit.
//
// There are none for a source without video, and none when all would be about as large as
// the source, that is up to about 256x144.
func DefaultLadder(src Source) []ffmpeg.Rendition {
	src = src.known()
	var all []ffmpeg.Rendition
	for _, s := range rungs {
		w, h := src.scale(s.height)
		if min(w, h) < minShort || 4*w*h > 3*src.Width*src.Height {
			continue
		}
		rate := src.slowed(s.rate)
		shape := float64(w*h) / float64(s.height*widthOf(s.height))
		bits := s.bitrate * math.Pow(min(rate.fps(), s.rate)/30, 0.585) * math.Pow(shape, 0.75)
		r := ffmpeg.Rendition{Profile: src.profile(w, h, s.height, rate)}
		if s == cellular {
			r.Audio = cellularAudio()
		}
		kbits := max(int(math.Round(bits/5000))*5, 5)
		if src.Bitrate > 0 && float64(kbits)*1000*headroom > float64(src.Bitrate) {
			if s != cellular || len(all) > 0 || src.Width*src.Height < 2*cellular.height*widthOf(cellular.height) {
				continue
			}
			kbits = int(float64(src.Bitrate) / headroom / 1000)
			r.Audio = ffmpeg.ComponentOptions{} // the source's cannot be much
		}
		r.Profile.Bitrate = fmt.Sprintf("%dk", kbits)
		all = append(all, r)
	}
	return all
}

// widthOf is the width of a picture of 16:9, an even number.
func widthOf(height int) int { return (height*16/9 + 1) / 2 * 2 }

// scale is the size in which the source is shown with the given height, if it was 16:9.
func (s Source) scale(height int) (w, h int) {
	long, short := max(s.Width, s.Height), min(s.Width, s.Height)
	if short == 0 {
		return 0, 0
	}
	w = widthOf(height)
	if long*9 < short*16 {
		w = even(height, long, short)
	}
	h = even(w, short, long)
	if s.Height > s.Width {
		return h, w
	}
	return w, h
}

// even is the even number that is nearest to n*num/den, as a Ladder rounds.
func even(n, num, den int) int { return 2 * ((n*num + den) / (2 * den)) }

// frameRate is in pictures per second.
type frameRate struct {
	num, den int // 0/0 keeps the source's pictures
	source   float64
}

// fps is 30 when nothing is known.
func (r frameRate) fps() float64 {
	if r.num > 0 {
		return float64(r.num) / float64(r.den)
	}
	return cmp.Or(r.source, 30)
}

// slowed is the rate at which the source is shown when there may be limit pictures per
// second, or a tenth more: so many that each stands equally long.
func (s Source) slowed(limit float64) frameRate {
	switch {
	case s.FrameRate == 0 && limit < 30:
		return frameRate{num: int(limit), den: 1}
	case s.FrameRate <= 1.1*limit:
		return frameRate{source: s.FrameRate}
	}
	num, den := exactRate(s.FrameRate)
	den *= int(math.Ceil(s.FrameRate / (1.1 * limit)))
	for a, b := num, den; ; a, b = b, a%b {
		if b == 0 { // a divides both
			return frameRate{num: num / a, den: den / a}
		}
	}
}

// exactRate is the usual rate that is meant by a measured one: a whole number, or one of
// NTSC's, or else thousandths.
func exactRate(fps float64) (num, den int) {
	whole, ntsc := math.Round(fps), math.Round(fps*1.001)
	off, offNTSC := math.Abs(fps-whole)/fps, math.Abs(fps-ntsc/1.001)/fps
	switch {
	case min(off, offNTSC) > 0.004:
		return max(int(math.Round(fps*1000)), 1), 1000
	case off <= offNTSC:
		return int(whole), 1
	}
	return int(ntsc) * 1000, 1001
}

// profile is everything but the bitrate. The name says height when it is about right.
func (s Source) profile(w, h, height int, rate frameRate) ffmpeg.VideoProfile {
	if off := height - min(w, h); 50*off > height {
		height = min(w, h)
	}
	p := ffmpeg.VideoProfile{
		Name:       fmt.Sprintf("P%dp", height),
		Resolution: fmt.Sprintf("%dx%d", w, h),
		Framerate:  uint(rate.num),
	}
	if rate.den > 1 {
		p.FramerateDen = uint(rate.den)
	}
	if rate.num > 0 || s.FrameRate > 0 {
		p.Name += fmt.Sprintf("%dfps", max(int(math.Ceil(rate.fps()-0.5)), 1))
	}
	for _, shape := range [][2]int{{16, 9}, {4, 3}} {
		ideal := float64(shape[0]) / float64(shape[1])
		if math.Abs(float64(s.Width)/float64(s.Height)/ideal-1) < 0.015 {
			p.Name += fmt.Sprintf("%dx%d", shape[0], shape[1])
			p.AspectRatio = fmt.Sprintf("%d:%d", shape[0], shape[1])
		}
	}
	return p
}

// FitLadder makes of the renditions that an operator wants those that a source can have. It
// keeps their order, their names and their bitrates, and leaves wanted as it is.
//
// A rendition is left out when both sides of its box are larger than the source's, whichever
// way the two lie; one of the source's own size stays, because it was asked for. When no
// rendition that encodes pictures would be left, the one with the smallest box stays, with
// the source's size. A frame rate above the source's becomes the source's (Framerate 0). One
// that is audio only is left out when the source has no sound. Of a source without video,
// only audio-only ones are left.
//
// What is unknown of the source, or wrong with a resolution, leaves a rendition as it is:
// ffmpeg.NewLadder then says what is wrong.
func FitLadder(src Source, wanted []ffmpeg.Rendition) []ffmpeg.Rendition {
	src = src.known()
	var fitting []ffmpeg.Rendition
	encoded, smallest, place := false, -1, 0
	for i, r := range wanted {
		if !src.has(r) {
			continue
		}
		if encodes(r) {
			if src.upscales(r) {
				if smallest < 0 || area(r) < area(wanted[smallest]) {
					smallest, place = i, len(fitting)
				}
				continue
			}
			encoded = true
		}
		fitting = append(fitting, src.slow(r))
	}
	if !encoded && smallest >= 0 {
		r := src.slow(wanted[smallest])
		r.Profile.Resolution = fmt.Sprintf("%dx%d", max(src.Width&^1, 2), max(src.Height&^1, 2))
		fitting = slices.Insert(fitting, place, r)
	}
	return fitting
}

// has reports whether the source has what a rendition is made of.
func (s Source) has(r ffmpeg.Rendition) bool {
	if r.Video.Name == "drop" {
		return s.Audio
	}
	return s.Width > 0
}

// encodes reports whether a rendition has pictures of its own.
func encodes(r ffmpeg.Rendition) bool { return r.Video.Name != "drop" && r.Video.Name != "copy" }

func (s Source) upscales(r ffmpeg.Rendition) bool {
	w, h, err := ffmpeg.VideoProfileResolution(r.Profile)
	return err == nil && max(w, h) > max(s.Width, s.Height) && min(w, h) > min(s.Width, s.Height)
}

func area(r ffmpeg.Rendition) int {
	w, h, _ := ffmpeg.VideoProfileResolution(r.Profile) // those that are asked have one
	return w * h
}

// slow takes from a rendition a frame rate that the source does not have.
func (s Source) slow(r ffmpeg.Rendition) ffmpeg.Rendition {
	fps := float64(r.Profile.Framerate) / float64(max(r.Profile.FramerateDen, 1))
	if s.FrameRate > 0 && fps > s.FrameRate {
		r.Profile.Framerate, r.Profile.FramerateDen = 0, 0
	}
	return r
}

// The names of NamedRendition that are not those of profiles.
const (
	audioPreset = "audio"
	lightAlias  = "2G"
)

// NamedRendition is the rendition of a preset: a name of ffmpeg.VideoProfileLookup, "audio"
// for the source's sound alone, or "2G", which is another name of P72p2fps16x9, the rendition
// of 11 kbit/s with ffmpeg.LightAudio. PresetNames lists them. Another name is
// ErrUnknownPreset, whose text says which are like it. The rendition is the caller's.
func NamedRendition(name string) (ffmpeg.Rendition, error) {
	if name == audioPreset {
		return ffmpeg.AudioOnly(name, ffmpeg.ComponentOptions{Name: "copy"}), nil
	}
	light := ffmpeg.P72p2fps16x9
	if name == lightAlias || name == light.Name {
		return ffmpeg.Rendition{Profile: light, Audio: ffmpeg.LightAudio()}, nil
	}
	if p, ok := ffmpeg.VideoProfileLookup[name]; ok {
		return ffmpeg.Rendition{Profile: p}, nil
	}
	return ffmpeg.Rendition{}, fmt.Errorf("%w %.40q: write for example %s; transcoder.PresetNames lists all",
		ErrUnknownPreset, name, strings.Join(closest(name), ", "))
}

// PresetNames are all names that NamedRendition knows, in alphabetical order.
func PresetNames() []string {
	names := append([]string{audioPreset, lightAlias}, slices.Collect(maps.Keys(ffmpeg.VideoProfileLookup))...)
	slices.Sort(names)
	return names
}

// closest are the three names that are most like one that is not known.
func closest(name string) []string {
	name = strings.ToLower(name[:min(len(name), 40)])
	names := PresetNames()
	far := func(n string) int {
		n = strings.ToLower(n)
		if name != "" && strings.Contains(n, name) {
			return 0
		}
		return distance(name, n)
	}
	slices.SortStableFunc(names, func(a, b string) int { return far(a) - far(b) })
	return names[:3]
}

// distance is how many bytes have to be put in, left out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // to make b[:i] of what was looked at of a
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for k := range len(b) {
			changed := before
			if a[i] != b[k] {
				changed++
			}
			before = row[k+1]
			row[k+1] = min(changed, row[k]+1, row[k+1]+1)
		}
	}
	return row[len(b)]
}

// Ladder makes renditions of names, as NamedRendition reads them, and of profiles, and checks
// that they can be made, all together: it is for what somebody asks for. None is no error.
func Ladder(names []string, profiles []ffmpeg.VideoProfile) ([]ffmpeg.Rendition, error) {
	ladder := make([]ffmpeg.Rendition, 0, min(len(names)+len(profiles), ffmpeg.MaxRenditions))
	if n := len(names) + len(profiles); n > ffmpeg.MaxRenditions {
		return nil, fmt.Errorf("%w: %d of them, write at most %d", ErrRenditions, n, ffmpeg.MaxRenditions)
	}
	for _, name := range names {
		r, err := NamedRendition(name)
		if err != nil {
			return nil, err
		}
		ladder = append(ladder, r)
	}
	for _, p := range profiles {
		ladder = append(ladder, ffmpeg.Rendition{Profile: p})
	}
	if len(ladder) == 0 {
		return ladder, nil
	}
	if err := Check(ladder); err != nil {
		return nil, err
	}
	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: ladder})
	if err != nil {
		return nil, err
	}
	l.Close()
	return ladder, nil
}
