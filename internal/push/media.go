package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// media is a segment as it was measured.
type media struct {
	data        []byte // MPEG-TS
	start       time.Duration
	duration    time.Duration
	info        stream.RenditionInfo
	probed      *ffmpeg.Info
	mp4         bool // it came as
	independent bool // it starts with a keyframe
}

// remuxer makes MPEG-TS of the segments of one stream. It is for one goroutine at a time.
type remuxer struct {
	ladder *ffmpeg.Ladder
}

// read probes and remuxes a body, which is borrowed for the call. said is the duration by
// the publisher's word, 0 when it is unknown.
func (r *remuxer) read(ctx context.Context, body []byte, said time.Duration) (*media, error) {
	if samplesOf(body, 0) > maxSamples {
		return nil, refuse(http.StatusUnprocessableEntity, "the MP4 has more than %d samples: send shorter segments", maxSamples)
	}
	info, err := ffmpeg.Probe(body)
	if err != nil {
		// Not even for want of memory it is tried again: damaged tables ask for any amount.
		return nil, unreadable(err)
	}
	m := &media{probed: info, mp4: strings.Contains(info.Format, "mp4")}
	if !m.mp4 && info.Format != "mpegts" {
		return nil, unreadable(ffmpeg.ErrFormat)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	out, err := r.remux(ctx, body)
	if err != nil {
		return nil, err
	}
	m.start, m.data = out.Start, out.Data
	if cap(m.data)-len(m.data) > len(m.data)/4 { // it stays in memory for long
		m.data = bytes.Clone(m.data)
	}
	m.info = stream.RenditionInfo{Codecs: out.Info.Codecs, Width: out.Info.Width, Height: out.Info.Height, FrameRate: out.Info.FrameRate}
	m.duration = m.measure(out.Duration, said)
	if m.duration > maxDuration || m.duration < time.Millisecond {
		return nil, refuse(http.StatusUnprocessableEntity, "the segment takes %v: send segments of 1 ms to %v", m.duration, maxDuration)
	}
	return m, nil
}

// check refuses what cannot be decoded. Pictures in front of the first keyframe may need the
// segment before.
func (m *media) check() error {
	video, audio := m.probed.Video(), m.probed.Audio()
	m.independent = video == nil || video.Video.StartsWithKey
	switch {
	case video == nil && audio == nil:
		return refuse(http.StatusUnprocessableEntity, "the segment has neither pictures nor sound")
	case video == nil:
		return nil
	case video.Video.PixFormat.RawValue == ffmpeg.PixelFormatNone && (m.independent || audio == nil):
		return refuse(http.StatusUnprocessableEntity, "no picture of the segment can be decoded (%.20s)", video.Codec)
	}
	return nil
}

// measure finds the duration: what is known of the pictures, unless there is just one.
func (m *media) measure(pictures, said time.Duration) time.Duration {
	if v := m.probed.Video(); v == nil || v.Packets > 1 {
		return pictures
	}
	switch a := m.probed.Audio(); {
	case a != nil && a.Packets > 1 && a.Duration > 0:
		return max(a.Duration, pictures)
	case said > 0:
		return said
	}
	return assumedDuration
}

func (r *remuxer) remux(ctx context.Context, body []byte) (*ffmpeg.Output, error) {
	if r.ladder == nil {
		l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{
			Renditions: []ffmpeg.Rendition{{Video: ffmpeg.ComponentOptions{Name: "copy"}}},
			Continuous: true, // so that the clocks of transport streams are unwrapped
			Threads:    1,
		})
		if err != nil {
			return nil, fmt.Errorf("push: %w", err)
		}
		r.ladder = l
	}
	result, err := r.ladder.Transcode(ctx, ffmpeg.Input{Data: body}, nil)
	if err == nil {
		err = result.Outputs[0].Err
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, ffmpeg.ErrFormat):
		return nil, because(err, http.StatusUnprocessableEntity, "the codecs of the segment have no place in HLS: send H.264 or HEVC, and AAC, MP3 or AC-3")
	case ffmpeg.Retryable(err):
		return nil, because(err, http.StatusServiceUnavailable, "the segment cannot be read now: try again")
	case err != nil:
		return nil, unreadable(err)
	}
	return &result.Outputs[0], nil
}

func (r *remuxer) close() {
	if r.ladder != nil {
		r.ladder.Close()
		r.ladder = nil
	}
}

func unreadable(err error) error {
	if errors.Is(err, ffmpeg.ErrFormat) {
		return because(err, http.StatusUnprocessableEntity, "the body is neither MPEG-TS nor MP4")
	}
	return because(err, http.StatusUnprocessableEntity, "the segment cannot be read: send whole MPEG-TS or MP4 files, each with its headers")
}
