package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stopTime is how long the program may take to stop.
const stopTime = 10 * time.Second

// SIGTERM ends everything in good order, whoever is connected.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			sent := makeClip(t, "natural", natural)
			publisher := publish(t, sent, s.publishURL("stop"))
			s.live(t, "stop", 1)
			player, path := record(t, s.publishURL("stop"))
			stall(t, s.publishURL("stop"))
			idle, err := net.Dial("tcp", s.rtmp) // does not even shake hands
			require.NoError(t, err)
			defer idle.Close()
			web, err := net.Dial("tcp", s.http)
			require.NoError(t, err)
			defer web.Close()
			wait(t, "a segment", func() bool { return s.status(t, s.masterURL("stop")) == http.StatusOK })
			player.see(t, `frame= *\d`, patience)

			s.signal(sig)
			assert.Zero(t, s.exit(t, stopTime), "exit code")
			assert.NoError(t, closed(idle))
			assert.NoError(t, closed(web))
			s.checkPortsClosed(t)
			player.succeed(t, patience) // the player was told of the end
			assert.NotEmpty(t, readClip(t, path).video)
			publisher.exit(t, patience)
		})
	}
}

// Nothing is connected, and nothing was.
func TestStopIdle(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.signal(syscall.SIGTERM)
	s.succeed(t, stopTime)
}

// status is that of a GET request.
func (s *server) status(t testing.TB, url string) int {
	t.Helper()
	c := client(t)
	resp, _, err := get(t.Context(), c, http.MethodGet, url)
	require.NoError(t, err)
	c.CloseIdleConnections()
	return resp.StatusCode
}

// What cannot work is said in a sentence, with an exit code.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"RTMP port in use", []string{"-rtmpAddr", taken.Addr().String(), "-httpAddr", "127.0.0.1:0"}, []string{"RTMP", taken.Addr().String(), "in use"}},
		{"HTTP port in use", []string{"-rtmpAddr", "127.0.0.1:0", "-httpAddr", taken.Addr().String()}, []string{"HTTP", taken.Addr().String(), "in use"}},
		{"not an address", []string{"-rtmpAddr", "nonsense"}, []string{"nonsense", "host:port"}},
		{"not a port", []string{"-httpAddr", "127.0.0.1:web"}, []string{"127.0.0.1:web", "port"}},
		{"a port too high", []string{"-httpAddr", ":65536"}, []string{":65536", "port"}},
		{"an unknown host", []string{"-rtmpAddr", "no-such-host.invalid:1935", "-httpAddr", "127.0.0.1:0"}, []string{"no-such-host.invalid"}},
		{"an unknown flag", []string{"-rtmpPort", "1935"}, []string{"rtmpPort", "-rtmpAddr"}},
		{"something that is no flag", []string{"-httpAddr", "127.0.0.1:0", "-rtmpAddr", "127.0.0.1:0", "nonsense"}, []string{"nonsense"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, example, c.args...)
			assert.Positive(t, p.exit(t, patience), "exit code")
			for _, want := range c.want {
				assert.Contains(t, p.log.String(), want)
			}
			assert.NotContains(t, p.log.String(), "goroutine", "not a stack trace")
		})
	}
}

// The program starts as the documentation says, from the root of the repository.
func TestGoRun(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "run", "cmd/example/main.go", "-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0")
	cmd.Dir = repository
	p := launch(t, cmd)
	p.see(t, "publish to rtmp://", 5*time.Minute) // it builds first
	s := ready(t, p)
	sent := makeClip(t, "short", short)
	publish(t, sent, s.publishURL("test")).succeed(t, time.Minute)
	s.ended(t, "test", 1)
	for _, path := range []string{"/stream/test.m3u8", "/stream/test_hls.m3u8"} {
		resp, body, err := get(t.Context(), client(t), http.MethodGet, "http://"+s.http+path)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.True(t, strings.HasSuffix(string(body), "/source.m3u8\n"), string(body))
	}
	p.signal(syscall.SIGINT) // as Ctrl-C does, to the process and its child
	p.exit(t, stopTime)      // interrupted, go run exits with 1 whatever the program does
	s.checkPortsClosed(t)
}

func (s *server) checkPortsClosed(t testing.TB) {
	t.Helper()
	for _, addr := range []string{s.rtmp, s.http} {
		_, err := net.Dial("tcp", addr)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the port is closed")
	}
}
