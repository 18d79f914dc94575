package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/transcoder"
)

// stuck is work that takes as long as it may; begun is told when it begins, ended with what ended it.
type stuck struct {
	begun chan struct{}
	ended chan error
}

func newStuck() *stuck { return &stuck{make(chan struct{}, 100), make(chan error, 100)} }

func (s *stuck) work(ctx context.Context, _ cluster.Segment, _ func(int, ffmpeg.Output)) error {
	s.begun <- struct{}{}
	<-ctx.Done()
	s.ended <- context.Cause(ctx)
	return context.Cause(ctx)
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain", what)
		panic("unreachable")
	}
}

// first lets a worker have the first job, and starts another one then.
func first(t *testing.T, o *cluster.Origin, s transcoder.Session, begun <-chan struct{}, then func()) *made {
	awaitWorkers(t, o, 1)
	result := make(chan *made, 1)
	go func() { result <- transcode(t, s, segment(1, 1000)) }()
	receive(t, "the first worker", begun)
	then()
	return receive(t, "the result", result)
}

func requireMade(t *testing.T, m *made, who string) {
	t.Helper()
	require.NoError(t, m.err)
	require.Len(t, m.outs, 2)
	for i, outs := range m.outs {
		require.Len(t, outs, 1, "rendition %d", i)
		require.True(t, strings.HasSuffix(outs[0], " by "+who), outs[0])
	}
}

// A worker that is cut off, or whose machine stands still, is replaced.
func TestWorkerLost(t *testing.T) {
	for name, lose := range map[string]func(*proxy){"dead": (*proxy).cut, "hanging": (*proxy).hang} {
		t.Run(name, func(t *testing.T) {
			addr := freeAddr(t)
			startOrchestrator(t, addr)
			p := newProxy(t, addr)
			bad := newStuck()
			startWorker(t, p.addr(), cluster.WorkerOptions{Name: "bad", Work: bad.work})
			o, _ := startOrigin(t, addr, cluster.OriginOptions{})
			m := first(t, o, open(t, o, "x", "a", "b"), bad.begun, func() {
				startWorker(t, addr, cluster.WorkerOptions{Name: "good", Work: fakeWork("good", nil)})
				lose(p)
			})
			requireMade(t, m, "good")
			t.Logf("%v", m.took)
		})
	}
}

// A worker that is slow is helped, and told that nobody waits for it any more.
func TestSlowWorker(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	slow := newStuck()
	startWorker(t, addr, cluster.WorkerOptions{Work: slow.work})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	m := first(t, o, open(t, o, "x", "a", "b"), slow.begun, func() {
		startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("quick", nil)})
	})
	requireMade(t, m, "quick")
	require.ErrorContains(t, receive(t, "the end of the slow one", slow.ended), "nobody waits")
}

// What a worker cannot do, another one may.
func TestFailingWorker(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	begun := make(chan struct{}, 10)
	startWorker(t, addr, cluster.WorkerOptions{Work: func(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
		for i, r := range in.Renditions {
			out := outputOf(in, i, "half")
			if r.Profile.Name == "b" {
				out = ffmpeg.Output{Err: errors.New("out of memory")}
			}
			done(i, out)
		}
		begun <- struct{}{}
		return nil
	}})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	m := transcode(t, s, segment(1, 1000))
	require.ErrorContains(t, m.err, "out of memory", "nobody else is there")
	require.Len(t, m.outs, 1, "the other rendition is fine")
	<-begun
	panicked := atomic.Int64{}
	_, w := startWorker(t, addr, cluster.WorkerOptions{Work: counted(&panicked, func(context.Context, cluster.Segment, func(int, ffmpeg.Output)) error {
		panic("a bug")
	})})
	awaitWorkers(t, o, 2)
	require.NoError(t, transcode(t, open(t, o, "y", "a"), segment(1, 1000)).err)
	until(t, "a panic", func() bool { _ = transcode(t, s, segment(2, 1000)); return panicked.Load() > 0 })
	require.NoError(t, w.stop(), "the worker goes on after a panic")
}

// A job that fails on every worker is given up after some tries.
func TestHopelessJob(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	var tries atomic.Int64
	for range 3 {
		startWorker(t, addr, cluster.WorkerOptions{Work: counted(&tries, func(context.Context, cluster.Segment, func(int, ffmpeg.Output)) error {
			return ffmpeg.ErrTranscoderVid
		})})
	}
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 3)
	m := transcode(t, open(t, o, "x", "a"), segment(1, 1000))
	require.ErrorContains(t, m.err, ffmpeg.ErrTranscoderVid.Error())
	require.EqualValues(t, 2, tries.Load(), "the second one confirms that it is the segment's fault")
}

// The results of a worker that sends garbage are refused, and it gets no more jobs for some time.
func TestGarbage(t *testing.T) {
	for name, garbage := range map[string]func(cluster.Segment, func(int, ffmpeg.Output)){
		"bytes":           func(in cluster.Segment, done func(int, ffmpeg.Output)) { done(0, ffmpeg.Output{Data: []byte("?")}) },
		"another segment": func(in cluster.Segment, done func(int, ffmpeg.Output)) { in.Seq++; done(0, outputOf(in, 0, "bad")) },
	} {
		t.Run(name, func(t *testing.T) {
			addr := freeAddr(t)
			startOrchestrator(t, addr)
			begun := make(chan struct{}, 10)
			var jobs atomic.Int64
			_, _ = startWorker(t, addr, cluster.WorkerOptions{Name: "bad", Work: counted(&jobs, func(_ context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
				begun <- struct{}{}
				garbage(in, done)
				return nil
			})})
			o, _ := startOrigin(t, addr, cluster.OriginOptions{})
			s := open(t, o, "x", "a", "b")
			m := first(t, o, s, begun, func() {
				startWorker(t, addr, cluster.WorkerOptions{Name: "good", Work: fakeWork("good", nil)})
			})
			requireMade(t, m, "good")
			until(t, "the bench", func() bool {
				w := o.Workers()
				return w[0].Name == "bad" && w[0].State == status.WorkerBenched && w[0].Refused == 1 && w[0].Reason != ""
			})
			for seq := range uint64(5) {
				requireMade(t, transcode(t, s, segment(seq+2, 1000)), "good")
			}
			require.EqualValues(t, 1, jobs.Load())
		})
	}
}

// The orchestrator may go away and come back: what it has forgotten is sent again.
func TestOrchestratorRestarts(t *testing.T) {
	addr := freeAddr(t)
	orch := startOrchestrator(t, addr)
	work := make(chan struct{})
	begun := make(chan struct{}, 100)
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", func(ctx context.Context, in cluster.Segment) error {
		begun <- struct{}{}
		select {
		case <-work:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	results := make(chan *made, 2)
	go func() { results <- transcode(t, s, segment(1, 1000)) }()
	receive(t, "the worker", begun)
	go func() { results <- transcode(t, s, segment(2, 1000)) }() // waits in the queue
	require.NoError(t, orch.stop())
	require.False(t, o.Engines()[0].Connected && len(o.Workers()) == 0)
	startOrchestrator(t, addr)
	close(work)
	for range 2 {
		requireMade(t, receive(t, "a result", results), "w")
	}
}

// Without a worker there is nobody, which is known at once when it has been so for some time; and
// with the first that comes all is well again.
func TestNoWorkers(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	s := open(t, o, "x", "a", "b")
	require.ErrorIs(t, transcode(t, s, segment(1, 1000)).err, transcoder.ErrUnavailable)
	_, w := startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", nil)})
	awaitWorkers(t, o, 1)
	requireMade(t, transcode(t, s, segment(2, 1000)), "w")
	require.NoError(t, w.stop())
	until(t, "the end of the worker", func() bool { return len(o.Workers()) == 0 })
	// One that comes back soon gets what waited for it.
	result := make(chan *made, 1)
	go func() { result <- transcode(t, s, segment(3, 1000)) }()
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("v", nil)})
	requireMade(t, receive(t, "the result", result), "v")
}

// here is an engine of this process.
type here struct {
	mu     sync.Mutex
	opened int
	closed int
	fail   error
}

func (h *here) Turn(context.Context) (func(), error) { return func() {}, nil }

func (h *here) Open(string, []ffmpeg.Rendition) (transcoder.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	return h, nil
}

func (h *here) Transcode(_ context.Context, in transcoder.Input, done func(int, ffmpeg.Output)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return h.fail
	}
	for i, name := range []string{"a", "b"} {
		done(i, ffmpeg.Output{Data: fmt.Appendf(nil, "%s %d by here", name, in.Segment.Seq)})
	}
	return nil
}

func (h *here) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed++
}

func TestLocalFallback(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	p := newProxy(t, addr)
	h := &here{}
	o := newOrigin(t, p.addr(), cluster.OriginOptions{LocalFallback: true})
	o.Attach(h, nil)
	run(t, o.Run)
	s, err := o.Engine(false).Open("x", ladderOf("a", "b"))
	require.NoError(t, err)
	requireMade(t, transcode(t, s, segment(1, 1000)), "here")
	bad := newStuck()
	startWorker(t, addr, cluster.WorkerOptions{Work: bad.work})
	awaitWorkers(t, o, 1)
	requireMade(t, transcode(t, s, segment(2, 1000)), "here") // it is slow, and the only one
	receive(t, "the end of the slow one", bad.ended)
	p.cut() // neither worker nor queue
	requireMade(t, transcode(t, s, segment(3, 1000)), "here")
	p.heal()
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", nil)})
	until(t, "the workers", func() bool {
		m := transcode(t, s, segment(4, 1000))
		return m.err == nil && m.outs[0][0] == "a 4 by w"
	})
	h.mu.Lock()
	h.fail = errors.New("no room")
	h.mu.Unlock()
	s.Close()
	require.Equal(t, 1, h.opened)
	require.Equal(t, 1, h.closed)
}

// A worker that leaves finishes what it has, and takes nothing more.
func TestLeave(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	_, w := startWorker(t, addr, cluster.WorkerOptions{Capacity: 2, LeaveTime: patience, Work: fakeWork("old", func(context.Context, cluster.Segment) error {
		begun <- struct{}{}
		<-finish
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	s := open(t, o, "x", "a", "b")
	m := first(t, o, s, begun, func() {
		w.kill()
		until(t, "the word of the worker", func() bool { return o.Workers()[0].State == status.WorkerLeaving })
		startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("new", nil)})
		awaitWorkers(t, o, 2)
		requireMade(t, transcode(t, s, segment(2, 1000)), "new")
		close(finish)
	})
	requireMade(t, m, "old")
	require.NoError(t, w.stop())
	awaitWorkers(t, o, 1)
}

// What an origin that has gone left in the queue is not worked on.
func TestOriginGone(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	// A worker that is there, so that there is a job, and takes none.
	_, idle := startWorker(t, addr, cluster.WorkerOptions{Capacity: 1, Work: newStuck().work})
	o, origin := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	ctx, cancel := context.WithCancel(t.Context())
	s := open(t, o, "x", "a", "b")
	over := make(chan error, 2)
	for seq := range uint64(2) { // one in work, one in the queue
		go func() {
			over <- s.Transcode(ctx, transcoder.Input{Segment: segment(seq, 1000)}, func(int, ffmpeg.Output) {})
		}()
	}
	awaitQueue(t, addr, 2)
	require.NoError(t, origin.stop())
	require.NoError(t, idle.stop())
	bad := newStuck()
	startWorker(t, addr, cluster.WorkerOptions{Work: bad.work})
	receive(t, "a worker", bad.begun)
	require.ErrorContains(t, receive(t, "its end", bad.ended), "the origin is away")
	cancel()
	for range 2 {
		require.Error(t, receive(t, "the end", over))
	}
}
