package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
)

// Readers that know nothing of each other find the same in the playlists and segments of a
// stream, and none of them fails: hls-parser, ffprobe, and twenty players. READERS_TIME is how
// long they read; from a minute on, hls.js in Chromium is there all the time, too.
//
// It runs before the parallel tests: a rendition that is given up for want of room is a failure.
func TestBackEndReaders(t *testing.T) {
	seconds := readersTime(t)
	s := serveBackEnd(t, "-testSignal", "readers")
	t.Cleanup(func() {
		if t.Failed() {
			_, body := s.get(t, "http://"+s.admin+"/status")
			t.Logf("%s", body)
		}
	})
	vs := s.ladder(t, "readers")
	before := s.status(t).Machine
	parser := node(t, "parse.js", s.masterURL("readers"), strconv.Itoa(seconds))
	var browser *process
	if seconds >= 60 {
		browser = node(t, "follow.js", chromium(t), "http://"+s.http+"/watch/readers", strconv.Itoa(seconds))
	}
	a := newAudience(t, s.server, vs, 20)
	defer a.leave()
	worst := make(map[string]float64)
	rounds := time.NewTicker(500 * time.Millisecond)
	defer rounds.Stop()
	compared := uint64(0)
	for last, over := uint64(0), false; !over; {
		select {
		case <-parser.done:
			over = true
		case <-a.ctx.Done():
			require.NoError(t, context.Cause(a.ctx))
		case <-rounds.C:
		}
		if newest := s.newestOfAll(t, vs); newest > last {
			s.compareStarts(t, vs, newest)
			last = newest
			compared++
		}
		for _, r := range s.status(t).Streams[0].Renditions {
			worst[r.Name] = max(worst[r.Name], r.Lag)
		}
	}
	seen := parsed(t, parser)
	wait(t, "ffprobe to read each rendition", func() bool { return a.probedAll() || a.ctx.Err() != nil })
	a.leave()
	require.NoError(t, a.err())
	if browser != nil {
		browser.succeed(t, 3*time.Minute)
		t.Logf("%s", browser.log)
	}

	after := s.status(t)
	for _, r := range after.Streams[0].Renditions {
		assert.Equal(t, status.Live, r.State, r.Name)
		assert.Zero(t, r.Failed+r.Skipped, "segments that %s lacks", r.Name)
	}
	assert.Positive(t, compared)
	t.Logf("hls-parser read %d playlists with %d segments, %d of them in all %d renditions", seen.Playlists, seen.Segments, seen.Compared, len(vs))
	t.Logf("the players fetched %d segments, ffprobe read a rendition %d times, %d segments began at the same time in all",
		a.fetched.Load(), a.probes(), compared)
	t.Logf("memory of the server: %d MiB, then %d MiB; the worst lags in seconds: %v", before.Memory>>20, after.Machine.Memory>>20, worst)
}

func readersTime(t testing.TB) (seconds int) {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("READERS_TIME"), "15s"))
	require.NoError(t, err, "READERS_TIME is a duration, as 10m")
	return int(d.Seconds())
}

// ladder waits until all renditions of a stream are there, and returns what the master playlist
// says of them.
func (s *backEndServer) ladder(t testing.TB, name string) (vs []variant) {
	t.Helper()
	wait(t, "all renditions", func() bool {
		_, body := s.get(t, s.masterURL(name))
		vs = variants(t, string(body))
		st := s.status(t)
		return len(vs) > 1 && len(vs) == len(st.Streams[0].Renditions)
	})
	return vs
}

// url is where the media playlist of a variant is.
func (s *server) url(v variant) string { return "http://" + s.http + "/stream/" + v.uri }

// newestOfAll is the newest segment that all renditions list.
func (s *backEndServer) newestOfAll(t testing.TB, vs []variant) uint64 {
	t.Helper()
	newest := ^uint64(0)
	for _, v := range vs {
		resp, body := s.get(t, s.url(v))
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s\n%s", v.uri, s.log.tail(1000))
		p, err := parsePlaylist(string(body))
		require.NoError(t, err)
		newest = min(newest, p.segments[len(p.segments)-1].sequence)
	}
	return newest
}

// compareStarts checks with ffprobe that a segment's picture begins at the same time in all
// renditions. Sound that is encoded anew may begin some frames earlier: those that the encoder
// held back.
func (s *backEndServer) compareStarts(t testing.TB, vs []variant, sequence uint64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "segment.ts")
	var source time.Duration
	for i, v := range vs {
		resp, body := s.get(t, fmt.Sprintf("%s/%d.ts", strings.TrimSuffix(s.url(v), ".m3u8"), sequence))
		require.Equal(t, http.StatusOK, resp.StatusCode, "segment %d of %s", sequence, v.uri)
		require.NoError(t, os.WriteFile(path, body, 0o600))
		got := &segment{listed: listed{sequence: sequence}, path: path}
		require.Empty(t, got.probe(t), "what ffprobe says of segment %d of %s", sequence, v.uri)
		require.NotEmpty(t, got.video, "segment %d of %s", sequence, v.uri)
		begins := earliest(got.video).Round(time.Millisecond)
		if i == 0 {
			source = begins
		}
		assert.Equal(t, source, begins, "the first picture of segment %d of %s, and of the source", sequence, v.uri)
	}
}

func earliest(frames []frame) time.Duration {
	return slices.MinFunc(frames, func(x, y frame) int { return cmp.Compare(x.pts, y.pts) }).pts
}

// parsing is what testdata/parse.js has seen: playlists, segments, and those of them that all
// renditions have listed.
type parsing struct{ Playlists, Segments, Compared int }

func parsed(t testing.TB, parser *process) (seen parsing) {
	t.Helper()
	parser.succeed(t, patience)
	require.NoError(t, json.Unmarshal([]byte(parser.see(t, `(?m)^{.*}$`, patience)[0]), &seen))
	assert.Positive(t, seen.Compared)
	return seen
}

// audience watches a stream until it leaves or one of it fails.
type audience struct {
	server  *server
	ctx     context.Context // its cause is the failure
	fail    context.CancelCauseFunc
	wg      sync.WaitGroup
	fetched atomic.Int64             // segments
	probed  map[string]*atomic.Int64 // how often, by rendition
}

var errLeft = errors.New("the audience has left")

// newAudience starts n players, each with one of the renditions, and an ffprobe for each.
func newAudience(t testing.TB, s *server, vs []variant, n int) *audience {
	t.Helper()
	a := &audience{server: s, probed: make(map[string]*atomic.Int64)}
	a.ctx, a.fail = context.WithCancelCause(t.Context())
	for i := range n {
		v, c := vs[i%len(vs)], client(t)
		a.begin(func() error { return a.play(&viewer{client: c}, s.url(v)) })
	}
	for _, v := range vs {
		count := new(atomic.Int64)
		a.probed[v.uri] = count
		a.begin(func() error { return a.probe(v, count) })
	}
	return a
}

func (a *audience) begin(watch func() error) {
	a.wg.Go(func() {
		if err := watch(); err != nil {
			a.fail(err) // it is what counts when it is the first
		}
	})
}

// leave ends all of it.
func (a *audience) leave() {
	a.fail(errLeft)
	a.wg.Wait()
}

func (a *audience) err() error {
	if err := context.Cause(a.ctx); err != errLeft {
		return err
	}
	return nil
}

func (a *audience) probedAll() bool {
	for _, n := range a.probed {
		if n.Load() == 0 {
			return false
		}
	}
	return true
}

func (a *audience) probes() (sum int64) {
	for _, n := range a.probed {
		sum += n.Load()
	}
	return sum
}

// play fetches a playlist as players do (RFC 8216, 6.3.4), and each segment that it lists once.
func (a *audience) play(v *viewer, url string) error {
	for last := ""; a.ctx.Err() == nil; {
		resp, body, err := get(a.ctx, v.client, http.MethodGet, url)
		if err != nil {
			return fmt.Errorf("a player: %w", err)
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("a player: %s: %s", url, resp.Status)
		}
		p, err := parsePlaylist(string(body))
		if err != nil {
			return fmt.Errorf("a player: %s: %w", url, err)
		}
		before := len(v.segments)
		if err := v.fetch(a.ctx, url, p); err != nil {
			return fmt.Errorf("a player: %s: %w", url, err)
		}
		for _, s := range v.segments[before:] {
			if len(s.data) == 0 || len(s.data)%188 != 0 {
				return fmt.Errorf("a player: segment %d of %s has %d bytes, which are not whole packets", s.sequence, url, len(s.data))
			}
			a.fetched.Add(1)
		}
		v.segments = v.segments[max(0, len(v.segments)-1):] // the newest is what the next must follow
		pause := p.target
		if string(body) == last {
			pause /= 2
		}
		last = string(body)
		select {
		case <-time.After(pause):
		case <-a.ctx.Done():
		}
	}
	return nil
}

// probe reads some seconds of a rendition with ffprobe, again and again.
func (a *audience) probe(v variant, count *atomic.Int64) error {
	for a.ctx.Err() == nil {
		stdout, stderr, err := run(a.ctx, "ffprobe", "-v", "error", "-live_start_index", "-1", "-read_intervals", "%+6", "-select_streams", "v:0",
			"-show_entries", "stream=width,height:packet=dts", "-of", "json", a.server.url(v))
		if err != nil || stderr != "" {
			return fmt.Errorf("ffprobe of %s: %w, it said %q", v.uri, err, stderr)
		}
		var found struct {
			Streams []struct{ Width, Height int }
			Packets []struct{ DTS int64 }
		}
		if err := json.Unmarshal([]byte(stdout), &found); err != nil {
			return fmt.Errorf("ffprobe of %s: %w", v.uri, err)
		}
		if n := len(found.Streams); n != 1 || fmt.Sprintf("%dx%d", found.Streams[0].Width, found.Streams[0].Height) != v.resolution {
			return fmt.Errorf("ffprobe of %s: %v, the master playlist says %s", v.uri, found.Streams, v.resolution)
		}
		if len(found.Packets) == 0 {
			return fmt.Errorf("ffprobe of %s: no pictures", v.uri)
		}
		for i, p := range found.Packets[1:] {
			if before := found.Packets[i].DTS; p.DTS <= before {
				return fmt.Errorf("ffprobe of %s: time goes back from %d to %d", v.uri, before, p.DTS)
			}
		}
		count.Add(1)
	}
	return nil
}
