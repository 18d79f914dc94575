//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

const (
	maxPublisherCPU    = 1.0 // milliseconds per second
	maxPublisherMemory = 200e3
)

// ingestResult is what publishers cost a server.
type ingestResult struct {
	cpu    float64 // milliseconds per publisher and second
	memory float64 // bytes per publisher
	window float64 // bytes of HLS segments per publisher
}

// measurePublishers is about many small publishers whom nobody watches.
func measurePublishers(ctx context.Context, b *bench, _ []string) ([]row, error) {
	const n = 100
	// The window of our server must be full, or its memory would grow still.
	ours, err := ingest(ctx, b, b.small, n, b.span(12*time.Second, 8*time.Second), b.span(22*time.Second, 6*time.Second), func() (*server, error) {
		return b.startLPMS(ctx)
	}, true)
	if err != nil {
		return nil, err
	}
	other := func(dir string, hls bool) (ingestResult, error) {
		r, err := ingest(ctx, b, b.small, n, b.span(5*time.Second, 3*time.Second), b.span(16*time.Second, 5*time.Second), func() (*server, error) {
			return b.startNginx(ctx, filepath.Join(b.shm, dir), nginxOptions{HLS: hls})
		}, false)
		if err != nil {
			err = fmt.Errorf("nginx-rtmp: %w", err)
		}
		return r, err
	}
	plain, err := other("ingest", false)
	if err != nil {
		return nil, err
	}
	hls, err := other("ingesthls", true)
	if err != nil {
		return nil, err
	}
	extra := ours.memory - ours.window
	b.noteWindow()
	return []row{
		{
			what:   fmt.Sprintf("%d publishers of %.2f Mbit/s: CPU ms per publisher and second", n, b.small.megabits()),
			figure: benchhost.Number(ours.cpu),
			beside: fmt.Sprintf("nginx-rtmp without HLS %s; with HLS to tmpfs %s", benchhost.Number(plain.cpu), benchhost.Number(hls.cpu)),
			target: "at most " + benchhost.Number(maxPublisherCPU),
			met:    verdict(ours.cpu <= maxPublisherCPU),
		}, {
			what:   fmt.Sprintf("%d publishers: memory per publisher beside the HLS window", n),
			figure: kilobytes(extra),
			beside: fmt.Sprintf("window %s; nginx-rtmp without HLS %s, with HLS %s (its segments are files)", kilobytes(ours.window), kilobytes(plain.memory), kilobytes(hls.memory)),
			target: "at most " + kilobytes(maxPublisherMemory),
			met:    verdict(extra <= maxPublisherMemory),
		},
	}, nil
}

// measureMemory is about few large publishers.
func measureMemory(ctx context.Context, b *bench, _ []string) ([]row, error) {
	const n = 10
	r, err := ingest(ctx, b, b.clip, n, b.span(30*time.Second, 10*time.Second), b.span(15*time.Second, 5*time.Second), func() (*server, error) {
		return b.startLPMS(ctx)
	}, true)
	if err != nil {
		return nil, err
	}
	limit := 1.5*r.window + 2e6
	b.noteWindow()
	return []row{{
		what:   fmt.Sprintf("%d publishers of %.2f Mbit/s: memory per publisher", n, b.clip.megabits()),
		figure: megabytes(r.memory),
		beside: "window " + megabytes(r.window),
		target: "at most 1.5 times the window + 2 MB = " + megabytes(limit),
		met:    verdict(r.memory <= limit),
	}}, nil
}

// ingest measures n publishers for a time after a warm-up. window also fetches their
// segments.
func ingest(ctx context.Context, b *bench, c *clip, n int, warm, length time.Duration, start func() (*server, error), window bool) (r ingestResult, err error) {
	s, err := start()
	if err != nil {
		return r, err
	}
	defer s.stop()
	before, err := s.rss()
	if err != nil {
		return r, err
	}
	ps, err := publishMany(ctx, s, "p", n, c, 2*time.Second)
	if err != nil {
		return r, err
	}
	defer ps.stop()
	if err := sleep(ctx, warm); err != nil {
		return r, err
	}
	cpu, err := s.cpu()
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if err := sleep(ctx, length); err != nil {
		return r, err
	}
	used, err := s.cpu()
	if err != nil {
		return r, err
	}
	seconds := time.Since(begin).Seconds()
	after, err := s.rss()
	if err != nil {
		return r, err
	}
	if err := ps.failure(); err != nil {
		return r, err
	}
	r.cpu = (used - cpu).Seconds() * 1e3 / seconds / float64(n)
	r.memory = (after - before) / float64(n)
	if window {
		r.window, err = windowBytes(ctx, s, n, time.Since(ps[n-1].begin))
	}
	return r, err
}

// noteWindow explains windowBytes.
func (b *bench) noteWindow() {
	b.note("The HLS window is what a publisher's segments take: the bytes of the %d segments listed, fetched over HTTP, times %d/%d, because a segment stays available for as long as a playlist that listed it is being played (RFC 8216, section 6.2.2).", listedSegments, heldSegments, listedSegments)
	if b.quick {
		b.note("Quick run: the HLS windows were not full yet.")
	}
}

// What our server lists and holds of 2 s segments once its window is full.
const listedSegments, heldSegments = 6, 13

// windowBytes is the average size of what is held for a publisher who has published for
// a time.
func windowBytes(ctx context.Context, s *server, n int, published time.Duration) (float64, error) {
	v := newViewer()
	defer v.close()
	var sum, count float64
	for i := 0; i < n; i += max(n/10, 1) {
		media, body, err := v.media(ctx, s.hlsURL(fmt.Sprint("p", i)))
		if err != nil {
			return 0, err
		}
		p, err := parsePlaylist(media, body)
		if err != nil {
			return 0, err
		}
		var listed float64
		for _, u := range p.segments {
			seg, err := v.get(ctx, u)
			if err != nil {
				return 0, err
			}
			listed += float64(len(seg))
		}
		// Before the window is full, everything made is held.
		held := min(heldSegments, max(int(published/(2*time.Second)), len(p.segments)))
		sum += listed * float64(held) / float64(len(p.segments))
		count++
	}
	return sum / count, nil
}
