package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// QueueOptions are the settings of the job queue.
type QueueOptions struct {
	// MaxBytes is how much all waiting jobs may have. Default 512 MiB. When it is full, jobs are
	// refused, and their streams wait.
	MaxBytes int64
	// Replicas is on how many servers of a cluster each job is, when the queue is made. Default 3, or
	// 1 when there are not as many.
	Replicas int
}

// DefaultQueueBytes is QueueOptions.MaxBytes when it is 0.
const DefaultQueueBytes = 512 << 20

// Setup makes the job queue on a server, or changes the one that is there to fit: all but its
// replicas, which its operator may have chosen. It may be called again at any time, also by several
// at once. It needs the right to use the JetStream API.
func Setup(ctx context.Context, nc *nats.Conn, o QueueOptions) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	fewer := 0 // replicas, when there are not enough servers
	switch there, err := js.Stream(ctx, JobsStream); {
	case err == nil:
		o.Replicas = there.CachedInfo().Config.Replicas
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("cluster: looking for the job queue: %w", explainSetup(err))
	case o.Replicas <= 0 && nc.ConnectedClusterName() != "":
		o.Replicas, fewer = clusterReplicas, 1
	}
	err = setup(ctx, js, nc, o)
	var refused *jetstream.APIError
	if fewer > 0 && errors.As(err, &refused) && refused.ErrorCode != jetstream.JSErrCodeStreamNotFound {
		o.Replicas = fewer
		return setup(ctx, js, nc, o)
	}
	return err
}

// clusterReplicas is how many servers of a cluster keep each job, if it has as many.
const clusterReplicas = 3

func setup(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, o QueueOptions) error {
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
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: JetStream is off: start it with nats-server -js, or see deploy/nats.conf", ErrServer)
	}
	return err
}
