package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// simulated is an engine that makes so many pixels a second, one segment at a time.
type simulated struct {
	*transcoder.Local // for its turns
	speed             atomic.Int64
}

type simulatedSession struct {
	engine     *simulated
	renditions []ffmpeg.Rendition
}

func (e *simulated) Open(_ string, renditions []ffmpeg.Rendition) (transcoder.Session, error) {
	return &simulatedSession{e, renditions}, nil
}

func (s *simulatedSession) Transcode(ctx context.Context, in transcoder.Input, done func(int, ffmpeg.Output)) error {
	for i, r := range s.renditions {
		seg := in.Segment
		pixels := cost(r, seg.Info) * seg.Duration.Seconds()
		select {
		case <-time.After(time.Duration(pixels / float64(s.engine.speed.Load()) * float64(time.Second))):
		case <-ctx.Done():
			return ctx.Err()
		}
		done(i, ffmpeg.Output{Data: []byte(r.Profile.Name), Info: ffmpeg.OutputInfo{Codecs: "avc1.42c01e", Width: 320, Height: 180, FrameRate: 30}})
	}
	return nil
}

func (s *simulatedSession) Close() {}

// rig is a stream that is pushed to a back-end with a simulated engine, in a bubble of fake
// time.
type rig struct {
	*Backend
	*show
	t      *testing.T
	engine *simulated
	ctx    context.Context
	clock  time.Duration
	info   *stream.RenditionInfo
}

var (
	p720 = ffmpeg.Rendition{Profile: ffmpeg.P720p30fps16x9}
	p360 = ffmpeg.Rendition{Profile: ffmpeg.P360p30fps16x9}
	p144 = ffmpeg.Rendition{Profile: ffmpeg.P144p30fps16x9}
	full = &stream.RenditionInfo{Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30}
)

const plenty = 1e9 // pixels a second

func rigFor(t *testing.T, o Options, speed int64) *rig {
	o.Attempts = 1
	b, err := New(o)
	require.NoError(t, err)
	e := &simulated{Local: transcoder.NewLocal(transcoder.LocalOptions{Jobs: 1})}
	e.speed.Store(speed)
	b.local = e
	ctx, cancel := context.WithCancel(t.Context())
	b.mu.Lock()
	b.ctx = ctx
	s, err := b.open("a", status.Push, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
	b.mu.Unlock()
	require.NoError(t, err)
	s.begin(nil, admission{name: "a"}, time.Now())
	t.Cleanup(func() {
		cancel()
		b.running.Wait()
	})
	return &rig{Backend: b, show: s, t: t, engine: e, ctx: ctx, info: full}
}

// balanced has its load watched.
func (r *rig) balanced() *rig {
	go r.watchLoad(r.ctx)
	return r
}

// add appends a segment of 2 s and so many bits a second to the source, at once.
func (r *rig) add(bitrate int) {
	const d = 2 * time.Second
	r.clock += d
	_, err := r.buf.Append(stream.Source, stream.Segment{
		Data: make([]byte, bitrate/8*2), Start: r.clock, Duration: d, Independent: true, Info: r.info, Arrived: time.Now(),
	})
	require.NoError(r.t, err)
	synctest.Wait()
}

// publish publishes in real time.
func (r *rig) publish(length time.Duration) {
	for range int(length / (2 * time.Second)) {
		r.add(3e6)
		time.Sleep(2 * time.Second)
		synctest.Wait()
	}
}

func (r *rig) renditions() []string { return renditionsOf(r.Status().Streams[0]) }

func (r *rig) playlist(name string) string {
	p, err := r.buf.MediaPlaylist(r.t.Context(), name)
	require.NoError(r.t, err)
	return string(p.Raw)
}

// What there is no room for is shed, the largest first, and the rest goes on. When there is
// room again, it comes back: its playlist begins there, without gaps for the time before.
func TestShedRenditionsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Renditions: []ffmpeg.Rendition{p720, p360, p144}}, plenty).balanced()
		r.publish(20 * time.Second)
		require.Equal(t, []string{"source live", "P720p30fps16x9 live", "P360p30fps16x9 live", "P144p30fps16x9 live"}, r.renditions())

		r.engine.speed.Store(14e6) // 720p30 needs 28 million, 360p30 7 million
		r.publish(time.Minute)
		require.Equal(t, []string{"source live", "P720p30fps16x9 shed", "P360p30fps16x9 live", "P144p30fps16x9 live"}, r.renditions())
		st := r.Status()
		require.Equal(t, 1, st.Machine.Shed)
		master, err := r.buf.MasterPlaylist(t.Context(), "a")
		require.NoError(t, err)
		require.NotContains(t, string(master.Raw), "P720p30fps16x9")
		skipped := st.Streams[0].Skipped

		r.engine.speed.Store(plenty)
		r.publish(2 * time.Minute)
		require.Equal(t, []string{"source live", "P720p30fps16x9 live", "P360p30fps16x9 live", "P144p30fps16x9 live"}, r.renditions())
		require.Zero(t, r.Status().Machine.Shed)
		require.Equal(t, skipped, r.Status().Streams[0].Skipped, "nothing is late any more")
		for _, name := range []string{"P720p30fps16x9", "P360p30fps16x9"} {
			require.NotContains(t, r.playlist(name), "EXT-X-GAP")
		}
		require.NotContains(t, r.playlist(stream.Source), "EXT-X-DISCONTINUITY\n", "the source goes on all the time")
	})
}

// The playlist of one that comes back begins there at once.
func TestShedRenditionBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Renditions: []ffmpeg.Rendition{p360}}, plenty)
		r.publish(20 * time.Second)
		r.setShed(1)
		synctest.Wait()
		r.publish(10 * time.Second)
		_, err := r.buf.MediaPlaylist(t.Context(), "P360p30fps16x9")
		require.ErrorIs(t, err, stream.ErrNotFound)
		r.setShed(0)
		synctest.Wait()
		r.publish(4 * time.Second)
		list := r.playlist("P360p30fps16x9")
		require.Equal(t, 3, strings.Count(list, "#EXTINF"), "the newest there was, and two:\n%s", list)
		require.NotContains(t, list, "EXT-X-GAP")
	})
}

// A publisher that was cut off sends what it held back all at once: that is no reason to shed
// what can be made in time.
func TestBurstIsNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Renditions: []ffmpeg.Rendition{p720, p360}}, 60e6).balanced() // 36 million are needed
		r.publish(20 * time.Second)
		time.Sleep(12 * time.Second)
		for range 6 {
			r.add(3e6)
		}
		r.publish(time.Minute)
		st := r.Status()
		require.Zero(t, st.Machine.Sheds)
		require.Equal(t, []string{"source live", "P720p30fps16x9 live", "P360p30fps16x9 live"}, r.renditions())
	})
}

// A stream that begins on a black picture gets its ladder by the bitrate that comes then.
func TestLadderGrowsWithTheBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Auto: true}, plenty)
		r.add(150e3)
		time.Sleep(2 * time.Second)
		black := len(r.renditions())
		r.publish(20 * time.Second)
		require.Greater(t, len(r.renditions()), black)
		opened := r.renditions()
		r.publish(time.Minute)
		require.Equal(t, opened, r.renditions(), "it settles")
	})
}

// A rendition is listed once it exists, made while somebody asks for it, and rests otherwise.
func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{OnDemand: true, Renditions: []ffmpeg.Rendition{p360, p144}}, plenty)
		r.publish(6 * time.Second)
		require.Equal(t, []string{"source live", "P360p30fps16x9 resting", "P144p30fps16x9 resting"}, r.renditions())
		master, err := r.buf.MasterPlaylist(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, 3, strings.Count(string(master.Raw), "#EXT-X-STREAM-INF"), "what it is like is known")

		for range 10 {
			r.touch("P144p30fps16x9", time.Now())
			synctest.Wait()
			r.publish(4 * time.Second)
		}
		require.Equal(t, []string{"source live", "P360p30fps16x9 resting", "P144p30fps16x9 live"}, r.renditions())
		require.NotContains(t, r.playlist("P144p30fps16x9"), "EXT-X-GAP")
		r.touch("P1080p30fps16x9", time.Now())
		require.Len(t, r.touched, 1, "only what there is can be asked for")

		r.publish(r.watchTime() + 4*time.Second)
		require.Equal(t, []string{"source live", "P360p30fps16x9 resting", "P144p30fps16x9 resting"}, r.renditions())
	})
}

// One that there is no room for leaves the master playlist even when nobody watched it.
func TestShedOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{OnDemand: true, Renditions: []ffmpeg.Rendition{p360, p144}}, plenty)
		r.publish(6 * time.Second)
		r.touch("P360p30fps16x9", time.Now())
		synctest.Wait()
		r.setShed(1)
		synctest.Wait()
		r.publish(2 * time.Second)
		require.Equal(t, []string{"source live", "P360p30fps16x9 shed", "P144p30fps16x9 resting"}, r.renditions())
		require.False(t, r.buf.Listed("P360p30fps16x9"))
		require.True(t, r.buf.Listed("P144p30fps16x9"))
	})
}

// There is room for a stream more, however many have ended.
func TestOldStreamsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{MaxStreams: 2}, plenty)
		r.publish(4 * time.Second)
		for i := range maxEnded + 20 {
			name := fmt.Sprint("n", i)
			r.Backend.mu.Lock()
			s, err := r.open(name, status.Push, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
			r.Backend.mu.Unlock()
			require.NoError(t, err)
			s.begin(nil, admission{name: name}, time.Now())
			s.end()
			s.buf.End()
			time.Sleep(time.Millisecond)
		}
		shows := r.all()
		require.LessOrEqual(t, len(shows), 2*2+maxEnded)
		names := make([]string, 0, len(shows))
		for _, s := range shows {
			names = append(names, s.name)
		}
		require.True(t, slices.Contains(names, "a"), "those that are live stay")
		require.False(t, slices.Contains(names, "n0"), "the oldest has gone")
		require.True(t, slices.Contains(names, fmt.Sprint("n", maxEnded+19)))
	})
}

// A name that comes in another way than before goes on with the numbers, even when media came
// faster than life, and when the stream was forgotten in between.
func TestNumbersNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{}, plenty)
		for range 200 {
			r.add(3e6)
		}
		before, breaks := r.buf.Next()
		r.show.end()
		r.buf.End()
		reopen := func(ingest status.Ingest) *show {
			r.Backend.mu.Lock()
			defer r.Backend.mu.Unlock()
			s, err := r.open("a", ingest, func(int) *stream.HLSBuffer { return stream.NewHLSBuffer() })
			require.NoError(t, err)
			return s
		}
		next := reopen(status.RTMP)
		sequence, discontinuities := next.buf.Next()
		require.Equal(t, before, sequence)
		require.Equal(t, breaks, discontinuities)

		r.show = next
		r.add(3e6)
		before, breaks = next.buf.Next()
		next.buf.End()
		time.Sleep(2 * endedRetention)
		synctest.Wait()
		require.Nil(t, r.find("a"), "forgotten")
		sequence, discontinuities = reopen(status.Push).buf.Next()
		require.Equal(t, before, sequence)
		require.Equal(t, breaks, discontinuities)
	})
}

// What rested when the stream ended is not made for the end, and is not listed then: it has no
// segments.
func TestOnDemandAtTheEnd(t *testing.T) {
	for name, shed := range map[string]int{"resting": 0, "one of them shed": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigFor(t, Options{OnDemand: true, Renditions: []ffmpeg.Rendition{p360, p144}}, plenty)
				r.publish(10 * time.Second)
				r.setShed(shed)
				synctest.Wait()
				r.add(3e6)
				r.show.end()
				r.buf.End()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				require.Empty(t, r.tr.Renditions())
				master, err := r.buf.MasterPlaylist(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(master.Raw), "#EXT-X-STREAM-INF"), string(master.Raw))
			})
		})
	}
}

// A rendition that rested leaves with the ladder that it was of.
func TestOnDemandWithAnotherLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{OnDemand: true, Renditions: []ffmpeg.Rendition{p360, p144}}, plenty)
		r.publish(10 * time.Second)
		require.True(t, r.buf.Listed("P360p30fps16x9"))
		r.info = &stream.RenditionInfo{Codecs: full.Codecs, Width: 320, Height: 180, FrameRate: 30}
		r.publish(10 * time.Second)
		require.False(t, r.buf.Listed("P360p30fps16x9"), "it would be larger than the source")
		require.True(t, r.buf.Listed("P144p30fps16x9"))
	})
}

// Players read the master playlist once, so the first who ask wait for the renditions.
func TestFirstMasterPlaylistHasTheLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Renditions: []ffmpeg.Rendition{p720, p360, p144}}, 60e6)
		listed := make(chan string, 1)
		go func() {
			r.awaitLadder(t.Context())
			master, err := r.buf.MasterPlaylist(t.Context(), "a")
			if err != nil {
				listed <- err.Error()
				return
			}
			listed <- string(master.Raw)
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Empty(t, listed, "there is no segment yet")
		r.publish(4 * time.Second)
		require.Equal(t, 4, strings.Count(<-listed, "#EXT-X-STREAM-INF"))
		begun := time.Now()
		r.awaitLadder(t.Context())
		require.Equal(t, begun, time.Now(), "all are there")
	})
}

// A rendition that cannot be made holds nobody up for long.
func TestFirstMasterPlaylistDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigFor(t, Options{Renditions: []ffmpeg.Rendition{p720}}, 1)
		r.add(3e6)
		begun := time.Now()
		r.awaitLadder(t.Context())
		require.Equal(t, ladderWait, time.Since(begun))
		for range youngSegments {
			r.add(3e6)
		}
		begun = time.Now()
		r.awaitLadder(t.Context())
		require.Zero(t, time.Since(begun))
	})
}
