package admin

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/livepeer/lpms/internal/status"
)

// MetricsOptions of NewMetrics.
type MetricsOptions struct {
	// PerStream adds lpms_stream_..., labelled with the names of streams: of the first
	// 100, and 16 renditions of each. Without it no name of a stream is told.
	PerStream bool
	// Status is asked for once per scrape, from several goroutines when several scrape.
	// The value is not changed. Default: what comes from it is absent.
	Status func() status.Status
}

// maxScrapes is how many scrapes are answered at once; more get 503.
const maxScrapes = 8

// Metrics are what Prometheus is told. What there is now comes from Status at each scrape;
// what is counted, and must not go back when a stream leaves, comes from the methods. They
// may be called from any goroutine, do not block and do not allocate. All methods of a nil
// *Metrics do nothing, so that callers need no ifs.
type Metrics struct {
	registry *prometheus.Registry

	ingest, segment, transcode, served, playlist prometheus.Observer

	segments                         map[status.Ingest]prometheus.Counter // never changes
	segmentsOther                    prometheus.Counter
	done, failures, skipped, retried prometheus.Counter
	classes                          [len(classNames)]prometheus.Counter
	sent                             [len(kindNames)]prometheus.Counter
}

// buckets are in seconds: from an answer out of memory to a stage that has given up.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// classNames are those of HTTP statuses; the first is for what is none.
var classNames = [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}

const unknown = "other"

// NewMetrics makes metrics with a registry of their own. They need no Close.
func NewMetrics(o MetricsOptions) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), segments: make(map[status.Ingest]prometheus.Counter)}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	if o.Status != nil {
		m.registry.MustRegister(&collector{status: o.Status, perStream: o.PerStream})
	}
	m.makeHistograms()
	m.makeCounters()
	return m
}

func (m *Metrics) makeHistograms() {
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "lpms_stage_seconds", Help: "How long each stage took, of a segment on its way from the publisher to a viewer; of ingest, how much longer than at best.", Buckets: buckets,
	}, []string{"stage"})
	m.ingest = stages.WithLabelValues("ingest")
	m.segment = stages.WithLabelValues("segment")
	m.transcode = stages.WithLabelValues("transcode")
	m.served = stages.WithLabelValues("served")
	playlist := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "lpms_playlist_seconds", Help: "How long requests for playlists took, the wait for a first segment included.", Buckets: buckets,
	})
	m.playlist = playlist
	m.registry.MustRegister(stages, playlist)
}

func (m *Metrics) makeCounters() {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		m.registry.MustRegister(v)
		return v
	}
	segments := vector("lpms_segments_total", "Segments of sources that were appended, by how the stream comes in.", "ingest")
	for _, in := range ingests {
		m.segments[in] = segments.WithLabelValues(string(in))
	}
	m.segmentsOther = segments.WithLabelValues(unknown)
	m.done = counter("lpms_transcode_done_total", "Segments of renditions that were made.")
	m.failures = counter("lpms_transcode_failed_total", "Times that a segment could not be made: a gap.")
	m.skipped = counter("lpms_transcode_skipped_total", "Times that a segment was left out because it was too late: a gap.")
	m.retried = counter("lpms_transcode_retried_total", "Times that a segment failed and was tried again.")
	responses := vector("lpms_http_responses_total", "HTTP responses, by class of their status.", "class")
	for i, name := range classNames {
		m.classes[i] = responses.WithLabelValues(name)
	}
	sent := vector("lpms_http_sent_bytes_total", "Bytes of HTTP bodies that were sent.", "kind")
	for i, name := range kindNames {
		m.sent[i] = sent.WithLabelValues(name)
	}
}

// handler answers scrapes. What can be told is told even when something else cannot.
func (m *Metrics) handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
	})
}

// observe counts d; a negative one, which comes from a clock that was set, is 0.
func observe(o prometheus.Observer, d time.Duration) { o.Observe(max(d, 0).Seconds()) }

// ObserveIngest is for how much later than the fastest of the last minutes a segment came in:
// what the publisher and the network add.
func (m *Metrics) ObserveIngest(d time.Duration) {
	if m != nil {
		observe(m.ingest, d)
	}
}

// ObserveSegment is for the time from a segment's last media to its being in the playlist.
func (m *Metrics) ObserveSegment(d time.Duration) {
	if m != nil {
		observe(m.segment, d)
	}
}

// ObserveTranscode is for the time from there to a rendition of it in its playlist, the
// wait for a turn included.
func (m *Metrics) ObserveTranscode(d time.Duration) {
	if m != nil {
		observe(m.transcode, d)
	}
}

// ObserveServed is for the time from a viewer's request for a segment to its last byte in
// the kernel. Middleware calls it.
func (m *Metrics) ObserveServed(d time.Duration) {
	if m != nil {
		observe(m.served, d)
	}
}

// Segment counts a segment of a source that was appended.
func (m *Metrics) Segment(in status.Ingest) {
	if m == nil {
		return
	}
	if c := m.segments[in]; c != nil {
		c.Inc()
	} else {
		m.segmentsOther.Inc()
	}
}

// Done counts a segment of a rendition that was made.
func (m *Metrics) Done() {
	if m != nil {
		m.done.Inc()
	}
}

// Failed counts a segment that could not be made: of a rendition, or of all at once.
func (m *Metrics) Failed() {
	if m != nil {
		m.failures.Inc()
	}
}

// Skipped counts a segment that was left out: of a rendition, or of all at once.
func (m *Metrics) Skipped() {
	if m != nil {
		m.skipped.Inc()
	}
}

// Retried counts a segment that failed and is tried once more.
func (m *Metrics) Retried() {
	if m != nil {
		m.retried.Inc()
	}
}

// HTTPResponse counts a response by its status, for what Middleware does not see.
func (m *Metrics) HTTPResponse(status int) {
	if m == nil {
		return
	}
	class := status / 100
	if class < 1 || class >= len(classNames) {
		class = 0
	}
	m.classes[class].Inc()
}
