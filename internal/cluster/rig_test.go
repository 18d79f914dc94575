package cluster_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if n := ffmpeg.LiveHandles(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d C handles were left open\n", n)
		code = 1
	}
	err := goleak.Find(goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const secret = "a secret of the tests"

// patience is how long a test waits for what should happen.
const patience = 20 * time.Second

// until waits for a condition that others bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "waited in vain", what)
		}
	}
}

// process is something that runs until it is stopped.
type process struct {
	stop func() error // waits for the end
	kill context.CancelFunc
}

func run(t *testing.T, f func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- f(ctx) }()
	var once sync.Once
	var err error
	p := &process{kill: cancel}
	p.stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case err = <-result:
			case <-time.After(patience):
				err = fmt.Errorf("it does not end")
			}
		})
		return err
	}
	t.Cleanup(func() { require.NoError(t, p.stop()) })
	return p
}

// freeAddr is an address that nobody listens on, and that no connection takes meanwhile: those have
// ports above 32767.
func freeAddr(t *testing.T) string {
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

// orchestrators are those of the running test, by address.
var orchestrators sync.Map

func startOrchestrator(t *testing.T, addr string) *process {
	o, err := orchestrator.New(orchestrator.Options{Addr: addr, Secret: secret, Warnf: t.Logf})
	require.NoError(t, err)
	orchestrators.Store(addr, o)
	p := run(t, o.Run)
	select {
	case <-o.Ready():
	case <-time.After(patience):
		require.FailNow(t, "no orchestrator")
	}
	return p
}

func serverAt(addr string) cluster.Server {
	return cluster.Server{Addrs: []string{addr}, Secret: secret}
}

// outputOf is what a worker makes of a segment when it does not transcode.
func outputOf(in cluster.Segment, i int, who string) ffmpeg.Output {
	return ffmpeg.Output{
		Data: fmt.Appendf(nil, "%s %d by %s", in.Renditions[i].Profile.Name, in.Seq, who),
		Info: ffmpeg.OutputInfo{Codecs: "avc1.42c01e", Width: 320, Height: 180, FrameRate: 30},
	}
}

// fakeWork makes texts.
func fakeWork(who string, before func(ctx context.Context, in cluster.Segment) error) cluster.Work {
	return func(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
		if before != nil {
			if err := before(ctx, in); err != nil {
				return err
			}
		}
		for i := range in.Renditions {
			done(i, outputOf(in, i, who))
		}
		return nil
	}
}

// countWork counts the calls of a work.
func counted(n *atomic.Int64, w cluster.Work) cluster.Work {
	return func(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
		n.Add(1)
		return w(ctx, in, done)
	}
}

func startWorker(t *testing.T, addr string, o cluster.WorkerOptions) (*cluster.Worker, *process) {
	o.Server = serverAt(addr)
	if o.Encoders == nil {
		o.Encoders = []string{"h264"}
	}
	o.Infof, o.Warnf, o.LeaveTime = t.Logf, t.Logf, cmp.Or(o.LeaveTime, time.Second)
	w := cluster.NewWorker(o)
	return w, run(t, w.Run)
}

// newOrigin has results checked by their text.
func newOrigin(t *testing.T, addr string, o cluster.OriginOptions) *cluster.Origin {
	if o.Servers == nil {
		o.Servers = []cluster.Server{serverAt(addr)}
	}
	if o.Check == nil {
		o.Check = checkText
	}
	o.Infof, o.Warnf = t.Logf, t.Logf
	return cluster.NewOrigin(o)
}

func checkText(out *ffmpeg.Output, spec *ffmpeg.Rendition, seg *stream.Segment) error {
	var name, who string
	var seq uint64
	_, err := fmt.Sscanf(string(out.Data), "%s %d by %s", &name, &seq, &who)
	if err == nil && (name != spec.Profile.Name || seq != seg.Seq) {
		err = fmt.Errorf("it is %q", out.Data)
	}
	return err
}

func startOrigin(t *testing.T, addr string, o cluster.OriginOptions) (*cluster.Origin, *process) {
	origin := newOrigin(t, addr, o)
	return origin, run(t, origin.Run)
}

func awaitWorkers(t *testing.T, o *cluster.Origin, n int) {
	until(t, fmt.Sprintf("%d workers", n), func() bool { return len(o.Workers()) == n })
}

func ladderOf(names ...string) (rs []ffmpeg.Rendition) {
	for _, n := range names {
		rs = append(rs, ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: n, Resolution: "320x180", Bitrate: "200k"}})
	}
	return rs
}

// segment of 2 s.
func segment(seq uint64, size int) *stream.Segment {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(uint64(i) * (seq + 1) >> 3)
	}
	return &stream.Segment{Seq: seq, Data: data, Start: time.Duration(seq) * 2 * time.Second, Duration: 2 * time.Second, Independent: true}
}

// made is what came of a segment.
type made struct {
	mu   sync.Mutex
	outs map[int][]string
	err  error
	took time.Duration
}

// transcode has one segment made, with the deadline of a stream of such segments.
func transcode(t *testing.T, s transcoder.Session, seg *stream.Segment) *made {
	m := &made{outs: make(map[int][]string)}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	began := time.Now()
	m.err = s.Transcode(ctx, transcoder.Input{Segment: seg}, func(i int, out ffmpeg.Output) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.outs[i] = append(m.outs[i], string(out.Data))
	})
	m.took = time.Since(began)
	return m
}

func open(t *testing.T, o *cluster.Origin, name string, renditions ...string) transcoder.Session {
	s, err := o.Engine(false).Open(name, ladderOf(renditions...))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// awaitQueue waits until so many jobs are kept by the queue: those in work, too.
func awaitQueue(t *testing.T, addr string, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d jobs", n), func() bool {
		o, _ := orchestrators.Load(addr)
		kept, err := o.(*orchestrator.Orchestrator).Queue()
		return err == nil && kept == n
	})
}
