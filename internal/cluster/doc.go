// Package cluster has segments transcoded by other machines, with NATS JetStream between them.
//
// An [Origin] is the side that has segments: its Engine is a transcoder.Engine. It puts jobs into
// a work queue, takes results, and judges them. A [Worker] takes a job when it has a free slot,
// transcodes, and sends each rendition as soon as it is complete. [Setup] makes the queue; package
// orchestrator has the server for those who do not run one.
//
//	origin --job--> JetStream (memory, work queue) --pull--> worker
//	origin <------------------ results -------------------- worker
//
// The origin remembers every segment until it has all renditions of it, so nothing that is lost on
// the way is lost for good: not by a worker that dies (the queue delivers the job again when it hears
// nothing for ackWait), hangs or is slow (the origin sends the job out a second time, see
// dispatch.go), or sends garbage (the result is refused, and the worker is benched), and not by a
// queue that is restarted (the job is put again). The first good result of each rendition counts.
//
// Jobs say nothing about the segments before: a worker keeps no state from job to job. What is
// needed to make sound, or a segment without a keyframe, go on seamlessly travels with the job.
//
// Messages are decoded by bounded parsers (wire.go). Their format has a version: machines of
// another version see each other, and share no jobs.
//
// The package does not log and does not decide what is made; it opens no port.
package cluster
