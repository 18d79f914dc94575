package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The orchestrator dies and is started again: all find it, the renditions go on, and the source has
// not noticed.
func TestClusterOrchestratorRestart(t *testing.T) {
	t.Parallel()
	o, service := startOrchestrator(t, "127.0.0.1:0")
	w := startWorker(t, service)
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, 1)
	seen := observe(t, s.server, "restart")
	publisher := publish(t, lightClip(t, 40*time.Second), "rtmp://"+s.rtmp+"/restart")
	seen.awaitAll(t, lightNames...)
	o.die()
	wait(t, "all to notice", func() bool { return !s.status(t).Engines[0].Connected && !w.status(t).Engines[0].Connected })
	o, again := startOrchestrator(t, service)
	require.Equal(t, service, again)
	for _, r := range []*backEndServer{o.backEndServer, s} {
		r.awaitWorkers(t, 1)
	}
	seen.awaitAll(t, lightNames...)
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	j := seen.judge(t)
	t.Logf("%v", j)
	assert.LessOrEqual(t, j.gaps, 3*len(lightNames), "an outage of a second or two costs no more than that")
	assert.Equal(t, lightNames, seen.listed())
}

// The only worker dies: the renditions leave the master playlist, and come back with a new worker.
func TestClusterLastWorker(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	w := startWorker(t, service)
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, 1)
	seen := observe(t, s.server, "last")
	publisher := publish(t, lightClip(t, time.Minute), "rtmp://"+s.rtmp+"/last")
	seen.awaitAll(t, lightNames...)
	w.die()
	died := time.Now()
	wait(t, "the source alone", func() bool { return len(seen.listed()) == 0 })
	t.Logf("the renditions left %v after the worker had died", time.Since(died).Round(100*time.Millisecond))
	resp, _ := s.get(t, s.mediaURL("last"))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	before := seen.newest("source")
	wait(t, "the source to go on", func() bool { return seen.newest("source") > before+1 })
	startWorker(t, service)
	back := time.Now()
	seen.awaitAll(t, lightNames...)
	t.Logf("they were back %v after another one was there", time.Since(back).Round(100*time.Millisecond))
	publisher.stop()
	seen.end(t, patience)
	t.Logf("%v", seen.judge(t))
}

// With -localFallback the broadcaster goes on by itself.
func TestClusterLocalFallback(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	w := startWorker(t, service)
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder, "-localFallback", "-preset", "ultrafast")
	s.awaitWorkers(t, 1)
	seen := observe(t, s.server, "fallback")
	publisher := publish(t, lightClip(t, 40*time.Second), "rtmp://"+s.rtmp+"/fallback")
	seen.awaitAll(t, lightNames...)
	w.die()
	s.awaitWorkers(t, 0)
	for range 2 { // what was in work when it died, and what came afterwards
		seen.awaitAll(t, lightNames...)
	}
	w = startWorker(t, service)
	s.awaitWorkers(t, 1)
	wait(t, "the new worker to be used", func() bool { return w.status(t).Workers[0].Done > 0 })
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	j := seen.judgeWhole(t, lightNames...)
	t.Logf("%v", j)
}

// Nobody is there at the start: the broadcaster waits for its orchestrator, streams have their source,
// and the renditions come when somebody makes them.
func TestClusterStartsInAnyOrder(t *testing.T) {
	t.Parallel()
	service := freePort(t)
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder)
	startWorker(t, service)
	seen := observe(t, s.server, "order")
	publisher := publish(t, lightClip(t, time.Minute), "rtmp://"+s.rtmp+"/order")
	wait(t, "two segments of the source", func() bool { return seen.newest("source") > 0 && len(s.playlist(t, "order").segments) >= 2 })
	assert.Empty(t, seen.listed())
	startOrchestrator(t, service)
	seen.awaitAll(t, lightNames...)
	publisher.stop()
	seen.end(t, patience)
	j := seen.judge(t)
	t.Logf("%v", j)
	assert.True(t, slices.Equal(lightNames, seen.listed()))
}
