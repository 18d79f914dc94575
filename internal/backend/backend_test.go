package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/testsignal"
	"github.com/livepeer/lpms/stream"
)

// running is a back-end on ports that are free.
type running struct {
	*Backend
	http string
	log  *strings.Builder
	mu   *sync.Mutex
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	r := &running{log: new(strings.Builder), mu: new(sync.Mutex)}
	o.RTMPAddr, o.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
	o.Attempts, o.HTTPIngest, o.WatchPage = 1, true, true
	o.Warnf = func(format string, args ...any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, _ = r.log.WriteString(strings.TrimSpace(strings.ReplaceAll(format, "%v", "…")) + "\n")
	}
	b, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, <-done)
	})
	<-b.Ready()
	r.Backend, r.http = b, "http://"+b.HTTPAddr().String()
	return r
}

// get asks once.
func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(r.http + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// until asks for the status until the condition holds.
func (r *running) until(t *testing.T, what string, holds func(status.Status) bool) status.Status {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		st := r.Status()
		if holds(st) {
			return st
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "waited in vain for "+what, "%+v", st)
		}
		time.Sleep(10 * time.Millisecond) // between two looks at a condition with a deadline
	}
}

// media is a publisher of so many seconds, who then stays until the test lets him go.
type media struct {
	*testsignal.Source
	end  chan struct{}
	with error
}

func publisher(t *testing.T, seconds int, o testsignal.Options) *media {
	t.Helper()
	o.Unpaced, o.Duration = true, time.Duration(seconds)*time.Second
	if o.Width == 0 {
		o.Width, o.Height = 320, 180
	}
	src, err := testsignal.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { src.Close() })
	return &media{Source: src, end: make(chan struct{}), with: io.EOF}
}

func (m *media) ReadStreamPacket() (stream.Packet, error) {
	p, err := m.Source.ReadStreamPacket()
	if err != nil {
		<-m.end
		return p, m.with
	}
	return p, nil
}

// publish publishes in the background; leave ends it.
func (r *running) publish(t *testing.T, name string, m *media) (leave func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Publish(context.Background(), name, m) }()
	leave = sync.OnceFunc(func() {
		close(m.end)
		if err := <-done; !errors.Is(err, m.with) {
			require.NoError(t, err)
		}
	})
	t.Cleanup(leave)
	return leave
}

func renditionsOf(s status.Stream) (names []string) {
	for _, r := range s.Renditions {
		names = append(names, r.Name+" "+string(r.State))
	}
	return names
}

// live says that at least n renditions have segments, of all streams together.
func live(n int) func(status.Status) bool {
	return func(st status.Status) bool {
		have := 0
		for _, s := range st.Streams {
			for _, r := range s.Renditions {
				if r.State == status.Live {
					have++
				}
			}
		}
		return have >= n
	}
}

func TestLadderOfTheSource(t *testing.T) {
	r := run(t, Options{Auto: true, Extra: []ffmpeg.Rendition{ffmpeg.AudioOnly("audio", ffmpeg.ComponentOptions{})}})
	leave := r.publish(t, "a", publisher(t, 6, testsignal.Options{Width: 640, Height: 360}))
	st := r.until(t, "all renditions", func(st status.Status) bool {
		if len(st.Streams) == 0 || len(st.Streams[0].Renditions) < 3 {
			return false
		}
		for _, r := range st.Streams[0].Renditions {
			if r.State != status.Live {
				return false
			}
		}
		return true
	})
	s := st.Streams[0]
	require.Equal(t, "source", s.Renditions[0].Name)
	require.Equal(t, "audio", s.Renditions[len(s.Renditions)-1].Name)
	require.Equal(t, [2]int{640, 360}, [2]int{s.Width, s.Height})
	for _, rendition := range s.Renditions[1:] {
		require.Less(t, rendition.Height, 360)
	}
	require.True(t, s.Live)
	require.Equal(t, status.Test, s.Ingest)
	code, master := r.get(t, "/stream/a.m3u8")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, len(s.Renditions), strings.Count(master, "#EXT-X-STREAM-INF"))
	leave()
	require.False(t, r.until(t, "the end", func(st status.Status) bool { return !st.Streams[0].Live }).Streams[0].Live)
	code, list := r.get(t, "/stream/a/source.m3u8")
	require.Equal(t, http.StatusOK, code, "it is still served")
	require.Contains(t, list, "#EXT-X-ENDLIST")
}

// The ladder is planned anew for a publisher who comes back with another picture.
func TestLadderIsPlannedAnew(t *testing.T) {
	r := run(t, Options{Auto: true})
	first := publisher(t, 4, testsignal.Options{Width: 320, Height: 180})
	first.with = errors.New("the network is down")
	leave := r.publish(t, "a", first)
	before := renditionsOf(r.until(t, "a rendition", live(2)).Streams[0])
	leave()
	r.publish(t, "a", publisher(t, 6, testsignal.Options{Width: 1280, Height: 720}))
	after := r.until(t, "the new ladder", func(st status.Status) bool {
		s := st.Streams[0]
		return s.Height == 720 && len(s.Renditions) > len(before)
	})
	require.NotEqual(t, before, renditionsOf(after.Streams[0]))
	_, list := r.get(t, "/stream/a/source.m3u8")
	require.Contains(t, list, "#EXT-X-DISCONTINUITY\n", "it goes on where it was")
}

func TestSourceOnly(t *testing.T) {
	for name, o := range map[string]Options{"by -maxAttempts": {Auto: true}, "by the ladder": {}} {
		t.Run(name, func(t *testing.T) {
			r := run(t, o)
			if o.Auto {
				r.opts.Attempts = 0
			}
			r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
			st := r.until(t, "the source", live(1))
			require.Equal(t, []string{"source live"}, renditionsOf(st.Streams[0]))
		})
	}
}

func TestCurrentManifest(t *testing.T) {
	r := run(t, Options{CurrentManifest: true})
	code, _ := r.get(t, "/stream/current.m3u8")
	require.Equal(t, http.StatusNotFound, code)
	r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	r.publish(t, "b", publisher(t, 4, testsignal.Options{}))
	r.until(t, "b", live(2))
	code, body := r.get(t, "/stream/current.m3u8")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "\nb/source.m3u8\n")
	_, named := r.get(t, "/stream/b.m3u8")
	require.Equal(t, named, body)
}

func TestAsManyStreamsAsAllowed(t *testing.T) {
	r := run(t, Options{MaxStreams: 1})
	leave := r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	second := publisher(t, 4, testsignal.Options{})
	require.ErrorIs(t, r.Publish(t.Context(), "b", second), ErrTooMany)
	require.ErrorIs(t, r.Publish(t.Context(), "a", second), lpms.ErrLive)
	leave()
	r.until(t, "the end of a", func(st status.Status) bool { return !st.Streams[0].Live })
	r.publish(t, "b", second)
	r.until(t, "b", live(1))
	r.SetMaxStreams(2)
	r.publish(t, "c", publisher(t, 4, testsignal.Options{}))
	r.until(t, "c", live(2))
}

func TestViewersAreCounted(t *testing.T) {
	r := run(t, Options{})
	r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	for range 3 { // one viewer who asks again and again
		r.get(t, "/stream/a/source.m3u8")
	}
	for i := range 5 {
		req, err := http.NewRequest(http.MethodGet, r.http+"/stream/a/source.m3u8", nil)
		require.NoError(t, err)
		req.Header.Set("X-Forwarded-For", "203.0.113.7, 192.0.2."+strconv.Itoa(i))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
	}
	require.Equal(t, 6, r.Status().Streams[0].Viewers.HLS)
	s := r.find("a")
	require.Zero(t, s.viewers.count(time.Now().Add(2*s.watchTime()), s.watchTime()), "those who have gone are not counted")
}

func TestForwardedAddressOfStrangers(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Forwarded-For", "192.0.2.9")
	r.RemoteAddr = "198.51.100.1:1234"
	require.Equal(t, "198.51.100.1", clientAddr(r))
	r.RemoteAddr = "127.0.0.1:1234"
	require.Equal(t, "192.0.2.9", clientAddr(r))
}

func TestWatched(t *testing.T) {
	for path, want := range map[string]string{
		"/stream/a/source.m3u8":   "a source",
		"/stream/a/P144/12.ts":    "a P144",
		"/stream/a.m3u8":          "",
		"/stream/a/b/c/d.m3u8":    "a b",
		"/stream/.a/source.m3u8":  "",
		"/stream/a/source":        "",
		"/stream/a/.hidden.m3u8":  "",
		"/stream/":                "",
		"/stream/a//source.m3u8":  "",
		"/stream/a/source.m3u8/x": "a source.m3u8",
	} {
		name, rendition, ok := watched(path)
		if !ok {
			require.Empty(t, want, path)
			continue
		}
		require.Equal(t, want, name+" "+rendition, path)
	}
}

// A stream that has ended is forgotten after a while, and one that is live is not.
func TestRetire(t *testing.T) {
	r := run(t, Options{})
	leave := r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	s := r.find("a")
	require.False(t, r.retire(s))
	leave()
	r.until(t, "the end", func(st status.Status) bool { return s.buf.Ended() })
	require.False(t, r.retire(s), "viewers see the end")
	require.Same(t, s, r.find("a"))
	r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "it to come back", func(st status.Status) bool { return st.Streams[0].Live && !s.buf.Ended() })
	require.Same(t, s, r.find("a"), "the presentation goes on")
}

// A name that was pushed and then comes by RTMP is another presentation.
func TestAnotherKindOfPublisher(t *testing.T) {
	r := run(t, Options{})
	leave := r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	first := r.find("a")
	leave()
	r.until(t, "the end", func(st status.Status) bool { return !st.Streams[0].Live })
	r.Backend.mu.Lock()
	pushed, err := r.open("a", status.Push, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
	r.Backend.mu.Unlock()
	require.NoError(t, err)
	require.NotSame(t, first, pushed)
	require.NotEqual(t, first.generation, pushed.generation)
	r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "it to come back", live(1))
	require.NotSame(t, pushed, r.find("a"))
	require.NotEqual(t, first.generation, r.find("a").generation)
}

func TestThumbnails(t *testing.T) {
	for name, o := range map[string]Options{"of what is transcoded": {Auto: true}, "of the source alone": {}} {
		t.Run(name, func(t *testing.T) {
			r := run(t, o)
			r.publish(t, "a", publisher(t, 6, testsignal.Options{}))
			r.until(t, "a picture", func(status.Status) bool {
				code, body := r.get(t, "/thumbnail/a.jpg")
				return code == http.StatusOK && strings.HasPrefix(body, "\xff\xd8")
			})
			code, _ := r.get(t, "/thumbnail/b.jpg")
			require.Equal(t, http.StatusNotFound, code)
		})
	}
}

func TestPagesAndHealth(t *testing.T) {
	r := run(t, Options{})
	code, body := r.get(t, "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", body)
	code, body = r.get(t, "/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "<html")
	resp, err := http.Post(r.http+"/healthz", "", nil)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}
