package cluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// attempt is a job that was put into a queue: one try to have a segment made. The queue may
// give it to several workers, one after the other.
type attempt struct {
	id           string
	link         *link
	before, data []byte        // what workers may fetch
	wanted       []int         // numbers of renditions
	news         func()        // wakes up the task
	forgotten    chan struct{} // one token: put it into the queue again

	mu       sync.Mutex
	over     bool
	worker   string    // that has it
	workers  []string  // all that have had it
	taken    time.Time // when that worker began
	finished bool      // the worker says that nothing more will come
	err      error     // why it is over
	refused  error     // the last answer of a queue that did not take the job
	hopeless bool      // no other worker can do better
	results  []result  // that were not looked at
	partial  map[partKey]*assembly
	got      map[partKey]bool // what came completely, or failed; as many as there are results
	bytes    int              // of partial and results
}

// result is what a worker made.
type result struct {
	rendition int
	worker    string
	out       ffmpeg.Output
	err       error
	thumbnail []byte
	summary   *ffmpeg.TSSummary // of out, once it was looked at
}

// assembly is a rendition of which more parts are to come.
type assembly struct {
	data []byte
	next int // part
}

type partKey struct {
	worker    string
	rendition int
}

func newAttempt(l *link, before, data []byte, wanted []int, news func()) *attempt {
	return &attempt{
		id: rand.Text(), link: l, before: before, data: data, wanted: wanted, news: news,
		forgotten: make(chan struct{}, 1), partial: make(map[partKey]*assembly), got: make(map[partKey]bool),
	}
}

// report takes what a worker says.
func (a *attempt) report(r *report, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.take(r)
	switch r.Kind {
	case kindTaken: // which may be overtaken by what comes of it
	case kindPart:
		if !a.part(r, body) {
			return
		}
	case kindThumbnail:
		if len(body) > maxThumbnail || !isJPEG(body) {
			return
		}
		a.add(result{worker: r.Worker, thumbnail: body})
	case kindFailed:
		if r.Rendition >= 0 {
			a.add(result{rendition: r.Rendition, worker: r.Worker, err: &WorkerError{r.Worker, r.Error, r.Retryable}})
			break
		}
		a.over, a.err, a.hopeless = true, &WorkerError{r.Worker, r.Error, r.Retryable}, !r.Retryable
	case kindDone:
		a.finished = a.finished || len(a.lacks(r.Worker)) == 0
	default:
		return
	}
	a.news()
}

const maxThumbnail = 256 << 10

func isJPEG(b []byte) bool { return len(b) > 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff }

// take notes who has the job. The caller holds mu.
func (a *attempt) take(r *report) {
	known := slices.Contains(a.workers, r.Worker)
	if known && r.Kind != kindTaken {
		return
	}
	a.worker, a.taken = r.Worker, time.Now()
	if known {
		return
	}
	a.workers = append(a.workers, r.Worker)
	if len(a.workers) > takerLimit {
		a.over, a.hopeless = true, true
		a.err = fmt.Errorf("cluster: %d workers have begun with it, and none has come to its end", takerLimit)
	}
}

// part takes a part of a rendition, and reports whether there is a result to look at. Parts that do
// not go on from those that are there were sent twice, or follow a lost one: the worker will be told
// what is missing. The caller holds mu.
func (a *attempt) part(r *report, body []byte) bool {
	key := partKey{r.Worker, r.Rendition}
	if r.Rendition < 0 || len(body) == 0 || r.Output == nil {
		a.add(result{rendition: r.Rendition, worker: r.Worker, err: garbage("a part of nothing")})
		return true
	}
	if r.Part == 0 { // also of a worker that begins anew
		a.drop(key)
		a.partial[key] = &assembly{}
	}
	have := a.partial[key]
	switch {
	case have == nil, r.Part != have.next, a.got[key]:
		return false
	case len(have.data)+len(body) > r.Size, a.bytes+len(body) > maxResults, len(a.partial) > 4*ffmpeg.MaxRenditions:
		a.drop(key)
		a.add(result{rendition: r.Rendition, worker: r.Worker, err: garbage("more than was said, or than can be")})
		return true
	}
	a.bytes += len(body)
	have.next++
	switch {
	case len(body) == r.Size: // the usual case: nothing to copy
		have.data = body
	case have.data == nil:
		have.data = slices.Clone(body)
	default:
		have.data = append(have.data, body...)
	}
	if len(have.data) < r.Size {
		return false
	}
	delete(a.partial, key)
	a.add(result{rendition: r.Rendition, worker: r.Worker, out: r.Output.output(have.data)})
	return true
}

// drop forgets what has come of a rendition. The caller holds mu.
func (a *attempt) drop(key partKey) {
	if have := a.partial[key]; have != nil {
		a.bytes -= len(have.data)
		delete(a.partial, key)
	}
}

// add keeps a result to be looked at. The caller holds mu.
func (a *attempt) add(r result) {
	if len(a.results) < 4*ffmpeg.MaxRenditions {
		a.results = append(a.results, r)
		if r.thumbnail == nil {
			a.got[partKey{r.worker, r.rendition}] = true
		}
	}
}

// unseen gives the results that were not looked at.
func (a *attempt) unseen() (rs []result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rs, a.results = a.results, nil
	for _, r := range rs {
		a.bytes -= len(r.out.Data)
	}
	return rs
}

// missing are the renditions that did not come from a worker that has said that it is done.
func (a *attempt) missing(worker string) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil // nobody cares
	}
	return a.lacks(worker)
}

// lacks is missing for those who hold mu.
func (a *attempt) lacks(worker string) (numbers []int) {
	for _, i := range a.wanted {
		if !a.got[partKey{worker, i}] {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// late says why nothing came of an attempt in time.
func (a *attempt) late() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.worker != "":
		return fmt.Errorf("worker %s has not made it in time", a.link.members.name(a.worker))
	case a.refused != nil:
		return fmt.Errorf("the job queue has not taken it in time: %w", a.refused)
	}
	return errors.New("no worker had room for it in time")
}

// fail ends the attempt.
func (a *attempt) fail(err error) {
	a.mu.Lock()
	a.over, a.err = true, err
	a.mu.Unlock()
	a.news()
}

// WorkerError is why a worker could not make a segment, in its words.
type WorkerError struct {
	Worker    string // its id
	Text      string
	Retryable bool // another one may do better
}

func (e *WorkerError) Error() string {
	return "worker " + e.Worker[:min(8, len(e.Worker))] + ": " + e.Text
}
