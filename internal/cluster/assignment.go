package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/ffmpeg"
)

// assignment is a job that a worker has.
type assignment struct {
	worker *Worker
	nc     *nats.Conn
	job    *job
	body   []byte // empty when it is to be fetched
	origin string
	ack    string // where the queue wants to hear of it
	ctx    context.Context
	cancel context.CancelCauseFunc

	idle bool // the work is done; guarded by Worker.mu

	mu   sync.Mutex
	made map[int]ffmpeg.Output // by the number in the ladder
}

// begin takes a job from the queue; nil when it is none for this worker.
func (w *Worker) begin(ctx context.Context, nc *nats.Conn, m *nats.Msg) *assignment {
	j, err := decodeJob(m)
	a := &assignment{worker: w, nc: nc, job: j, body: m.Data, origin: originOf(m.Subject), ack: m.Reply, made: make(map[int]ffmpeg.Output)}
	switch {
	case err != nil || a.origin == "":
		if w.complaints.now() {
			w.opts.Warnf("a job is refused (%s): %v", printable(m.Subject, maxErrorText), err)
		}
		a.tell("+TERM")
		if a.origin != "" && ValidID(j.ID) {
			a.report(&report{Kind: kindFailed, Rendition: -1, Error: fmt.Sprint(err), Retryable: true}, nil)
		}
		return nil
	case slices.Contains(j.Exclude, w.id):
		a.tell(`-NAK {"delay": 250000000}`) // 0.25 s: another one may have room by then
		return nil
	}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	w.mu.Lock()
	w.jobs[a.ack] = a
	w.mu.Unlock()
	return a
}

// run does the job and sends its results. free is called when there is room for another one; what
// the origin has not got is sent again after that.
func (a *assignment) run(free func()) {
	began := time.Now()
	var announcing sync.WaitGroup
	announcing.Go(a.announce)
	ctx, cancel := context.WithTimeout(a.ctx, a.job.Budget)
	err := a.work(ctx)
	cancel()
	defer announcing.Wait()
	took := time.Since(began)
	cause := context.Cause(a.ctx)
	a.worker.made(a)
	free()
	last := &report{Kind: kindDone, Took: took}
	if err != nil {
		last = &report{Kind: kindFailed, Rendition: -1, Error: err.Error(), Retryable: retryable(err), Took: took}
	}
	switch {
	case errors.Is(cause, errUnwanted):
		a.tell("+TERM")
	case errors.Is(cause, errAway):
		a.tell(`-NAK {"delay": 1000000000}`) // 1 s: it may be back by then
	case cause != nil:
		a.tell("-NAK") // others may have it
	case a.confirm(last), errors.Is(context.Cause(a.ctx), errUnwanted):
		a.tell("+ACK")
	default:
		a.tell("-NAK") // the origin is away, and may come back for it
	}
	a.cancel(nil)
	a.worker.count(a, took, err, cause)
}

// errAway is the cause of a job whose origin cannot be reached.
var errAway = errors.New("cluster: the origin is away")

// announce says that the job is in work, and ends it when its origin is away, or does not want it.
func (a *assignment) announce() {
	ctx, cancel := context.WithTimeout(a.ctx, confirmTimeout)
	defer cancel()
	answer, err := a.ask(ctx, &report{Kind: kindTaken})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		a.cancel(errAway)
	case err == nil && answer.Unwanted:
		a.cancel(errUnwanted)
	}
}

// made notes that a job has its results, which wait to be confirmed.
func (w *Worker) made(a *assignment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.idle = true
}

// count ends a job.
func (w *Worker) count(a *assignment, took time.Duration, err, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, a.ack)
	switch {
	case cause != nil:
		return
	case err != nil:
		w.state.Failed++
		return
	}
	w.state.Done++
	speed := a.job.Length.Seconds() / max(took.Seconds(), 1e-6)
	if w.state.Speed > 0 {
		speed = (7*w.state.Speed + speed) / 8
	}
	w.state.Speed = speed
}

const (
	confirmTimeout = 2 * time.Second
	confirmTries   = 3
)

// confirm sends the last report of a job until the origin has got it, and what it says it has not.
// It reports whether that worked.
func (a *assignment) confirm(last *report) bool {
	for try := 0; try < confirmTries && a.ctx.Err() == nil; {
		asking, cancel := context.WithTimeout(a.ctx, confirmTimeout)
		got, err := a.ask(asking, last)
		if errors.Is(err, nats.ErrNoResponders) {
			<-asking.Done() // the origin connects again, or not
		}
		cancel()
		switch {
		case err != nil:
			try++
		case len(got.Missing) == 0:
			return true
		default:
			try++
			for _, i := range got.Missing {
				a.sendAgain(i)
			}
		}
	}
	return false
}

// ask sends a report and waits for the answer.
func (a *assignment) ask(ctx context.Context, r *report) (got receipt, err error) {
	m, err := a.message(r, nil)
	if err != nil {
		return got, err
	}
	answer, err := a.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return got, err
	}
	err = decode(answer.Data, &got)
	return got, err
}

// sendAgain sends a rendition that was lost on the way.
func (a *assignment) sendAgain(rendition int) {
	a.mu.Lock()
	out, made := a.made[rendition]
	a.mu.Unlock()
	if made {
		a.send(rendition, out)
	}
}

// retryable reports whether another worker may do better. What this machine lacks, others may have.
func retryable(err error) bool { return ffmpeg.Retryable(err) || errors.Is(err, ffmpeg.ErrFormat) }

// work transcodes. What a bug in it does is a failure of the job.
func (a *assignment) work(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if a.job.Fetch {
		if err := a.fetch(ctx); err != nil {
			return err
		}
	}
	in := Segment{
		Stream: a.job.Stream, Seq: a.job.Seq, Length: a.job.Length, Preset: a.job.Preset,
		Break: a.job.Break, Before: a.job.Lead, Data: a.body[a.job.Before:], Renditions: a.job.Specs,
	}
	if a.job.Before > 0 {
		in.Before = a.body[:a.job.Before]
	}
	if a.job.Thumbnail {
		in.Thumbnail = func(jpeg []byte) {
			if len(jpeg) <= maxThumbnail {
				a.report(&report{Kind: kindThumbnail}, jpeg)
			}
		}
	}
	if err := a.worker.opts.Work(ctx, in, a.deliver); err != nil {
		return err
	}
	for i := range a.job.Wanted {
		a.deliver(i, ffmpeg.Output{Err: errNothing}) // those that there are count
	}
	return nil
}

var errNothing = errors.New("cluster: the rendition was not made")

// deliver sends a rendition, in parts when it is large, and keeps it until the job is confirmed.
func (a *assignment) deliver(i int, out ffmpeg.Output) {
	if a.ctx.Err() != nil || i < 0 || i >= len(a.job.Wanted) {
		return
	}
	if out.Err == nil && len(out.Data) == 0 {
		out.Err = errNothing
	}
	i = a.job.Wanted[i]
	a.mu.Lock()
	_, again := a.made[i]
	if !again {
		a.made[i] = out
	}
	a.mu.Unlock()
	if !again {
		a.send(i, out)
	}
}

// send sends one rendition; i is its number in the ladder.
func (a *assignment) send(i int, out ffmpeg.Output) {
	if out.Err != nil {
		a.report(&report{Kind: kindFailed, Rendition: i, Error: out.Err.Error(), Retryable: retryable(out.Err)}, nil)
		return
	}
	rest, size := out.Data, partSize(a.nc)
	for n := 0; len(rest) > 0; n++ {
		part := rest[:min(size, len(rest))]
		rest = rest[len(part):]
		a.report(&report{Kind: kindPart, Rendition: i, Part: n, Size: len(out.Data), Output: headOf(&out)}, part)
	}
}

// report tells the origin; media, if any, must not change afterwards.
func (a *assignment) report(r *report, media []byte) {
	if m, err := a.message(r, media); err == nil {
		_ = a.nc.PublishMsg(m) // confirm finds out what was lost
	}
}

func (a *assignment) message(r *report, media []byte) (*nats.Msg, error) {
	r.Job, r.Worker, r.Error = a.job.ID, a.worker.id, printable(r.Error, maxErrorText)
	return withMedia(resultPrefix+a.origin+"."+a.worker.id, r, media)
}

// tell answers the queue.
func (a *assignment) tell(word string) { _ = a.nc.Publish(a.ack, []byte(word)) }

const (
	fetchTimeout = 3 * time.Second
	fetchTries   = 3
)

// fetch gets a segment that is too large for its job from the origin.
func (a *assignment) fetch(ctx context.Context) error {
	if a.job.URL != "" {
		part, cancel := context.WithTimeout(ctx, a.job.Budget/3) // there is another way
		body, err := a.worker.download(part, a.job)
		cancel()
		if err == nil {
			a.body = body
			return nil
		}
		a.worker.opts.Warnf("fetching a segment: %v; it is fetched through the job queue", err)
	}
	size := a.job.Before + a.job.Size
	body := make([]byte, 0, min(size, 2*maxPart)) // grows with what comes
	for len(body) < size {
		part, err := a.fetchPart(ctx, len(body))
		if err != nil {
			return fmt.Errorf("cluster: fetching the segment: %w", err)
		}
		if len(part) == 0 || len(part) > size-len(body) {
			return fmt.Errorf("%w: %d bytes of %d of a segment", ErrMessage, len(body)+len(part), size)
		}
		body = append(body, part...)
	}
	a.body = body
	return nil
}

func (a *assignment) fetchPart(ctx context.Context, offset int) ([]byte, error) {
	question, err := encode(fetch{Job: a.job.ID, Offset: offset})
	for try := 0; err == nil && try < fetchTries; try++ {
		var answer *nats.Msg
		asking, cancel := context.WithTimeout(ctx, fetchTimeout)
		answer, err = a.nc.RequestWithContext(asking, getPrefix+a.origin, question)
		cancel()
		if err == nil {
			return answer.Data, nil
		}
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	if err == nil {
		err = errors.New("the origin does not answer")
	}
	return nil, err
}

// transcode is the Work of a worker that has none.
func (w *Worker) transcode(ctx context.Context, in Segment, done func(int, ffmpeg.Output)) error {
	if in.Preset == "" {
		in.Preset = w.opts.Preset
	}
	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{
		Renditions: in.Renditions, Preset: in.Preset, Accel: w.opts.Accel, Device: w.opts.Device, Thumbnail: in.Thumbnail, Joined: true,
	})
	if err != nil {
		return err
	}
	defer l.Close()
	_, err = l.Transcode(ctx, ffmpeg.Input{Data: in.Data, Before: in.Before, Discontinuity: in.Break, NoThumbnail: in.Thumbnail == nil}, done)
	return err
}
