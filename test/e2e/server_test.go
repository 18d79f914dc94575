package e2e

import (
	"context"
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is for what is going to happen soon on a machine that is not overloaded.
const patience = 30 * time.Second

// server is the example program, running.
type server struct {
	*process
	rtmp string // host:port
	http string // host:port
}

// serve starts the program on ports that are free, and checks at the end of the test
// that it ends well.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	args = append([]string{"-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0"}, args...)
	s := ready(t, start(t, example, args...))
	t.Cleanup(func() { s.end(t) })
	return s
}

// ready waits until the ports are open. The program says which they are.
func ready(t testing.TB, p *process) *server {
	t.Helper()
	m := p.see(t, `publish to rtmp://([^/]+)/stream/NAME, watch http://([^/]+)/`, time.Minute)
	return &server{process: p, rtmp: m[1], http: m[2]}
}

// end stops the program as an administrator does and checks that it goes in good order.
func (s *server) end(t testing.TB) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.done:
		assert.Zero(t, s.cmd.ProcessState.ExitCode(), "exit code of the server")
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the server does not end within 10 s of SIGTERM")
	}
	log := s.log.String()
	assert.NotContains(t, log, "DATA RACE")
	assert.NotContains(t, log, "panic")
}

// streamName is a name for the stream of a test.
func streamName(t testing.TB) string {
	return regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(t.Name(), "-")
}

// publishURL is where the documentation tells people to publish.
func (s *server) publishURL(name string) string {
	return fmt.Sprintf("rtmp://%s/stream/%s", s.rtmp, name)
}

// masterURL is where they watch.
func (s *server) masterURL(name string) string {
	return fmt.Sprintf("http://%s/stream/%s.m3u8", s.http, name)
}

func (s *server) mediaURL(name string) string {
	return fmt.Sprintf("http://%s/stream/%s/source.m3u8", s.http, name)
}

// publish sends a clip at the speed of its clock, as a live encoder would.
func publish(t testing.TB, c *clip, url string, options ...string) *process {
	t.Helper()
	args := []string{"-nostdin", "-v", "error", "-re", "-i", c.path, "-c", "copy", "-f", "flv"}
	return start(t, "ffmpeg", append(append(args, options...), url)...)
}

// live waits until the server has let the n-th publisher of a name in.
func (s *server) live(t testing.TB, name string, n int) {
	t.Helper()
	s.see(t, fmt.Sprintf(`(?s)(Got RTMP Stream: %s\n.*){%d}`, name, n), patience)
}

// ended waits until the server has noticed that the n-th publisher of a name is gone.
func (s *server) ended(t testing.TB, name string, n int) {
	t.Helper()
	s.see(t, fmt.Sprintf(`(?s)((RTMP Stream ended: %[1]s\n|stream %[1]s: ).*){%[2]d}`, name, n), patience)
}

// wait asks until the condition holds.
func wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "waited in vain for "+what)
		}
	}
}
