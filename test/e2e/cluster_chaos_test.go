package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// killInterval is how often a worker is killed.
const killInterval = 3 * time.Second

// Four workers, one of which dies or hangs every few seconds, for CLUSTER_TIME: three streams with
// three renditions each lack nothing.
//
// It runs before the parallel tests: they need the processor.
func TestClusterChaos(t *testing.T) {
	length := clusterTime(t)
	o, service := startOrchestrator(t, "127.0.0.1:0")
	workers := make([]*role, 4)
	for i := range workers {
		workers[i] = startWorker(t, service)
	}
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, len(workers))
	sent := lightClip(t, length)
	var seen []*observation
	var publishers []*process
	for _, name := range []string{"one", "two", "three"} {
		seen = append(seen, observe(t, s.server, name))
		publishers = append(publishers, publish(t, sent, "rtmp://"+s.rtmp+"/"+name))
	}
	tick := time.NewTicker(killInterval)
	defer tick.Stop()
	kills, caught, hangs := 0, 0, 0
	for n, over := 0, false; !over; n++ {
		select {
		case <-tick.C:
		case <-publishers[0].done:
			over = true
			continue
		}
		w := workers[n%len(workers)]
		if n%5 == 3 {
			hangs++
			w.hang()
			pause(t, killInterval)
			w.resume()
			continue
		}
		kills++
		if catch(t, w) {
			caught++
		}
		w.die()
		workers[n%len(workers)] = startWorker(t, service)
	}
	for _, p := range publishers {
		p.succeed(t, patience)
	}
	o.alive(t)
	s.alive(t)
	for _, obs := range seen {
		obs.end(t, patience)
		j := obs.judgeWhole(t, lightNames...)
		t.Logf("%s: %v", obs.stream, j)
		assert.Less(t, j.lag, 3*j.longest, "%s: how far a rendition was behind the source", obs.stream)
	}
	t.Logf("in %v, %d times a worker was killed, %d of them with a segment in work, and %d times one hung for %v", length, kills, caught, hangs, killInterval)
}

// catch waits until a worker has something to lose, and reports whether it has.
func catch(t testing.TB, w *role) bool {
	t.Helper()
	for end := time.Now().Add(killInterval * 2 / 3); time.Now().Before(end); pause(t, 5*time.Millisecond) {
		if w.status(t).Workers[0].Load > 0 {
			return true
		}
	}
	return false
}
