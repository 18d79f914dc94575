package e2e

import (
	"cmp"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/internal/testmedia"
)

const orchSecret = "a-secret-of-the-tests"

// lightLadder is three renditions that cost little.
const lightLadder = `[{"name":"h144","width":256,"height":144,"bitrate":150000},` +
	`{"name":"h108","width":192,"height":108,"bitrate":100000},{"name":"h72","width":128,"height":72,"bitrate":60000}]`

var lightNames = []string{"h144", "h108", "h72"}

// role is lpms without the part that serves streams.
type role struct {
	*backEndServer
	killed bool
}

// startRole starts the program as an orchestrator or a transcoder, and checks at the end of the
// test that it ends well, unless it was killed.
func startRole(t testing.TB, args ...string) *role {
	t.Helper()
	return beginRole(t, start(t, backEnd, append([]string{"-cliAddr", "127.0.0.1:0", "-orchSecret", orchSecret}, args...)...))
}

func beginRole(t testing.TB, p *process) *role {
	t.Helper()
	m := p.see(t, `Status +http://([^/]+)/status`, time.Minute)
	r := &role{backEndServer: &backEndServer{&server{process: p}, m[1]}}
	t.Cleanup(func() { r.end(t) })
	return r
}

func (r *role) end(t testing.TB) {
	t.Helper()
	if !r.killed {
		r.server.end(t)
		return
	}
	assert.NotContains(t, r.log.String(), "DATA RACE")
	assert.NotContains(t, r.log.String(), "panic")
}

// die is what a crash of the machine looks like to others.
func (r *role) die() {
	r.killed = true
	r.kill()
}

// startOrchestrator returns where the others find it.
func startOrchestrator(t testing.TB, addr string) (r *role, service string) {
	t.Helper()
	r = startRole(t, "-orchestrator", "-serviceAddr", addr)
	return r, r.see(t, `Workers at +(\S+)\n`, patience)[1]
}

func startWorker(t testing.TB, service string, args ...string) *role {
	t.Helper()
	return startRole(t, append([]string{"-transcoder", "-orchAddr", service, "-maxSessions", "4"}, args...)...)
}

// startBroadcaster starts one whose segments are transcoded by others.
func startBroadcaster(t testing.TB, service string, args ...string) *backEndServer {
	t.Helper()
	return serveBackEnd(t, append([]string{"-broadcaster", "-orchAddr", service, "-orchSecret", orchSecret}, args...)...)
}

// awaitWorkers waits until a process knows so many workers that take jobs.
func (s *backEndServer) awaitWorkers(t testing.TB, n int) (found []status.Worker) {
	t.Helper()
	wait(t, "workers to be known", func() bool {
		found = s.status(t).Workers
		return len(found) == n
	})
	return found
}

// lightClip is a source that two cores carry several times, with a keyframe every 2 s.
func lightClip(t testing.TB, length time.Duration) *clip {
	t.Helper()
	return makeClip(t, "light-"+length.String(), testmedia.Clip{Seconds: int(length.Seconds()), Size: "320x180", Rate: "15", Video: []string{
		"-g", "30", "-keyint_min", "30", "-sc_threshold", "0", "-bf", "2", "-b:v", "200k",
	}})
}

// clusterTime is CLUSTER_TIME, how long workers are killed.
func clusterTime(t testing.TB) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("CLUSTER_TIME"), "40s"))
	require.NoError(t, err, "CLUSTER_TIME is a duration, as 10m")
	return d
}

// pause lets a stream run for some time: that is what is tested.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		require.NoError(t, t.Context().Err())
	}
}

// hang stops a process without its knowledge, and resume lets it go on.
func (r *role) hang()   { r.signal(syscall.SIGSTOP) }
func (r *role) resume() { r.signal(syscall.SIGCONT) }

// alive fails the test when a process that should go on has ended.
func (p *process) alive(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
		require.FailNow(t, "a process has ended", "%v\n%s", p.cmd.Args, p.log.tail(4000))
	default:
	}
}

// renditionsOf are the names in a master playlist, the source without.
func renditionsOf(t testing.TB, master, stream string) (names []string) {
	t.Helper()
	for _, uri := range uris(variants(t, master)) {
		name := strings.TrimSuffix(strings.TrimPrefix(uri, stream+"/"), ".m3u8")
		if name != "source" {
			names = append(names, name)
		}
	}
	return names
}
