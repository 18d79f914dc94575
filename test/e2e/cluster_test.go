package e2e

import (
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
)

// The recipe with its three commands: its publishing line, its test, and what each process says.
func TestClusterRecipe(t *testing.T) {
	t.Parallel()
	service := freePort(t)
	o := startRole(t, "-orchestrator", "-httpAddr", freePort(t), "-serviceAddr", service, "-v", "99")
	w := startRole(t, "-transcoder", "-httpAddr", freePort(t), "-orchAddr", service, "-v", "99")
	s := startBroadcaster(t, service, "-currentManifest", "-transcodingOptions", "P144p30fps16x9", "-v", "99")
	for _, r := range []*backEndServer{o.backEndServer, w.backEndServer, s} {
		found := r.awaitWorkers(t, 1)[0]
		assert.Equal(t, status.WorkerReady, found.State)
		assert.Contains(t, found.Encoders, "h264")
		engines := r.status(t).Engines
		require.Len(t, engines, 1)
		assert.Equal(t, status.Engine{Addr: service, Connected: true}, engines[0])
	}
	assert.Equal(t, []string{"orchestrator"}, o.status(t).Roles)
	assert.Equal(t, []string{"transcoder"}, w.status(t).Roles)
	assert.Equal(t, []string{"broadcaster"}, s.status(t).Roles)

	seen := observe(t, s.server, "hello_world")
	publisher := recipe(t, 12, "rtmp://"+s.rtmp+"/hello_world")
	seen.awaitAll(t, "P144p30fps16x9")
	_, master := s.get(t, s.masterURL("hello_world"))
	vs := variants(t, string(master))
	require.Equal(t, []string{"hello_world/source.m3u8", "hello_world/P144p30fps16x9.m3u8"}, uris(vs))
	_, current := s.get(t, s.masterURL("current"))
	assert.Equal(t, uris(vs), uris(variants(t, string(current))))
	for _, v := range vs {
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x",
			s.url(v)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		first, _, _ := strings.Cut(string(out), "\n")
		assert.Equal(t, v.resolution, strings.TrimSpace(first), v.uri)
	}
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	t.Logf("%v", seen.judgeWhole(t, "P144p30fps16x9"))
	assert.Positive(t, w.status(t).Workers[0].Done, "segments of the worker")
	for _, p := range []*process{w.process, s.process, o.process} {
		p.signal(syscall.SIGTERM)
		assert.Zero(t, p.exit(t, patience), "%v after SIGTERM", p.cmd.Args)
	}
}

// A worker that is told to stop finishes what it has: nobody else is there to do it.
func TestClusterWorkerLeaves(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	w := startWorker(t, service)
	s := startBroadcaster(t, service, "-transcodingOptions", "P240p30fps16x9", "-preset", "slower")
	s.awaitWorkers(t, 1)
	path := filepath.Join(t.TempDir(), "segment.ts")
	output(t, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=size=640x360:rate=30 -t 10 -c:v libx264 -preset ultrafast -g 300 -pix_fmt yuv420p "+path)...)
	media, err := os.ReadFile(path)
	require.NoError(t, err)
	c := client(t)
	go func() { // tell it in the middle of the job
		for t.Context().Err() == nil {
			_, body, err := get(t.Context(), c, http.MethodGet, "http://"+w.admin+"/status")
			if err == nil && strings.Contains(string(body), `"load": 1`) {
				w.signal(syscall.SIGTERM)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	code, parts := push(t, "http://"+s.http+"/live/leaving/0.ts", media, "Content-Duration", "10000", "Accept", "multipart/mixed")
	require.Equal(t, http.StatusOK, code, s.log.tail(2000))
	require.Equal(t, []string{"P240p30fps16x9"}, slices.Collect(maps.Keys(parts)))
	assert.Equal(t, "426x240", sizeOf(t, &segment{data: parts["P240p30fps16x9"]}))
	assert.Zero(t, w.exit(t, patience), "exit code")
	assert.Contains(t, w.log.String(), "1 segments that are in work")
	s.awaitWorkers(t, 0)
}

// All roles in one process, which need no network between them; another worker may help.
func TestClusterOneProcess(t *testing.T) {
	t.Parallel()
	p := start(t, backEnd, "-broadcaster", "-orchestrator", "-transcoder", "-serviceAddr", "127.0.0.1:0", "-orchSecret", orchSecret,
		"-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0", "-cliAddr", "127.0.0.1:0", "-transcodingOptions", lightLadder)
	m := p.see(t, `Publish to +rtmp://([^/]+)/NAME\nWatch +http://([^/]+)/stream/NAME.m3u8\nWorkers at +(\S+)\nStatus +http://([^/]+)/status`, time.Minute)
	s := &backEndServer{&server{process: p, rtmp: m[1], http: m[2]}, m[4]}
	t.Cleanup(func() { s.end(t) })
	s.awaitWorkers(t, 1)
	assert.ElementsMatch(t, []string{"broadcaster", "orchestrator", "transcoder"}, s.status(t).Roles)
	seen := observe(t, s.server, "alone")
	publisher := publish(t, lightClip(t, 40*time.Second), "rtmp://"+s.rtmp+"/alone")
	seen.awaitAll(t, lightNames...)
	helper := startWorker(t, m[3])
	s.awaitWorkers(t, 2)
	wait(t, "the other worker to be used", func() bool { return helper.status(t).Workers[0].Done > 0 })
	helper.die()
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	t.Logf("%v", seen.judgeWhole(t, lightNames...))
}

// A broadcaster with two orchestrators, one of which dies for good.
func TestClusterTwoOrchestrators(t *testing.T) {
	t.Parallel()
	first, one := startOrchestrator(t, "127.0.0.1:0")
	_, two := startOrchestrator(t, "127.0.0.1:0")
	lost := startWorker(t, one)
	kept := startWorker(t, two)
	s := startBroadcaster(t, one+","+two, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, 2)
	seen := observe(t, s.server, "both")
	publisher := publish(t, lightClip(t, 40*time.Second), "rtmp://"+s.rtmp+"/both")
	seen.awaitAll(t, lightNames...)
	first.die()
	s.awaitWorkers(t, 1)
	wait(t, "the other orchestrator to be used", func() bool { return kept.status(t).Workers[0].Done > 0 })
	seen.awaitAll(t, lightNames...)
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	t.Logf("%v", seen.judgeWhole(t, lightNames...))
	lost.alive(t)
}
