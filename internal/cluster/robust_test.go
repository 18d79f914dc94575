package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/transcoder"
)

// An origin answers to workers, and not wherever a worker asks it to: it has rights that they have
// not.
func TestAnswersOnlyToInboxes(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", nil)})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	const me = "EVILEVILEVIL"
	nc, err := nats.Connect(addr, nats.UserInfo("transcoder", secret), nats.Name(me), nats.CustomInboxPrefix("_INBOX.transcoder."+me))
	require.NoError(t, err)
	defer nc.Close()
	seq := uint64(0)
	var job *nats.Msg
	for job == nil { // until it is this one that gets the job
		asked := make(chan *nats.Msg, 1)
		go func() {
			m, _ := nc.Request("$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live", []byte(`{"batch":1,"expires":1000000000}`), 2*time.Second)
			asked <- m
		}()
		for range 3 { // requests are served in turn
			seq++
			require.NoError(t, transcode(t, s, segment(seq, 1000)).err)
		}
		if m := <-asked; m != nil && strings.HasPrefix(m.Reply, "$JS.ACK.") {
			job = m
		}
	}
	origin := strings.Split(job.Subject, ".")[4]
	for _, subject := range []string{"lpms1.get." + origin, "lpms1.res." + origin + "." + me} {
		require.NoError(t, nc.PublishRequest(subject, "$JS.API.STREAM.DELETE.LPMS1_JOBS", []byte(`{"job":"ABCDEFGHIJ","offset":0}`)))
		m := &nats.Msg{Subject: subject, Reply: "$JS.API.STREAM.DELETE.LPMS1_JOBS",
			Header: nats.Header{"Lpms": {`{"kind":"done","job":"ABCDEFGHIJ","worker":"` + me + `"}`}}}
		require.NoError(t, nc.PublishMsg(m))
	}
	answer, err := nc.Request("lpms1.get."+origin, []byte(`{"job":"ABCDEFGHIJ","offset":0}`), patience)
	require.NoError(t, err, "it answers to an inbox, after all those")
	require.Empty(t, answer.Data)
	require.NoError(t, transcode(t, s, segment(seq+1, 1000)).err, "the queue is there still")
}

// The worker that has a segment and its queue may go together.
func TestWorkerAndQueueLost(t *testing.T) {
	addr := freeAddr(t)
	orch := startOrchestrator(t, addr)
	p := newProxy(t, addr)
	bad := newStuck()
	startWorker(t, p.addr(), cluster.WorkerOptions{Name: "bad", Work: bad.work})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	result := make(chan *made, 1)
	go func() { result <- transcode(t, s, segment(1, 1000)) }()
	receive(t, "the first worker", bad.begun)
	p.cut()
	require.NoError(t, orch.stop())
	startOrchestrator(t, addr)
	startWorker(t, addr, cluster.WorkerOptions{Name: "good", Work: fakeWork("good", nil)})
	requireMade(t, receive(t, "the result", result), "good")
}

// Segments that wait at an orchestrator that is lost go to another one, however many.
func TestQueueLostWithMany(t *testing.T) {
	first, second := freeAddr(t), freeAddr(t)
	orch := startOrchestrator(t, first)
	startOrchestrator(t, second)
	bad := newStuck()
	startWorker(t, first, cluster.WorkerOptions{Name: "bad", Work: bad.work})
	o, _ := startOrigin(t, "", cluster.OriginOptions{Servers: []cluster.Server{serverAt(first), serverAt(second)}})
	awaitWorkers(t, o, 1)
	const streams = 12
	results := make(chan *made, streams)
	for n := range streams {
		s := open(t, o, fmt.Sprintf("s%d", n), "a", "b")
		go func() { results <- transcode(t, s, segment(1, 1000)) }()
	}
	awaitQueue(t, first, streams)
	startWorker(t, second, cluster.WorkerOptions{Name: "good", Work: fakeWork("good", nil)})
	awaitWorkers(t, o, 2)
	require.NoError(t, orch.stop())
	for range streams {
		requireMade(t, receive(t, "a result", results), "good")
	}
}

// What a worker needs of the segment before may be little or much.
func TestLead(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	before := make(chan []byte, 1)
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", func(_ context.Context, in cluster.Segment) error {
		before <- in.Before
		return nil
	})})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	for _, size := range []int{1, 20_000, 36 << 10, 36<<10 + 1, 60_000, 99_000, 3 << 20} {
		in := transcoder.Input{Segment: segment(2, 1000), Before: segment(1, size)}
		in.Segment.Independent = false
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, s.Transcode(ctx, in, func(int, ffmpeg.Output) {}), "%d bytes", size)
		cancel()
		require.Equal(t, in.Before.Data, <-before)
	}
}

// One orchestrator that does not want us any more does not end what others do.
func TestOneSecretChanges(t *testing.T) {
	first, second := freeAddr(t), freeAddr(t)
	startOrchestrator(t, first)
	orch := startOrchestrator(t, second)
	startWorker(t, first, cluster.WorkerOptions{Work: fakeWork("w", nil)})
	o, p := startOrigin(t, "", cluster.OriginOptions{Servers: []cluster.Server{serverAt(first), serverAt(second)}})
	until(t, "both", func() bool { return o.Engines()[0].Connected && o.Engines()[1].Connected })
	awaitWorkers(t, o, 1)
	require.NoError(t, orch.stop())
	other, err := orchestrator.New(orchestrator.Options{Addr: second, Secret: "another secret"})
	require.NoError(t, err)
	run(t, other.Run)
	until(t, "the refusal", func() bool { return strings.Contains(o.Engines()[1].Error, "secret is wrong") })
	requireMade(t, transcode(t, open(t, o, "x", "a", "b"), segment(1, 1000)), "w")
	require.NoError(t, p.stop())
}

// Renditions with options that could do harm elsewhere are not sent.
func TestPortableRenditions(t *testing.T) {
	o := newOrigin(t, "127.0.0.1:1", cluster.OriginOptions{})
	for name, change := range map[string]func(*ffmpeg.Rendition){
		"an encoder's options":  func(r *ffmpeg.Rendition) { r.Video.Opts = map[string]string{"x264-params": "dump-yuv=/tmp/x"} },
		"another encoder":       func(r *ffmpeg.Rendition) { r.Video.Name = "rawvideo" },
		"options of sound":      func(r *ffmpeg.Rendition) { r.Audio.Opts = map[string]string{"stats": "/tmp/x"} },
		"options of containers": func(r *ffmpeg.Rendition) { r.Muxer.Opts = map[string]string{"muxdelay": "1"} },
		"metadata":              func(r *ffmpeg.Rendition) { r.Metadata = map[string]string{"title": "x"} },
	} {
		rs := ladderOf("a")
		change(&rs[0])
		_, err := o.Engine(false).Open("x", rs)
		require.ErrorIs(t, err, cluster.ErrMessage, name)
	}
	for _, name := range transcoder.PresetNames() {
		r, err := transcoder.NamedRendition(name)
		require.NoError(t, err)
		s, err := o.Engine(false).Open("x", []ffmpeg.Rendition{r})
		require.NoError(t, err, name)
		s.Close()
	}
}
