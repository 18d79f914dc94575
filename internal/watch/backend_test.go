package watch_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/watch"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// backend is a small Streaming Back-End: the media server with two renditions, the pages,
// and publishers that the browser's script starts and stops by HTTP.
type backend struct {
	t        *testing.T
	server   *lpms.LPMS
	rtmpPort int
	engine   *transcoder.Local
	pictures map[string][]byte // by stream; "" is for all others
	size     string

	pages, control *httptest.Server

	mu         sync.Mutex
	streams    map[string]*show
	publishers map[string]*exec.Cmd
	extra      []status.Stream // shown in the list only
	wg         sync.WaitGroup
}

// show is a stream that somebody publishes or has published.
type show struct {
	hls   stream.Stream
	live  bool
	since time.Time
}

// serve starts it; it is stopped at the end of the test.
func serve(t *testing.T, size string) *backend {
	t.Helper()
	b := &backend{
		t: t, size: size, engine: transcoder.NewLocal(transcoder.LocalOptions{}), pictures: make(map[string][]byte),
		streams: make(map[string]*show), publishers: make(map[string]*exec.Cmd),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	b.server, err = lpms.New(lpms.Options{RTMPAddr: "127.0.0.1:0", HTTPAddr: lpms.Off, ReconnectWait: time.Minute})
	require.NoError(t, err)
	require.NoError(t, b.server.HandleRTMPPublish(
		func(reqPath string) (string, error) { return path.Base(reqPath), nil },
		func(reqPath string) (stream.Stream, stream.Stream, error) { return b.begin(ctx, path.Base(reqPath)) },
		func(rtmpID, _ string) { b.end(rtmpID) }))
	require.NoError(t, b.server.HandleHLSPlay(b.find))
	stopped := make(chan error, 1)
	go func() { stopped <- b.server.Start(ctx) }()
	select {
	case <-b.server.Ready():
	case err := <-stopped:
		require.NoError(t, err)
	}
	b.rtmpPort = b.server.RTMPAddr().(*net.TCPAddr).Port

	mux := http.NewServeMux()
	mux.Handle("/stream/", b.server.Handler())
	mux.Handle("/", watch.New(watch.Options{Status: b.status, Thumbnail: b.thumbnail, RTMPPort: b.rtmpPort}))
	b.pages = httptest.NewServer(mux)
	b.control = httptest.NewServer(b.controls())
	t.Cleanup(func() {
		b.control.Close()
		b.mu.Lock()
		for _, p := range b.publishers {
			_ = p.Process.Kill()
		}
		b.mu.Unlock()
		cancel()
		require.NoError(t, <-stopped)
		b.pages.Close()
		b.wg.Wait()
	})
	return b
}

func (b *backend) begin(ctx context.Context, name string) (stream.Stream, stream.Stream, error) {
	rtmp, hls := stream.NewVideoStream(name, stream.RTMP), stream.NewVideoStream(name+"_hls", stream.HLS)
	b.mu.Lock()
	before := b.streams[name]
	b.streams[name] = &show{hls: hls, live: true, since: time.Now()}
	b.mu.Unlock()
	if before != nil && !before.hls.HLS().Ended() { // it goes on, and its transcoder too
		return rtmp, hls, nil
	}
	tr, err := transcoder.New(hls.HLS(), transcoder.Options{
		Stream: name, Engine: b.engine,
		Renditions: []ffmpeg.Rendition{
			{Profile: ffmpeg.VideoProfile{Name: "240p", Resolution: "426x240", Bitrate: "500k"}},
			{Profile: ffmpeg.VideoProfile{Name: "144p", Resolution: "256x144", Bitrate: "200k"}},
		},
	})
	if err != nil {
		return nil, nil, err
	}
	b.wg.Go(func() { _ = tr.Run(ctx) })
	return rtmp, hls, nil
}

func (b *backend) end(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[name].live = false
}

func (b *backend) find(reqPath string) (*stream.HLSBuffer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.streams[strings.TrimSuffix(path.Base(reqPath), ".m3u8")]; s != nil {
		return s.hls.HLS(), nil
	}
	return nil, stream.ErrNotFound
}

// status is what the real back-end would say.
func (b *backend) status() status.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := status.Status{Version: "test", Now: time.Now(), Streams: slices.Clone(b.extra)}
	for name, s := range b.streams {
		st := status.Stream{
			Name: name, Ingest: status.RTMP, Live: s.live, Since: s.since, Uptime: time.Since(s.since).Seconds(),
			Viewers: status.Viewers{HLS: 1},
		}
		for _, want := range []string{stream.Source, "240p", "144p"} {
			r := status.Rendition{Name: want, State: status.Waiting}
			for _, have := range s.hls.HLS().Stats().Renditions {
				if have.Name != want || have.Info == nil {
					continue
				}
				r = status.Rendition{
					Name: want, State: status.Live, Width: have.Info.Width, Height: have.Info.Height,
					FrameRate: have.Info.FrameRate, Codecs: have.Info.Codecs, Bandwidth: have.Bandwidth, AverageBandwidth: have.Average,
				}
			}
			if want == stream.Source {
				st.Width, st.Height, st.FrameRate, st.Codecs, st.Bitrate = r.Width, r.Height, r.FrameRate, r.Codecs, r.AverageBandwidth
			}
			if r.Width > 0 || want == stream.Source || st.Width > 0 { // sound has no smaller picture
				st.Renditions = append(st.Renditions, r)
			}
		}
		out.Streams = append(out.Streams, st)
	}
	slices.SortFunc(out.Streams, func(x, y status.Stream) int { return strings.Compare(x.Name, y.Name) })
	return out
}

func (b *backend) thumbnail(name string) ([]byte, time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == "no-picture" || name == "radio" {
		return nil, time.Time{}, false
	}
	jpeg := b.pictures[name]
	if jpeg == nil {
		jpeg = b.pictures[""]
	}
	return jpeg, time.Now().Truncate(2 * time.Second), jpeg != nil
}

// controls are for the script: POST /publish/NAME, /sound/NAME, /stop/NAME, /kill/NAME, which
// gives no warning, and /extra; GET /frame, a page of another origin with the player in it.
func (b *backend) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /publish/{name}", func(_ http.ResponseWriter, r *http.Request) {
		b.publish(r.PathValue("name"), "-f", "lavfi", "-i", "testsrc2=size="+b.size+":rate=30", "-f", "lavfi", "-i", "sine",
			"-c:v", "libx264", "-preset", "superfast", "-g", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac")
	})
	mux.HandleFunc("POST /sound/{name}", func(_ http.ResponseWriter, r *http.Request) {
		b.publish(r.PathValue("name"), "-f", "lavfi", "-i", "sine", "-c:a", "aac")
	})
	mux.HandleFunc("POST /stop/{name}", func(_ http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		_ = b.publishers[r.PathValue("name")].Process.Signal(os.Interrupt)
	})
	mux.HandleFunc("POST /kill/{name}", func(_ http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		_ = b.publishers[r.PathValue("name")].Process.Kill()
	})
	mux.HandleFunc("POST /extra", func(http.ResponseWriter, *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.extra = extraStreams(time.Now())
	})
	mux.HandleFunc("GET /frame/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><iframe allow="autoplay" width="640" height="360" src="` +
			b.pages.URL + `/watch/` + r.PathValue("name") + `?embed=1"></iframe>`))
	})
	return mux
}

// publish runs until it is stopped.
func (b *backend) publish(name string, args ...string) {
	args = append(append([]string{"-v", "error", "-re"}, args...), "-f", "flv", b.server.RTMPAddr().String())
	args[len(args)-1] = "rtmp://" + args[len(args)-1] + "/live/" + name
	cmd := exec.Command("ffmpeg", args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := cmd.Start(); err != nil {
		b.t.Errorf("ffmpeg: %v", err)
		return
	}
	b.publishers[name] = cmd
	b.wg.Go(func() { _ = cmd.Wait() })
}

// extraStreams make the list a full one.
func extraStreams(now time.Time) []status.Stream {
	live := func(name string, ingest status.Ingest, up time.Duration, viewers int, bitrate uint64, width, height int, fps float64) status.Stream {
		return status.Stream{
			Name: name, Ingest: ingest, Live: true, Since: now.Add(-up), Uptime: up.Seconds(), Viewers: status.Viewers{HLS: viewers},
			Bitrate: bitrate, Width: width, Height: height, FrameRate: fps, Codecs: "avc1.64001f,mp4a.40.2",
		}
	}
	portrait := live("phone", status.RTMP, 45*time.Second, 1, 1_900_000, 720, 1280, 30)
	radio := live("radio", status.Push, 30*time.Hour, 214, 128_000, 0, 0, 0)
	radio.Codecs = "mp4a.40.2"
	starting := live("no-picture", status.RTMP, 2*time.Second, 0, 0, 0, 0, 0)
	starting.Codecs = ""
	gone := live("a-name-that-is-rather-long-to-show-what-becomes-of-it", status.RTMP, time.Hour, 0, 3_000_000, 1920, 1080, 50)
	gone.Live = false
	return []status.Stream{
		live("conference-hall-2", status.RTMP, 2*time.Hour+13*time.Minute, 1283, 5_900_000, 1920, 1080, 60),
		live("hello_world", status.Test, 12*time.Minute, 3, 2_400_000, 1280, 720, 29.97),
		starting, portrait, radio, gone,
	}
}

// makePictures gives the streams of the list something to show.
func (b *backend) makePictures() {
	dir := b.t.TempDir()
	for name, source := range map[string]string{
		"": "testsrc2=size=480x270", "conference-hall-2": "mandelbrot=size=480x270", "hello_world": "smptehdbars=size=480x270",
		"phone": "gradients=size=202x360:seed=5:c0=0x1d4ed8:c1=0xf59e0b", "a-name-that-is-rather-long-to-show-what-becomes-of-it": "cellauto=size=480x270",
	} {
		file := filepath.Join(dir, "picture.jpg")
		out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-frames:v", "1", "-q:v", "4", file).CombinedOutput()
		require.NoError(b.t, err, "%s", out)
		jpeg, err := os.ReadFile(file)
		require.NoError(b.t, err)
		b.pictures[name] = jpeg
	}
}
