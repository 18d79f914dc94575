package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const rtmpModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

// nginx runs nginx-rtmp with one server block and returns its host:port.
func nginx(t testing.TB, applications string) (addr string) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not in everybody's path
	}
	for _, path := range []string{program, rtmpModule} {
		if _, err := os.Stat(path); err != nil {
			require.NoError(t, missing(path))
		}
	}
	addr = freePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
load_module %s;
daemon off;
master_process off;
pid %s/pid;
error_log stderr info;
events {}
rtmp {
	server {
		listen %s;
		%s
	}
}
`, rtmpModule, dir, addr, applications), 0o600))
	p := start(t, program, "-e", "stderr", "-p", dir, "-c", config)
	wait(t, "nginx listens", func() bool {
		select {
		case <-p.done:
			require.Fail(t, "nginx has ended", p.log.String())
		default:
		}
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return addr
}

// freePort is for programs that cannot choose one themselves. No connection takes it meanwhile: those
// have ports above 32767.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(12000))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	require.FailNow(t, "no free port")
	return ""
}

// nginx-rtmp passes what it gets on to us.
func TestNginxPushes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	addr := nginx(t, fmt.Sprintf("application live { live on; push rtmp://%s/stream; }", s.rtmp))
	sent := makeClip(t, "natural", natural)
	seen := watch(t, s, "pushed")
	publisher := publish(t, sent, "rtmp://"+addr+"/live/pushed")
	s.live(t, "pushed", 1)
	player, path := record(t, s.publishURL("pushed"))
	publisher.succeed(t, time.Minute)
	player.succeed(t, patience)
	checkRecording(t, path, sent)
	v := seen()
	v.checkPlaylists(t)
	v.probe(t, true)
	v.checkIndependent(t)
	v.segments.checkMedia(t, sent, tail)
	for _, r := range v.segments.runs() { // sound alone, until nginx comes to a key frame, may be one
		r.checkContinuity(t)
		r.decode(t, false)
	}
}

// nginx-rtmp takes a stream from us when somebody asks for it, and serves it.
func TestNginxPulls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	addr := nginx(t, fmt.Sprintf("application relay { live on; wait_key on; wait_video on; pull rtmp://%s/stream; }", s.rtmp))
	sent := makeClip(t, "natural", natural)
	publisher := publish(t, sent, s.publishURL("pulled"))
	s.live(t, "pulled", 1)
	url := "rtmp://" + addr + "/relay/pulled"
	player, path := record(t, url, "-t", "8") // nginx does not tell players of the end
	stdout, stderr := output(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", url)
	assert.Empty(t, stderr)
	assert.ElementsMatch(t, []string{"h264,320", "aac"}, strings.Fields(stdout))
	publisher.succeed(t, time.Minute)
	player.succeed(t, patience)
	got := readClip(t, path)
	require.NotEmpty(t, got.video)
	at := slices.Index(sums(sent.video), got.video[0].sum)
	require.GreaterOrEqual(t, at, 0)
	require.LessOrEqual(t, at+len(got.video), len(sent.video))
	assert.Equal(t, sums(sent.video[at:at+len(got.video)]), sums(got.video), "no picture is missing")
	assert.Greater(t, got.video[len(got.video)-1].pts, got.video[0].pts+5*time.Second)
}
