package settings

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

const (
	minSegment     = time.Second
	maxSegment     = 30 * time.Second // that of lpms.Options
	maxReconnect   = time.Hour
	maxTestSignals = 4
	maxURL         = 2048 // bytes
	maxSessions    = 10   // the default
)

// x264Presets are what -preset takes, the fastest first.
func x264Presets() []string {
	return []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"}
}

func textTo(to *string) func(string) error {
	return func(v string) error { *to = v; return nil }
}

func boolTo(to *bool) func(string) error {
	return func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%s: write true or false", quote(v))
		}
		*to = b
		return nil
	}
}

func intTo(to *int, least, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%s: write a number from %d to %d", quote(v), least, most)
		}
		*to = n
		return nil
	}
}

// durationTo takes 0 as "not at all", which is negative in lpms.Options.
func durationTo(to *time.Duration, least, most time.Duration) func(string) error {
	return func(v string) error {
		if _, err := time.ParseDuration(v + "s"); err == nil && v != "0" && strings.Trim(v, "0123456789.") == "" {
			return fmt.Errorf("%s has no unit: write %q for seconds", quote(v), v+"s")
		}
		d, err := time.ParseDuration(v)
		if err != nil || d < least || d > most {
			return fmt.Errorf("%s: write a time from %s to %s, as 2s or 1500ms", quote(v), short(least), short(most))
		}
		if d == 0 {
			d = -1
		}
		*to = d
		return nil
	}
}

// short is a duration without zeros at its end.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func oneOf(to *string, words []string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%s: write one of %s", quote(v), strings.Join(words, ", "))
		}
		*to = v
		return nil
	}
}

func namesTo(to *[]string, most int) func(string) error {
	return func(v string) error {
		names := list(v)
		if len(names) > most {
			return fmt.Errorf("%s: write at most %d names", quote(v), most)
		}
		for i, name := range names {
			if !stream.ValidName(name) {
				return fmt.Errorf("%s cannot name a stream: write 1 to %d of A-Z a-z 0-9 _ . - with no dot in front", quote(name), stream.MaxName)
			}
			if slices.Contains(names[:i], name) {
				return fmt.Errorf("%s stands there twice", quote(name))
			}
		}
		*to = names
		return nil
	}
}

// list splits at commas; nothing is no element.
func list(v string) []string {
	if strings.TrimSpace(v) == "" {
		return nil
	}
	parts := strings.Split(v, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func deviceTo(s *Settings) func(string) error {
	number := regexp.MustCompile(`^[0-9]{1,3}$`)
	return func(v string) error {
		if v == "" {
			return nil
		}
		if !number.MatchString(v) {
			return fmt.Errorf("%s: write the number of one device, as 0 (nvidia-smi -L lists them)", quote(v))
		}
		s.Accel, s.Device = ffmpeg.Nvidia, v
		return nil
	}
}

// accelTo takes the name of an acceleration; none is Software, which anybody has.
func accelTo(to *ffmpeg.Acceleration) func(string) error {
	return func(v string) error {
		switch v {
		case "":
			*to = ffmpeg.Software
		case accelName(ffmpeg.Nvidia):
			*to = ffmpeg.Nvidia
		default:
			return fmt.Errorf("%s: write nvidia, or leave it out", quote(v))
		}
		return nil
	}
}

// baseURLTo takes an address to which paths are added.
func baseURLTo(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return nil
		}
		u, err := url.Parse(v)
		switch {
		case len(v) > maxURL, err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Port() != "" && !isPort(u.Port()):
			return fmt.Errorf("%s is no address: write one like http://10.0.0.5:8935", quote(v))
		case u.User != nil, u.RawQuery != "", u.Fragment != "":
			return errors.New("has a user, a query or a fragment: write one like http://10.0.0.5:8935")
		}
		*to = strings.TrimRight(v, "/")
		return nil
	}
}

// accelName is what -requireAccel calls it; empty for Software.
func accelName(a ffmpeg.Acceleration) string {
	if a == ffmpeg.Nvidia {
		return "nvidia"
	}
	return ""
}

// fileTo takes the name of a file that can be read, and does not read it.
func fileTo(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return nil
		}
		f, err := openFile(v)
		if err != nil {
			return err
		}
		*to = v
		return f.Close()
	}
}

// urlTo never quotes the address: it may hold a password.
func urlTo(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return nil
		}
		u, err := url.Parse(v)
		switch {
		case len(v) > maxURL:
			return fmt.Errorf("is %d bytes long: write at most %d", len(v), maxURL)
		case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Fragment != "", u.Port() != "" && !isPort(u.Port()):
			return errors.New("is no address to ask: write one like https://auth.example.com/lpms")
		}
		*to = v
		return nil
	}
}
