package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/internal/status"
)

// Observer knows the workers of a job queue without using it.
type Observer struct {
	members      *members
	infof, warnf func(format string, args ...any)
}

// NewObserver makes an observer. The functions are told what an operator wants to know.
func NewObserver(infof, warnf func(format string, args ...any)) *Observer {
	return &Observer{newMembers(), infof, warnf}
}

// Run listens until ctx ends, and returns nil then.
func (o *Observer) Run(ctx context.Context, nc *nats.Conn) error {
	sub, err := o.members.listen(nc, o.infof)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // it ends with the connection otherwise
	_ = nc.Publish(helloSubject, nil)        // they speak once a second anyway
	tick := time.NewTicker(memberInterval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, news := range o.members.expire(now) {
				o.warnf("%s", news)
			}
		}
	}
}

// Workers are those that are known.
func (o *Observer) Workers() []status.Worker { return o.members.list(time.Now()) }

// listen notes what workers say of themselves.
func (ms *members) listen(nc *nats.Conn, infof func(string, ...any)) (*nats.Subscription, error) {
	sub, err := nc.Subscribe(memberPrefix+"*", func(m *nats.Msg) {
		if worker, err := decodeMember(m.Data); err == nil && memberPrefix+worker.ID == m.Subject {
			if news := ms.note(worker, time.Now()); news != "" {
				infof("%s", news)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return sub, nil
}
