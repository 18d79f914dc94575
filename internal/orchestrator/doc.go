// Package orchestrator is the job queue of a cluster: a NATS server with JetStream inside the
// process, which keeps jobs in memory and lets in who knows the secret.
//
// Who knows the secret is trusted. A connection is what it says it is, "broadcaster" or "transcoder",
// and may do what package cluster says of that role, under the id that it says it has: so nobody
// disturbs others by mistake. Every transcoder may take every job.
//
//	o, err := orchestrator.New(orchestrator.Options{Addr: "127.0.0.1:8936", Secret: secret})
//	...
//	err = o.Run(ctx) // until ctx ends
//
// It knows nothing of media, keeps nothing on disk, and does not log.
package orchestrator
