package e2e

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pollInterval is how often each playlist is asked for.
const pollInterval = 200 * time.Millisecond

// observation follows a stream with all its renditions: it keeps every segment, when it was first
// listed, what was missing, and which renditions the master playlist had.
type observation struct {
	server *server
	stream string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	masters []masterState // each change
	tracks  map[string]*track
}

type masterState struct {
	at    time.Time
	names []string // the source without
}

// track is one rendition.
type track struct {
	name     string
	seen     map[uint64]time.Time // when a segment, or the gap in its place, was first listed
	gaps     []uint64
	segments map[uint64]*segment
	wrong    []string // what must not be
	ended    bool
}

// observe begins before the publisher comes, and ends when the stream has, or with the test.
func observe(t testing.TB, s *server, stream string) *observation {
	ctx, cancel := context.WithCancel(t.Context())
	o := &observation{server: s, stream: stream, cancel: cancel, tracks: make(map[string]*track)}
	c := client(t)
	o.follow(ctx, c, "source")
	o.wg.Go(func() { o.poll(ctx, func() (done bool) { return o.readMaster(ctx, t, c) }) })
	t.Cleanup(o.stop)
	return o
}

func (o *observation) stop() {
	o.cancel()
	o.wg.Wait()
}

// end waits until all playlists have ended.
func (o *observation) end(t testing.TB, within time.Duration) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(within):
		o.stop()
		require.FailNow(t, "a stream does not end", o.String())
	}
}

func (o *observation) poll(ctx context.Context, read func() (done bool)) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !read() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readMaster notes what the master playlist has, and follows what is new in it.
func (o *observation) readMaster(ctx context.Context, t testing.TB, c *http.Client) (done bool) {
	resp, body, err := get(ctx, c, http.MethodGet, "http://"+o.server.http+"/stream/"+o.stream+".m3u8")
	if err != nil || resp.StatusCode != http.StatusOK {
		return o.over()
	}
	names := renditionsOf(t, string(body), o.stream)
	o.mu.Lock()
	if n := len(o.masters); n == 0 || !slices.Equal(o.masters[n-1].names, names) {
		o.masters = append(o.masters, masterState{time.Now(), names})
	}
	o.mu.Unlock()
	for _, name := range names {
		o.follow(ctx, c, name)
	}
	return o.over()
}

func (o *observation) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tracks["source"].ended
}

// follow polls a rendition that is not followed yet.
func (o *observation) follow(ctx context.Context, c *http.Client, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tracks[name] != nil {
		return
	}
	r := &track{name: name, seen: make(map[uint64]time.Time), segments: make(map[uint64]*segment)}
	o.tracks[name] = r
	url := fmt.Sprintf("http://%s/stream/%s/%s.m3u8", o.server.http, o.stream, name)
	o.wg.Go(func() { o.poll(ctx, func() bool { return o.read(ctx, c, r, url) }) })
}

// read takes what is new in a media playlist.
func (o *observation) read(ctx context.Context, c *http.Client, r *track, url string) (ended bool) {
	resp, body, err := get(ctx, c, http.MethodGet, url)
	switch {
	case errors.Is(err, context.Canceled):
		return true
	case err != nil:
		o.complain(r, "%v", err)
		return false
	case resp.StatusCode != http.StatusOK: // not there yet, or not any more: the master playlist says so
		return r.name != "source" && o.over()
	}
	at := time.Now()
	p, gaps, err := parseWithGaps(string(body))
	if err != nil {
		o.complain(r, "%v", err)
		return false
	}
	for _, l := range p.segments {
		o.take(ctx, c, r, url, l, at, slices.Contains(gaps, l.sequence))
	}
	if p.ended {
		o.mu.Lock()
		r.ended = true
		o.mu.Unlock()
	}
	return p.ended
}

// take notes a segment that is listed, and downloads it the first time.
func (o *observation) take(ctx context.Context, c *http.Client, r *track, url string, l listed, at time.Time, gap bool) {
	o.mu.Lock()
	_, known := r.seen[l.sequence]
	s := r.segments[l.sequence]
	if !known {
		r.seen[l.sequence] = at
		if gap {
			r.gaps = append(r.gaps, l.sequence)
		}
	}
	o.mu.Unlock()
	switch {
	case s != nil && s.listed != l:
		o.complain(r, "what is said of segment %d has changed: %v, then %v", l.sequence, s.listed, l)
	case gap || known:
		return
	}
	_, body, err := (&viewer{client: c}).segment(ctx, http.MethodGet, url, l.uri)
	if err != nil {
		o.complain(r, "%v", err)
		return
	}
	o.mu.Lock()
	r.segments[l.sequence] = &segment{listed: l, data: body}
	o.mu.Unlock()
	// The one that is about to leave is still what it was.
	if old := o.segment(r, l.sequence-5); old != nil {
		_, again, err := (&viewer{client: c}).segment(ctx, http.MethodGet, url, old.uri)
		if err != nil {
			o.complain(r, "%v", err)
		} else if maphash.Bytes(seed, again) != maphash.Bytes(seed, old.data) {
			o.complain(r, "segment %d has become another", old.sequence)
		}
	}
}

func (o *observation) segment(r *track, sequence uint64) *segment {
	o.mu.Lock()
	defer o.mu.Unlock()
	return r.segments[sequence]
}

func (o *observation) complain(r *track, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.wrong = append(r.wrong, fmt.Sprintf("%s/%s: ", o.stream, r.name)+fmt.Sprintf(format, args...))
}

// parseWithGaps reads a playlist that may have EXT-X-GAP.
func parseWithGaps(raw string) (p *playlist, gaps []uint64, err error) {
	const tag = "#EXT-X-GAP\n"
	if p, err = parsePlaylist(strings.ReplaceAll(raw, tag, "")); err != nil {
		return nil, nil, err
	}
	n, gap := uint64(0), false
	for line := range strings.Lines(raw) {
		switch {
		case line == tag:
			gap = true
		case line[0] != '#':
			if gap {
				gaps = append(gaps, p.sequence+n)
			}
			n, gap = n+1, false
		}
	}
	return p, gaps, nil
}

// newest is the last segment of a rendition that is there; 0 before the first.
func (o *observation) newest(name string) (sequence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.tracks[name]; r != nil {
		for n := range r.segments {
			sequence = max(sequence, n)
		}
	}
	return sequence
}

// listed are the renditions that the newest master playlist has.
func (o *observation) listed() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.masters) == 0 {
		return nil
	}
	return o.masters[len(o.masters)-1].names
}

// awaitAll waits until these renditions are listed and have a segment after those that are there now.
func (o *observation) awaitAll(t testing.TB, names ...string) {
	t.Helper()
	after := o.newest("source")
	wait(t, fmt.Sprintf("%s with %v", o.stream, names), func() bool {
		return slices.Equal(o.listed(), names) &&
			!slices.ContainsFunc(names, func(n string) bool { return o.newest(n) <= after })
	})
}

// String is for failures.
func (o *observation) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, m := range o.masters {
		fmt.Fprintf(&b, "%s %s: %v\n", m.at.Format("15:04:05.0"), o.stream, m.names)
	}
	for name, r := range o.tracks {
		fmt.Fprintf(&b, "%s/%s: %d segments, gaps %v, ended %v, %v\n", o.stream, name, len(r.segments), r.gaps, r.ended, r.wrong)
	}
	return b.String()
}
