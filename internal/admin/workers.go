package admin

import (
	"maps"
	"slices"
	"strings"

	"github.com/livepeer/lpms/internal/status"
)

const (
	// maxEngines is how many job queues have metrics of their own.
	maxEngines = 16
	// maxAddr is how much of an address is told, in bytes.
	maxAddr = 200
)

var workerStates = []status.WorkerState{status.WorkerReady, status.WorkerBenched, status.WorkerLeaving, status.WorkerForeign}

// What workers have done is no counter: the sum falls when one of them leaves, and rises when one
// comes that has worked for others.
var (
	workers         = desc("workers", "Transcoders on other machines that are known, by state.", "state")
	workerCapacity  = desc("worker_capacity", "Segments that all workers which are ready can transcode at the same time.")
	workerLoad      = desc("worker_load", "Segments that workers are transcoding, for whomever.")
	workersDone     = desc("workers_jobs_done", "Jobs that the workers which are there now have done since they were started.")
	workersFailed   = desc("workers_jobs_failed", "Jobs that have failed at the workers which are there now.")
	workersRefused  = desc("workers_jobs_refused", "Jobs whose results this process has refused, of the workers which are there now.")
	engineConnected = desc("engine_connected", "1 while the job queue is connected, by its address.", "addr")
	enginesWithout  = desc("engines_without_metrics", "Job queues beyond the first 16, which have no metrics of their own.")
)

// workers are told together: they come and go, and their names are theirs.
func (o output) workers(all []status.Worker) {
	var capacity, load int
	var done, failed, refused uint64
	byState := make(map[status.WorkerState]int)
	for i := range all {
		w := &all[i]
		byState[w.State]++
		if w.State == status.WorkerReady {
			capacity += w.Capacity
		}
		load += w.Load
		done += w.Done
		failed += w.Failed
		refused += w.Refused
	}
	labelled(o, workers, workerStates, byState)
	o.gauge(workerCapacity, float64(capacity))
	o.gauge(workerLoad, float64(load))
	o.gauge(workersDone, float64(done))
	o.gauge(workersFailed, float64(failed))
	o.gauge(workersRefused, float64(refused))
}

// engines tells of each job queue. A process that has several roles may be connected to one several
// times: it is connected when all of them are.
func (o output) engines(all []status.Engine) {
	connected := make(map[string]bool)
	for _, e := range all {
		addr := strings.ToValidUTF8(e.Addr[:min(len(e.Addr), maxAddr)], "?")
		before, twice := connected[addr]
		connected[addr] = e.Connected && (before || !twice)
	}
	addrs := slices.Sorted(maps.Keys(connected))
	for _, addr := range addrs[:min(len(addrs), maxEngines)] {
		o.gauge(engineConnected, oneIf(connected[addr]), addr)
	}
	o.gauge(enginesWithout, float64(max(len(addrs)-maxEngines, 0)))
}
