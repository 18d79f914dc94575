package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who has no secret, or a wrong one, ends with a sentence that says so.
func TestClusterSecrets(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	file := filepath.Join(t.TempDir(), "orch.secret")
	require.NoError(t, os.WriteFile(file, []byte("another-secret\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"worker, wrong":            {[]string{"-transcoder", "-orchAddr", service, "-orchSecret", "another-secret"}, 1},
		"worker, wrong in a file":  {[]string{"-transcoder", "-orchAddr", service, "-orchSecret", file}, 1},
		"worker, almost right":     {[]string{"-transcoder", "-orchAddr", service, "-orchSecret", orchSecret[1:]}, 1},
		"broadcaster, wrong":       {[]string{"-broadcaster", "-orchAddr", service, "-orchSecret", "another-secret"}, 1},
		"worker, missing":          {[]string{"-transcoder", "-orchAddr", service}, 78},
		"broadcaster, missing":     {[]string{"-broadcaster", "-orchAddr", service}, 78},
		"orchestrator, missing":    {[]string{"-orchestrator", "-serviceAddr", "127.0.0.1:0"}, 78},
		"orchestrator, no address": {[]string{"-orchestrator", "-orchSecret", orchSecret}, 78},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out := exits(t, append(c.args, "-cliAddr", "127.0.0.1:0", "-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0"))
			assert.Equal(t, c.code, code, out)
			if name == "orchestrator, no address" {
				assert.Contains(t, out, "-serviceAddr")
			} else {
				assert.Contains(t, out, "-orchSecret")
			}
			assert.NotContains(t, out, "another-secret", "a secret is not in logs")
		})
	}
}

// exits runs the program, which must end by itself.
func exits(t testing.TB, args []string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := exec.CommandContext(ctx, backEnd, args...).CombinedOutput()
	require.NoError(t, ctx.Err(), "it does not end: %v\n%s", args, b)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(b)
	}
	require.NoError(t, err)
	return 0, string(b)
}

// peer is somebody with the secret who does not keep to the protocol.
type peer struct {
	*nats.Conn
	id       string
	refusals chan error
}

func newPeer(t testing.TB, service, user, id string) *peer {
	t.Helper()
	p := &peer{id: id, refusals: make(chan error, 64)}
	p.Conn = natsConnect(t, "nats://"+service, nats.UserInfo(user, orchSecret), nats.Name(id), nats.CustomInboxPrefix("_INBOX."+user+"."+id),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { p.refusals <- err }))
	return p
}

// refused checks that the server does not let it.
func (p *peer) refused(t testing.TB, what string, err error) {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, p.Flush())
	select {
	case err := <-p.refusals:
		assert.ErrorContains(t, err, what)
		assert.ErrorIs(t, err, nats.ErrPermissionViolation)
	case <-time.After(patience):
		assert.Fail(t, "nobody objects", what)
	}
}

// Whoever has the secret can do what the role needs, and nothing else.
func TestClusterRights(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	other := rand.Text()
	for user, c := range map[string]struct{ subscribe, publish []string }{
		"transcoder": {
			[]string{">", "*", "lpms1.>", "lpms1.res.>", "lpms1.res." + other + ".*", "lpms1.job.>", "lpms1.get.*", "lpms1.worker.*", "lpms1.worker." + other,
				"lpms.member.*", "lpms.>", "_INBOX.>", "_INBOX.transcoder.>", "_INBOX.transcoder." + other + ".>", "_INBOX.broadcaster.>", "$JS.>", "$SYS.>", "$JS.EVENT.>"},
			[]string{"lpms1.job.h264.live." + other + ".x", "lpms1.worker." + other, "lpms.hello", "lpms.member." + other, "_INBOX.broadcaster." + other + ".x",
				"$JS.API.STREAM.DELETE.LPMS1_JOBS", "$JS.API.STREAM.PURGE.LPMS1_JOBS", "$JS.API.STREAM.INFO.LPMS1_JOBS", "$JS.API.STREAM.UPDATE.LPMS1_JOBS",
				"$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.MSG.GET.LPMS1_JOBS", "$JS.API.DIRECT.GET.LPMS1_JOBS", "$JS.API.STREAM.MSG.DELETE.LPMS1_JOBS",
				"$JS.API.CONSUMER.CREATE.LPMS1_JOBS", "$JS.API.CONSUMER.CREATE.LPMS1_JOBS.mine", "$JS.API.CONSUMER.DURABLE.CREATE.LPMS1_JOBS.mine",
				"$JS.API.CONSUMER.DELETE.LPMS1_JOBS.h264_live", "$JS.API.CONSUMER.LIST.LPMS1_JOBS", "$JS.API.INFO", "$JS.API.SERVER.REMOVE", "$SYS.REQ.SERVER.PING"},
		},
		"broadcaster": {
			[]string{">", "lpms1.>", "lpms1.res.>", "lpms1.res.*.*", "lpms1.res." + other + ".*", "lpms1.get." + other, "lpms1.job.>", "lpms1.worker.>", "lpms.>",
				"_INBOX.>", "_INBOX.broadcaster.>", "_INBOX.transcoder.>", "$JS.>", "$SYS.>"},
			[]string{"lpms1.job.h264.live." + other + ".x", "lpms1.res." + other + ".x", "lpms1.get." + other, "lpms.member." + other, "_INBOX.transcoder." + other + ".x",
				"$JS.API.STREAM.DELETE.LPMS1_JOBS", "$JS.API.STREAM.INFO.LPMS1_JOBS", "$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live",
				"$JS.API.CONSUMER.CREATE.LPMS1_JOBS", "$JS.ACK.LPMS1_JOBS.h264_live.1.1.1.1.1", "$SYS.REQ.SERVER.PING"},
		},
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, service, user, rand.Text())
			for _, subject := range c.subscribe {
				_, err := p.SubscribeSync(subject)
				p.refused(t, subject, err)
			}
			for _, subject := range c.publish {
				p.refused(t, subject, p.Publish(subject, nil))
			}
			_, err := p.SubscribeSync("_INBOX." + user + "." + p.id + ".>")
			require.NoError(t, err)
			require.NoError(t, p.Flush())
			assert.Empty(t, p.refusals, "its own inbox")
		})
	}
}

// Connections that say nothing of who they are, or that have no role, are refused.
func TestClusterStrangers(t *testing.T) {
	t.Parallel()
	_, service := startOrchestrator(t, "127.0.0.1:0")
	id := nats.Name(rand.Text())
	for name, options := range map[string][]nats.Option{
		"nobody":             {id},
		"no password":        {id, nats.UserInfo("transcoder", "")},
		"wrong password":     {id, nats.UserInfo("transcoder", orchSecret+" ")},
		"unknown role":       {id, nats.UserInfo("administrator", orchSecret)},
		"the process itself": {id, nats.UserInfo("orchestrator", orchSecret)},
		"no role":            {id, nats.UserInfo("", orchSecret)},
		"a token":            {id, nats.Token(orchSecret)},
		"no id":              {nats.UserInfo("transcoder", orchSecret)},
		"an id of wildcards": {nats.Name("*.>.*.>.>"), nats.UserInfo("broadcaster", orchSecret)},
		"another's id":       {nats.Name(">"), nats.UserInfo("transcoder", orchSecret)},
	} {
		nc, err := nats.Connect("nats://"+service, options...)
		if err == nil {
			nc.Close()
		}
		assert.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
}

// An orchestrator that others can reach has TLS, and only who knows its certificate connects.
func TestClusterTLS(t *testing.T) {
	t.Parallel()
	host := ownAddress(t)
	o := beginRole(t, start(t, "env", "STATE_DIRECTORY="+t.TempDir(), backEnd, "-orchestrator", "-orchSecret", orchSecret,
		"-cliAddr", "127.0.0.1:0", "-serviceAddr", net.JoinHostPort(host, "0")))
	m := o.see(t, `Workers at +(\S+)\n +-orchFingerprint ([0-9a-f]{64})\n`, patience)
	service, fingerprint := m[1], m[2]
	assert.True(t, strings.HasPrefix(service, host), service)

	startWorker(t, service, "-orchFingerprint", fingerprint)
	s := startBroadcaster(t, service, "-orchFingerprint", fingerprint)
	s.awaitWorkers(t, 1)

	for name, args := range map[string][]string{
		"another fingerprint": {"-orchFingerprint", strings.Repeat("0", 64)},
		"no fingerprint":      nil,
	} {
		for _, r := range []string{"-transcoder", "-broadcaster"} {
			code, out := exits(t, append([]string{r, "-orchAddr", service, "-orchSecret", orchSecret, "-cliAddr", "127.0.0.1:0",
				"-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0"}, args...))
			assert.Equal(t, 1, code, "%s, %s\n%s", r, name, out)
			assert.Contains(t, out, "-orchFingerprint "+fingerprint, "%s, %s: what it saw", r, name)
			assert.NotContains(t, out, orchSecret)
		}
	}
	answer := talk(t, service, fmt.Sprintf(`CONNECT {"user":"transcoder","pass":%q,"name":%q,"verbose":true}`+"\r\nPING\r\n", orchSecret, rand.Text()))
	assert.NotContains(t, answer, "+OK", "a connection without TLS")
	assert.NotContains(t, answer, "PONG", "a connection without TLS")
}

// talk sends a text to a NATS server, and returns what comes until it hangs up, or says nothing more
// for a while.
func talk(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	r := bufio.NewReader(c)
	_, err = r.ReadString('\n') // INFO
	require.NoError(t, err)
	c.Write([]byte(text)) // it may hang up in the middle
	var answer strings.Builder
	r.WriteTo(&answer)
	return answer.String()
}

// ownAddress is one of this machine that others can reach.
func ownAddress(t testing.TB) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but its own")
	return ""
}
