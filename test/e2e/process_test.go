package e2e

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program that a test has started. It is stopped at the end of the test
// at the latest.
type process struct {
	cmd  *exec.Cmd
	log  *transcript
	done chan struct{} // closed when it has ended
}

// start runs a program whose output goes to its transcript.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	return launch(t, exec.Command(name, args...))
}

func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: newTranscript(), done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	cmd.Stderr = p.log
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = 5 * time.Second // when a child of it holds the pipes
	require.NoError(t, cmd.Start())
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(cmd.Args, " "), p.log.tail(4000))
		}
	})
	return p
}

// stop ends the process, by force if it does not listen.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
		<-p.done
	}
}

// signal is sent to the process and its children. It does nothing after the end.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// kill ends the process without a warning, and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// exit waits for the end and returns the exit code, which is negative after a signal.
func (p *process) exit(t testing.TB, wait time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(wait):
		require.FailNow(t, "a program does not end", "%v, still running after %v:\n%s", p.cmd.Args, wait, p.log.tail(4000))
	}
	return p.cmd.ProcessState.ExitCode()
}

// succeed waits until the process has ended well.
func (p *process) succeed(t testing.TB, wait time.Duration) {
	t.Helper()
	require.Zero(t, p.exit(t, wait), "exit code of %v:\n%s", p.cmd.Args, p.log.tail(4000))
}

// see waits until the process has written what the pattern matches, and returns the
// match with its groups.
func (p *process) see(t testing.TB, pattern string, wait time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	found, err := p.log.wait(ctx, regexp.MustCompile(pattern), p.done)
	require.NoError(t, err, "%v did not write %q:\n%s", p.cmd.Args, pattern, p.log.tail(4000))
	return found
}

// transcript is what a process writes.
type transcript struct {
	mu      sync.Mutex
	text    []byte
	written chan struct{} // closed at the next write
}

func newTranscript() *transcript { return &transcript{written: make(chan struct{})} }

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	close(l.written)
	l.written = make(chan struct{})
	return len(b), nil
}

func (l *transcript) state() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text), l.written
}

var overwritten = regexp.MustCompile(`[^\n]*\r`)

func (l *transcript) String() string {
	text, _ := l.state()
	return text
}

// tail is the end, without the lines that a terminal would have overwritten.
func (l *transcript) tail(n int) string {
	text := overwritten.ReplaceAllString(l.String(), "")
	return text[max(0, len(text)-n):]
}

var errEnded = errors.New("it has ended")

func (l *transcript) wait(ctx context.Context, pattern *regexp.Regexp, ended <-chan struct{}) ([]string, error) {
	for over := false; ; {
		text, written := l.state()
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m, nil
		}
		if over {
			return nil, errEnded
		}
		select {
		case <-written:
		case <-ended:
			over = true // and a last look
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// output runs a program to its end, which must be a good one, and returns what it wrote
// to its standard output and its standard error.
func output(t testing.TB, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := run(t.Context(), name, args...)
	require.NoError(t, err, "%s %v\n%s", name, args, stderr)
	return stdout, stderr
}

// run is for any goroutine.
func run(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	var out, errs strings.Builder
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = ownGroup()
	err = cmd.Run()
	return out.String(), errs.String(), err
}
