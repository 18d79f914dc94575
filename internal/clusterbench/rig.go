package clusterbench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/transcoder"
)

// startTime is how long all may take until they know each other.
const startTime = 30 * time.Second

// rig is a cluster inside this process.
type rig struct {
	opts    *Options
	media   *media
	origins []*cluster.Origin
	calls   atomic.Int64 // of the work

	ctx    context.Context // ends with the caller's, and when a part fails
	cancel context.CancelCauseFunc
	parts  []*part // in the order in which they were started
}

// part is something that runs until it is stopped. It outlives the context of the rig, so that
// workers can say goodbye to an orchestrator that is still there.
type part struct {
	stop func()
	wg   sync.WaitGroup
}

// newRig starts an orchestrator, workers and origins, and returns when they know each other. o is filled.
func newRig(ctx context.Context, o *Options) (*rig, error) {
	r := &rig{opts: o, media: newMedia(o)}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if err := r.start(); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *rig) start() error {
	secret := rand.Text()
	queue, err := orchestrator.New(orchestrator.Options{Addr: "127.0.0.1:0", Secret: secret, Warnf: r.opts.Warnf})
	if err != nil {
		return err
	}
	r.run(queue.Run)
	select {
	case <-queue.Ready():
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	addr := queue.Addr()
	if addr == nil {
		return errors.New("clusterbench: the orchestrator has stopped")
	}
	at := cluster.Server{Addrs: []string{addr.String()}, Secret: secret}
	var workers, origins []func(context.Context) error
	for i := range r.opts.Workers {
		w := cluster.NewWorker(cluster.WorkerOptions{
			Server: at, Name: fmt.Sprint("worker", i), Capacity: r.opts.Slots, Encoders: []string{"h264"}, Work: r.work, Warnf: r.opts.Warnf,
		})
		workers = append(workers, w.Run)
	}
	for range r.opts.Origins {
		o := cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{at}, Check: r.media.check, Warnf: r.opts.Warnf})
		r.origins = append(r.origins, o)
		origins = append(origins, o.Run)
	}
	r.run(workers...)
	r.run(origins...)
	return r.await()
}

func (r *rig) work(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
	r.calls.Add(1)
	return r.media.work(ctx, in, done)
}

// run starts a part of the rig. What fails ends all.
func (r *rig) run(fs ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(r.ctx))
	p := &part{stop: stop}
	for _, f := range fs {
		p.wg.Go(func() {
			if err := f(ctx); err != nil {
				r.cancel(err)
			}
		})
	}
	r.parts = append(r.parts, p)
}

// await returns when all origins know all workers.
func (r *rig) await() error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(startTime)
	defer late.Stop()
	for _, o := range r.origins {
		for len(o.Workers()) < r.opts.Workers || !o.Engines()[0].Connected {
			select {
			case <-look.C:
			case <-late.C:
				return fmt.Errorf("clusterbench: only %d of %d workers are there after %v", len(o.Workers()), r.opts.Workers, startTime)
			case <-r.ctx.Done():
				return context.Cause(r.ctx)
			}
		}
	}
	return nil
}

// stop ends the parts, the last one first, and waits for them.
func (r *rig) stop() {
	for i := len(r.parts) - 1; i >= 0; i-- {
		r.parts[i].stop()
		r.parts[i].wg.Wait()
	}
	r.cancel(nil)
}

// open begins a session of a stream, at the origin whose turn it is.
func (r *rig) open(i int) (transcoder.Session, error) {
	return r.origins[i%len(r.origins)].Engine(false).Open(fmt.Sprint("stream", i), r.media.ladder())
}

// leastDeadline and deadlineSegments are how much time a segment has: as in a live stream.
const (
	leastDeadline    = 12 * time.Second
	deadlineSegments = 6
)

// job has one segment made. took is from handing it to the engine to the last of its renditions.
func (r *rig) job(s transcoder.Session, of, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, max(leastDeadline, deadlineSegments*r.opts.Segment))
	defer cancel()
	var got atomic.Int64
	began := time.Now()
	err = s.Transcode(ctx, transcoder.Input{Segment: r.media.segment(of, n)}, func(int, ffmpeg.Output) { got.Add(1) })
	took = time.Since(began)
	if err == nil && got.Load() != int64(r.opts.Renditions) {
		err = fmt.Errorf("%w: %d renditions of %d", errMedia, got.Load(), r.opts.Renditions)
	}
	return took, err
}
