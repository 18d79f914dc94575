package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// Live segments go in front of pushed ones, as soon as there is room.
func TestLiveBeforePushed(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	var mu sync.Mutex
	var order []string
	step := make(chan struct{})
	begun := make(chan struct{}, 10)
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", func(_ context.Context, in cluster.Segment) error {
		mu.Lock()
		order = append(order, in.Stream)
		mu.Unlock()
		begun <- struct{}{}
		<-step
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	pushed, err := o.Engine(true).Open("pushed", ladderOf("a"))
	require.NoError(t, err)
	defer pushed.Close()
	live := open(t, o, "live", "a")
	var wg sync.WaitGroup
	put := func(s transcoder.Session, seq uint64) {
		wg.Go(func() {
			if m := transcode(t, s, segment(seq, 1000)); m.err != nil {
				t.Error(m.err)
			}
		})
	}
	put(pushed, 1)
	receive(t, "the first job", begun)
	for seq := range uint64(3) {
		put(pushed, seq+2)
	}
	awaitQueue(t, addr, 4) // the one in work is still kept
	put(live, 1)
	put(live, 2)
	awaitQueue(t, addr, 6)
	close(step)
	wg.Wait()
	require.Equal(t, []string{"pushed", "live", "live", "pushed", "pushed", "pushed"}, order)
}

// Jobs go to workers that can do them.
func TestNeeds(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	startWorker(t, addr, cluster.WorkerOptions{Name: "1", Work: fakeWork("plain", nil)})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	hevc := ladderOf("a", "b")
	hevc[1].Profile.Encoder = ffmpeg.H265
	s, err := o.Engine(false).Open("x", hevc)
	require.NoError(t, err)
	defer s.Close()
	require.ErrorIs(t, transcode(t, s, segment(1, 1000)).err, transcoder.ErrUnavailable, "nobody has HEVC")
	startWorker(t, addr, cluster.WorkerOptions{Name: "2", Encoders: []string{"h264", "hevc"}, Work: fakeWork("both", nil)})
	awaitWorkers(t, o, 2)
	for seq := range uint64(5) {
		requireMade(t, transcode(t, s, segment(seq, 1000)), "both")
	}
	gpu, _ := startOrigin(t, addr, cluster.OriginOptions{Accel: ffmpeg.Nvidia})
	awaitWorkers(t, gpu, 2)
	require.ErrorIs(t, transcode(t, open(t, gpu, "y", "a"), segment(1, 1000)).err, transcoder.ErrUnavailable, "nobody has the device")
	startWorker(t, addr, cluster.WorkerOptions{Name: "3", Accel: ffmpeg.Nvidia, Work: fakeWork("gpu", nil)})
	awaitWorkers(t, gpu, 3)
	requireMade(t, transcode(t, open(t, gpu, "z", "a", "b"), segment(1, 1000)), "gpu")
}

// A worker has as many jobs as it has room for, and the throughput of all is theirs together.
func TestCapacity(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	var running, most atomic.Int64
	startWorker(t, addr, cluster.WorkerOptions{Capacity: 3, Work: fakeWork("w", func(context.Context, cluster.Segment) error {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		time.Sleep(20 * time.Millisecond) // the work
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			s, err := o.Engine(n%2 == 0).Open(fmt.Sprintf("s%d", n), ladderOf("a", "b"))
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for seq := range uint64(5) {
				if m := transcode(t, s, segment(seq, 1000)); m.err != nil || len(m.outs) != 2 {
					t.Error(m.err, m.outs)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 3, most.Load())
}

// Workers come and go, stand still, fail and send garbage: each rendition of each segment comes
// exactly once, and is right.
func TestChaos(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	r := rand.New(rand.NewPCG(1, 2))
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	ctx, stop := context.WithCancel(t.Context())
	var nets sync.WaitGroup
	for n := range 4 {
		p := newProxy(t, addr)
		name := fmt.Sprintf("w%d", n)
		seed := r.Uint64()
		startWorker(t, p.addr(), cluster.WorkerOptions{Name: name, Capacity: 2, Work: func(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
			r := rand.New(rand.NewPCG(seed, in.Seq))
			for i := range in.Renditions {
				select {
				case <-time.After(time.Duration(r.IntN(40)) * time.Millisecond):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				if r.IntN(60) == 0 {
					return fmt.Errorf("no luck")
				}
				done(i, outputOf(in, i, name))
			}
			return nil
		}})
		nets.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for ctx.Err() == nil {
				select {
				case <-time.After(time.Duration(300+r.IntN(1500)) * time.Millisecond):
				case <-ctx.Done():
				}
				if r.IntN(2) == 0 {
					p.cut()
				} else {
					p.hang()
				}
				select {
				case <-time.After(time.Duration(r.IntN(700)) * time.Millisecond):
				case <-ctx.Done():
				}
				p.heal()
			}
		})
	}
	awaitWorkers(t, o, 4)
	var streams sync.WaitGroup
	for n := range 6 {
		s, err := o.Engine(false).Open(fmt.Sprintf("s%d", n), ladderOf("a", "b", "c"))
		require.NoError(t, err)
		streams.Go(func() {
			defer s.Close()
			for seq := range uint64(40) {
				m := transcode(t, s, segment(seq, 20000))
				if m.err != nil || len(m.outs) != 3 || slices.ContainsFunc([]int{0, 1, 2}, func(i int) bool { return len(m.outs[i]) != 1 }) {
					t.Error(n, seq, m.err, m.outs, m.took)
				}
			}
		})
	}
	streams.Wait()
	stop()
	nets.Wait()
}

// Each segment is made once, also when its results come while others are looked at.
func TestMadeOnce(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	var calls atomic.Int64
	startWorker(t, addr, cluster.WorkerOptions{Capacity: 2, Work: counted(&calls, func(_ context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
		for i := range in.Renditions {
			done(i, outputOf(in, i, "w"))
			time.Sleep(3 * time.Millisecond) // the next one takes longer
		}
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{Check: func(out *ffmpeg.Output, spec *ffmpeg.Rendition, seg *stream.Segment) error {
		time.Sleep(10 * time.Millisecond) // a thorough look
		return checkText(out, spec, seg)
	}})
	awaitWorkers(t, o, 1)
	for _, name := range []string{"x", "a..b", "a."} {
		s := open(t, o, name, "a", "b", "c")
		for seq := range uint64(5) {
			require.NoError(t, transcode(t, s, segment(seq, 1000)).err)
		}
	}
	require.EqualValues(t, 15, calls.Load())
}

// A worker that may not have a segment leaves it to one that has no room yet.
func TestExcludedWorkerWaits(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	busy, free := make(chan struct{}, 1), make(chan struct{})
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("b", func(_ context.Context, in cluster.Segment) error {
		if in.Stream == "long" {
			busy <- struct{}{}
			<-free
		}
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	long := make(chan *made, 1)
	ls := open(t, o, "long", "a", "b")
	go func() { long <- transcode(t, ls, segment(1, 1000)) }()
	receive(t, "b is busy", busy)
	failed := make(chan struct{}, 10)
	startWorker(t, addr, cluster.WorkerOptions{Work: func(context.Context, cluster.Segment, func(int, ffmpeg.Output)) error {
		failed <- struct{}{}
		return fmt.Errorf("no memory")
	}})
	awaitWorkers(t, o, 2)
	result := make(chan *made, 1)
	s := open(t, o, "x", "a", "b")
	go func() { result <- transcode(t, s, segment(1, 1000)) }()
	receive(t, "the failure", failed)
	time.AfterFunc(1500*time.Millisecond, func() { close(free) }) // more than some deliveries later
	requireMade(t, receive(t, "the result", result), "b")
	require.NoError(t, receive(t, "the long one", long).err)
}
