package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// OriginOptions are the settings of an Origin.
type OriginOptions struct {
	// Servers are where job queues are, one element for each queue: a segment goes where workers are.
	Servers []Server
	// Queue is for queues on servers that are External.
	Queue QueueOptions
	// Accel is what workers must have, beyond the encoders that the renditions need.
	Accel ffmpeg.Acceleration
	// Preset is that of ffmpeg.LadderOptions, for the workers.
	Preset string
	// LocalFallback transcodes here what no worker can: when there are none, and near the
	// deadline.
	LocalFallback bool
	// SegmentURL, when set, is where workers reach ServeHTTP: they fetch segments there, and the
	// queue carries none. Without a slash at its end.
	SegmentURL string
	// Tries is how many workers may try a segment, one after the other. Default 3.
	Tries int
	// Check, when set, judges what a worker made of a segment in place of what else is checked: its
	// container, tracks, timestamps and number of pictures. It is for work that is no media.
	Check func(out *ffmpeg.Output, spec *ffmpeg.Rendition, seg *stream.Segment) error
	// Infof and Warnf are told what an operator wants to know. Default: nobody.
	Infof, Warnf func(format string, args ...any)
}

const (
	defaultTries = 3
	parallel     = 4
)

// Origin has segments transcoded by workers. Its methods may be called from any goroutine.
type Origin struct {
	opts  OriginOptions
	id    string
	links []*link
	local transcoder.Engine // or nil

	mu       sync.Mutex
	attempts map[string]*attempt // by the id of the job
	wasUp    bool                // a queue was there
	closed   bool                // Run has returned
	puts     sync.WaitGroup      // of attempts; none is added once closed
	halted   context.Context     // of puts
	halt     context.CancelFunc
	tokens   float64            // second attempts that may be made now
	nobody   map[need]time.Time // since when no worker is there for it
	thumb    func(stream string, jpeg []byte)
}

// NewOrigin makes an origin; it connects in Run.
func NewOrigin(o OriginOptions) *Origin {
	if o.Tries <= 0 {
		o.Tries = defaultTries
	}
	nobody := func(string, ...any) {}
	if o.Infof == nil {
		o.Infof = nobody
	}
	if o.Warnf == nil {
		o.Warnf = nobody
	}
	origin := &Origin{opts: o, id: rand.Text(), attempts: make(map[string]*attempt), tokens: maxTokens, nobody: make(map[need]time.Time)}
	origin.halted, origin.halt = context.WithCancel(context.Background()) // Run ends it
	for i := range o.Servers {
		origin.links = append(origin.links, newLink(origin, &origin.opts.Servers[i]))
	}
	return origin
}

// Attach says what transcodes here, with LocalFallback, and who is given a picture of each stream
// now and then; both may be nil. It is called before Run and Engine.
func (o *Origin) Attach(local transcoder.Engine, thumbnail func(stream string, jpeg []byte)) {
	if o.opts.LocalFallback {
		o.local = local
	}
	o.thumb = thumbnail
}

// Run connects to the job queues until ctx ends, and returns nil then. A queue that is not there is
// waited for. It returns at once when there is none to begin with: ErrSecret, ErrServer, or a certificate
// that is not trusted. Once there was one, all of that is tried again.
func (o *Origin) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, l := range o.links {
		wg.Go(func() {
			if err := l.run(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.halt()
	o.puts.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Workers are those that are known.
func (o *Origin) Workers() (all []status.Worker) {
	now := time.Now()
	for _, l := range o.links {
		all = append(all, l.members.list(now)...)
	}
	return all
}

// Busy is how much of what the workers have room for is in use, as far as they have said, from 0
// to 1; 0 when there are none.
func (o *Origin) Busy() float64 {
	capacity, load := 0, 0
	for _, l := range o.links {
		if l.isUp() {
			c, n := l.members.slots(time.Now())
			capacity, load = capacity+c, load+n
		}
	}
	if capacity == 0 {
		return 0
	}
	return min(float64(load)/float64(capacity), 1)
}

// Engines are the connections to job queues.
func (o *Origin) Engines() (all []status.Engine) {
	for _, l := range o.links {
		all = append(all, l.status())
	}
	return all
}

// Engine is for transcoder.Options, with Parallel. Pushed work waits for live work.
func (o *Origin) Engine(pushed bool) transcoder.Engine { return &engine{o, pushed} }

// Parallel is how many segments of a stream may be on their way, for transcoder.Options: a stream
// whose segments do not come back waits, and the others go on.
func (o *Origin) Parallel() int { return parallel }

type engine struct {
	origin *Origin
	pushed bool
}

// Turn implements transcoder.Engine: the queue is that of the workers.
func (e *engine) Turn(context.Context) (func(), error) { return func() {}, nil }

// Open implements transcoder.Engine.
func (e *engine) Open(name string, renditions []ffmpeg.Rendition) (transcoder.Session, error) {
	if len(renditions) == 0 || len(renditions) > ffmpeg.MaxRenditions {
		return nil, fmt.Errorf("cluster: %d renditions, at most %d can be made", len(renditions), ffmpeg.MaxRenditions)
	}
	if err := portable(renditions); err != nil {
		return nil, err
	}
	return &session{
		origin: e.origin, stream: name, specs: renditions,
		lane: lane{need: needOf(renditions, e.origin.opts.Accel), pushed: e.pushed},
	}, nil
}

// Second attempts beside a first are bounded, so that a cluster that is slow as a whole is not
// made slower: each segment that is done allows a part of one.
const (
	maxTokens = 4
	tokenPart = 0.1
)

func (o *Origin) noteUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wasUp = true
}

func (o *Origin) hasBeenUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wasUp
}

// put runs f, which puts a job into a queue, beside the task: a connection that hangs may hold it up for
// longer than the task waits. Run waits for it.
func (o *Origin) put(ctx context.Context, f func(context.Context)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.puts.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(o.halted, cancel)()
		f(ctx)
	})
}

func (o *Origin) takeToken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tokens < 1 {
		return false
	}
	o.tokens--
	return true
}

func (o *Origin) hasToken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tokens >= 1
}

func (o *Origin) giveToken() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens = min(o.tokens+tokenPart, maxTokens)
}

// choose says through which queue an attempt goes, that with the most room for it, and counts the
// workers of all.
func (o *Origin) choose(n need, exclude []string, now time.Time) (best *link, able int) {
	most := 0
	for _, l := range o.links {
		if !l.isUp() {
			continue
		}
		count, room := l.members.able(n, exclude, now)
		able += count
		if best == nil || count > 0 && room > most {
			best, most = l, room
		}
	}
	return best, able
}

func (o *Origin) add(a *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts[a.id] = a
}

func (o *Origin) remove(a *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.attempts, a.id)
}

func (o *Origin) find(id string) *attempt {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attempts[id]
}

// all lists the attempts that went through a link.
func (o *Origin) all(l *link) (through []*attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.attempts {
		if a.link == l {
			through = append(through, a)
		}
	}
	return through
}

// refuse benches a worker whose result was no good.
func (o *Origin) refuse(l *link, worker string, seq uint64, stream string, reason error) {
	d, name := l.members.refuse(worker, time.Now())
	o.opts.Warnf("stream %s: what worker %s made of segment %d is refused: %v", stream, cmp.Or(name, worker), seq, reason)
	if d > 0 {
		l.order(worker, order{Bench: d, Reason: printable(reason.Error(), maxErrorText)})
	}
}

// workers counts those that can take what is in the queues, and says since when there is none.
func (o *Origin) workers(n need, now time.Time) (count int, nobody time.Time) {
	_, count = o.choose(n, nil, now)
	o.mu.Lock()
	defer o.mu.Unlock()
	if count > 0 {
		delete(o.nobody, n)
		return count, time.Time{}
	}
	if o.nobody[n].IsZero() {
		o.nobody[n] = now
	}
	return 0, o.nobody[n]
}
