//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/livepeer/lpms/internal/rtmp"
)

// tag is one FLV tag: one RTMP message.
type tag struct {
	typ  rtmp.MessageType
	at   uint32 // milliseconds
	data []byte
	key  bool // a video keyframe, not a configuration
}

// clip is media that is published in a loop.
type clip struct {
	heads  []tag  // metadata and configurations, sent once
	tags   []tag  // frames, in order of time, all before period
	period uint32 // length of one loop in milliseconds
}

// keyTime is the time of the i-th keyframe of the first loop, from 0.
func (c *clip) keyTime(i int) (uint32, bool) {
	for _, t := range c.tags {
		if t.key {
			if i == 0 {
				return t.at, true
			}
			i--
		}
	}
	return 0, false
}

// keyEvery is how many video frames there are for each keyframe.
func (c *clip) keyEvery() int {
	frames, keys := 0, 0
	for _, t := range c.tags {
		if t.typ == rtmp.TypeVideo {
			frames++
		}
		if t.key {
			keys++
		}
	}
	return frames / max(keys, 1)
}

// keySize is the average size of a keyframe in bytes.
func (c *clip) keySize() float64 {
	keys, bytes := 0, 0
	for _, t := range c.tags {
		if t.key {
			keys++
			bytes += len(t.data)
		}
	}
	return float64(bytes) / float64(max(keys, 1))
}

// megabits is the rate per second.
func (c *clip) megabits() float64 {
	n := 0
	for _, t := range c.tags {
		n += len(t.data)
	}
	return float64(n) * 8 / 1e3 / float64(c.period)
}

// makeMedia makes or reads the two clips. Their length, 16 s, is a whole number of video
// frames, GOPs and audio frames, so that they loop without a gap.
func (b *bench) makeMedia(ctx context.Context) error {
	if b.clipFile == "" {
		b.clipFile = filepath.Join(b.dir, "2500k.flv")
		// Noise makes pictures that need the whole bit rate.
		err := makeClip(ctx, b.clipFile, "1280x720", "2372k", "128k", 8)
		if err != nil {
			return err
		}
	}
	small := filepath.Join(b.dir, "300k.flv")
	if err := makeClip(ctx, small, "480x270", "236k", "64k", 4); err != nil {
		return err
	}
	var err error
	if b.clip, err = readClip(b.clipFile); err != nil {
		return err
	}
	b.small, err = readClip(small)
	return err
}

// makeClip encodes moving test pictures at 30 frames/s with a keyframe every 2 s and a
// constant rate, and a tone.
func makeClip(ctx context.Context, file, size, video, audio string, noise int) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-y",
		"-f", "lavfi", "-i", "testsrc2=size="+size+":rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", "16", "-vf", fmt.Sprintf("noise=alls=%d:allf=t", noise),
		"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
		"-g", "60", "-x264-params", "keyint=60:scenecut=0:nal-hrd=cbr",
		"-b:v", video, "-maxrate", video, "-bufsize", video,
		"-c:a", "aac", "-b:a", audio, "-ac", "2",
		"-f", "flv", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func readClip(file string) (*clip, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	tags, err := parseFLV(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c, err := newClip(tags)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

var errFLV = errors.New("not an FLV file, or cut short")

// parseFLV takes an FLV file apart (FLV E.2 to E.4). Data aliases b.
func parseFLV(b []byte) ([]tag, error) {
	if len(b) < 9 || string(b[:3]) != "FLV" {
		return nil, errFLV
	}
	at := int(binary.BigEndian.Uint32(b[5:]))
	var tags []tag
	// Each tag follows the size of the one before it.
	for at += 4; at < len(b); {
		if len(b)-at < 11 {
			return nil, errFLV
		}
		h := b[at:]
		size := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
		if len(h) < 11+size {
			return nil, errFLV
		}
		t := tag{
			typ:  rtmp.MessageType(h[0] & 0x1f),
			at:   uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6]),
			data: h[11 : 11+size : 11+size],
		}
		if size > 0 {
			tags = append(tags, t)
		}
		at += 11 + size + 4
	}
	return tags, nil
}

// newClip sorts out what is sent once and what is looped, and finds the length of the
// loop: that of the video. Audio that is later than the loop goes to its beginning.
func newClip(tags []tag) (*clip, error) {
	c := new(clip)
	var lastVideo, videoStep, firstAudio uint32
	var video, audio bool
	for _, t := range tags {
		kind := rtmp.TagFrame
		switch t.typ {
		case rtmp.TypeDataAMF0:
			// A publisher asks the server to keep it (RTMP 7.1.2 does not say how; all
			// encoders do this).
			t.data = append(rtmp.AppendAMF0(nil, "@setDataFrame"), t.data...)
			kind = rtmp.TagConfig
		case rtmp.TypeVideo:
			v, err := rtmp.ParseVideo(t.data)
			if err != nil {
				return nil, err
			}
			kind, t.key = v.Kind, v.Key && v.Kind == rtmp.TagFrame
			if kind == rtmp.TagFrame {
				if video {
					videoStep = t.at - lastVideo
				}
				lastVideo, video = t.at, true
			}
		case rtmp.TypeAudio:
			a, err := rtmp.ParseAudio(t.data)
			if err != nil {
				return nil, err
			}
			kind = a.Kind
			if kind == rtmp.TagFrame && !audio {
				firstAudio, audio = t.at, true
			}
		default:
			continue
		}
		switch kind {
		case rtmp.TagConfig:
			c.heads = append(c.heads, t)
		case rtmp.TagFrame:
			c.tags = append(c.tags, t)
		}
	}
	if videoStep == 0 {
		return nil, errors.New("holds less than two frames of video")
	}
	c.period = lastVideo + videoStep
	c.tags = slices.DeleteFunc(c.tags, func(t tag) bool {
		return t.typ == rtmp.TypeAudio && t.at >= c.period+firstAudio
	})
	for i := range c.tags {
		c.tags[i].at %= c.period
	}
	slices.SortStableFunc(c.tags, func(a, b tag) int { return int(a.at) - int(b.at) })
	return c, nil
}
