package cluster_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/cluster"
)

// A segment goes to a worker and comes back in all renditions, whatever its size.
func TestRoundTrip(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	startWorker(t, addr, cluster.WorkerOptions{Capacity: 2, Work: fakeWork("w", nil)})
	o, _ := startOrigin(t, addr, cluster.OriginOptions{})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	for seq, size := range []int{1, 100 << 10, 1 << 20, 4<<20 + 1, 20 << 20} {
		m := transcode(t, s, segment(uint64(seq), size))
		require.NoError(t, m.err, "%d bytes", size)
		require.Len(t, m.outs, 2)
		require.Len(t, m.outs[0], 1)
		require.Contains(t, m.outs[1][0], "b")
		t.Logf("%d bytes: %v", size, m.took)
	}
}

// Workers fetch segments from the origin, and through the queue when that fails.
func TestSegmentURL(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	var o *cluster.Origin
	var fetched, refused atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused.Load() > 0 {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		fetched.Add(1)
		o.ServeHTTP(w, r)
	}))
	defer srv.Close()
	o, _ = startOrigin(t, addr, cluster.OriginOptions{SegmentURL: srv.URL})
	got := make(chan []byte, 10)
	startWorker(t, addr, cluster.WorkerOptions{Work: fakeWork("w", func(_ context.Context, in cluster.Segment) error {
		got <- in.Data
		return nil
	})})
	awaitWorkers(t, o, 1)
	s := open(t, o, "x", "a", "b")
	seg := segment(1, 100000)
	requireMade(t, transcode(t, s, seg), "w")
	require.Equal(t, seg.Data, <-got)
	require.EqualValues(t, 1, fetched.Load())
	refused.Store(1)
	requireMade(t, transcode(t, s, seg), "w")
	require.Equal(t, seg.Data, <-got)
	for _, path := range []string{"", "short", strings.Repeat("A", 26), "../x"} {
		w := httptest.NewRecorder()
		o.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/segments/"+path, nil))
		require.Equal(t, http.StatusNotFound, w.Code, path)
	}
}
