package ffmpeg

import "time"

// Acceleration is the hardware that decodes and encodes.
type Acceleration int

// The kinds of hardware.
const (
	Software Acceleration = iota
	Nvidia
	Amd
	Netint
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
	GOP          time.Duration // between keyframes; 0 only at the starts of segments; GOPIntraOnly
	Encoder      VideoCodec
	ColorDepth   ColorDepthBits
	ChromaFormat ChromaSubsampling
	Quality      uint // 1 to 63: constant quality (CRF), with Bitrate as its limit; 0 is off
}
