package lpms_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/internal/testmedia"
	"github.com/livepeer/lpms/stream"
)

// app is a program in the shape that the documentation teaches, with a lock.
type app struct {
	mu      sync.Mutex
	db      map[string]stream.Stream
	buffers map[string]*stream.HLSBuffer
	ended   []string
	onEnd   func() // called while a stream ends, when set
}

func streamIDFromPath(reqPath string) string {
	p, _, _ := strings.Cut(reqPath, "?")
	return strings.TrimSuffix(path.Base(p), ".m3u8")
}

func hlsIDFromPath(reqPath string) string { return streamIDFromPath(reqPath) + "_hls" }

func (a *app) install(t testing.TB, server *lpms.LPMS) {
	require.NoError(t, server.HandleRTMPPublish(
		func(reqPath string) (string, error) {
			if strings.Contains(reqPath, "forbidden") {
				return "", errors.New("that name is forbidden")
			}
			return streamIDFromPath(reqPath), nil
		},
		func(reqPath string) (stream.Stream, stream.Stream, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			id := streamIDFromPath(reqPath)
			rtmp, hls := stream.NewVideoStream(id, stream.RTMP), stream.NewVideoStream(id+"_hls", stream.HLS)
			a.db[id], a.db[id+"_hls"] = rtmp, hls
			return rtmp, hls, nil
		},
		func(rtmpID, hlsID string) {
			a.mu.Lock()
			delete(a.db, rtmpID)
			delete(a.db, hlsID)
			a.ended = append(a.ended, rtmpID)
			onEnd := a.onEnd
			a.mu.Unlock()
			if onEnd != nil {
				onEnd()
			}
		}))
	require.NoError(t, server.HandleRTMPPlay(func(ctx context.Context, reqPath string, dst av.MuxCloser) error {
		a.mu.Lock()
		src := a.db[streamIDFromPath(reqPath)]
		a.mu.Unlock()
		if src == nil {
			return stream.ErrNotFound
		}
		return src.ReadRTMPFromStream(ctx, dst)
	}))
	require.NoError(t, server.HandleHLSPlay(func(reqPath string) (*stream.HLSBuffer, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		id := hlsIDFromPath(reqPath)
		s := a.db[id]
		if s == nil {
			return nil, stream.ErrNotFound
		}
		if a.buffers[id] == nil {
			a.buffers[id] = stream.NewHLSBuffer()
			sub := stream.NewStreamSubscriber(s)
			go sub.StartHLSWorker(context.Background())
			if err := sub.SubscribeHLS(id, a.buffers[id]); err != nil {
				return nil, stream.ErrStreamSubscriber
			}
		}
		return a.buffers[id], nil
	}))
}

func (a *app) endedStreams() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.ended...)
}

// running is a started server.
type running struct {
	*app
	server *lpms.LPMS
	rtmp   string
	http   string
	stop   func() error // ends the server and returns what Start returned
}

func start(t testing.TB, opts lpms.Options) *running {
	if opts.RTMPAddr == "" {
		opts.RTMPAddr = "127.0.0.1:0"
	}
	if opts.HTTPAddr == "" {
		opts.HTTPAddr = "127.0.0.1:0"
	}
	server, err := lpms.New(opts)
	require.NoError(t, err)
	r := &running{server: server, app: &app{db: map[string]stream.Stream{}, buffers: map[string]*stream.HLSBuffer{}}}
	r.install(t, server)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		return <-done
	})
	t.Cleanup(func() { r.stop() })
	select {
	case <-server.Ready():
	case err := <-done:
		require.NoError(t, err)
	}
	r.rtmp = "rtmp://" + server.RTMPAddr().String()
	r.http = "http://" + server.HTTPAddr().String()
	return r
}

var small = testmedia.Clip{Seconds: 9, Size: "320x180"}

// publisher publishes messages as fast as the server takes them.
type publisher struct {
	*rtmp.Client
	served chan struct{}
	end    error // why it ended, after served is closed
}

func publish(t testing.TB, url string) *publisher {
	c, err := rtmp.Dial(t.Context(), url, rtmp.ClientOptions{})
	require.NoError(t, err)
	require.NoError(t, c.Publish(t.Context()))
	p := &publisher{Client: c, served: make(chan struct{})}
	go func() {
		defer close(p.served)
		p.end = c.Serve()
	}()
	t.Cleanup(func() {
		c.Conn.Close()
		<-p.served
	})
	return p
}

func (p *publisher) send(t testing.TB, ms []rtmp.Message, offset uint32) {
	for _, m := range ms {
		m.Timestamp += offset
		require.NoError(t, p.WriteMessage(&m))
	}
}

// get fetches until cond is satisfied, bounded by the test's deadline.
func get(t testing.TB, url string, cond func(status int, body string) bool) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get(url)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		if cond == nil || cond(resp.StatusCode, string(b)) {
			return string(b)
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: still %d %s", url, resp.StatusCode, b)
		}
		time.Sleep(20 * time.Millisecond) // between two polls of a condition with a deadline
	}
}

func ended(status int, body string) bool { return strings.Contains(body, "#EXT-X-ENDLIST") }

var segmentLine = regexp.MustCompile(`(?m)^source/(\d+)\.ts$`)

// count is how many audio and video messages with frames there are.
func count(ms []rtmp.Message) (video, audio int) {
	for _, m := range ms {
		switch m.Type {
		case rtmp.TypeVideo:
			if v, err := rtmp.ParseVideo(m.Payload); err == nil && v.Kind == rtmp.TagFrame {
				video++
			}
		case rtmp.TypeAudio:
			if a, err := rtmp.ParseAudio(m.Payload); err == nil && a.Kind == rtmp.TagFrame {
				audio++
			}
		}
	}
	return video, audio
}

func TestPublishAndWatch(t *testing.T) {
	r := start(t, lpms.Options{})
	media := clip(t, "small", small)
	p := publish(t, r.rtmp+"/stream/test?key=1")
	player, err := rtmp.Dial(t.Context(), r.rtmp+"/stream/test", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer player.Conn.Close()
	require.NoError(t, player.Play(t.Context()))
	var got []rtmp.Message
	read := make(chan error, 1)
	go func() {
		for {
			m, err := player.ReadMessage()
			if err != nil {
				read <- err
				return
			}
			got = append(got, m)
		}
	}()
	p.send(t, media, 0)
	get(t, r.http+"/stream/test.m3u8", nil)
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-read, rtmp.ErrUnpublished)
	wantV, wantA := count(media)
	v, a := count(got)
	require.Positive(t, v)
	require.LessOrEqual(t, v, wantV)
	require.LessOrEqual(t, a, wantA)

	master := get(t, r.http+"/stream/test.m3u8", nil)
	require.Contains(t, master, `CODECS="avc1.`)
	require.Contains(t, master, "RESOLUTION=320x180,FRAME-RATE=30.000")
	require.Contains(t, master, "\ntest/source.m3u8\n")
	pl := get(t, r.http+"/stream/test/source.m3u8", ended)
	require.Contains(t, pl, "#EXT-X-TARGETDURATION:2\n")
	require.Len(t, segmentLine.FindAllString(pl, -1), 5)
	for _, m := range segmentLine.FindAllString(pl, -1) {
		seg := get(t, r.http+"/stream/test/"+m, nil)
		require.Zero(t, len(seg)%188)
		require.Equal(t, byte(0x47), seg[0])
	}
	require.Equal(t, []string{"test"}, r.endedStreams())
	require.NoError(t, r.stop())
}

// Players get the stream's own bytes, whatever the publisher's clock says, and the
// clock of the wire wraps without a break.
func TestTimestampsWrap(t *testing.T) {
	media := clip(t, "small", small)
	_, wantA := count(media)
	wantV, _ := count(media)
	for name, first := range map[string]uint32{"24 bits": 0xFFFFFF - 3000, "31 bits": 1<<31 - 3000, "32 bits": 1<<32 - 3000} {
		t.Run(name, func(t *testing.T) {
			r := start(t, lpms.Options{})
			p := publish(t, r.rtmp+"/wrap")
			player, err := rtmp.Dial(t.Context(), r.rtmp+"/wrap", rtmp.ClientOptions{})
			require.NoError(t, err)
			defer player.Conn.Close()
			require.NoError(t, player.Play(t.Context()))
			read := make(chan error, 1)
			go func() {
				last := int64(-1)
				for {
					m, err := player.ReadMessage()
					if err != nil {
						read <- err
						return
					}
					if m.Type == rtmp.TypeVideo && m.Payload[1] == 1 {
						at := int64(m.Timestamp - first) // wraps back to the clip's time
						if at <= last || at > 10_000 {
							read <- fmt.Errorf("time %d after %d", at, last)
							return
						}
						last = at
					}
				}
			}()
			p.send(t, media, first)
			get(t, r.http+"/wrap.m3u8", nil)
			require.NoError(t, p.Close())
			require.ErrorIs(t, <-read, rtmp.ErrUnpublished)
			pl := get(t, r.http+"/wrap/source.m3u8", ended)
			require.NotContains(t, pl, "#EXT-X-DISCONTINUITY\n")
			require.Len(t, segmentLine.FindAllString(pl, -1), 5)
			v, a := countTS(t, r.http+"/wrap/", pl)
			require.Equal(t, [2]int{wantV, wantA}, [2]int{v, a}, "no frame is lost")
		})
	}
}

func TestSecondPublisherIsRefused(t *testing.T) {
	r := start(t, lpms.Options{})
	media := clip(t, "small", small)
	p := publish(t, r.rtmp+"/live/a")
	p.send(t, media[:100], 0)
	c, err := rtmp.Dial(t.Context(), r.rtmp+"/live/a", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	err = c.Publish(t.Context())
	require.ErrorIs(t, err, rtmp.ErrRefused)
	require.ErrorContains(t, err, "BadName")
	p.send(t, media[100:], 0)
	get(t, r.http+"/live/a.m3u8", nil)
	require.NoError(t, p.Close())
	pl := get(t, r.http+"/live/a/source.m3u8", ended)
	v, a := countTS(t, r.http+"/live/a/", pl)
	wantV, wantA := count(media)
	require.Equal(t, [2]int{wantV, wantA}, [2]int{v, a}, "the first publisher noticed nothing")
}

func TestRefusals(t *testing.T) {
	r := start(t, lpms.Options{Authorize: func(_ context.Context, a lpms.AccessRequest) error {
		if strings.Contains(a.Path, "secret") && !strings.Contains(a.Path, "token=ok") {
			return errors.New("no token from " + a.RemoteAddr)
		}
		return nil
	}})
	dial := func(path string) *rtmp.Client {
		c, err := rtmp.Dial(t.Context(), r.rtmp+path, rtmp.ClientOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { c.Conn.Close() })
		return c
	}
	for _, c := range []struct {
		name, path, want string
		play             bool
	}{
		{"publisher refused by the callback", "/live/forbidden", "that name is forbidden", false},
		{"a name that is not one", "/live/.hidden", "BadName", false},
		{"a name with an escape", "/live/a%20b", "BadName", false},
		{"a name of 129 characters", "/live/" + strings.Repeat("x", 129), "BadName", false},
		{"a stream that nobody publishes", "/live/nothing", "StreamNotFound", true},
		{"publisher without token", "/live/secret", "Rejected: not allowed", false},
		{"player without token", "/live/secret", "Failed: not allowed", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := dial(c.path)
			err := cl.Publish
			if c.play {
				err = cl.Play
			}
			got := err(t.Context())
			require.ErrorIs(t, got, rtmp.ErrRefused)
			require.ErrorContains(t, got, c.want)
		})
	}
	require.NoError(t, dial("/live/secret?token=ok").Publish(t.Context()))
	resp, err := http.Get(r.http + "/live/secret.m3u8")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

// A publisher whose connection breaks comes back on the same URL: the playlist goes on
// with a discontinuity, and never ends in between.
func TestPublisherComesBack(t *testing.T) {
	r := start(t, lpms.Options{})
	media := clip(t, "small", small)
	p := publish(t, r.rtmp+"/live/a")
	p.send(t, media, 0)
	before := get(t, r.http+"/live/a/source.m3u8", func(_ int, b string) bool { return len(segmentLine.FindAllString(b, -1)) >= 4 })
	require.NoError(t, p.Conn.Close()) // without a goodbye
	require.Eventually(t, func() bool { return len(r.endedStreams()) == 1 }, 10*time.Second, 10*time.Millisecond)
	waiting := get(t, r.http+"/live/a/source.m3u8", nil)
	require.NotContains(t, waiting, "#EXT-X-ENDLIST")

	p = publish(t, r.rtmp+"/live/a")
	p.send(t, media, 0)
	require.NoError(t, p.Close())
	pl := get(t, r.http+"/live/a/source.m3u8", ended)
	require.Contains(t, pl, "#EXT-X-DISCONTINUITY\n")
	first := segmentLine.FindStringSubmatch(before)[1]
	last := segmentLine.FindAllStringSubmatch(pl, -1)
	require.Greater(t, last[len(last)-1][1], first)
}

// A publisher that comes back while its last connection is still being ended is made to
// wait, not refused.
func TestPublisherComesBackAtOnce(t *testing.T) {
	r := start(t, lpms.Options{})
	media := clip(t, "small", small)
	p := publish(t, r.rtmp+"/live/a")
	p.send(t, media, 0)
	result := make(chan error, 1)
	r.mu.Lock()
	r.onEnd = sync.OnceFunc(func() {
		back, err := rtmp.Dial(t.Context(), r.rtmp+"/live/a", rtmp.ClientOptions{})
		if err != nil {
			result <- err
			return
		}
		t.Cleanup(func() { back.Conn.Close() })
		answer := make(chan error, 1)
		go func() { answer <- back.Publish(t.Context()) }()
		select {
		case err = <-answer: // it must not be answered as long as the name is taken
			result <- fmt.Errorf("answered too early: %w", err)
		case <-time.After(100 * time.Millisecond):
			go func() { result <- <-answer }()
		}
	})
	r.mu.Unlock()
	require.NoError(t, p.Conn.Close())
	require.NoError(t, <-result)
}

// After a clean end a new publisher of the same name begins a new playlist, whose
// numbers go on, at the same URL.
func TestPublisherStartsAnew(t *testing.T) {
	r := start(t, lpms.Options{})
	media := clip(t, "small", small)
	numbers := map[string]bool{}
	for i := range 3 {
		p := publish(t, r.rtmp+"/live/a")
		p.send(t, media, 0)
		get(t, r.http+"/live/a.m3u8", nil) // somebody watches
		require.NoError(t, p.Close())
		require.Eventually(t, func() bool { return len(r.endedStreams()) == i+1 }, 10*time.Second, 10*time.Millisecond)
		pl := get(t, r.http+"/live/a/source.m3u8", ended)
		found := segmentLine.FindAllStringSubmatch(pl, -1)
		require.Len(t, found, 5)
		for _, m := range found {
			require.False(t, numbers[m[1]], "a sequence number is used twice")
			numbers[m[1]] = true
		}
		require.Contains(t, pl, fmt.Sprintf("#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", i))
	}
}

// A callback that returns a stream that is in use does no harm to who uses it.
func TestStreamInUse(t *testing.T) {
	shared, hls := stream.NewVideoStream("s", stream.RTMP), stream.NewVideoStream("s_hls", stream.HLS)
	server, err := lpms.New(lpms.Options{RTMPAddr: "127.0.0.1:0", HTTPAddr: lpms.Off})
	require.NoError(t, err)
	require.NoError(t, server.HandleRTMPPublish(
		func(reqPath string) (string, error) { return reqPath, nil },
		func(string) (stream.Stream, stream.Stream, error) { return shared, hls, nil }, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	<-server.Ready()
	p := publish(t, "rtmp://"+server.RTMPAddr().String()+"/a")
	media := clip(t, "small", small)
	p.send(t, media[:100], 0)
	require.Eventually(t, func() bool { return shared.Stats().Packets > 0 }, 10*time.Second, 5*time.Millisecond)
	c, err := rtmp.Dial(t.Context(), "rtmp://"+server.RTMPAddr().String()+"/b", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	require.ErrorContains(t, c.Publish(t.Context()), "in use")
	p.send(t, media[100:], 0)
	require.NoError(t, p.Close())
	require.Eventually(t, hls.HLS().Ended, 10*time.Second, 5*time.Millisecond)
	v, a := count(media)
	require.Equal(t, uint64(v+a), shared.Stats().Packets)
	cancel()
	require.NoError(t, <-done)
}

// A viewer who reads nothing costs neither the publisher nor other viewers anything.
func TestStalledPlayerBesideHealthy(t *testing.T) {
	for _, realtime := range []bool{false, true} {
		r := start(t, lpms.Options{Realtime: realtime})
		big := clip(t, "big", testmedia.Clip{Seconds: 20, Size: "1280x720", Video: []string{"-g", "30", "-b:v", "12M", "-minrate", "12M", "-maxrate", "12M", "-bufsize", "6M", "-bf", "0"}})
		p := publish(t, r.rtmp+"/live/a")
		p.send(t, big[:200], 0)
		stalled, err := rtmp.Dial(t.Context(), r.rtmp+"/live/a", rtmp.ClientOptions{})
		require.NoError(t, err)
		defer stalled.Conn.Close()
		require.NoError(t, stalled.Play(t.Context()))
		healthy, err := rtmp.Dial(t.Context(), r.rtmp+"/live/a", rtmp.ClientOptions{})
		require.NoError(t, err)
		defer healthy.Conn.Close()
		require.NoError(t, healthy.Play(t.Context()))
		go func() {
			for _, m := range big[200:] {
				if p.WriteMessage(&m) != nil {
					return
				}
			}
			p.Close()
		}()
		var last uint32
		for {
			m, err := healthy.ReadMessage()
			if errors.Is(err, rtmp.ErrUnpublished) {
				break
			}
			require.NoError(t, err)
			last = max(last, m.Timestamp)
		}
		require.Greater(t, last, uint32(19_000), "the healthy player saw the end")
		require.NoError(t, r.stop())
	}
}

func TestLifeCycle(t *testing.T) {
	t.Run("stop tells everybody", func(t *testing.T) {
		r := start(t, lpms.Options{})
		media := clip(t, "small", small)
		p := publish(t, r.rtmp+"/live/a")
		p.send(t, media[:300], 0)
		player, err := rtmp.Dial(t.Context(), r.rtmp+"/live/a", rtmp.ClientOptions{})
		require.NoError(t, err)
		defer player.Conn.Close()
		require.NoError(t, player.Play(t.Context()))
		idle, err := net.Dial("tcp", strings.TrimPrefix(r.rtmp, "rtmp://"))
		require.NoError(t, err)
		defer idle.Close()
		require.NoError(t, r.stop())
		for err == nil {
			_, err = player.ReadMessage()
		}
		require.ErrorIs(t, err, rtmp.ErrUnpublished)
		<-p.served
		require.ErrorIs(t, p.end, rtmp.ErrRefused)
		require.ErrorContains(t, p.end, "AppShutdown")
		_, err = net.Dial("tcp", strings.TrimPrefix(r.rtmp, "rtmp://"))
		require.Error(t, err, "the port is closed")
		require.Equal(t, []string{"a"}, r.endedStreams())
	})
	t.Run("port in use", func(t *testing.T) {
		r := start(t, lpms.Options{})
		for _, o := range []lpms.Options{
			{RTMPAddr: r.server.RTMPAddr().String(), HTTPAddr: "127.0.0.1:0"},
			{RTMPAddr: "127.0.0.1:0", HTTPAddr: r.server.HTTPAddr().String()},
		} {
			l, err := lpms.New(o)
			require.NoError(t, err)
			err = l.Start(t.Context())
			require.ErrorContains(t, err, "address already in use")
			require.ErrorContains(t, err, "choose another address")
		}
	})
	t.Run("unknown host", func(t *testing.T) {
		l, err := lpms.New(lpms.Options{RTMPAddr: "no-such-host.invalid:1935", HTTPAddr: lpms.Off})
		require.NoError(t, err)
		require.ErrorContains(t, l.Start(t.Context()), "no-such-host.invalid")
	})
	t.Run("bad options", func(t *testing.T) {
		for _, o := range []lpms.Options{
			{RTMPAddr: "1935"}, {HTTPAddr: "localhost"}, {RTMPAddr: ":99999"}, {HTTPAddr: ":http"},
			{SegmentDuration: -1}, {SegmentDuration: time.Hour}, {EndedRetention: -1}, {FirstSegmentWait: -1}, {MaxConnections: -1},
		} {
			_, err := lpms.New(o)
			require.ErrorIs(t, err, lpms.ErrOptions, "%+v", o)
		}
	})
	t.Run("start twice, register late, nil callbacks", func(t *testing.T) {
		r := start(t, lpms.Options{})
		require.ErrorIs(t, r.server.Start(t.Context()), lpms.ErrStarted)
		require.ErrorIs(t, r.server.HandleHLSPlay(func(string) (*stream.HLSBuffer, error) { return nil, nil }), lpms.ErrStarted)
		l, err := lpms.New(lpms.Options{})
		require.NoError(t, err)
		require.ErrorIs(t, l.HandleHLSPlay(nil), lpms.ErrNoHandler)
		require.ErrorIs(t, l.HandleRTMPPlay(nil), lpms.ErrNoHandler)
		require.ErrorIs(t, l.HandleRTMPPublish(nil, nil, nil), lpms.ErrNoHandler)
	})
	t.Run("nothing registered", func(t *testing.T) {
		l, err := lpms.New(lpms.Options{RTMPAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Start(ctx) }()
		<-l.Ready()
		for _, play := range []bool{false, true} {
			c, err := rtmp.Dial(t.Context(), "rtmp://"+l.RTMPAddr().String()+"/x", rtmp.ClientOptions{})
			require.NoError(t, err)
			if play {
				require.ErrorIs(t, c.Play(t.Context()), rtmp.ErrRefused)
			} else {
				require.ErrorIs(t, c.Publish(t.Context()), rtmp.ErrRefused)
			}
			c.Conn.Close()
		}
		cancel()
		require.NoError(t, <-done)
	})
}

// A codec that is not supported is refused by name, in the answer to the publisher.
func TestUnsupportedCodec(t *testing.T) {
	r := start(t, lpms.Options{})
	c, err := rtmp.Dial(t.Context(), r.rtmp+"/live/hevc", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	require.NoError(t, c.Publish(t.Context()))
	require.NoError(t, c.WriteMessage(&rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x90hvc1config")}))
	for err == nil {
		_, err = c.ReadMessage()
	}
	require.ErrorIs(t, err, rtmp.ErrRefused)
	require.ErrorContains(t, err, "hvc1 is not supported")
}
