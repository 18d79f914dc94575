package admin

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
)

// sample has one of each: a publisher with renditions, one that has gone, a test signal, and
// workers in different states.
func sample() status.Status {
	return status.Status{
		Version: "1.0.0",
		Machine: status.Machine{Cores: 2, CPU: 1.5, Memory: 80 << 20, Overloaded: true, Shed: 1, Sheds: 3},
		Streams: []status.Stream{
			{
				Name: "hello", Ingest: status.RTMP, Live: true, Viewers: status.Viewers{HLS: 7, RTMP: 2}, Bitrate: 2_000_000,
				Queue: 1, Working: 1, Waiting: 2.5,
				Renditions: []status.Rendition{
					{Name: "source", State: status.Live, Held: 12, Bytes: 6_000_000, AverageBandwidth: 2_100_000},
					{Name: "P144p30fps16x9", State: status.Live, Held: 11, Bytes: 1_000_000, AverageBandwidth: 400_000, Lag: 0.75},
					{Name: "P360p30fps16x9", State: status.Shed, Lag: 60},
				},
			},
			{Name: "pushed", Ingest: status.Push, Viewers: status.Viewers{HLS: 1}, Bitrate: 5, Queue: 2, Waiting: 1},
			{Name: "signal", Ingest: status.Test, Live: true, Bitrate: 500_000, Renditions: []status.Rendition{{Name: "source", State: status.Waiting}}},
		},
		Roles: []string{"broadcaster", "transcoder"},
		Engines: []status.Engine{
			{Addr: "10.0.0.1:8936", Connected: true}, {Addr: "10.0.0.2:8936", Connected: true}, {Addr: "10.0.0.2:8936", Error: "refused"},
		},
		Workers: []status.Worker{
			{ID: "AAAAAAAAAAAA", Name: "a", State: status.WorkerReady, Capacity: 4, Load: 3, Speed: 3.25, Done: 100, Failed: 2, Encoders: []string{"h264"}},
			{ID: "BBBBBBBBBBBB", Name: "b", State: status.WorkerReady, Capacity: 2, Load: 1, Done: 10},
			{ID: "CCCCCCCCCCCC", Name: "c", State: status.WorkerBenched, Reason: "green pictures", Capacity: 8, Done: 5, Failed: 1, Refused: 3},
			{ID: "DDDDDDDDDDDD", Name: "d", State: "asleep"},
		},
	}
}

func scrape(t *testing.T, m *Metrics) string {
	w := ask(New(Options{Metrics: m}), "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
	return w.Body.String()
}

// ours are the lines about LPMS.
func ours(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.HasPrefix(l, "lpms_") })
}

func TestScrape(t *testing.T) {
	for name, perStream := range map[string]bool{"totals": false, "per_stream": true} {
		t.Run(name, func(t *testing.T) {
			golden, err := os.Open("testdata/" + name + ".prom")
			require.NoError(t, err)
			defer func() { _ = golden.Close() }()
			c := &collector{status: sample, perStream: perStream}
			require.NoError(t, testutil.CollectAndCompare(c, golden))
			pedantic := prometheus.NewPedanticRegistry()
			pedantic.MustRegister(c)
			_, err = pedantic.Gather()
			require.NoError(t, err)
		})
	}
}

func TestScrapeHasTheProcess(t *testing.T) {
	text := scrape(t, NewMetrics(MetricsOptions{}))
	for _, name := range []string{"go_goroutines ", "process_resident_memory_bytes ", "go_build_info{"} {
		require.Contains(t, text, "\n"+name)
	}
	require.NotContains(t, text, "lpms_streams", "there is no status")
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(used().registry)
	require.NoError(t, err)
	for _, p := range problems {
		require.False(t, strings.HasPrefix(p.Metric, "lpms_"), "%s: %s", p.Metric, p.Text)
	}
	problems, err = testutil.CollectAndLint(&collector{status: sample, perStream: true})
	require.NoError(t, err)
	require.Empty(t, problems)
}

// used has something of everything.
func used() *Metrics {
	m := NewMetrics(MetricsOptions{PerStream: true, Status: sample})
	m.ObserveIngest(2 * time.Second)
	m.ObserveSegment(3 * time.Millisecond)
	m.ObserveTranscode(700 * time.Millisecond)
	m.ObserveServed(-time.Second)
	m.Segment(status.RTMP)
	m.Segment("by pigeon")
	m.Segment(status.RTMP)
	m.Done()
	m.Done()
	m.Failed()
	m.Skipped()
	m.Retried()
	for _, status := range []int{200, 206, 304, 404, 500, 100, 0, -1, 999, math.MaxInt} {
		m.HTTPResponse(status)
	}
	return m
}

func TestCounts(t *testing.T) {
	lines := ours(scrape(t, used()))
	for _, want := range []string{
		`lpms_stage_seconds_bucket{stage="ingest",le="1"} 0`,
		`lpms_stage_seconds_bucket{stage="ingest",le="2.5"} 1`,
		`lpms_stage_seconds_sum{stage="ingest"} 2`,
		`lpms_stage_seconds_bucket{stage="segment",le="0.005"} 1`,
		`lpms_stage_seconds_sum{stage="transcode"} 0.7`,
		`lpms_stage_seconds_bucket{stage="served",le="0.001"} 1`,
		`lpms_stage_seconds_sum{stage="served"} 0`,
		`lpms_segments_total{ingest="rtmp"} 2`,
		`lpms_segments_total{ingest="push"} 0`,
		`lpms_segments_total{ingest="other"} 1`,
		`lpms_transcode_done_total 2`,
		`lpms_transcode_failed_total 1`,
		`lpms_transcode_skipped_total 1`,
		`lpms_transcode_retried_total 1`,
		`lpms_http_responses_total{class="2xx"} 2`,
		`lpms_http_responses_total{class="3xx"} 1`,
		`lpms_http_responses_total{class="4xx"} 1`,
		`lpms_http_responses_total{class="5xx"} 1`,
		`lpms_http_responses_total{class="1xx"} 1`,
		`lpms_http_responses_total{class="other"} 4`,
	} {
		require.Contains(t, lines, want)
	}
}

// What is counted does not go back when the streams leave.
func TestTotalsStay(t *testing.T) {
	s := sample()
	m := NewMetrics(MetricsOptions{Status: func() status.Status { return s }})
	m.Segment(status.Push)
	m.Done()
	before := scrape(t, m)
	require.Contains(t, before, "\nlpms_viewers{protocol=\"hls\"} 8\n")
	s.Streams = nil
	after := scrape(t, m)
	require.Contains(t, after, "\nlpms_viewers{protocol=\"hls\"} 0\n")
	require.Contains(t, after, "\nlpms_segments_total{ingest=\"push\"} 1\n")
	require.Contains(t, after, "\nlpms_transcode_done_total 1\n")
}

func TestNilMetrics(t *testing.T) {
	var m *Metrics
	require.NotPanics(t, func() {
		m.ObserveIngest(1)
		m.ObserveSegment(1)
		m.ObserveTranscode(1)
		m.ObserveServed(1)
		m.Segment(status.RTMP)
		m.Done()
		m.Failed()
		m.Skipped()
		m.Retried()
		m.HTTPResponse(200)
	})
	h := http.NewServeMux()
	require.Same(t, h, m.Middleware(h))
}

// hostile has many streams, most of them with names that are no labels.
func hostile() status.Status {
	var s status.Status
	names := []string{"", "..", ".hidden", "a/b", "a\nlpms_fake 1", `a"} 1`, "\xff\xfe", strings.Repeat("x", 129), "twice", "twice", "é", "a b", "<script>"}
	for i := range 1000 {
		names = append(names, fmt.Sprintf("s%04d", 999-i))
	}
	for _, name := range names {
		st := status.Stream{Name: name, Ingest: status.Ingest(name), Live: true, Codecs: name, Advice: []string{name}}
		for j := range 40 {
			st.Renditions = append(st.Renditions, status.Rendition{Name: fmt.Sprintf("r%02d", 39-j), State: status.State(name)})
		}
		st.Renditions = append(st.Renditions, status.Rendition{Name: name}, status.Rendition{Name: name}, status.Rendition{Name: `"`})
		s.Streams = append(s.Streams, st)
		s.Workers = append(s.Workers, status.Worker{ID: name, Name: name, State: status.WorkerState(name), Capacity: 1})
		s.Engines = append(s.Engines, status.Engine{Addr: name, Connected: true}, status.Engine{Addr: name + strings.Repeat("y", 1000)})
	}
	s.Version = "1\xff\n\""
	return s
}

func TestCardinality(t *testing.T) {
	m := NewMetrics(MetricsOptions{PerStream: true, Status: hostile})
	_, err := m.registry.Gather()
	require.NoError(t, err)
	lines := ours(scrape(t, m))
	streams, renditions := map[string]bool{}, map[string]bool{}
	for _, l := range lines {
		require.False(t, strings.HasPrefix(l, "lpms_fake"))
		if _, rest, ok := strings.Cut(l, `stream="`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			streams[name] = true
			if _, rest, ok := strings.Cut(l, `rendition="`); ok {
				rendition, _, _ := strings.Cut(rest, `"`)
				renditions[name+"/"+rendition] = true
			}
		}
	}
	require.Len(t, streams, maxStreams)
	require.Len(t, renditions, maxStreams*maxRenditions)
	first := slices.Sorted(maps.Keys(streams))
	require.Equal(t, "s0000", first[0])
	require.Equal(t, "s0099", first[99])
	require.Contains(t, lines, "lpms_streams_without_metrics 913")
	require.Contains(t, lines, "lpms_renditions_without_metrics 2700")
	require.Contains(t, lines, `lpms_streams{ingest="other"} 1013`)
	require.Contains(t, lines, `lpms_workers{state="other"} 1013`)
	require.Contains(t, lines, `lpms_worker_capacity 0`)
	require.Contains(t, lines, fmt.Sprintf("lpms_engines_without_metrics %d", 2*1012-maxEngines), "one name is there twice")
	require.Less(t, len(lines), 200+maxStreams*(6+2*maxRenditions))

	totals := scrape(t, NewMetrics(MetricsOptions{Status: hostile}))
	require.NotContains(t, totals, "s0000")
	require.NotContains(t, totals, "lpms_stream_")
	require.Less(t, len(ours(totals)), 200)
}

func TestConcurrent(t *testing.T) {
	m := NewMetrics(MetricsOptions{PerStream: true, Status: sample})
	const workers, rounds = 4, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				m.ObserveServed(time.Duration(i) * time.Millisecond)
				m.ObserveIngest(time.Second)
				m.Segment(status.RTMP)
				m.HTTPResponse(200)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 5 {
				scrape(t, m)
			}
		})
	}
	wg.Wait()
	lines := ours(scrape(t, m))
	require.Contains(t, lines, fmt.Sprintf(`lpms_stage_seconds_count{stage="served"} %d`, workers*rounds))
	require.Contains(t, lines, fmt.Sprintf(`lpms_http_responses_total{class="2xx"} %d`, workers*rounds))
}

func TestNoAllocations(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.ObserveServed(time.Millisecond)
		m.Segment(status.Push)
		m.Done()
		m.HTTPResponse(206)
	}))
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics(MetricsOptions{})
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveServed(3 * time.Millisecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := NewMetrics(MetricsOptions{PerStream: true, Status: hostile})
	for b.Loop() {
		if _, err := m.registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
