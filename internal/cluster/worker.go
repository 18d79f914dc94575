package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
)

// Work is what a worker does: it makes the renditions of a segment, as Transcode does.
type Work func(ctx context.Context, in Segment, done func(rendition int, out ffmpeg.Output)) error

// Segment is what a worker is given.
type Segment struct {
	Stream string
	Seq    uint64
	// Data, Before and Break are Data, Before and Discontinuity of ffmpeg.Input.
	Data, Before []byte
	Break        bool
	Renditions   []ffmpeg.Rendition
	Preset       string
	Thumbnail    func(jpeg []byte) // nil when none is wanted
	Length       time.Duration
}

// WorkerOptions are the settings of a Worker.
type WorkerOptions struct {
	Server Server
	// Name is that of the machine, for people.
	Name, Version string
	// Capacity is how many segments it transcodes at the same time.
	Capacity int
	// Encoders are the codecs that it can encode, as EncodersHere finds out.
	Encoders []string
	// Preset, Accel and Device are those of ffmpeg.LadderOptions; Preset is for jobs that name none.
	Preset string
	Accel  ffmpeg.Acceleration
	Device string
	// LeaveTime is how long it may finish what it has when it is to end. Default 30 s.
	LeaveTime time.Duration
	// Work, when set, takes the place of transcoding, for tests and benchmarks.
	Work Work
	// Infof and Warnf are told what an operator wants to know. Default: nobody.
	Infof, Warnf func(format string, args ...any)
}

const (
	defaultLeaveTime = 30 * time.Second
	// awayTime is how long a worker that leaves waits for a queue that is away.
	awayTime = 2 * time.Second
)

// Worker transcodes for others.
type Worker struct {
	opts       WorkerOptions
	id         string
	lanes      []lane
	complaints seldom

	mu      sync.Mutex
	nc      *nats.Conn
	up      bool
	err     error
	state   member
	benched time.Time
	gone    bool // its last word was said
	http    http.Client
	jobs    map[string]*assignment // by the id of the job and its delivery
	changed chan struct{}          // one token: the state is another
}

// NewWorker makes a worker; it connects in Run.
func NewWorker(o WorkerOptions) *Worker {
	o.Capacity = max(o.Capacity, 1)
	if o.LeaveTime <= 0 {
		o.LeaveTime = defaultLeaveTime
	}
	nobody := func(string, ...any) {}
	if o.Infof == nil {
		o.Infof = nobody
	}
	if o.Warnf == nil {
		o.Warnf = nobody
	}
	w := &Worker{opts: o, id: rand.Text(), jobs: make(map[string]*assignment), changed: make(chan struct{}, 1)}
	w.http = http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: fetchTimeout}).DialContext, TLSHandshakeTimeout: fetchTimeout,
			MaxIdleConnsPerHost: o.Capacity, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: fetchTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if w.opts.Work == nil {
		w.opts.Work = w.transcode
	}
	w.state = member{
		Protocol: Protocol, ID: w.id, Name: o.Name, Version: o.Version, State: status.WorkerReady, Capacity: o.Capacity,
		Encoders: o.Encoders, Accel: ffmpeg.AccelerationNameLookup[o.Accel], Started: time.Now(),
	}
	w.lanes = lanesOf(o.Encoders, w.state.Accel)
	return w
}

// errLeave ends the jobs of a worker that has no more time.
var errLeave = errors.New("cluster: the worker is leaving")

// Run takes jobs until ctx ends; it then takes no more, finishes those it has, and returns nil. A
// queue that is not there is waited for. It returns at once when it must not go on, see Origin.Run.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.lanes) == 0 {
		return fmt.Errorf("%w: WorkerOptions.Encoders is without h264", ffmpeg.ErrFormat)
	}
	closed := make(chan error, 1)
	nc, err := w.opts.Server.dial(ctx, Transcoder, w.id, hooks{
		connected: func() {
			w.opts.Infof("connected to the job queue at %s again", &w.opts.Server)
			w.set(nil, true, nil)
		},
		lost: func(err error) {
			w.opts.Warnf("the connection to %s is lost: %v; it is tried again", &w.opts.Server, err)
			w.set(nil, false, err)
		},
		closed: func(err error) { closed <- err },
		complaint: func(err error) {
			if w.complaints.now() {
				w.opts.Warnf("%s: %v", &w.opts.Server, err)
			}
		},
	}, func(err error) {
		w.set(nil, false, err)
		w.opts.Warnf("no job queue at %s yet: %v; it is tried again every second", &w.opts.Server, err)
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer nc.Close()
	defer w.http.CloseIdleConnections()
	w.set(nc, true, nil)
	if err := w.subscribe(nc); err != nil {
		return err
	}
	w.opts.Infof("connected to the job queue at %s: %d segments at a time, %v", &w.opts.Server, w.opts.Capacity, w.opts.Encoders)

	working, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	pulling, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { w.beat(working, nc) })
	p := newPuller(w, nc)
	wg.Go(func() { p.run(pulling, working) })
	select {
	case <-ctx.Done():
	case err = <-closed:
		if err == nil {
			err = nats.ErrConnectionClosed
		}
		err = fmt.Errorf("%s: %w", &w.opts.Server, err)
		abandon(err)
	}
	stop()
	w.leave(nc, p, abandon)
	abandon(errLeave)
	wg.Wait()
	return err
}

// leave lets the jobs finish.
func (w *Worker) leave(nc *nats.Conn, p *puller, abandon context.CancelCauseFunc) {
	w.mu.Lock()
	w.state.State = status.WorkerLeaving
	n := len(w.jobs)
	w.mu.Unlock()
	if n > 0 {
		w.opts.Infof("leaving after %d segments that are in work", n)
	}
	w.say(nc, false)
	limit := w.opts.LeaveTime
	if !nc.IsConnected() {
		limit = min(limit, awayTime)
	}
	late := time.AfterFunc(limit, func() { abandon(errLeave) })
	defer late.Stop()
	p.wait()
	w.say(nc, true)
	if nc.IsConnected() {
		_ = nc.FlushTimeout(awayTime) // if it fails, others make the segments again
	}
}

func (w *Worker) set(nc *nats.Conn, up bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if nc != nil {
		w.nc = nc
	}
	w.up, w.err = up, err
	w.poke()
}

// poke makes the puller look again. The caller holds mu.
func (w *Worker) poke() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Worker) subscribe(nc *nats.Conn) error {
	_, err := nc.Subscribe(workerPrefix+w.id, func(m *nats.Msg) { w.obey(m.Data) })
	if err == nil {
		_, err = nc.Subscribe(helloSubject, func(*nats.Msg) { w.say(nc, false) })
	}
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// obey does what an origin says.
func (w *Worker) obey(message []byte) {
	var o order
	if err := decode(message, &o); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.Cancel != "" {
		for _, a := range w.jobs {
			if a.job.ID == o.Cancel {
				a.cancel(errUnwanted)
			}
		}
	}
	if d := min(o.Bench, longBench); d > 0 && w.state.State != status.WorkerLeaving {
		w.benched = time.Now().Add(d)
		w.state.State, w.state.Reason = status.WorkerBenched, printable(o.Reason, maxErrorText)
		w.opts.Warnf("an origin refused what was made here, so no jobs are taken for %v: %s", d, w.state.Reason)
		w.poke()
	}
}

// errUnwanted is the cause of a job that ended because nobody waits for it.
var errUnwanted = errors.New("cluster: nobody waits for it any more")

// ready reports whether jobs may be taken, and what ends the bench.
func (w *Worker) ready(now time.Time) (ok bool, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.State == status.WorkerBenched && !now.Before(w.benched) {
		w.state.State, w.state.Reason = status.WorkerReady, ""
	}
	return w.up && w.state.State == status.WorkerReady, w.benched
}

// beat says once a second how the worker is, and tells the queue that its jobs go on.
func (w *Worker) beat(ctx context.Context, nc *nats.Conn) {
	w.say(nc, false)
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			w.mu.Lock()
			acks := make([]string, 0, len(w.jobs))
			for _, a := range w.jobs {
				acks = append(acks, a.ack)
			}
			w.mu.Unlock()
			for _, ack := range acks {
				_ = nc.Publish(ack, []byte("+WPI"))
			}
			if now.Sub(last) >= memberInterval {
				last = now
				w.say(nc, false)
			}
		}
	}
}

// say tells everybody how the worker is. When it does not reach them, the next one does.
func (w *Worker) say(nc *nats.Conn, gone bool) {
	w.mu.Lock()
	if w.gone {
		w.mu.Unlock()
		return
	}
	w.gone = gone
	m := w.state
	m.Load = w.load()
	w.mu.Unlock()
	m.Gone = gone
	if text, err := encode(m); err == nil && nc.IsConnected() {
		_ = nc.Publish(memberPrefix+w.id, text)
	}
}

// load is how many segments are in work. Those that only wait for their origin to confirm do not
// count. The caller holds mu.
func (w *Worker) load() (n int) {
	for _, a := range w.jobs {
		if !a.idle {
			n++
		}
	}
	return n
}

// Status is what this worker tells others.
func (w *Worker) Status() (status.Worker, status.Engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &w.state
	e := status.Engine{Addr: w.opts.Server.String(), Connected: w.up}
	if !w.up && w.err != nil {
		e.Error = printable(w.err.Error(), maxErrorText)
	}
	return status.Worker{
		ID: m.ID, Name: m.Name, Version: m.Version, State: m.State, Reason: m.Reason, Capacity: m.Capacity, Load: w.load(),
		Speed: m.Speed, Done: m.Done, Failed: m.Failed, Encoders: m.Encoders, Accel: m.Accel, Started: m.Started,
	}, e
}
