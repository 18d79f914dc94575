//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/livepeer/lpms/internal/rtmp"

	"github.com/livepeer/lpms/internal/benchhost"
)

const maxJoin = 50 * time.Millisecond

// measureJoin lets players join a live stream one after the other, spread over its GOPs.
func measureJoin(ctx context.Context, b *bench, _ []string) ([]row, error) {
	n := 200
	if b.quick {
		n = 100
	}
	ours, err := joinsOn(ctx, b, func() (*server, error) { return b.startLPMS(ctx) }, n, firstKeyframe)
	if err != nil {
		return nil, err
	}
	nginx, err := joinsOn(ctx, b, func() (*server, error) {
		return b.startNginx(ctx, filepath.Join(b.shm, "join"), nginxOptions{})
	}, 50, func(*rtmp.Client) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("nginx-rtmp: %w", err)
	}
	b.note("Join: nginx-rtmp keeps no keyframe, its players wait for the next one; the figure beside ours is only its answer to play.")
	return []row{{
		what:   fmt.Sprintf("%d joins: dial to first keyframe p50 / p99", len(ours)),
		figure: benchhost.Number(float64(percentile(ours, 50))/1e6) + " / " + millis(percentile(ours, 99)),
		beside: "nginx-rtmp, dial to its answer to play " + benchhost.Number(float64(percentile(nginx, 50))/1e6) + " / " + millis(percentile(nginx, 99)),
		target: "p99 <= " + millis(maxJoin),
		met:    verdict(percentile(ours, 99) <= maxJoin),
	}}, nil
}

// joinsOn times from dialling until until returns, for n players one after the other.
func joinsOn(ctx context.Context, b *bench, start func() (*server, error), n int, until func(*rtmp.Client) error) ([]time.Duration, error) {
	s, err := start()
	if err != nil {
		return nil, err
	}
	p, err := publishedOn(ctx, b, s, nil)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if err := sleep(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	var ds []time.Duration
	for range n {
		begin := time.Now()
		d, err := joinOnce(ctx, s.rtmpURL(liveName), until)
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
		if err := sleep(ctx, 20*time.Millisecond-time.Since(begin)); err != nil {
			return nil, err
		}
	}
	return ds, nil
}

func joinOnce(ctx context.Context, url string, until func(*rtmp.Client) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	begin := time.Now()
	c, err := rtmp.Dial(ctx, url, rtmp.ClientOptions{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.Play(ctx); err != nil {
		return 0, err
	}
	if err := until(c); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// firstKeyframe reads until a whole keyframe has come.
func firstKeyframe(c *rtmp.Client) error {
	c.NetConn().SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if m.Type != rtmp.TypeVideo {
			continue
		}
		if v, err := rtmp.ParseVideo(m.Payload); err == nil && v.Key && v.Kind == rtmp.TagFrame {
			return nil
		}
	}
}
