package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// viewer follows one presentation from before its publisher comes until its end, as a
// player does, and keeps everything.
type viewer struct {
	client    *http.Client
	master    string // the first master playlist
	refused   []string
	playlists []*playlist // each version once
	segments  segments    // each once, in order

	gone map[string]goneSegment // by URI: not listed any more
}

// segment is a segment with what the playlist said when it came.
type segment struct {
	listed
	data []byte
	path string // of a file with data, once it is needed

	video, audio []frame
	tracks       []string // codec and PID
}

// segments stand one behind the other.
type segments []*segment

// runs are the segments between discontinuities.
func (r segments) runs() (runs []segments) {
	begin := 0
	for i, s := range r {
		if s.discontinuity && i > begin {
			runs = append(runs, r[begin:i])
			begin = i
		}
	}
	return append(runs, r[begin:])
}

// bytes are those of all segments.
func (r segments) bytes() []byte {
	var all []byte
	for _, s := range r {
		all = append(all, s.data...)
	}
	return all
}

// goneSegment was taken out of the playlist when so much media had been listed.
type goneSegment struct {
	at   time.Duration
	keep time.Duration // so much longer it must be available
}

// watch follows a presentation in the background. The function that it returns waits for
// the end.
func watch(t testing.TB, s *server, name string) func() *viewer {
	t.Helper()
	v := &viewer{client: client(t), gone: make(map[string]goneSegment)}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	done := make(chan error, 1)
	go func() { done <- v.follow(ctx, s.masterURL(name), s.mediaURL(name)) }()
	t.Cleanup(cancel)
	return func() *viewer {
		t.Helper()
		require.NoError(t, <-done, "following %s", name)
		return v
	}
}

// client makes an HTTP client that takes no redirects (Apple's rule 8.18).
func client(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		return fmt.Errorf("redirected to %s", r.URL)
	}}
}

// get makes one request and returns the answer with its body.
func get(ctx context.Context, c *http.Client, method, url string, header ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (v *viewer) follow(ctx context.Context, masterURL, mediaURL string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var done bool
		var err error
		if v.master == "" {
			err = v.open(ctx, masterURL)
		} else {
			done, err = v.reload(ctx, mediaURL)
		}
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w, with %d segments", ctx.Err(), len(v.segments))
		}
	}
}

// open asks for the master playlist. Before there is a publisher the answer is 404; as
// soon as there is one it waits for the first segment.
func (v *viewer) open(ctx context.Context, url string) error {
	resp, body, err := get(ctx, v.client, http.MethodGet, url)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusOK:
		v.master = string(body)
	case resp.StatusCode != http.StatusNotFound:
		v.refused = append(v.refused, resp.Status)
	}
	return nil
}

// reload takes what is new in the media playlist.
func (v *viewer) reload(ctx context.Context, url string) (ended bool, err error) {
	resp, body, err := get(ctx, v.client, http.MethodGet, url)
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("media playlist: %s", resp.Status)
	}
	var last *playlist
	if n := len(v.playlists); n > 0 {
		last = v.playlists[n-1]
	}
	if last != nil && last.raw == string(body) {
		return false, nil
	}
	p, err := parsePlaylist(string(body))
	if err != nil {
		return false, err
	}
	v.playlists = append(v.playlists, p)
	if err := v.fetch(ctx, url, p); err != nil {
		return false, err
	}
	return p.ended, v.revisit(ctx, url, last, p)
}

// fetch downloads the segments that are new.
func (v *viewer) fetch(ctx context.Context, base string, p *playlist) error {
	for _, l := range p.segments {
		if n := len(v.segments); n > 0 {
			last := v.segments[n-1]
			if l.sequence <= last.sequence {
				continue
			}
			if l.sequence != last.sequence+1 {
				return fmt.Errorf("segment %d is listed after %d, what is between them never was", l.sequence, last.sequence)
			}
		}
		resp, body, err := v.segment(ctx, http.MethodGet, base, l.uri)
		if err != nil {
			return err
		}
		if kind := resp.Header.Get("Content-Type"); kind != "video/mp2t" {
			return fmt.Errorf("segment %s has the type %q", l.uri, kind)
		}
		v.segments = append(v.segments, &segment{listed: l, data: body})
	}
	return nil
}

// revisit checks that segments that left the playlist stay available for their duration
// and that of the longest playlist (rfc8216bis 6.2.2). The time is that of the media: the
// viewer keeps up with it.
func (v *viewer) revisit(ctx context.Context, base string, last, p *playlist) error {
	var now, longest time.Duration
	for _, s := range v.segments {
		now += s.extinf
	}
	for _, q := range v.playlists {
		longest = max(longest, q.duration())
	}
	if last != nil {
		for _, l := range last.segments {
			if l.sequence < p.sequence {
				v.gone[l.uri] = goneSegment{at: now, keep: l.extinf + longest}
			}
		}
	}
	for uri, g := range v.gone {
		if now >= g.at+g.keep {
			delete(v.gone, uri)
			continue
		}
		if _, _, err := v.segment(ctx, http.MethodHead, base, uri); err != nil {
			return fmt.Errorf("gone for %v of %v: %w", now-g.at, g.keep, err)
		}
	}
	return nil
}

func (v *viewer) segment(ctx context.Context, method, base, uri string) (*http.Response, []byte, error) {
	b, err := url.Parse(base)
	if err != nil {
		return nil, nil, err
	}
	u, err := b.Parse(uri)
	if err != nil {
		return nil, nil, err
	}
	resp, body, err := get(ctx, v.client, method, u.String())
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("segment %s: %w", uri, err)
	}
	return resp, body, nil
}
