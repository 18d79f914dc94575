//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// sender is something that a crowd plays from.
type sender struct {
	*server
	sent func(timestamp uint32) (time.Time, bool)
	end  func() error // stops the publisher and the process
}

// senderKind makes senders for measureFanout.
type senderKind struct {
	name  string
	start func(ctx context.Context, b *bench) (*sender, error)
	// warm is until the memory of the sender without players does not grow any more.
	warm time.Duration
}

// gatherTime is that of the server's default.
const gatherTime = 30 * time.Millisecond

func senderKinds(b *bench) []senderKind {
	lpms := func(args ...string) func(context.Context, *bench) (*sender, error) {
		return func(ctx context.Context, b *bench) (*sender, error) {
			s, err := b.startLPMS(ctx, args...)
			return publishedOn(ctx, b, s, err)
		}
	}
	ideal := func(gather time.Duration) func(context.Context, *bench) (*sender, error) {
		return func(ctx context.Context, b *bench) (*sender, error) {
			s, epoch, err := b.startIdeal(ctx, gather)
			if err != nil {
				return nil, err
			}
			return &sender{
				server: s,
				sent: func(ts uint32) (time.Time, bool) {
					return epoch.Add(time.Duration(ts) * time.Millisecond), true
				},
				end: func() error { s.stop(); return nil },
			}, nil
		}
	}
	return []senderKind{
		{"default", lpms(), b.span(25*time.Second, 3*time.Second)},
		{"-realtime", lpms("-realtime"), b.span(25*time.Second, 3*time.Second)},
		{"nginx-rtmp", func(ctx context.Context, b *bench) (*sender, error) {
			s, err := b.startNginx(ctx, filepath.Join(b.shm, "fanout"), nginxOptions{})
			return publishedOn(ctx, b, s, err)
		}, 2 * time.Second},
		{"ideal", ideal(0), time.Second},
		{"ideal, 30 ms", ideal(gatherTime), time.Second},
	}
}

// publishedOn adds a publisher of the clip to a server that has started.
func publishedOn(ctx context.Context, b *bench, s *server, err error) (*sender, error) {
	if err != nil {
		return nil, err
	}
	p, err := publish(ctx, s.rtmpURL(liveName), b.clip, true)
	if err != nil {
		s.stop()
		return nil, err
	}
	return &sender{server: s, sent: p.sentAt, end: func() error {
		defer s.stop()
		return p.stop()
	}}, nil
}

// liveName is the name of a stream that is alone.
const liveName = "live"

// fanoutResult is what one sender does for one crowd.
type fanoutResult struct {
	perGB    float64 // CPU seconds
	p50, p99 time.Duration
	memory   float64 // bytes per player
}

func (r *fanoutResult) delay() string {
	return benchhost.Number(float64(r.p50)/1e6) + " / " + millis(r.p99)
}

// measureFanout plays one stream to many players at once, from one sender after the
// other.
func measureFanout(ctx context.Context, b *bench, names []string) ([]row, error) {
	var sizes []int
	for _, n := range names {
		size, err := strconv.Atoi(strings.TrimPrefix(n, "fanout"))
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, size)
	}
	// The largest first: memory that a crowd has left behind would hide the next one's.
	slices.SortFunc(sizes, func(a, b int) int { return cmp.Compare(b, a) })
	results := make(map[int]map[string]fanoutResult)
	for _, n := range sizes {
		results[n] = make(map[string]fanoutResult)
	}
	for _, k := range senderKinds(b) {
		if err := fanoutFrom(ctx, b, k, sizes, results); err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
	}
	var rows []row
	for i, n := range sizes {
		rows = append(rows, fanoutRows(n, results[n], i == 0)...)
	}
	b.note("Fan-out: one stream of %.2f Mbit/s. CPU is that of the whole server, with ingest and, in ours, the making of HLS segments; the ideal senders are given encoded messages. Delay is from the publisher's write of a video message (for the ideal senders, its due time) until one of %d players that parse has all of it; it contains what the load on the same machine adds. One video message in %d is a keyframe, of %s on average: p99 is about those.", b.clip.megabits(), metersOf(1000), b.clip.keyEvery(), kilobytes(b.clip.keySize()))
	if b.quick {
		b.note("Fan-out, quick run: memory per player of our server contains what the HLS window grew by meanwhile.")
	}
	return rows, nil
}

func fanoutFrom(ctx context.Context, b *bench, k senderKind, sizes []int, results map[int]map[string]fanoutResult) error {
	s, err := k.start(ctx, b)
	if err != nil {
		return err
	}
	ended := false
	end := func() error {
		if ended {
			return nil
		}
		ended = true
		return s.end()
	}
	defer end()
	if err := sleep(ctx, k.warm); err != nil {
		return err
	}
	for i, n := range sizes {
		if i > 0 {
			if err := sleep(ctx, time.Second); err != nil { // until the last crowd is forgotten
				return err
			}
		}
		r, err := fanoutOne(ctx, b, s, k.name, n)
		if err != nil {
			return err
		}
		results[n][k.name] = r
	}
	return end()
}

func fanoutOne(ctx context.Context, b *bench, s *sender, name string, n int) (r fanoutResult, err error) {
	before, err := s.meanRSS(ctx, b.span(3*time.Second, time.Second))
	if err != nil {
		return r, err
	}
	c, err := joinMany(ctx, s.rtmpURL(liveName), n, s.sent)
	if err != nil {
		return r, err
	}
	defer c.stop()
	if err := sleep(ctx, b.span(2*time.Second, 1500*time.Millisecond)); err != nil {
		return r, err
	}
	length := b.span(12*time.Second, 4*time.Second)
	if n < 400 {
		length = b.span(7*time.Second, 3*time.Second)
	}
	cpu, err := s.cpu()
	if err != nil {
		return r, err
	}
	from, bytes := time.Now(), c.bytes.Load()
	after, err := s.meanRSS(ctx, length)
	if err != nil {
		return r, err
	}
	to, delivered := time.Now(), c.bytes.Load()-bytes
	used, err := s.cpu()
	if err != nil {
		return r, err
	}
	if err := sleep(ctx, 200*time.Millisecond); err != nil { // for what is on its way
		return r, err
	}
	if lost := c.lost.Load(); lost > 0 {
		b.note("Fan-out to %d, %s: %d players lost their connection.", n, name, lost)
	}
	// Every player should have had the whole stream.
	if want := float64(n) * b.clip.megabits() / 8 * 1e6 * to.Sub(from).Seconds(); float64(delivered) < 0.93*want {
		b.note("Fan-out to %d, %s: only %.0f %% of the stream was delivered.", n, name, 100*float64(delivered)/want)
	}
	delays, err := c.delays(from, to)
	if err != nil {
		return r, err
	}
	return fanoutResult{
		perGB:  (used - cpu).Seconds() / (float64(delivered) / 1e9),
		p50:    percentile(delays, 50),
		p99:    percentile(delays, 99),
		memory: (after - before) / float64(n),
	}, nil
}

const (
	maxGatheredDelay = 50 * time.Millisecond
	maxRealtimeDelay = 5 * time.Millisecond
	maxRealtimeRatio = 1.25
	maxPlayerMemory  = 20e3
)

// fanoutRows are those for n players. Memory is compared only where it is precise.
func fanoutRows(n int, of map[string]fanoutResult, memory bool) []row {
	ours, realtime, nginx, ideal, ideal30 := of["default"], of["-realtime"], of["nginx-rtmp"], of["ideal"], of["ideal, 30 ms"]
	what := func(s string) string { return fmt.Sprintf("%d RTMP players: %s", n, s) }
	rows := []row{
		{
			what:   what("CPU s/GB, default"),
			figure: benchhost.Number(ours.perGB),
			beside: fmt.Sprintf("nginx-rtmp %s; ideal sender, 30 ms gathered %s", benchhost.Number(nginx.perGB), benchhost.Number(ideal30.perGB)),
		}, {
			what:   what("delay added p50 / p99, default"),
			figure: ours.delay(),
			beside: fmt.Sprintf("nginx-rtmp %s; ideal sender, 30 ms gathered %s", nginx.delay(), ideal30.delay()),
			target: "p99 < " + millis(maxGatheredDelay),
			met:    verdict(ours.p99 < maxGatheredDelay),
		}, {
			what:   what("CPU s/GB, -realtime"),
			figure: fmt.Sprintf("%s (%s times the ideal)", benchhost.Number(realtime.perGB), benchhost.Number(realtime.perGB/ideal.perGB)),
			beside: fmt.Sprintf("ideal sender, each message %s", benchhost.Number(ideal.perGB)),
			target: fmt.Sprintf("at most %v times the ideal", maxRealtimeRatio),
			met:    verdict(realtime.perGB <= maxRealtimeRatio*ideal.perGB),
		}, {
			what:   what("delay added p50 / p99, -realtime"),
			figure: realtime.delay(),
			beside: fmt.Sprintf("ideal sender, each message %s", ideal.delay()),
			target: "p99 < " + millis(maxRealtimeDelay),
			met:    verdict(realtime.p99 < maxRealtimeDelay),
		},
	}
	if n >= 400 {
		rows[0].target = "below nginx-rtmp"
		rows[0].met = verdict(ours.perGB < nginx.perGB)
	}
	if memory {
		worst := max(ours.memory, realtime.memory)
		rows = append(rows, row{
			what:   what("memory per player, default / -realtime"),
			figure: fmt.Sprintf("%s / %s", benchhost.Number(ours.memory/1e3), kilobytes(realtime.memory)),
			beside: fmt.Sprintf("nginx-rtmp %s; ideal sender %s", kilobytes(nginx.memory), kilobytes(ideal.memory)),
			target: "at most " + kilobytes(maxPlayerMemory),
			met:    verdict(worst <= maxPlayerMemory),
		})
	}
	return rows
}
