package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/ffmpeg"
)

// attempt is a job that was put into a queue: one try to have a segment made. The queue may
// give it to several workers, one after the other.
type attempt struct {
	id           string
	link         *link
	before, data []byte // what workers may fetch
	wanted       []int  // numbers of renditions
	sent         time.Time
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
	partial  map[partKey][]byte
	got      map[partKey]bool // what came completely, or failed; as many as there are results
	bytes    int              // of results so far
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

type partKey struct {
	worker    string
	rendition int
}

func newAttempt(l *link, before, data []byte, wanted []int, news func()) *attempt {
	return &attempt{
		id: rand.Text(), link: l, before: before, data: data, wanted: wanted, sent: time.Now(), news: news,
		forgotten: make(chan struct{}, 1), partial: make(map[partKey][]byte), got: make(map[partKey]bool),
	}
}

// put puts the job into the queue. It tries until the queue has it, or ctx ends: the queue knows
// what it has already. A queue that is full makes the stream wait.
func (a *attempt) put(ctx context.Context, subject string, j *job) error {
	if base := a.link.origin.opts.SegmentURL; base != "" {
		j.URL = base + SegmentPath + a.id
	}
	if len(a.before) > maxLead {
		j.Before = len(a.before)
	} else {
		j.Lead = a.before
	}
	j.Fetch = j.URL != "" || j.Before > 0 || len(a.data) > a.link.inlineSize()
	var body []byte
	if !j.Fetch {
		body = a.data
	}
	m, err := withMedia(subject, j, body)
	if err != nil {
		return err
	}
	m.Header.Set(messageID, a.id)
	for {
		err := request(ctx, a.link.conn(), m)
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) {
			return err
		}
		a.link.lookAgain()
		a.mu.Lock()
		a.refused = err
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(putRetry):
		}
	}
}

// fetched is what a worker gets that fetches the segment.
func (a *attempt) fetched() [][]byte {
	if len(a.before) > maxLead {
		return [][]byte{a.before, a.data}
	}
	return [][]byte{a.data}
}

const (
	putTimeout = time.Second
	putRetry   = 150 * time.Millisecond
)

// request publishes to JetStream and waits for its answer.
func request(ctx context.Context, nc *nats.Conn, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	reply, err := nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("%w: the answer of the job queue", ErrMessage)
	}
	if answer.Error != nil {
		return errors.New(printable(answer.Error.Description, maxErrorText) + " (" + strconv.Itoa(answer.Error.Code) + ")")
	}
	return nil
}

// report takes what a worker says.
func (a *attempt) report(r *report, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.take(r.Worker)
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
func (a *attempt) take(worker string) {
	if slices.Contains(a.workers, worker) {
		return
	}
	a.worker, a.taken = worker, time.Now()
	a.workers = append(a.workers, worker)
	if len(a.workers) > takerLimit {
		a.over, a.hopeless = true, true
		a.err = fmt.Errorf("cluster: %d workers have begun with it, and none has come to its end", takerLimit)
		a.link.order(worker, order{Cancel: a.id})
	}
}

// part takes a part of a rendition, and reports whether that is complete. The caller holds mu.
func (a *attempt) part(r *report, body []byte) bool {
	key := partKey{r.Worker, r.Rendition}
	have := a.partial[key]
	a.bytes += len(body)
	switch {
	case r.Rendition < 0, a.bytes > maxResults, len(have)+len(body) > r.Size, len(body) == 0, len(a.partial) > 4*ffmpeg.MaxRenditions:
		a.add(result{rendition: r.Rendition, worker: r.Worker, err: fmt.Errorf("%w: parts that do not fit", errGarbage)})
		return true
	case r.Part == 0 && len(body) == r.Size: // the usual case: nothing to copy
		have = body
	case r.Part == 0: // a worker that was given the job again begins anew
		have = append(make([]byte, 0, len(body)), body...)
	default:
		have = append(have, body...)
	}
	if len(have) < r.Size {
		a.partial[key] = have
		return false
	}
	delete(a.partial, key)
	if r.Output == nil {
		a.add(result{rendition: r.Rendition, worker: r.Worker, err: fmt.Errorf("%w: no description", errGarbage)})
		return true
	}
	a.add(result{rendition: r.Rendition, worker: r.Worker, out: r.Output.output(have)})
	return true
}

// add keeps a result to be looked at. The caller holds mu.
func (a *attempt) add(r result) {
	if len(a.results) < 4*ffmpeg.MaxRenditions {
		a.results = append(a.results, r)
		a.got[partKey{r.worker, r.rendition}] = true
	}
}

// unseen gives the results that were not looked at.
func (a *attempt) unseen() (rs []result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rs, a.results = a.results, nil
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

// hold puts the job into the queue, and once more whenever the queue may have forgotten it: one
// that has not knows it by its id. It returns when ctx ends.
func (a *attempt) hold(ctx context.Context, subject string, j *job) {
	for {
		if err := a.put(ctx, subject, j); err != nil {
			if ctx.Err() == nil {
				a.fail(err)
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-a.forgotten:
		}
	}
}

// forget says that the queue may have forgotten the job. What a worker has needs no queue.
func (a *attempt) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.worker == "" && !a.over {
		select {
		case a.forgotten <- struct{}{}:
		default:
		}
	}
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
