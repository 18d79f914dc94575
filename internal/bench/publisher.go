//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/internal/rtmp"
)

// publisher sends a clip in a loop in real time, one message for each tag at its time,
// as an encoder does.
type publisher struct {
	client *rtmp.Client
	clip   *clip
	begin  time.Time
	// sent[i] is when the video message with timestamp i was sent, in nanoseconds since
	// begin; 0 is not yet.
	sent []atomic.Int64

	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error
}

// maxTimed is for how many milliseconds of stream sentAt knows the answer.
const maxTimed = 5 * 60 * 1000

// publish starts a publisher, which stop ends. timed makes sentAt work.
func publish(ctx context.Context, url string, c *clip, timed bool) (*publisher, error) {
	client, err := rtmp.Dial(ctx, url, rtmp.ClientOptions{})
	if err != nil {
		return nil, err
	}
	if err := client.Publish(ctx); err != nil {
		client.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &publisher{client: client, clip: c, begin: time.Now(), cancel: cancel}
	if timed {
		p.sent = make([]atomic.Int64, maxTimed)
	}
	p.wg.Go(func() {
		err := client.Serve()
		if ctx.Err() == nil {
			p.fail(err)
		}
	})
	p.wg.Go(func() {
		if err := p.send(ctx); err != nil && ctx.Err() == nil {
			p.fail(err)
		}
	})
	return p, nil
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = fmt.Errorf("a publisher failed after %.1f s: %w", time.Since(p.begin).Seconds(), err)
	}
}

// failure is why the publisher ended before stop.
func (p *publisher) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// stop ends the publisher and returns its failure.
func (p *publisher) stop() error {
	p.cancel()
	p.client.Close()
	p.wg.Wait()
	return p.failure()
}

// sentAt is when the video message with a timestamp was sent.
func (p *publisher) sentAt(timestamp uint32) (time.Time, bool) {
	if int64(timestamp) >= int64(len(p.sent)) {
		return time.Time{}, false
	}
	n := p.sent[timestamp].Load()
	return p.begin.Add(time.Duration(n)), n != 0
}

func (p *publisher) send(ctx context.Context) error {
	for _, t := range p.clip.heads {
		if err := p.client.WriteMessage(&rtmp.Message{Type: t.typ, Payload: t.data}); err != nil {
			return err
		}
	}
	for base := uint32(0); ; base += p.clip.period {
		for _, t := range p.clip.tags {
			at := base + t.at
			if wait := time.Until(p.begin.Add(time.Duration(at) * time.Millisecond)); wait > 0 {
				time.Sleep(wait)
			}
			if ctx.Err() != nil {
				return nil
			}
			if t.typ == rtmp.TypeVideo && int64(at) < int64(len(p.sent)) {
				p.sent[at].Store(max(int64(time.Since(p.begin)), 1))
			}
			if err := p.client.WriteMessage(&rtmp.Message{Type: t.typ, Timestamp: at, Payload: t.data}); err != nil {
				return err
			}
		}
	}
}

// publishMany starts n publishers of streams named name0, name1 and so on, spread evenly
// over the time given, so that their keyframes do not fall together.
func publishMany(ctx context.Context, s *server, name string, n int, c *clip, spread time.Duration) (publishers, error) {
	var ps publishers
	for i := range n {
		p, err := publish(ctx, s.rtmpURL(fmt.Sprint(name, i)), c, false)
		if err == nil {
			ps = append(ps, p)
			err = sleep(ctx, spread/time.Duration(n))
		}
		if err != nil {
			ps.stop()
			return nil, err
		}
	}
	return ps, nil
}

type publishers []*publisher

func (ps publishers) failure() error {
	for _, p := range ps {
		if err := p.failure(); err != nil {
			return err
		}
	}
	return nil
}

func (ps publishers) stop() {
	for _, p := range ps {
		p.stop()
	}
}
