// Package clusterbench measures what it costs to have segments transcoded by other machines: it is
// what `lpms bench -cluster` runs.
//
// Everything between the one who has a segment and the one who transcodes it is real: an orchestrator
// on a free port of the loopback, origins and workers with a TCP connection each, and JetStream between
// them. Only media is not: segments are bytes, and a worker sleeps instead of transcoding. Both sides
// compare every byte that comes.
//
//	result, err := clusterbench.Load(ctx, clusterbench.Options{Streams: 1000, Work: 200 * time.Millisecond})
//
// [Load] feeds many streams in real time, [Latency] one job after the other, and [Scaling] more and more
// workers. All parts share this process, so its processor time and memory are those of origin,
// orchestrator and workers together.
//
// It does not print, and it measures no transcoding: package capacity does.
package clusterbench
