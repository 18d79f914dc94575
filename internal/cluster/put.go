package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// putTimeout is how long the queue may take to answer, beside the time for the segment at putRate.
	putTimeout = 2 * time.Second
	putRate    = 256 << 10 // bytes a second
	putRetry   = 150 * time.Millisecond
	slowRetry  = 2 * time.Second
)

// message is the job with its segment, or without it when that is to be fetched.
func (a *attempt) message(subject string, j *job) (*nats.Msg, error) {
	if base := a.link.origin.opts.SegmentURL; base != "" {
		j.URL = base + SegmentPath + a.id
	}
	if len(a.before) > maxLead {
		j.Before = len(a.before)
	} else {
		j.Lead = a.before
	}
	if j.Fetch = j.URL != "" || j.Before > 0 || len(a.data) > maxInline; !j.Fetch {
		m, err := withMedia(subject, j, a.data)
		if err != nil || int64(m.Size())+int64(len(a.id)+len(messageID)+16) <= a.link.conn().MaxPayload() {
			return m, err
		}
		j.Fetch = true
	}
	return withMedia(subject, j, nil)
}

// fetched is what a worker gets that fetches the segment.
func (a *attempt) fetched() [][]byte {
	if len(a.before) > maxLead {
		return [][]byte{a.before, a.data}
	}
	return [][]byte{a.data}
}

// put puts the job into the queue. It tries until the queue has it, or ctx ends: the queue knows
// what it has already. A queue that is full, or away, makes the stream wait, for longer each time.
func (a *attempt) put(ctx context.Context, subject string, j *job) error {
	m, err := a.message(subject, j)
	if err != nil {
		return err
	}
	m.Header.Set(messageID, a.id)
	for wait := putRetry; ; wait = min(2*wait, slowRetry) {
		err := a.request(ctx, m)
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
		case <-a.forgotten: // it is connected again
			wait = putRetry
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// errDown is a queue that is away: what is sent now would only be kept, again and again.
var errDown = errors.New("cluster: not connected")

// request publishes to JetStream and waits for its answer, as long as the connection stays what it is.
func (a *attempt) request(ctx context.Context, m *nats.Msg) error {
	if !a.link.isUp() {
		return errDown
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout+time.Duration(len(m.Data))*time.Second/putRate)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-a.forgotten: // the answer will not come
			cancel()
		case <-ctx.Done():
		}
	})
	defer watching.Wait()
	defer cancel()
	reply, err := a.link.conn().RequestMsgWithContext(ctx, m)
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

// left notes that the worker that had the job is not there any more, and puts the job again: the
// queue may have been lost with it.
func (a *attempt) left() {
	a.mu.Lock()
	a.worker, a.taken = "", time.Time{}
	a.mu.Unlock()
	a.forget()
}
