//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// liveOn publishes the clip on a server that has just started, and waits.
func liveOn(ctx context.Context, b *bench, s *server, err error, warm time.Duration) (*sender, error) {
	live, err := publishedOn(ctx, b, s, err)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, warm); err != nil {
		live.end()
		return nil, err
	}
	return live, nil
}

const (
	minSegmentRatio  = 0.80
	minPlaylistRatio = 0.50
	maxLiveRatio     = 1.1
)

// measureHLSStatic asks for one segment and one playlist as often as possible, from our
// server and, as files, from nginx.
func measureHLSStatic(ctx context.Context, b *bench, _ []string) ([]row, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, errors.New("needs wrk: apt-get install wrk")
	}
	s, err := b.startLPMS(ctx)
	live, err := liveOn(ctx, b, s, err, b.span(14*time.Second, 7*time.Second))
	if err != nil {
		return nil, err
	}
	defer live.end()
	files := filepath.Join(b.shm, "static")
	nginx, err := b.startNginx(ctx, files, nginxOptions{Cache: true})
	if err != nil {
		return nil, err
	}
	defer nginx.stop()

	// compare measures both, in turns; url is asked for before each of our runs, since
	// a live segment does not stay.
	compare := func(name string, url func(media string, p playlist) string) (ours, theirs float64, size int, err error) {
		v := newViewer()
		defer v.close()
		const rounds = 2
		for i := range rounds {
			media, body, err := v.media(ctx, live.hlsURL(liveName))
			if err != nil {
				return 0, 0, 0, err
			}
			p, err := parsePlaylist(media, body)
			if err != nil {
				return 0, 0, 0, err
			}
			u := url(media, p)
			content, err := v.get(ctx, u)
			if err != nil {
				return 0, 0, 0, err
			}
			file := fmt.Sprint(i, name) // nginx remembers the length of the last one
			if err := os.WriteFile(filepath.Join(files, file), content, 0o644); err != nil {
				return 0, 0, 0, err
			}
			a, err := b.wrk(ctx, live.server, u)
			if err != nil {
				return 0, 0, 0, err
			}
			n, err := b.wrk(ctx, nginx, nginx.httpURL("/"+file))
			if err != nil {
				return 0, 0, 0, fmt.Errorf("nginx: %w", err)
			}
			ours, theirs, size = ours+a/rounds, theirs+n/rounds, len(content)
		}
		return ours, theirs, size, nil
	}
	rowOf := func(what string, ours, theirs, target float64) row {
		return row{
			what:   what + ": requests per CPU second of the server",
			figure: fmt.Sprintf("%.0f (%s of nginx)", ours, benchhost.Number(ours/theirs)),
			beside: fmt.Sprintf("nginx, the same bytes as a file %.0f", theirs),
			target: "at least " + benchhost.Number(target) + " of nginx",
			met:    verdict(ours >= target*theirs),
		}
	}
	ours, theirs, size, err := compare("segment.ts", func(_ string, p playlist) string { return p.segments[len(p.segments)-1] })
	if err != nil {
		return nil, err
	}
	rows := []row{rowOf(fmt.Sprintf("HLS segment of %s", kilobytes(float64(size))), ours, theirs, minSegmentRatio)}
	ours, theirs, size, err = compare("playlist.m3u8", func(media string, _ playlist) string { return media })
	if err != nil {
		return rows, err
	}
	rows = append(rows, rowOf(fmt.Sprintf("HLS media playlist of %d bytes", size), ours, theirs, minPlaylistRatio))
	b.note("HLS requests: wrk with 16 connections, the mean of two runs in turns; our server is taking in the live stream meanwhile. nginx: sendfile, tcp_nopush, open_file_cache, files in /dev/shm.")
	return rows, nil
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkTrouble  = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// wrk requests a URL for a time and returns requests per CPU second of s.
func (b *bench) wrk(ctx context.Context, s *server, url string) (float64, error) {
	length := b.span(3*time.Second, 2*time.Second)
	cpu, err := s.cpu()
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c16", "--timeout", "20s", fmt.Sprintf("-d%ds", int(length.Seconds())), url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	used, err := s.cpu()
	if err != nil {
		return 0, err
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk printed no count: %s", out)
	}
	if bad := wrkTrouble.Find(out); bad != nil {
		return 0, fmt.Errorf("wrk %s: %s", url, strings.TrimSpace(string(bad)))
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	return n / (used - cpu).Seconds(), err
}

// measureHLSLive lets 100 viewers follow one live stream.
func measureHLSLive(ctx context.Context, b *bench, _ []string) ([]row, error) {
	const n = 100
	const warm = 6 * time.Second
	s, err := b.startLPMS(ctx)
	ours, err := followed(ctx, b, n, s, err, warm)
	if err != nil {
		return nil, err
	}
	s, err = b.startNginx(ctx, filepath.Join(b.shm, "hlslive"), nginxOptions{HLS: true})
	nginx, err := followed(ctx, b, n, s, err, warm)
	if err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	b.note("Live HLS: each viewer asks for the media playlist every half target duration and fetches every new segment, on one connection. CPU contains ingest and the making of segments; nginx writes them to /dev/shm.")
	return []row{{
		what:   fmt.Sprintf("%d HLS viewers of %.2f Mbit/s: CPU s/GB", n, b.clip.megabits()),
		figure: fmt.Sprintf("%s (%s times nginx)", benchhost.Number(ours), benchhost.Number(ours/nginx)),
		beside: "nginx with its RTMP module " + benchhost.Number(nginx),
		target: "at most " + benchhost.Number(maxLiveRatio) + " times nginx",
		met:    verdict(ours <= maxLiveRatio*nginx),
	}}, nil
}

// followed is the CPU seconds per GB of a server with n viewers.
func followed(ctx context.Context, b *bench, n int, s *server, err error, warm time.Duration) (float64, error) {
	live, err := liveOn(ctx, b, s, err, warm)
	if err != nil {
		return 0, err
	}
	defer live.end()
	var bytes, failures atomic.Int64
	var last atomic.Pointer[error]
	vctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			// Real viewers do not ask at the same moment.
			if sleep(vctx, time.Duration(i)*time.Second/time.Duration(n)) != nil {
				return
			}
			follow(vctx, live.hlsURL(liveName), &bytes, func(err error) {
				failures.Add(1)
				last.Store(&err)
			})
		})
	}
	defer wg.Wait()
	defer cancel()
	if err := sleep(ctx, 4*time.Second); err != nil {
		return 0, err
	}
	cpu, err := live.cpu()
	if err != nil {
		return 0, err
	}
	from := bytes.Load()
	begin := time.Now()
	// A whole number of segments.
	if err := sleep(ctx, b.span(30*time.Second, 8*time.Second)); err != nil {
		return 0, err
	}
	used, err := live.cpu()
	if err != nil {
		return 0, err
	}
	delivered := float64(bytes.Load() - from)
	if f := failures.Load(); f > 0 {
		b.note("Live HLS: %d requests failed, the last one: %v.", f, *last.Load())
	}
	if want := float64(n) * b.clip.megabits() / 8 * 1e6 * time.Since(begin).Seconds(); delivered < 0.85*want {
		b.note("Live HLS: %s delivered only %.0f %% of the stream.", filepath.Base(live.cmd.Path), 100*delivered/want)
	}
	if delivered == 0 {
		return 0, errors.New("viewers got nothing")
	}
	return (used - cpu).Seconds() / (delivered / 1e9), nil
}
