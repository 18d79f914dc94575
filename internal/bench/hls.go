//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// viewer is an HLS player with one connection that it keeps.
type viewer struct {
	client http.Client
}

func newViewer() *viewer {
	return &viewer{http.Client{
		Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1},
		Timeout:   20 * time.Second,
	}}
}

func (v *viewer) close() { v.client.CloseIdleConnections() }

// get fetches a whole resource.
func (v *viewer) get(ctx context.Context, url string) ([]byte, error) {
	var b []byte
	err := v.fetch(ctx, url, func(r io.Reader) (err error) {
		b, err = io.ReadAll(r)
		return err
	})
	return b, err
}

// size fetches a whole resource and counts it.
func (v *viewer) size(ctx context.Context, url string) (n int64, err error) {
	err = v.fetch(ctx, url, func(r io.Reader) (err error) {
		n, err = io.Copy(io.Discard, r)
		return err
	})
	return n, err
}

func (v *viewer) fetch(ctx context.Context, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return read(resp.Body)
}

// media finds the first media playlist behind a playlist, which may be that itself.
func (v *viewer) media(ctx context.Context, start string) (url string, body []byte, err error) {
	body, err = v.get(ctx, start)
	if err != nil || !strings.Contains(string(body), "#EXT-X-STREAM-INF") {
		return start, body, err
	}
	uris, err := resolve(start, body)
	if err != nil {
		return "", nil, err
	}
	if len(uris) == 0 {
		return "", nil, fmt.Errorf("%s lists no media playlist", start)
	}
	body, err = v.get(ctx, uris[0])
	return uris[0], body, err
}

// resolve returns the lines of a playlist that are URIs, as absolute URLs.
func resolve(base string, body []byte) ([]string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		u, err := b.Parse(line)
		if err != nil {
			return nil, err
		}
		out = append(out, u.String())
	}
	return out, nil
}

// playlist is what a viewer needs of a media playlist.
type playlist struct {
	target   time.Duration
	segments []string // URLs
}

func parsePlaylist(base string, body []byte) (playlist, error) {
	var p playlist
	for line := range strings.Lines(string(body)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "#EXT-X-TARGETDURATION:"); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				return p, fmt.Errorf("%s: target duration %q", base, v)
			}
			p.target = time.Duration(n) * time.Second
		}
	}
	var err error
	p.segments, err = resolve(base, body)
	if err == nil && (p.target <= 0 || len(p.segments) == 0) {
		err = fmt.Errorf("%s lists no segment", base)
	}
	return p, err
}

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
	maxFirstSegment  = 300 * time.Millisecond
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
			figure: fmt.Sprintf("%.0f (%s of nginx)", ours, number(ours/theirs)),
			beside: fmt.Sprintf("nginx, the same bytes as a file %.0f", theirs),
			target: "at least " + number(target) + " of nginx",
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
		figure: fmt.Sprintf("%s (%s times nginx)", number(ours), number(ours/nginx)),
		beside: "nginx with its RTMP module " + number(nginx),
		target: "at most " + number(maxLiveRatio) + " times nginx",
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

// follow plays a live stream until ctx ends.
func follow(ctx context.Context, start string, bytes *atomic.Int64, failed func(error)) {
	v := newViewer()
	defer v.close()
	media, body, err := v.media(ctx, start)
	seen := "" // the newest segment that was fetched
	for every := time.Second; ctx.Err() == nil; {
		next := time.Now().Add(every)
		var p playlist
		if err == nil {
			bytes.Add(int64(len(body)))
			p, err = parsePlaylist(media, body)
		}
		if err == nil {
			every = p.target / 2
			for _, u := range newSegments(p.segments, seen) {
				var n int64
				if n, err = v.size(ctx, u); err != nil {
					break
				}
				bytes.Add(n)
				seen = u
			}
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if sleep(ctx, time.Until(next)) != nil {
			return
		}
		if media == "" {
			media, body, err = v.media(ctx, start)
		} else {
			body, err = v.get(ctx, media)
		}
	}
}

// newSegments are those after seen; only the newest for a viewer who has none of those
// that are listed.
func newSegments(listed []string, seen string) []string {
	for i, u := range listed {
		if u == seen {
			return listed[i+1:]
		}
	}
	return listed[len(listed)-1:]
}

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
