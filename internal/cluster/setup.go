package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// QueueOptions are the settings of the job queue.
type QueueOptions struct {
	// MaxBytes is how much all waiting jobs may have. Default 512 MiB. When it is full, jobs are
	// refused, and their streams wait.
	MaxBytes int64
	// Replicas is on how many servers of a cluster each job is. Default 1.
	Replicas int
}

// DefaultQueueBytes is QueueOptions.MaxBytes when it is 0.
const DefaultQueueBytes = 512 << 20

// Setup makes the job queue on a server, or changes the one that is there to fit. It may be called
// again at any time, also by several at once. It needs the right to use the JetStream API.
func Setup(ctx context.Context, nc *nats.Conn, o QueueOptions) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	cfg := jetstream.StreamConfig{
		Name:                 JobsStream,
		Description:          "segments that wait for a worker of LPMS",
		Subjects:             []string{jobPrefix + ">"},
		Retention:            jetstream.WorkQueuePolicy,
		Storage:              jetstream.MemoryStorage,
		MaxAge:               jobAge,
		MaxBytes:             o.MaxBytes,
		MaxMsgSize:           int32(min(nc.MaxPayload(), MaxPayload)),
		MaxMsgsPerSubject:    perStream,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		Duplicates:           repeatWindow,
		Replicas:             max(o.Replicas, 1),
		NoAck:                false,
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultQueueBytes
	}
	stream, err := js.CreateOrUpdateStream(ctx, cfg)
	if err != nil {
		return fmt.Errorf("cluster: making the job queue: %w", explainSetup(err))
	}
	for _, l := range allLanes() {
		_, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable:       l.name(),
			FilterSubject: l.filter(),
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       ackWait,
			MaxDeliver:    deliverLimit,
			MaxAckPending: maxAckPending,
			MaxWaiting:    maxWaiting,
			MemoryStorage: true,
			Replicas:      max(o.Replicas, 1),
		})
		if err != nil {
			return fmt.Errorf("cluster: making the job queue %s: %w", l.name(), explainSetup(err))
		}
	}
	return nil
}

// explainSetup says what to do about a server that refuses the queue.
func explainSetup(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: JetStream is off: start it with nats-server -js, or see deploy/nats.conf", ErrServer)
	}
	return err
}

// setupExternal makes the queue on a server that somebody else runs: on three servers of a cluster
// when it has as many. When the queue is there already and we may not make one, that is fine.
func setupExternal(ctx context.Context, nc *nats.Conn, o QueueOptions) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if o.Replicas == 0 && nc.ConnectedClusterName() != "" {
		o.Replicas = 3
		if Setup(ctx, nc, o) == nil {
			return nil
		}
		o.Replicas = 1
	}
	return Setup(ctx, nc, o)
}

const setupTimeout = 10 * time.Second
