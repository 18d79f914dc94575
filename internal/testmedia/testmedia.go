// Package testmedia makes media for tests and benchmarks with the ffmpeg program, and
// reads it back as RTMP messages.
package testmedia

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/livepeer/lpms/internal/rtmp"
)

// Clip is the arguments of ffmpeg between the inputs and the output.
type Clip struct {
	Seconds int
	Size    string   // such as 320x180; empty for no video
	Rate    string   // frames a second, default 30
	Video   []string // encoder options, default a GOP of 2 s with B-frames
	NoAudio bool
	Audio   []string // encoder options, default AAC at 48 kHz
}

// Args is the documented ffmpeg line that makes the clip.
func (c Clip) Args(out string) []string {
	args := []string{"-v", "error", "-y"}
	rate := c.Rate
	if rate == "" {
		rate = "30"
	}
	if c.Size != "" {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=size="+c.Size+":rate="+rate)
	}
	if !c.NoAudio {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
	}
	args = append(args, "-t", fmt.Sprint(c.Seconds))
	if c.Size != "" {
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
		if c.Video == nil {
			args = append(args, "-g", "60", "-bf", "2", "-sc_threshold", "0", "-b:v", "400k")
		}
		args = append(args, c.Video...)
	}
	if !c.NoAudio {
		args = append(args, "-c:a", "aac", "-b:a", "64k")
		args = append(args, c.Audio...)
	}
	return append(args, "-f", "flv", out)
}

// Make writes the clip into dir and returns its path.
func (c Clip) Make(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".flv")
	if out, err := exec.Command("ffmpeg", c.Args(path)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("testmedia: ffmpeg %v: %w\n%s", c.Args(path), err, out)
	}
	return path, nil
}

// ReadFLV reads the tags of an FLV file as RTMP messages (FLV E.3, E.4).
func ReadFLV(path string) ([]rtmp.Message, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < 13 || string(b[:3]) != "FLV" {
		return nil, fmt.Errorf("testmedia: %s is not an FLV file", path)
	}
	var out []rtmp.Message
	for b = b[13:]; len(b) >= 11; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		ts := uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24
		if len(b) < 11+size+4 {
			return nil, fmt.Errorf("testmedia: %s is cut short", path)
		}
		m := rtmp.Message{Type: rtmp.MessageType(b[0] & 0x1f), Timestamp: ts, Payload: b[11 : 11+size : 11+size]}
		if m.Type != rtmp.TypeDataAMF0 {
			out = append(out, m)
		}
		b = b[11+size+4:]
	}
	return out, nil
}
