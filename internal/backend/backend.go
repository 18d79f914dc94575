package backend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/admin"
	"github.com/livepeer/lpms/internal/machine"
	"github.com/livepeer/lpms/internal/push"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/testsignal"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// ErrTooMany is a publisher for whom there is no room.
var ErrTooMany = errors.New("backend: as many streams are live as this server takes (-maxSessions)")

// maxEnded is how many streams that ended not long ago are remembered, about.
const maxEnded = 500

// Backend is a Streaming Back-End.
type Backend struct {
	opts    Options
	started time.Time
	server  *lpms.LPMS
	local   transcoder.Engine // of this process
	pushed  *push.Handler     // or nil
	webhook http.Client
	asked   questions // about those who push
	meter   machine.Meter
	thumbs  thumbnails

	ladder     atomic.Pointer[ladderOptions]
	maxStreams atomic.Int64
	running    sync.WaitGroup // of shows
	testToken  string         // in the path of a test signal

	mu       sync.Mutex      // taken before that of a show
	ctx      context.Context // of Run; shows live as long as it
	shows    map[string]*show
	admitted []admission // RTMP publishers between the callbacks of the server, oldest first
	// Beyond the media sequences and discontinuity sequences of all shows that are forgotten.
	numbers, breaks uint64

	generations int // of shows: each has presentations of its own

	overload struct {
		sync.Mutex
		*controller
	}
}

// ladderOptions is what of Options can be changed while it runs.
type ladderOptions struct {
	auto       bool
	renditions []ffmpeg.Rendition
}

// New makes a back-end; it opens nothing before Run.
func New(o Options) (*Backend, error) {
	o.setDefaults()
	b := &Backend{
		opts: o, started: time.Now(), shows: make(map[string]*show),
		testToken: rand.Text(),
	}
	b.ladder.Store(&ladderOptions{o.Auto, o.Renditions})
	b.maxStreams.Store(int64(o.MaxStreams))
	b.webhook.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.overload.controller = newController()
	local := o.Local
	local.Thumbnail = b.thumbs.put
	b.local = transcoder.NewLocal(local)
	if o.Workers != nil {
		o.Workers.Attach(b.local, b.thumbs.put)
	}
	if o.HTTPIngest {
		b.pushed = push.New(push.Options{Open: b.openPush, Authorize: b.authorizePush, MaxStreams: admin.MaxMaxSessions, OnError: b.pushFailed})
	}
	server, err := lpms.New(lpms.Options{
		RTMPAddr: o.RTMPAddr, HTTPAddr: o.HTTPAddr,
		RTMPListener: o.RTMPListener, HTTPListener: o.HTTPListener,
		SegmentDuration: o.SegmentDuration, ReconnectWait: o.ReconnectWait, EndedRetention: endedRetention,
		Realtime: o.Realtime,
		WrapHTTP: b.wrapHTTP,
	})
	if err != nil {
		return nil, err
	}
	b.server = server
	err = errors.Join(
		server.HandleRTMPPublish(b.admit, b.publish, b.ended),
		server.HandleRTMPPlay(b.play),
		server.HandleHLSPlay(b.watch),
	)
	return b, err
}

// Ready is closed when the ports are open.
func (b *Backend) Ready() <-chan struct{} { return b.server.Ready() }

// RTMPAddr is the address of RTMP; nil before Ready and when it is off.
func (b *Backend) RTMPAddr() net.Addr { return b.server.RTMPAddr() }

// HTTPAddr is the address of HLS and the pages; nil before Ready and when it is off.
func (b *Backend) HTTPAddr() net.Addr { return b.server.HTTPAddr() }

// Run serves until ctx ends, and returns nil then, or why it could not. It can be called
// once.
func (b *Backend) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	b.ctx = inner
	b.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { b.watchLoad(inner) })
	for _, name := range b.opts.TestSignals {
		wg.Go(func() { b.testSignal(inner, name) })
	}
	if b.pushed != nil {
		wg.Go(func() {
			<-inner.Done()
			b.pushed.Close() // while the server still lets it answer
		})
	}
	err := b.server.Start(inner)
	cancel()
	wg.Wait()
	b.running.Wait()
	return err
}

// watchLoad decides once a second what the machine has room for.
func (b *Backend) watchLoad(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.balance(now)
		}
	}
}

func (b *Backend) balance(now time.Time) {
	busy := b.meter.Measure(now) / float64(machine.Cores())
	full := true // segments that are late are so for want of room
	if w := b.opts.Workers; w != nil {
		busy = max(busy, w.Busy()) // what they cannot do may be done here
		full = busy > 0.9
	}
	shows := b.all()
	loads := make([]load, len(shows))
	for i, s := range shows {
		loads[i] = s.load(now)
	}
	b.overload.Lock()
	b.overload.step(now, busy, full, loads)
	shed := make([]int, len(shows))
	for i, s := range shows {
		shed[i] = b.overload.shed[s.name]
	}
	b.overload.Unlock()
	for i, s := range shows {
		s.setShed(shed[i])
	}
	b.thumbs.refresh(shows, now)
}

// all lists the shows by name.
func (b *Backend) all() []*show {
	b.mu.Lock()
	defer b.mu.Unlock()
	shows := make([]*show, 0, len(b.shows))
	for _, s := range b.shows {
		shows = append(shows, s)
	}
	slices.SortFunc(shows, func(x, y *show) int { return strings.Compare(x.name, y.name) })
	return shows
}

// find returns a show, or nil.
func (b *Backend) find(name string) *show {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shows[name]
}

// open returns the show of a name for a publisher that begins: that of the last publisher,
// if it came in the same way, or a new one. The caller holds mu.
func (b *Backend) open(name string, ingest status.Ingest, newBuffer func(generation int) *stream.HLSBuffer) (*show, error) {
	old := b.shows[name]
	live := int64(0)
	for _, s := range b.shows {
		if s.isLive() {
			live++
		}
	}
	switch {
	case b.ctx == nil || b.ctx.Err() != nil:
		return nil, errors.New("backend: the server is not running")
	case old != nil && old.isLive():
		return nil, fmt.Errorf("%w: choose another name, or stop the other publisher", lpms.ErrLive)
	case live >= b.maxStreams.Load():
		return nil, ErrTooMany
	}
	if old != nil && old.ingest == ingest {
		newBuffer(old.generation) // the server shows the old presentation there
		return old, nil
	}
	if old != nil {
		old.cancel()
	} else if int64(len(b.shows)) >= 2*b.maxStreams.Load()+maxEnded {
		b.forgetOldest()
	}
	b.generations++
	s := &show{
		name: name, ingest: ingest, generation: b.generations, opts: &b.opts, ladder: b.ladder.Load,
		buf: newBuffer(b.generations),
	}
	s.buf.BeginAt(b.numbersAfter(old))
	to := transcoder.Options{Stream: name, Engine: b.local, OnEvent: s.event, Attempts: max(b.opts.Attempts, 1)}
	if w := b.opts.Workers; w != nil {
		to.Engine, to.Parallel = w.Engine(ingest == status.Push), w.Parallel()
		to.Attempts = 1 // they try again themselves
	}
	tr, err := transcoder.New(s.buf, to)
	if err != nil {
		return nil, err
	}
	s.tr = tr
	ctx, cancel := context.WithCancel(b.ctx)
	s.cancel = cancel
	b.shows[name] = s
	b.running.Go(func() {
		defer cancel()
		s.run(ctx, b.retire)
	})
	return s, nil
}

// numbersAfter says where the presentation of a show begins that comes in place of old, which
// may be nil. Media may come faster than life, so the clock alone could lead back. The caller
// holds mu.
func (b *Backend) numbersAfter(old *show) (sequence, discontinuities uint64) {
	if old != nil {
		sequence, discontinuities = old.buf.Next()
	}
	return max(sequence, b.numbers), max(discontinuities, b.breaks)
}

// forget forgets a show. The caller holds mu.
func (b *Backend) forget(s *show) {
	b.numbers, b.breaks = b.numbersAfter(s)
	delete(b.shows, s.name)
}

// forgetOldest forgets the show that ended first. The caller holds mu.
func (b *Backend) forgetOldest() {
	var oldest *show
	for _, s := range b.shows {
		if !s.isLive() && s.buf.Ended() && (oldest == nil || s.buf.EndedAt().Before(oldest.buf.EndedAt())) {
			oldest = s
		}
	}
	if oldest != nil {
		oldest.cancel()
		b.forget(oldest)
	}
}

// retire forgets a show that has ended some time ago, and reports whether it did.
func (b *Backend) retire(s *show) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.isLive() || !s.buf.Ended() && s.buf.Started() || time.Since(s.buf.EndedAt()) < endedRetention {
		return false
	}
	if b.shows[s.name] == s {
		b.forget(s)
	}
	return true
}

// streamName is the last element of a path without the query: the application does not
// matter.
func streamName(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// admit names the stream of a publisher, or refuses it.
func (b *Backend) admit(path string) (string, error) {
	b.mu.Lock()
	ctx := b.ctx
	b.mu.Unlock()
	if ctx == nil {
		return "", errors.New("backend: the server is not running")
	}
	if b.isOwn(path) {
		return streamName(path), nil
	}
	a, err := b.authorize(ctx, "rtmp://"+addrString(b.server.RTMPAddr()), path)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(a, time.Now())
	return a.name, nil
}

// keep remembers an admission until the streams are made. The newest counts: one that was
// refused afterwards leaves its own behind. The caller holds mu.
func (b *Backend) keep(a admission, now time.Time) {
	a.at = now
	b.admitted = slices.DeleteFunc(b.admitted, func(old admission) bool { return old.path == a.path && old.name == a.name })
	b.admitted = append(b.admitted, a)
	for len(b.admitted) > maxAdmitted || now.Sub(b.admitted[0].at) > admissionTime {
		b.admitted = slices.Delete(b.admitted, 0, 1)
	}
}

// admission takes out what was decided about a publisher. The caller holds mu.
func (b *Backend) admission(path string) (a admission, ok bool) {
	i := slices.IndexFunc(b.admitted, func(a admission) bool { return a.path == path })
	if i < 0 || time.Since(b.admitted[i].at) > admissionTime {
		return a, false
	}
	a = b.admitted[i]
	b.admitted = slices.Delete(b.admitted, i, i+1)
	return a, true
}

// isOwn reports whether it is the back-end itself that publishes.
func (b *Backend) isOwn(path string) bool { return strings.HasSuffix(path, "?"+b.testToken) }

// publish makes the streams of a publisher who was admitted.
func (b *Backend) publish(path string) (stream.Stream, stream.Stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, admitted := b.admission(path)
	ingest := status.RTMP
	switch {
	case b.isOwn(path):
		a.name, ingest = streamName(path), status.Test
	case !admitted:
		return nil, nil, errors.New("backend: the publisher waited for too long")
	}
	rtmp := stream.NewVideoStream(a.name, stream.RTMP)
	var hls *stream.VideoStream
	s, err := b.open(a.name, ingest, func(generation int) *stream.HLSBuffer {
		hls = stream.NewVideoStream(fmt.Sprintf("%s/%d", a.name, generation), stream.HLS)
		return hls.HLS()
	})
	if err != nil {
		return nil, nil, err
	}
	s.begin(rtmp, a, time.Now())
	return rtmp, hls, nil
}

// ended is told that a publisher has gone.
func (b *Backend) ended(name, _ string) {
	if s := b.find(name); s != nil {
		s.end()
	}
}

// play gives the source to an RTMP player.
func (b *Backend) play(ctx context.Context, path string, dst av.MuxCloser) error {
	s := b.find(streamName(path))
	if s == nil {
		return stream.ErrNotFound
	}
	src, key := s.publisher()
	if src == nil || key != "" && !sameKey(keyOf(path), key) {
		return stream.ErrNotFound
	}
	s.rtmpViewers.Add(1)
	defer s.rtmpViewers.Add(-1)
	return src.ReadRTMPFromStream(ctx, dst)
}

// watch gives a presentation to HLS viewers.
func (b *Backend) watch(path string) (*stream.HLSBuffer, error) {
	path, _, _ = strings.Cut(path, "?")
	name, ok := strings.CutPrefix(path, streamPrefix)
	name, isPlaylist := strings.CutSuffix(name, ".m3u8")
	if !ok || !isPlaylist {
		return nil, stream.ErrNotFound
	}
	s := b.find(name)
	if s == nil {
		return nil, stream.ErrNotFound
	}
	return s.buf, nil
}

// testSignal publishes a test signal until ctx ends.
func (b *Backend) testSignal(ctx context.Context, name string) {
	src, err := testsignal.New(testsignal.Options{Name: name})
	if err == nil {
		err = b.Publish(ctx, name, src)
	}
	if err != nil && ctx.Err() == nil {
		b.opts.Warnf("test signal %s: %v", name, err)
	}
}

// event is told what the transcoder does.
func (s *show) event(e transcoder.Event) {
	m := s.opts.Metrics
	switch e.Kind {
	case transcoder.Done:
		m.Done()
		m.ObserveTranscode(e.Lag)
	case transcoder.Failed:
		m.Failed()
	case transcoder.Skipped:
		m.Skipped()
	case transcoder.Retried:
		m.Retried()
	}
	switch e.Kind {
	case transcoder.Failed:
		if errors.Is(e.Err, transcoder.ErrUnavailable) {
			return // said once, by Ended
		}
		fallthrough
	case transcoder.Retried, transcoder.Ended, transcoder.Returned:
		s.opts.Warnf("stream %s: %v", s.name, e)
	}
}

// Publish publishes src under a name until it ends; see lpms.LPMS.Publish.
func (b *Backend) Publish(ctx context.Context, name string, src av.DemuxCloser) error {
	select {
	case <-b.server.Ready():
		return b.server.Publish(ctx, "/"+name+"?"+b.testToken, src)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
