package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/admin"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/internal/status"
)

// startCluster runs an orchestrator and a worker, and serves their status as lpms does.
func startCluster(t *testing.T, name string) (cli *httptest.Server) {
	const secret = "a secret of the tests"
	o, err := orchestrator.New(orchestrator.Options{Addr: "127.0.0.1:0", Secret: secret, Warnf: t.Logf})
	require.NoError(t, err)
	start := func(f func(context.Context) error) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { cancel(); wg.Wait() })
	}
	start(o.Run)
	<-o.Ready()
	w := cluster.NewWorker(cluster.WorkerOptions{
		Server: cluster.Server{Addrs: []string{o.Addr().String()}, Secret: secret},
		Name:   name, Version: "1.2.3", Capacity: 3, Encoders: []string{"h264", "hevc"}, Warnf: t.Logf,
	})
	start(w.Run)
	require.Eventually(t, func() bool { return len(o.Workers()) == 1 }, 20*time.Second, 10*time.Millisecond)
	cli = httptest.NewServer(admin.New(admin.Options{Addr: "127.0.0.1:0", Status: func() status.Status {
		return status.Status{
			Now: time.Now(), Machine: status.Machine{Cores: 2}, Roles: []string{"orchestrator"},
			Engines: []status.Engine{o.Engine()}, Workers: o.Workers(),
		}
	}}))
	t.Cleanup(cli.Close)
	return cli
}

// table is what lpms workers prints, without the space between columns.
func table(t *testing.T, st *status.Status) []string {
	var out bytes.Buffer
	require.NoError(t, showWorkers(&out, st))
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestWorkers(t *testing.T) {
	cli := startCluster(t, "box\x1b[31m\u202e 7")
	where, err := statusAddress([]string{cli.URL})
	require.NoError(t, err)
	st, err := fetchStatus(t.Context(), where)
	require.NoError(t, err)
	lines := table(t, st)
	require.Len(t, lines, 4)
	require.Equal(t, "NAME ID STATE LOAD SPEED DONE FAILED REFUSED ENCODERS VERSION HEARD REASON", lines[0])
	require.Equal(t, "box[31m 7 "+st.Workers[0].ID[:8]+" ready 0/3 - 0 0 0 h264,hevc SW 1.2.3", strings.TrimSuffix(strings.Split(lines[1], " now")[0], " 1s ago"))
	require.Contains(t, lines[3], "1 worker; 0 of 3 segments")
	require.Equal(t, 0, run(t.Context(), []string{"workers", cli.URL}))
	require.Equal(t, 0, run(t.Context(), []string{"workers", strings.TrimPrefix(cli.URL, "http://") + "/status"}))
}

func TestWorkersTable(t *testing.T) {
	st := &status.Status{Engines: []status.Engine{{Addr: "a:1", Error: "re\x1bfused\nby it"}}, Workers: []status.Worker{
		{ID: "ABCDEFGHIJ", Name: "one", State: status.WorkerReady, Capacity: 4, Load: 3, Speed: 3.24, Done: 12, Failed: 1, Encoders: []string{"h264"}, Seen: 0.4},
		{ID: "KLM", State: status.WorkerBenched, Reason: "green\tpictures", Capacity: 2, Refused: 5, Accel: "Nvidia", Version: "2", Seen: 3.2},
		{ID: "\xff\xfe\u202eéééééééééé", Name: strings.Repeat("n", 99), State: "a\x00b"},
	}}
	require.Equal(t, []string{
		"The job queue at a:1 is not connected: refusedby it",
		"NAME ID STATE LOAD SPEED DONE FAILED REFUSED ENCODERS VERSION HEARD REASON",
		"one ABCDEFGH ready 3/4 3.2x 12 1 0 h264 - now",
		"- KLM benched 0/2 - 0 0 5 Nvidia 2 3s ago greenpictures",
		strings.Repeat("n", 40) + "… éééééééé ab 0/0 - 0 0 0 - - now",
		"",
		"3 workers; 3 of 4 segments, which those that are ready do at the same time.",
	}, table(t, st))
}

func TestNoWorkers(t *testing.T) {
	up, down := status.Engine{Addr: "a:1", Connected: true}, status.Engine{Addr: "b:2"}
	for name, c := range map[string]struct {
		engines []status.Engine
		says    string
	}{
		"it transcodes itself": {nil, "uses no workers"},
		"nobody came":          {[]status.Engine{down, up}, "No worker is known at a:1: start one"},
		"no queue":             {[]status.Engine{down}, "No worker is known"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := table(t, &status.Status{Engines: c.engines})
			require.Contains(t, lines[len(lines)-1], c.says)
		})
	}
}

func TestStatusAddress(t *testing.T) {
	for given, want := range map[string]string{
		"":                                "http://127.0.0.1:7935/status",
		"http://10.0.0.1:7935":            "http://10.0.0.1:7935/status",
		"http://10.0.0.1:7935/":           "http://10.0.0.1:7935/status",
		"http://10.0.0.1:7935/status":     "http://10.0.0.1:7935/status",
		"http://10.0.0.1:7935/status/":    "http://10.0.0.1:7935/status",
		"https://proxy.example/lpms":      "https://proxy.example/lpms/status",
		"localhost:7935":                  "http://localhost:7935/status",
		"[::1]:7935/status":               "http://[::1]:7935/status",
		"http://10.0.0.1:7935/nostatus":   "http://10.0.0.1:7935/nostatus/status",
		"ftp://10.0.0.1":                  "error",
		"http://":                         "error",
		"http://[::1":                     "error",
		"nats://10.0.0.1:8936\x1b[31mred": "error",
	} {
		t.Run(given, func(t *testing.T) {
			var args []string
			if given != "" {
				args = []string{given}
			}
			got, err := statusAddress(args)
			if want == "error" {
				require.ErrorContains(t, err, "http://127.0.0.1:7935/status")
				require.NotContains(t, err.Error(), "\x1b")
				require.Equal(t, 2, run(t.Context(), []string{"workers", given}))
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	require.Equal(t, 2, run(t.Context(), []string{"workers", "-help"}))
	require.Equal(t, 2, run(t.Context(), []string{"workers", "a", "b"}))
}

func TestWorkersOfOthers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := ln.Addr().String()
	require.NoError(t, ln.Close())
	_, err = fetchStatus(t.Context(), "http://"+nobody+"/status")
	require.ErrorContains(t, err, "is lpms running there")
	require.Equal(t, 1, run(t.Context(), []string{"workers", nobody}))

	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"another port of lpms": {http.NotFound, "404"},
		"a page":               {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "is not lpms"},
		"another API":          {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status": "ok"}`) }, "is not lpms"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for block := bytes.Repeat([]byte(" "), 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "larger than 16 MiB"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, "breaks off"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			_, err := fetchStatus(t.Context(), srv.URL+"/status")
			require.ErrorContains(t, err, c.says)
		})
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = fetchStatus(ctx, silent.URL)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = fetchStatus(stopped, silent.URL)
	require.ErrorIs(t, err, context.Canceled)

	queue, err := orchestrator.New(orchestrator.Options{Addr: "127.0.0.1:0", Secret: "a secret of the tests"})
	require.NoError(t, err)
	running, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = queue.Run(running) })
	defer wg.Wait()
	defer end()
	<-queue.Ready()
	_, err = fetchStatus(t.Context(), "http://"+queue.Addr().String()+"/status")
	require.ErrorContains(t, err, "is not lpms", "NATS speaks no HTTP")
}
