package ffmpeg

// #include "probe.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Info is what Probe finds in a media file.
type Info struct {
	Format   string        // FFmpeg's name of the container, which may be a list
	Start    time.Duration // the first presentation time
	Duration time.Duration // zero when unknown
	BitRate  int           // bits per second; zero when unknown
	Tracks   []TrackInfo   // video and audio, in the file's order
}

// TrackInfo describes one track: exactly one of Video and Audio is set.
type TrackInfo struct {
	Codec    string // FFmpeg's name: "h264", "aac"
	Start    time.Duration
	Duration time.Duration // zero when unknown
	BitRate  int           // bits per second; zero when unknown
	Packets  int           // access units in the file
	Video    *VideoInfo
	Audio    *AudioInfo
}

// VideoInfo is the video part of a TrackInfo.
type VideoInfo struct {
	Width, Height int
	PixFormat     PixelFormat // PixelFormatNone when no picture could be decoded, or is too large
	FPS           float64     // the average; zero when unknown
	StartsWithKey bool        // the first packet is a keyframe
}

// AudioInfo is the audio part of a TrackInfo.
type AudioInfo struct {
	SampleRate, Channels int
}

// Video is the first video track, or nil.
func (i *Info) Video() *TrackInfo {
	for n := range i.Tracks {
		if i.Tracks[n].Video != nil {
			return &i.Tracks[n]
		}
	}
	return nil
}

// Audio is the first audio track, or nil.
func (i *Info) Audio() *TrackInfo {
	for n := range i.Tracks {
		if i.Tracks[n].Audio != nil {
			return &i.Tracks[n]
		}
	}
	return nil
}

// Probe reads a whole media file, MPEG-TS, MP4 or FLV, and says what is in it; another
// container is ErrFormat. It decodes the first pictures, on the caller's goroutine. It
// opens nothing else, whatever the file says, and its memory and time are bounded: by
// 5 MB and 5 s of media for the parameters, 36 million pixels for a picture and 16 tracks.
// The data is borrowed for the call.
func Probe(data []byte) (*Info, error) {
	quietLog()
	container, err := sniff(data)
	if err != nil {
		return nil, err
	}
	var c C.lpms_info
	r := C.lpms_probe((*C.uint8_t)(unsafe.SliceData(data)), C.size_t(len(data)), C.int(container), &c)
	if err := resultError(r); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	info := &Info{
		Format:   C.GoString(c.format),
		Start:    time.Duration(c.start),
		Duration: time.Duration(c.duration),
		BitRate:  int(c.bit_rate),
	}
	for _, s := range c.stream[:c.streams] {
		t := TrackInfo{
			Codec:    C.GoString(s.codec),
			Start:    time.Duration(s.start),
			Duration: time.Duration(s.duration),
			BitRate:  int(s.bit_rate),
			Packets:  int(s.packets),
		}
		switch {
		case s.video != 0:
			t.Video = &VideoInfo{
				Width:         int(s.width),
				Height:        int(s.height),
				PixFormat:     PixelFormat{RawValue: int(s.pix_fmt)},
				StartsWithKey: s.first_key != 0,
			}
			if s.fps_num > 0 && s.fps_den > 0 {
				t.Video.FPS = float64(s.fps_num) / float64(s.fps_den)
			}
		case s.audio != 0:
			t.Audio = &AudioInfo{SampleRate: int(s.sample_rate), Channels: int(s.channels)}
		default:
			continue
		}
		info.Tracks = append(info.Tracks, t)
	}
	return info, nil
}
