//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

const maxFirstSegment = 300 * time.Millisecond

// measureStart times from the second keyframe of a publisher, which ends the first
// segment, until a viewer who waits knows of the segment.
func measureStart(ctx context.Context, b *bench, _ []string) ([]row, error) {
	tries := 5
	if b.quick {
		tries = 2
	}
	s, err := b.startLPMS(ctx)
	ours, err := starts(ctx, b, s, err, tries)
	if err != nil {
		return nil, err
	}
	s, err = b.startNginx(ctx, filepath.Join(b.shm, "start"), nginxOptions{HLS: true})
	nginx, err := starts(ctx, b, s, err, tries)
	if err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	return []row{{
		what:   "second keyframe sent until a playlist with a segment is there, largest of " + strconv.Itoa(tries),
		figure: millis(percentile(ours, 100)),
		beside: "nginx-rtmp, asked every 10 ms " + millis(percentile(nginx, 100)),
		target: "at most " + millis(maxFirstSegment),
		met:    verdict(percentile(ours, 100) <= maxFirstSegment),
	}}, nil
}

func starts(ctx context.Context, b *bench, s *server, err error, tries int) ([]time.Duration, error) {
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var ds []time.Duration
	for i := range tries {
		d, err := startOnce(ctx, b, s, fmt.Sprint("start", i))
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

func startOnce(ctx context.Context, b *bench, s *server, name string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	key, ok := b.clip.keyTime(1)
	if !ok {
		return 0, errors.New("the clip has less than two keyframes")
	}
	p, err := publish(ctx, s.rtmpURL(name), b.clip, true)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := sleep(ctx, 200*time.Millisecond); err != nil {
		return 0, err
	}
	v := newViewer()
	defer v.close()
	for {
		media, body, err := v.media(ctx, s.hlsURL(name))
		now := time.Now()
		if err == nil {
			if _, err := parsePlaylist(media, body); err == nil {
				sent, ok := p.sentAt(key)
				if !ok {
					return 0, errors.New("a segment was there before the second keyframe")
				}
				return now.Sub(sent), nil
			}
		}
		if err := errors.Join(p.failure(), sleep(ctx, 10*time.Millisecond)); err != nil {
			return 0, err
		}
	}
}
