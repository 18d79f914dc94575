package ffmpeg

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// JsonProfile is a VideoProfile as users write it.
type JsonProfile struct {
	Name         string            `json:"name"` // default DefaultProfileName
	Width        int               `json:"width"`
	Height       int               `json:"height"`
	Bitrate      int               `json:"bitrate"` // bits per second; 0 sets none
	FPS          uint              `json:"fps"`     // pictures per FPSDen seconds; 0 keeps the source's
	FPSDen       uint              `json:"fpsDen"`  // default 1
	Profile      string            `json:"profile"` // see EncoderProfileNameToValue
	GOP          string            `json:"gop"`     // seconds between keyframes, or "intra"; default at the starts of segments
	Encoder      string            `json:"encoder"` // "H.264" (default), "HEVC", "VP8", "VP9" or "AV1"
	ColorDepth   ColorDepthBits    `json:"colorDepth"`
	ChromaFormat ChromaSubsampling `json:"chromaFormat"`
	Quality      uint              `json:"quality"` // see VideoProfile
}

const (
	maxProfilesJSON = 64 << 10 // bytes
	maxProfiles     = 100

	codecNames  = "H.264, HEVC, VP8, VP9 or AV1"
	profileHint = `write an array, as [{"name": "low", "width": 256, "height": 144, "bitrate": 100000, "fps": 15}]`
)

// ParseProfiles reads a JSON array of JsonProfile, of at most 64 KiB and 100 profiles.
// Fields it does not know are ignored. Errors are ErrProfile; they say which profile is
// meant and what to write.
func ParseProfiles(injson []byte) ([]VideoProfile, error) {
	if len(injson) > maxProfilesJSON {
		return nil, fmt.Errorf("%w: %d bytes of JSON: write at most %d", ErrProfile, len(injson), maxProfilesJSON)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(injson, &items); err != nil {
		return nil, fmt.Errorf("%w: %w: %s", ErrProfile, err, profileHint)
	}
	if err := checkCount(len(items)); err != nil {
		return nil, err
	}
	profiles := make([]JsonProfile, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &profiles[i]); err != nil {
			return nil, profileError(i, len(items), profiles[i].Name, typeError(err))
		}
	}
	return ParseProfilesFromJsonProfileArray(profiles)
}

// ParseProfilesFromJsonProfileArray is ParseProfiles after the JSON was decoded.
func ParseProfilesFromJsonProfileArray(profiles []JsonProfile) ([]VideoProfile, error) {
	if err := checkCount(len(profiles)); err != nil {
		return nil, err
	}
	parsed := make([]VideoProfile, len(profiles))
	for i, p := range profiles {
		var err error
		if parsed[i], err = p.videoProfile(); err != nil {
			return nil, profileError(i, len(profiles), p.Name, err)
		}
	}
	return parsed, nil
}

func checkCount(n int) error {
	if n > maxProfiles {
		return fmt.Errorf("%w: %d profiles: write at most %d", ErrProfile, n, maxProfiles)
	}
	return nil
}

// profileError adds which profile of how many it is.
func profileError(i, n int, name string, err error) error {
	which := fmt.Sprintf("profile %d of %d", i+1, n)
	if name != "" {
		which += fmt.Sprintf(" (%.40q)", name)
	}
	if errors.Is(err, ErrProfile) {
		return fmt.Errorf("%s: %w", which, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrProfile, which, err)
}

// typeError says which field wants what.
func typeError(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := "an object"
	switch wrong.Type.Kind() {
	case reflect.String:
		want = "a text in quotes"
	case reflect.Int:
		want = "a whole number"
	case reflect.Uint:
		want = "a whole number, 0 or more"
	}
	if wrong.Field == "" {
		return fmt.Errorf("it must be %s, not %s: %s", want, wrong.Value, profileHint)
	}
	if wrong.Field == "fps" {
		want += `, with "fpsDen" for fractions (29.97 is 30000 and 1001)`
	}
	return fmt.Errorf("%q must be %s, not %s", wrong.Field, want, wrong.Value)
}

func (p JsonProfile) videoProfile() (VideoProfile, error) {
	if !isSide(p.Width) || !isSide(p.Height) {
		return VideoProfile{}, fmt.Errorf("%w: width %d and height %d: write 2 to %d for each", ErrTranscoderRes, p.Width, p.Height, maxSide)
	}
	if p.Bitrate < 0 {
		return VideoProfile{}, fmt.Errorf("bitrate %d: write bits per second, or 0 for none", p.Bitrate)
	}
	profile, err := EncoderProfileNameToValue(p.Profile)
	if err != nil {
		return VideoProfile{}, err
	}
	gop, err := parseGOP(p.GOP)
	if err != nil {
		return VideoProfile{}, err
	}
	encoder, ok := codecByName(p.Encoder)
	if !ok {
		return VideoProfile{}, fmt.Errorf("no encoder %.40q: write %s", p.Encoder, codecNames)
	}
	v := VideoProfile{
		Name:         p.Name,
		Bitrate:      strconv.Itoa(p.Bitrate),
		Framerate:    p.FPS,
		FramerateDen: p.FPSDen,
		Resolution:   fmt.Sprintf("%dx%d", p.Width, p.Height),
		Profile:      profile,
		GOP:          gop,
		Encoder:      encoder,
		ColorDepth:   p.ColorDepth,
		ChromaFormat: p.ChromaFormat,
		Quality:      p.Quality,
	}
	if v.Name == "" {
		v.Name = DefaultProfileName(p.Width, p.Height, p.Bitrate)
	}
	return v, v.check()
}

// parseGOP reads seconds, "intra", or "" for zero.
func parseGOP(s string) (time.Duration, error) {
	switch s {
	case "":
		return 0, nil
	case "intra":
		return GOPIntraOnly, nil
	}
	d, err := time.ParseDuration(s + "s")
	if err != nil || strings.Trim(s, "0123456789.") != "" || d <= 0 || d > maxGOP {
		return 0, fmt.Errorf(`gop %.40q: write "intra", or seconds up to %d, as "2" or "0.5"`, s, maxGOP/time.Second)
	}
	return d, nil
}

// codecByName gives the codec of a name in a profile; "" is H.264.
func codecByName(name string) (VideoCodec, bool) {
	name = strings.ToLower(name)
	switch name {
	case "", "h.264":
		name = "h264"
	case "h265", "h.265":
		name = "hevc"
	}
	c, ok := FfmpegNameToVideoCodec[name]
	return c, ok
}
