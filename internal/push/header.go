package push

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/transcoder"
)

const (
	durationHeader      = "Content-Duration"
	resolutionHeader    = "Content-Resolution"
	configurationHeader = "Livepeer-Transcode-Configuration"

	maxSide          = 16384
	maxConfiguration = 64 << 10 // bytes
)

// parseDuration reads Content-Duration, whole milliseconds; 0 is unknown.
func parseDuration(h http.Header) (time.Duration, error) {
	v := h.Get(durationHeader)
	if v == "" {
		return 0, nil
	}
	ms, ok := parseDigits(v, uint64(maxDuration/time.Millisecond))
	if !ok {
		return 0, refuse(http.StatusBadRequest, "%s %.40q: write milliseconds, as 2000, up to %d", durationHeader, v, maxDuration/time.Millisecond)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// checkResolution checks the syntax of Content-Resolution. What it says is not used: the
// media knows better.
func checkResolution(h http.Header) error {
	v := h.Get(resolutionHeader)
	if v == "" {
		return nil
	}
	width, height, _ := strings.Cut(v, "x")
	if _, ok := parseDigits(width, maxSide); ok {
		if _, ok := parseDigits(height, maxSide); ok {
			return nil
		}
	}
	return refuse(http.StatusBadRequest, "%s %.40q: write WIDTHxHEIGHT, as 1280x720", resolutionHeader, v)
}

// configuration is what Livepeer-Transcode-Configuration says that concerns a push. Other
// fields are ignored.
type configuration struct {
	Profiles json.RawMessage `json:"profiles"`
	Presets  []string        `json:"presets"`
}

// parseConfiguration reads the renditions that a publisher wants: the header has an array of
// profiles as ffmpeg.ParseProfiles reads it, or an object with such an array as "profiles",
// or names of presets as "presets", or both. It is nil when it says nothing of renditions.
func parseConfiguration(h http.Header) ([]ffmpeg.Rendition, error) {
	v := strings.TrimSpace(h.Get(configurationHeader))
	if v == "" {
		return nil, nil
	}
	renditions, err := readConfiguration([]byte(v))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%s: %v", configurationHeader, err)
	}
	return renditions, nil
}

func readConfiguration(text []byte) ([]ffmpeg.Rendition, error) {
	if len(text) > maxConfiguration {
		return nil, fmt.Errorf("%d bytes: write at most %d", len(text), maxConfiguration)
	}
	c := configuration{Profiles: text}
	if text[0] != '[' {
		c.Profiles = nil
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, fmt.Errorf(`%w: write an object, as {"profiles": [{"name": "low", "width": 256, "height": 144, "bitrate": 100000}]}`, err)
		}
	}
	if string(c.Profiles) == "null" {
		c.Profiles = nil
	}
	if c.Profiles == nil && c.Presets == nil {
		return nil, nil
	}
	var profiles []ffmpeg.VideoProfile
	if c.Profiles != nil {
		var err error
		if profiles, err = ffmpeg.ParseProfiles(c.Profiles); err != nil {
			return nil, err
		}
	}
	return transcoder.Ladder(c.Presets, profiles)
}

// wantsRenditions reports whether an Accept header names multipart/mixed: renditions come to
// those who ask for them, not to those who take anything.
func wantsRenditions(h http.Header) bool {
	for _, line := range h.Values("Accept") {
		for item := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(item)
			if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || kind != "multipart/mixed" {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return true
			}
		}
	}
	return false
}
