package cluster_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/internal/servicecert"
)

// result runs something that is to end by itself.
func result(t *testing.T, f func(context.Context) error) error {
	c := make(chan error, 1)
	go func() { c <- f(t.Context()) }()
	return receive(t, "the end", c)
}

func TestWrongSecret(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	for _, wrong := range []string{"", "a secret of the test", secret + "s"} {
		server := cluster.Server{Addrs: []string{addr}, Secret: wrong}
		require.ErrorIs(t, result(t, cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{server}}).Run), cluster.ErrSecret)
		require.ErrorIs(t, result(t, cluster.NewWorker(cluster.WorkerOptions{Server: server, Encoders: []string{"h264"}}).Run), cluster.ErrSecret)
	}
}

// A secret that is changed while they are connected ends them too.
func TestSecretChanges(t *testing.T) {
	addr := freeAddr(t)
	orch := startOrchestrator(t, addr)
	w := cluster.NewWorker(cluster.WorkerOptions{Server: serverAt(addr), Encoders: []string{"h264"}, LeaveTime: time.Second, Warnf: t.Logf})
	end := make(chan error, 1)
	go func() { end <- w.Run(t.Context()) }()
	until(t, "the worker", func() bool { _, e := w.Status(); return e.Connected })
	require.NoError(t, orch.stop())
	other, err := orchestrator.New(orchestrator.Options{Addr: addr, Secret: "another secret"})
	require.NoError(t, err)
	run(t, other.Run)
	require.ErrorIs(t, receive(t, "the end", end), cluster.ErrSecret)
}

// Whoever knows the secret may do what its role is for, under its own name, and nothing else.
func TestAccess(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	const me, other = "ABCDEFGH", "IJKLMNOP"
	connect := func(role cluster.Role, id string) (*nats.Conn, chan error) {
		complaints := make(chan error, 100)
		nc, err := nats.Connect(addr, nats.UserInfo(string(role), secret), nats.Name(id),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complaints <- err }))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc, complaints
	}
	for _, c := range []struct {
		role               cluster.Role
		may, mayHear       []string
		mayNot, mayNotHear []string
	}{
		{
			role:    cluster.Broadcaster,
			may:     []string{"lpms1.job.h264.live." + me + ".x", "lpms1.worker." + other, "lpms.hello"},
			mayHear: []string{"lpms1.res." + me + ".*", "lpms1.get." + me, "lpms.member.*", "_INBOX.broadcaster." + me + ".>"},
			mayNot: []string{"lpms1.job.h264.live." + other + ".x", "lpms1.res." + me, "lpms.member." + me, "$JS.API.STREAM.DELETE.LPMS1_JOBS",
				"$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live", "$JS.API.STREAM.MSG.GET.LPMS1_JOBS", "$JS.ACK.LPMS1_JOBS.h264_live.1", "_INBOX.transcoder." + other + ".x", "$SYS.REQ.SERVER.PING"},
			mayNotHear: []string{">", "lpms1.res." + other + ".*", "lpms1.res.*.*", "lpms1.res.>", "lpms1.get.*", "lpms1.job.>", "_INBOX.>", "_INBOX.broadcaster." + other + ".>", "lpms1.worker.>", "$SYS.>", "$JS.>"},
		},
		{
			role:    cluster.Transcoder,
			may:     []string{"lpms1.res." + other + "." + me, "lpms1.get." + other, "lpms.member." + me, "$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live"},
			mayHear: []string{"lpms1.worker." + me, "lpms.hello", "_INBOX.transcoder." + me + ".>"},
			mayNot: []string{"lpms1.job.h264.live." + me + ".x", "lpms1.res." + me + "." + other, "lpms.member." + other, "lpms1.worker." + other, "lpms.hello", "$JS.API.STREAM.DELETE.LPMS1_JOBS",
				"$JS.API.STREAM.PURGE.LPMS1_JOBS", "$JS.API.STREAM.MSG.GET.LPMS1_JOBS", "$JS.API.CONSUMER.CREATE.LPMS1_JOBS.x", "$JS.API.CONSUMER.DELETE.LPMS1_JOBS.h264_live"},
			mayNotHear: []string{">", "lpms1.job.>", "lpms1.res.>", "lpms1.res." + other + ".*", "lpms1.worker." + other, "_INBOX.>", "_INBOX.transcoder." + other + ".>", "lpms.member.*", "$SYS.>"},
		},
	} {
		t.Run(string(c.role), func(t *testing.T) {
			nc, complaints := connect(c.role, me)
			refused := func(what func()) bool {
				what()
				require.NoError(t, nc.FlushTimeout(patience))
				select {
				case err := <-complaints:
					require.ErrorIs(t, err, nats.ErrPermissionViolation)
					return true
				case <-time.After(20 * time.Millisecond): // the answer came in front of that to the flush
					return false
				}
			}
			hear := func(subject string) func() {
				return func() {
					sub, err := nc.SubscribeSync(subject)
					require.NoError(t, err)
					_ = sub.AutoUnsubscribe(1)
				}
			}
			for _, s := range c.may {
				require.False(t, refused(func() { _ = nc.Publish(s, nil) }), s)
			}
			for _, s := range c.mayNot {
				require.True(t, refused(func() { _ = nc.Publish(s, nil) }), s)
			}
			for _, s := range c.mayHear {
				require.False(t, refused(hear(s)), s)
			}
			for _, s := range c.mayNotHear {
				require.True(t, refused(hear(s)), s)
			}
		})
	}
	for name, o := range map[string][]nats.Option{
		"nobody":       nil,
		"no name":      {nats.UserInfo("transcoder", secret)},
		"a bad name":   {nats.UserInfo("transcoder", secret), nats.Name("a.b.c.d.e.f.>")},
		"another role": {nats.UserInfo("admin", secret), nats.Name(me)},
		"a token":      {nats.Token(secret), nats.Name(me)},
		"the server":   {nats.UserInfo("orchestrator", secret), nats.Name(me)},
	} {
		_, err := nats.Connect(addr, o...)
		require.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
}

// With TLS, only a server that is known is told the secret.
func TestTLS(t *testing.T) {
	cert, _, err := servicecert.LoadOrCreate(t.TempDir(), time.Now())
	require.NoError(t, err)
	secure, plain := freeAddr(t), freeAddr(t)
	o, err := orchestrator.New(orchestrator.Options{Addr: secure, Secret: secret, TLS: servicecert.ServerConfig(cert), Warnf: t.Logf})
	require.NoError(t, err)
	run(t, o.Run)
	receive(t, "the orchestrator", o.Ready())
	startOrchestrator(t, plain)
	work := func(addr string, c *tls.Config, strict bool) error {
		server := cluster.Server{Addrs: []string{addr}, Secret: secret, TLS: c, Strict: strict}
		w := cluster.NewWorker(cluster.WorkerOptions{Server: server, Encoders: []string{"h264"}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		end := make(chan error, 1)
		go func() { end <- w.Run(ctx) }()
		for stop := time.Now().Add(patience); time.Now().Before(stop); time.Sleep(5 * time.Millisecond) {
			if _, e := w.Status(); e.Connected {
				cancel()
			}
			select {
			case err := <-end:
				return err
			default:
			}
		}
		return os.ErrDeadlineExceeded
	}
	right := servicecert.Fingerprint(cert)
	require.NoError(t, work(secure, servicecert.ClientConfig([]string{right}), true))
	require.NoError(t, work(secure, servicecert.ClientConfig([]string{right}), false), "a server on this machine that wants TLS")
	var untrusted *servicecert.UntrustedError
	err = work(secure, servicecert.ClientConfig([]string{servicecert.Fingerprint(tls.Certificate{Certificate: [][]byte{{1}}})}), true)
	require.ErrorAs(t, err, &untrusted)
	require.Equal(t, right, untrusted.Fingerprint)
	require.ErrorAs(t, work(secure, servicecert.ClientConfig(nil), false), &untrusted, "no system knows it")
	require.ErrorIs(t, work(plain, servicecert.ClientConfig([]string{right}), true), cluster.ErrServer, "no TLS where it must be")
	var unknown *tls.CertificateVerificationError
	require.ErrorAs(t, work(secure, nil, false), &unknown, "nothing is trusted that nobody vouches for")
}

// A NATS server without JetStream is said to be one at once.
func TestNoJetStream(t *testing.T) {
	path, err := exec.LookPath("nats-server")
	if err != nil {
		t.Skip("nats-server is not installed")
	}
	addr := freeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "-a", host, "-p", port)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	server := cluster.Server{Addrs: []string{"nats://" + addr}, External: true}
	err = result(t, cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{server}, Warnf: t.Logf}).Run)
	require.ErrorIs(t, err, cluster.ErrServer)
	require.ErrorContains(t, err, "JetStream is off")
}
