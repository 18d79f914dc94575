package cluster_test

import (
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
	for seq, size := range []int{1, 100 << 10, 1 << 20, 6<<20 + 1, 20 << 20} {
		m := transcode(t, s, segment(uint64(seq), size))
		require.NoError(t, m.err, "%d bytes", size)
		require.Len(t, m.outs, 2)
		require.Len(t, m.outs[0], 1)
		require.Contains(t, m.outs[1][0], "b")
		t.Logf("%d bytes: %v", size, m.took)
	}
}
