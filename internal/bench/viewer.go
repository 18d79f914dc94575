//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
