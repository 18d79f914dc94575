package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
)

const (
	// maxStreams is how many streams have metrics of their own.
	maxStreams = 100
	// maxRenditions is how many renditions of each have.
	maxRenditions = 16
)

// Values of labels that are always there, so that a sum does not begin with a jump.
var (
	ingests = []status.Ingest{status.RTMP, status.Push, status.Test}
	states  = []status.State{status.Live, status.Waiting, status.Resting, status.Shed, status.Failing, status.Ended}
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lpms_"+name, help, labels, nil)
}

var (
	buildInfo     = desc("build_info", "1, with the version.", "version")
	streams       = desc("streams", "Streams with a publisher, by how they come in.", "ingest")
	suspended     = desc("streams_suspended", "Streams whose publisher is not there.")
	viewers       = desc("viewers", "Viewers, by protocol.", "protocol")
	renditions    = desc("renditions", "Renditions, sources included, by state.", "state")
	held          = desc("segments_held", "Segments in memory.")
	heldBytes     = desc("segments_held_bytes", "Memory taken by segments.")
	shed          = desc("renditions_shed", "Renditions that are not made for want of room.")
	sheds         = desc("sheds_total", "How often a rendition was shed.")
	overloaded    = desc("overloaded", "1 while renditions are shed or not back yet.")
	cores         = desc("cpu_cores", "Cores of the machine.")
	coresUsed     = desc("cpu_cores_used", "Cores in use by the process, over the last seconds.")
	queue         = desc("transcode_queue", "Segments that wait to be transcoded.")
	working       = desc("transcode_working", "Segments that are being transcoded.")
	waiting       = desc("transcode_waiting_seconds", "How long the oldest segment has been waiting or worked on, of all streams.")
	lag           = desc("transcode_lag_seconds", "The largest lag of a live rendition behind its source.")
	ingestBitrate = desc("ingest_bitrate", "Bits per second that come in, of all streams with a publisher.")

	streamBitrate    = desc("stream_bitrate", "Bits per second of the source.", "stream")
	streamLive       = desc("stream_live", "1 while there is a publisher.", "stream")
	streamViewers    = desc("stream_viewers", "Viewers of the stream, by protocol.", "stream", "protocol")
	streamQueue      = desc("stream_transcode_queue", "Segments of the stream that wait to be transcoded.", "stream")
	streamLag        = desc("stream_lag_seconds", "The largest lag of a live rendition behind the source.", "stream")
	renditionLag     = desc("stream_rendition_lag_seconds", "Lag of a rendition's newest segment behind the source's.", "stream", "rendition")
	renditionBitrate = desc("stream_rendition_bitrate", "Bits per second of a rendition, on average.", "stream", "rendition")
	withoutMetrics   = desc("streams_without_metrics", "Streams beyond the first 100, which have no metrics of their own.")
	tooMany          = desc("renditions_without_metrics", "Renditions of streams with metrics, beyond the first 16.")
)

// collector tells what the snapshot says at the time of a scrape.
type collector struct {
	status    func() status.Status
	perStream bool
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	all := []*prometheus.Desc{
		buildInfo, streams, suspended, viewers, renditions, held, heldBytes, shed, sheds, overloaded, cores, coresUsed,
		queue, working, waiting, lag, ingestBitrate,
		workers, workerCapacity, workerLoad, workersDone, workersFailed, workersRefused, engineConnected, enginesWithout,
	}
	if c.perStream {
		all = append(all, streamBitrate, streamLive, streamViewers, streamQueue, streamLag, renditionLag, renditionBitrate, withoutMetrics, tooMany)
	}
	for _, d := range all {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	o := output(out)
	o.gauge(buildInfo, 1, strings.ToValidUTF8(s.Version, "?"))
	o.machine(s.Machine)
	o.totals(s.Streams)
	o.workers(s.Workers)
	o.engines(s.Engines)
	if c.perStream {
		o.streams(s.Streams)
	}
}

// output is where metrics go.
type output chan<- prometheus.Metric

func (o output) send(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	m, err := prometheus.NewConstMetric(d, kind, v, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	o <- m
}

func (o output) gauge(d *prometheus.Desc, v float64, labels ...string) {
	o.send(d, prometheus.GaugeValue, v, labels)
}

func (o output) machine(m status.Machine) {
	o.gauge(cores, float64(m.Cores))
	o.gauge(coresUsed, m.CPU)
	o.gauge(overloaded, oneIf(m.Overloaded))
	o.gauge(shed, float64(m.Shed))
	o.send(sheds, prometheus.CounterValue, float64(m.Sheds), nil)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// totals are over all streams, without a name.
func (o output) totals(all []status.Stream) {
	var sum struct {
		away, hls, rtmp, held, queue, working int
		bytes                                 int64
		bitrate                               uint64
		waiting, lag                          float64
	}
	byIngest, byState := make(map[status.Ingest]int), make(map[status.State]int)
	for i := range all {
		st := &all[i]
		if st.Live {
			byIngest[st.Ingest]++
			sum.bitrate += st.Bitrate
		} else {
			sum.away++
		}
		sum.hls += st.Viewers.HLS
		sum.rtmp += st.Viewers.RTMP
		sum.queue += st.Queue
		sum.working += st.Working
		sum.waiting = max(sum.waiting, st.Waiting)
		sum.lag = max(sum.lag, largestLag(st))
		for j := range st.Renditions {
			r := &st.Renditions[j]
			byState[r.State]++
			sum.held += r.Held
			sum.bytes += r.Bytes
		}
	}
	labelled(o, streams, ingests, byIngest)
	labelled(o, renditions, states, byState)
	o.gauge(suspended, float64(sum.away))
	o.gauge(viewers, float64(sum.hls), "hls")
	o.gauge(viewers, float64(sum.rtmp), "rtmp")
	o.gauge(held, float64(sum.held))
	o.gauge(heldBytes, float64(sum.bytes))
	o.gauge(queue, float64(sum.queue))
	o.gauge(working, float64(sum.working))
	o.gauge(waiting, sum.waiting)
	o.gauge(lag, sum.lag)
	o.gauge(ingestBitrate, float64(sum.bitrate))
}

// labelled sends the count of each known value, and of all others together.
func labelled[T ~string](o output, d *prometheus.Desc, known []T, counts map[T]int) {
	others := 0
	for _, n := range counts {
		others += n
	}
	for _, v := range known {
		o.gauge(d, float64(counts[v]), string(v))
		others -= counts[v]
	}
	o.gauge(d, float64(others), unknown)
}

func largestLag(st *status.Stream) float64 {
	most := 0.0
	for i := range st.Renditions {
		if st.Renditions[i].State == status.Live {
			most = max(most, st.Renditions[i].Lag)
		}
	}
	return most
}

// streams tells of each stream, of as many as may have metrics.
func (o output) streams(all []status.Stream) {
	chosen := firsts(all, maxStreams, func(st *status.Stream) string { return st.Name })
	o.gauge(withoutMetrics, float64(len(all)-len(chosen)))
	left := 0
	for _, st := range chosen {
		o.gauge(streamBitrate, float64(st.Bitrate), st.Name)
		o.gauge(streamLive, oneIf(st.Live), st.Name)
		o.gauge(streamViewers, float64(st.Viewers.HLS), st.Name, "hls")
		o.gauge(streamViewers, float64(st.Viewers.RTMP), st.Name, "rtmp")
		o.gauge(streamQueue, float64(st.Queue), st.Name)
		o.gauge(streamLag, largestLag(st), st.Name)
		of := firsts(st.Renditions, maxRenditions, func(r *status.Rendition) string { return r.Name })
		left += len(st.Renditions) - len(of)
		for _, r := range of {
			o.gauge(renditionLag, r.Lag, st.Name, r.Name)
			o.gauge(renditionBitrate, float64(r.AverageBandwidth), st.Name, r.Name)
		}
	}
	o.gauge(tooMany, float64(left))
}

// firsts returns the first n of all by name, without those whose name is no label, or is
// there twice.
func firsts[T any](all []T, n int, name func(*T) string) []*T {
	named := make([]*T, 0, len(all))
	for i := range all {
		if stream.ValidName(name(&all[i])) {
			named = append(named, &all[i])
		}
	}
	slices.SortStableFunc(named, func(a, b *T) int { return cmp.Compare(name(a), name(b)) })
	named = slices.CompactFunc(named, func(a, b *T) bool { return name(a) == name(b) })
	return named[:min(n, len(named))]
}
