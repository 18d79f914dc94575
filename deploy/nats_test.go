package deploy_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

const (
	secret = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	// patience is how long a test waits for what should happen.
	patience = 20 * time.Second
)

// setupSubjects are what a broadcaster needs to make the queue, beyond its work.
var setupSubjects = []string{
	"$JS.API.STREAM.INFO." + cluster.JobsStream,
	"$JS.API.STREAM.CREATE." + cluster.JobsStream,
	"$JS.API.STREAM.UPDATE." + cluster.JobsStream,
	"$JS.API.CONSUMER.CREATE." + cluster.JobsStream + ".>",
}

// natsOptions is nats.conf as a server reads it.
func natsOptions(t *testing.T, text string) *server.Options {
	t.Helper()
	t.Setenv("LPMS_SECRET", secret)
	path := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	o, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	return o
}

// The permissions are those of package cluster, not more and not less.
func TestNATSPermissions(t *testing.T) {
	o := natsOptions(t, read(t, "nats.conf"))
	require.Len(t, o.Users, 2)
	for i, role := range []cluster.Role{cluster.Broadcaster, cluster.Transcoder} {
		user := o.Users[i]
		require.Equal(t, []string{string(role), secret}, []string{user.Username, user.Password})
		publish, subscribe := cluster.Access(role, "")
		if role == cluster.Broadcaster {
			publish = append(publish, setupSubjects...)
			require.Equal(t, &server.ResponsePermission{MaxMsgs: 1, Expires: 10 * time.Second}, user.Permissions.Response)
		} else {
			require.Nil(t, user.Permissions.Response)
		}
		require.Equal(t, &server.SubjectPermission{Allow: publish}, user.Permissions.Publish, role)
		require.Equal(t, &server.SubjectPermission{Allow: subscribe}, user.Permissions.Subscribe, role)
	}
	require.GreaterOrEqual(t, int(o.MaxPayload), cluster.MaxPayload)
	require.GreaterOrEqual(t, o.JetStreamMaxMemory, int64(cluster.DefaultQueueBytes))
	require.True(t, net.ParseIP(o.Host).IsLoopback(), "as it stands it has no TLS, so it is for this machine only")
}

// What is commented out is a configuration when the comments are removed.
func TestNATSOffers(t *testing.T) {
	text := regexp.MustCompile(`(?ms)^#(tls|cluster) \{$.*?^#\}$`).ReplaceAllStringFunc(read(t, "nats.conf"), func(block string) string {
		return strings.TrimPrefix(strings.ReplaceAll(block, "\n#", "\n"), "#")
	})
	cert, key := selfSigned(t)
	text = strings.NewReplacer("/etc/nats/server.crt", cert, "/etc/nats/server.key", key).Replace(text)
	o := natsOptions(t, text)
	require.NotNil(t, o.TLSConfig)
	require.Equal(t, []string{"lpms", "another-secret"}, []string{o.Cluster.Name, o.Cluster.Password})
	require.Len(t, o.Routes, 3)
}

// selfSigned makes a certificate by openssl.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl here")
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-noenc", "-subj", "/CN=lpms", "-keyout", key, "-out", cert).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return cert, key
}

// startNATS runs the system's nats-server with nats.conf, on a free port.
func startNATS(t *testing.T) (addr string) {
	t.Helper()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nats-server"); err != nil {
			t.Skip("there is no nats-server here (Debian's package nats-server has it)")
		}
	}
	dir := t.TempDir()
	text := strings.NewReplacer(`"127.0.0.1:4222"`, `"127.0.0.1:-1"`, "/var/lib/nats/jetstream", filepath.Join(dir, "jetstream")).
		Replace(read(t, "nats.conf"))
	conf := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	logs := &output{port: make(chan string, 1)}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-c", conf)
	cmd.Env = append(os.Environ(), "LPMS_SECRET="+secret)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = logs, logs, time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was interrupted
	})
	select {
	case addr := <-logs.port:
		return addr
	case <-time.After(patience):
		require.FailNow(t, "nats-server does not start", logs.String())
		return ""
	}
}

// output keeps what a server says, and finds out where it listens.
type output struct {
	port chan string // room for one

	mu   sync.Mutex
	text []byte
}

var listening = regexp.MustCompile(`Listening for client connections on (\S+)[\s\S]*Server is ready`)

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if m := listening.FindSubmatch(o.text); m != nil {
		select {
		case o.port <- string(m[1]):
		default:
		}
	}
	return len(b), nil
}

// String is what was said so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// run runs something until the test ends, which it must do without an error.
func run(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-result:
			require.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "it does not end")
		}
	})
}

// A segment goes to a worker and comes back through Debian's server, whether it travels in its job or
// is fetched.
func TestNATSRoundTrip(t *testing.T) {
	s := cluster.Server{Addrs: []string{"nats://" + startNATS(t)}, Secret: secret, External: true}
	var mu sync.Mutex
	var warnings []string
	warn := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, fmt.Sprintf(format, args...))
	}
	w := cluster.NewWorker(cluster.WorkerOptions{
		Server: s, Name: "w", Capacity: 2, Encoders: []string{"h264"}, Infof: t.Logf, Warnf: warn,
		Work: func(_ context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
			for i := range in.Renditions {
				done(i, ffmpeg.Output{Data: fmt.Appendf(nil, "%d of %d bytes", i, len(in.Data))})
			}
			return nil
		},
	})
	run(t, w.Run)
	o := cluster.NewOrigin(cluster.OriginOptions{
		Servers: []cluster.Server{s}, Infof: t.Logf, Warnf: warn,
		Check: func(*ffmpeg.Output, *ffmpeg.Rendition, *stream.Segment) error { return nil },
	})
	run(t, o.Run)
	session, err := o.Engine(false).Open("x", []ffmpeg.Rendition{
		{Profile: ffmpeg.P240p30fps16x9}, {Profile: ffmpeg.P144p30fps16x9},
	})
	require.NoError(t, err)
	defer session.Close()
	require.Eventually(t, func() bool { return len(o.Workers()) == 1 && o.Engines()[0].Connected }, patience, 5*time.Millisecond)
	for seq, size := range []int{100 << 10, 4<<20 + 1} {
		var outs []string
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		seg := &stream.Segment{Seq: uint64(seq), Data: make([]byte, size), Duration: 2 * time.Second, Independent: true}
		err := session.Transcode(ctx, transcoder.Input{Segment: seg}, func(_ int, out ffmpeg.Output) { outs = append(outs, string(out.Data)) })
		cancel()
		require.NoError(t, err)
		slices.Sort(outs)
		require.Equal(t, []string{fmt.Sprintf("0 of %d bytes", size), fmt.Sprintf("1 of %d bytes", size)}, outs)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, warnings, "the queue was made with these permissions")
}

// A role cannot do what is for the other one or for nobody.
func TestNATSRefuses(t *testing.T) {
	addr := startNATS(t)
	for _, tt := range []struct{ user, publish, subscribe string }{
		{"broadcaster", "$JS.API.STREAM.DELETE.LPMS1_JOBS", "lpms1.job.>"},
		{"broadcaster", "$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live", "_INBOX.transcoder.>"},
		{"broadcaster", "$JS.API.STREAM.CREATE.OTHER", ">"},
		{"transcoder", "lpms1.job.h264.live.abcdefgh.x", "lpms1.res.*.*"},
		{"transcoder", "$JS.API.STREAM.MSG.GET.LPMS1_JOBS", "lpms1.job.>"},
		{"transcoder", "lpms1.worker.abcdefgh", "_INBOX.>"},
	} {
		t.Run(tt.user+" "+tt.publish, func(t *testing.T) {
			refused := make(chan error, 4)
			nc, err := nats.Connect("nats://"+addr, nats.UserInfo(tt.user, secret),
				nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
			require.NoError(t, err)
			defer nc.Close()
			require.NoError(t, nc.Publish(tt.publish, nil))
			_, err = nc.SubscribeSync(tt.subscribe)
			require.NoError(t, err)
			for range 2 {
				select {
				case err := <-refused:
					require.ErrorIs(t, err, nats.ErrPermissionViolation)
				case <-time.After(patience):
					require.FailNow(t, "it is allowed")
				}
			}
		})
	}
	_, err := nats.Connect("nats://"+addr, nats.UserInfo("transcoder", "another"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
}
