package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/testmedia"
)

// natsServer runs Debian's NATS server on addr.
func natsServer(t testing.TB, addr string, args ...string) *process {
	t.Helper()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		program = "/usr/sbin/nats-server" // not in everybody's path
		_, err := os.Stat(program)
		require.NoError(t, err, missing("nats-server"))
	}
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	p := start(t, program, append([]string{"-js", "-sd", t.TempDir(), "-a", host, "-p", port}, args...)...)
	p.see(t, `Server is ready`, patience)
	return p
}

// heavyClip has segments that are larger than what a NATS server takes as one message.
func heavyClip(t testing.TB) *clip {
	t.Helper()
	return makeClip(t, "heavy", testmedia.Clip{Seconds: 16, Size: "640x360", Video: []string{
		"-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "8M", "-nal-hrd", "cbr",
	}})
}

// One NATS server as it comes, with a user: its messages have 1 MiB at the most, so the workers
// fetch the segments in parts.
func TestClusterNATS(t *testing.T) {
	t.Parallel()
	addr := freePort(t)
	natsServer(t, addr, "--user", "lpms", "--pass", orchSecret)
	url := "nats://lpms:" + orchSecret + "@" + addr
	w := startExternal(t, url, "-transcoder")
	s := serveBackEnd(t, "-broadcaster", "-natsURL", url, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, 1)
	seen := observe(t, s.server, "external")
	sent := heavyClip(t)
	publish(t, sent, "rtmp://"+s.rtmp+"/external").succeed(t, time.Minute)
	seen.end(t, patience)
	t.Logf("%v", seen.judgeWhole(t, lightNames...))
	largest := 0
	for _, segment := range seen.tracks["source"].segments {
		largest = max(largest, len(segment.data))
	}
	assert.Greater(t, largest, 1<<20, "bytes of a segment")
	for _, p := range []*backEndServer{w.backEndServer, s} {
		assert.NotContains(t, p.log.String(), orchSecret, "the password is not in logs")
	}
}

// startExternal starts a role on a NATS server. There is no secret but that of its URL.
func startExternal(t testing.TB, url string, args ...string) *role {
	t.Helper()
	return beginRole(t, start(t, backEnd, append([]string{"-cliAddr", "127.0.0.1:0", "-natsURL", url}, args...)...))
}

// The NATS server is restarted, and has forgotten everything: the job queue is made again.
func TestClusterNATSRestart(t *testing.T) {
	t.Parallel()
	addr := freePort(t)
	node := natsServer(t, addr)
	url := "nats://" + addr
	w := startExternal(t, url, "-transcoder")
	s := serveBackEnd(t, "-broadcaster", "-natsURL", url, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, 1)
	seen := observe(t, s.server, "anew")
	publisher := publish(t, lightClip(t, 90*time.Second), "rtmp://"+s.rtmp+"/anew")
	seen.awaitAll(t, lightNames...)
	node.kill()
	wait(t, "all to notice", func() bool { return !s.status(t).Engines[0].Connected && !w.status(t).Engines[0].Connected })
	natsServer(t, addr)
	started := time.Now()
	js, err := jetstream.New(natsConnect(t, url))
	require.NoError(t, err)
	for { // a queue that was there is looked after now and then
		_, err := js.Stream(t.Context(), cluster.JobsStream)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
		require.Less(t, time.Since(started), time.Minute, "nobody makes the job queue again")
		pause(t, 200*time.Millisecond)
	}
	t.Logf("the job queue was there %v after the server was", time.Since(started).Round(100*time.Millisecond))
	seen.awaitAll(t, lightNames...)
	t.Logf("all renditions were there %v after the server was", time.Since(started).Round(100*time.Millisecond))
	publisher.stop()
	seen.end(t, patience)
	t.Logf("%v", seen.judge(t))
	assert.Equal(t, lightNames, seen.listed())
}

// Three NATS servers, of which the one that leads the job queue is killed while a stream runs.
func TestClusterNATSLeaderDies(t *testing.T) {
	t.Parallel()
	nodes, addrs := natsCluster(t)
	var urls []string
	for _, a := range addrs {
		urls = append(urls, "nats://"+a)
	}
	url := strings.Join(urls, ",")
	workers := []*role{startExternal(t, url, "-transcoder"), startExternal(t, url, "-transcoder")}
	s := serveBackEnd(t, "-broadcaster", "-natsURL", url, "-transcodingOptions", lightLadder)
	s.awaitWorkers(t, len(workers))
	seen := observe(t, s.server, "led")
	publisher := publish(t, lightClip(t, time.Minute), "rtmp://"+s.rtmp+"/led")
	seen.awaitAll(t, lightNames...)
	leader, replicas := jobsLeader(t, url)
	assert.Equal(t, 3, replicas, "servers that have the jobs")
	t.Logf("%s leads", leader)
	nodes[leader].kill()
	killed := time.Now()
	delete(nodes, leader)
	seen.awaitAll(t, lightNames...)
	t.Logf("all renditions went on %v after the leader had died", time.Since(killed).Round(100*time.Millisecond))
	next, replicas := jobsLeader(t, url)
	assert.NotEqual(t, leader, next)
	assert.Equal(t, 3, replicas, "servers that have the jobs")
	publisher.succeed(t, 2*time.Minute)
	seen.end(t, patience)
	j := seen.judge(t)
	t.Logf("%v", j)
	assert.Equal(t, lightNames, seen.listed())
	for _, w := range workers {
		w.alive(t)
	}
	s.alive(t)
}

// natsCluster starts three servers that know each other. The map is by name.
func natsCluster(t testing.TB) (nodes map[string]*process, addrs []string) {
	t.Helper()
	nodes = make(map[string]*process)
	var routes []string
	for range 3 {
		addrs = append(addrs, freePort(t))
		routes = append(routes, "nats://"+freePort(t))
	}
	dir := t.TempDir()
	for i, addr := range addrs {
		name := fmt.Sprintf("node%d", i)
		config := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf("server_name: %s\njetstream { max_mem: 1G, max_file: 1G }\nmax_payload: 8MB\ncluster { name: lpms, listen: %q, routes: [ %q ] }\n",
			name, strings.TrimPrefix(routes[i], "nats://"), routes)
		text = strings.NewReplacer("[ [", "[", "] ]", "]", `" "`, `", "`).Replace(text)
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
		nodes[name] = natsServer(t, addr, "-c", config)
	}
	nc := natsConnect(t, strings.Join(addrs, ","))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	wait(t, "the NATS servers to agree on a leader", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := js.AccountInfo(ctx)
		return err == nil
	})
	return nodes, addrs
}

func natsConnect(t testing.TB, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// jobsLeader asks which server leads the job queue, and on how many it is.
func jobsLeader(t testing.TB, url string) (name string, replicas int) {
	t.Helper()
	js, err := jetstream.New(natsConnect(t, url))
	require.NoError(t, err)
	wait(t, "a leader of the job queue", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, cluster.JobsStream)
		if err != nil {
			return false
		}
		info := stream.CachedInfo()
		if info.Cluster == nil || info.Cluster.Leader == "" {
			return false
		}
		name, replicas = info.Cluster.Leader, info.Config.Replicas
		return true
	})
	return name, replicas
}
