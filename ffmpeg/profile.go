package ffmpeg

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/m3u8"
)

// Acceleration is the hardware that decodes and encodes.
type Acceleration int

// The kinds of hardware.
const (
	Software Acceleration = iota
	Nvidia
	Amd
	Netint
)

// AccelerationNameLookup gives the short name of a kind of hardware.
var AccelerationNameLookup = map[Acceleration]string{
	Software: "SW",
	Nvidia:   "Nvidia",
	Amd:      "Amd",
	Netint:   "Netint",
}

// What is wrong with a request to transcode. They may come wrapped; use errors.Is.
var (
	// ErrTranscoderHw: there is no such hardware, or it cannot do this.
	ErrTranscoderHw = errors.New("TranscoderInvalidHardware")
	// ErrTranscoderRes: the resolution is not WIDTHxHEIGHT, or out of its limits.
	ErrTranscoderRes = errors.New("TranscoderInvalidResolution")
	// ErrTranscoderVid: there is no video that can be decoded.
	ErrTranscoderVid = errors.New("TranscoderInvalidVideo")
	// ErrProfile: a field of a profile has no meaning; the text says which and what to write.
	ErrProfile = errors.New("ffmpeg: invalid profile")
)

// Profile is an H.264 profile.
type Profile int

// The H.264 profiles.
const (
	ProfileNone Profile = iota
	ProfileH264Baseline
	ProfileH264Main
	ProfileH264High
	ProfileH264ConstrainedHigh
)

// ProfileParameters gives FFmpeg's name of a profile. Constrained High is High without
// B-frames.
var ProfileParameters = map[Profile]string{
	ProfileNone:                "",
	ProfileH264Baseline:        "baseline",
	ProfileH264Main:            "main",
	ProfileH264High:            "high",
	ProfileH264ConstrainedHigh: "high",
}

// EncoderProfileNameToValue gives the profile of a name, in upper or lower case, with or
// without "H264" before it. An empty name and "none" are ProfileNone.
func EncoderProfileNameToValue(profile string) (Profile, error) {
	switch strings.ToLower(profile) {
	case "", "none":
		return ProfileNone, nil
	case "baseline", "h264baseline":
		return ProfileH264Baseline, nil
	case "main", "h264main":
		return ProfileH264Main, nil
	case "high", "h264high":
		return ProfileH264High, nil
	case "constrainedhigh", "h264constrainedhigh":
		return ProfileH264ConstrainedHigh, nil
	}
	return ProfileNone, fmt.Errorf("%w: no encoder profile %.40q: write none, H264Baseline, H264Main, H264High or H264ConstrainedHigh", ErrProfile, profile)
}

// bframes reports whether pictures may be predicted from later ones.
func (p Profile) bframes() bool {
	return p != ProfileH264Baseline && p != ProfileH264ConstrainedHigh
}

// GOPIntraOnly as VideoProfile.GOP makes every picture a keyframe.
const GOPIntraOnly time.Duration = -1

// VideoProfile says how a rendition is encoded.
type VideoProfile struct {
	Name         string
	Bitrate      string // bits per second, with the suffix k or M for thousands or millions
	Framerate    uint   // pictures per FramerateDen seconds; 0 keeps the source's pictures
	FramerateDen uint   // default 1
	Resolution   string // the box, as WIDTHxHEIGHT
	AspectRatio  string // of the box, as 16:9; it is informative
	Format       Format
	Profile      Profile
	GOP          time.Duration // between keyframes; 0 leaves it to the encoder: at segments' starts, and where scenes change; GOPIntraOnly
	Encoder      VideoCodec
	ColorDepth   ColorDepthBits
	ChromaFormat ChromaSubsampling
	Quality      uint // 1 to 63: constant quality (CRF), with Bitrate as its limit; 0 is off
}

// Limits of a profile.
const (
	maxSide         = 16384         // pixels; no encoder takes more
	maxBitrate      = 1_000_000_000 // twice of it, a buffer's size, is still an int of C
	maxFrameRate    = 240
	maxFramerateDen = 1_000_000
	maxQuality      = 63
	maxGOP          = time.Hour
)

// validate checks what can be checked without libav, of a rendition whose pictures are
// encoded: with "copy" or "drop" there need be no resolution. The error is ErrProfile,
// and ErrTranscoderRes too when it is about the resolution.
func (p VideoProfile) validate() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return nil
}

// check is validate without ErrProfile.
func (p VideoProfile) check() error {
	if _, _, err := VideoProfileResolution(p); err != nil {
		return err
	}
	if _, err := parseBitrate(p.Bitrate); err != nil {
		return err
	}
	den := uint64(max(p.FramerateDen, 1))
	if den > maxFramerateDen {
		return fmt.Errorf("frame rate %d/%d: the denominator is at most %d", p.Framerate, den, maxFramerateDen)
	}
	if uint64(p.Framerate) > maxFrameRate*den {
		return fmt.Errorf("frame rate %d/%d: write at most %d, or 0 for the source's", p.Framerate, den, maxFrameRate)
	}
	if p.GOP != GOPIntraOnly && (p.GOP < 0 || p.GOP > maxGOP) {
		return fmt.Errorf("GOP %v: write a time up to %v, intra only, or nothing", p.GOP, maxGOP)
	}
	if p.Quality > maxQuality {
		return fmt.Errorf("quality %d: write 1 (best) to %d, or 0 for none", p.Quality, maxQuality)
	}
	switch p.Format {
	case FormatNone, FormatMPEGTS, FormatMP4:
	default:
		return fmt.Errorf("format %d: write FormatMPEGTS or FormatMP4", p.Format)
	}
	if _, ok := ProfileParameters[p.Profile]; !ok {
		return fmt.Errorf("encoder profile %d: write one of the H.264 profiles, or ProfileNone", p.Profile)
	}
	if !p.Encoder.known() {
		return fmt.Errorf("encoder %d: write %s", p.Encoder, codecNames)
	}
	switch p.ColorDepth {
	case ColorDepth8Bit, ColorDepth10Bit, ColorDepth12Bit, ColorDepth16Bit:
	default:
		return fmt.Errorf("colorDepth %d: write 0, 2, 4 or 8, the bits above eight", p.ColorDepth)
	}
	switch p.ChromaFormat {
	case ChromaSubsampling420, ChromaSubsampling422, ChromaSubsampling444:
	default:
		return fmt.Errorf("chromaFormat %d: write 0 (4:2:0), 1 (4:2:2) or 2 (4:4:4)", p.ChromaFormat)
	}
	return nil
}

func (c VideoCodec) known() bool {
	for _, v := range FfmpegNameToVideoCodec {
		if v == c {
			return true
		}
	}
	return false
}

// bitrate is Bitrate in bits per second; zero when there is none.
func (p VideoProfile) bitrate() (int, error) {
	n, err := parseBitrate(p.Bitrate)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return n, nil
}

// frameRate is in pictures per second; 0/1 is the source's.
func (p VideoProfile) frameRate() (num, den int) {
	if p.Framerate == 0 {
		return 0, 1
	}
	return int(p.Framerate), int(max(p.FramerateDen, 1))
}

// VideoProfileResolution is the width and height of the profile's box; what is not one is
// ErrTranscoderRes.
func VideoProfileResolution(p VideoProfile) (int, int, error) {
	width, height, _ := strings.Cut(p.Resolution, "x")
	w, errW := strconv.ParseUint(width, 10, 31)
	h, errH := strconv.ParseUint(height, 10, 31)
	if errW != nil || errH != nil || !isSide(int(w)) || !isSide(int(h)) {
		return 0, 0, fmt.Errorf("%w: resolution %.40q: write WIDTHxHEIGHT, each 2 to %d, as 640x360", ErrTranscoderRes, p.Resolution, maxSide)
	}
	return int(w), int(h), nil
}

func isSide(n int) bool { return n >= 2 && n <= maxSide }

// VideoProfileToVariantParams says in a master playlist what the profile asks for. A
// bitrate that cannot be read becomes zero.
func VideoProfileToVariantParams(p VideoProfile) m3u8.VariantParams {
	bandwidth, _ := p.bitrate()
	return m3u8.VariantParams{Bandwidth: uint32(bandwidth), Resolution: p.Resolution}
}

// DefaultProfileName is the name of a profile that has none, as 640x360_1200000.
func DefaultProfileName(width int, height int, bitrate int) string {
	return fmt.Sprintf("%dx%d_%d", width, height, bitrate)
}
