package backend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/testsignal"
)

// push pushes a segment.
func (r *running) push(t *testing.T, path string, body []byte) (int, string) {
	t.Helper()
	resp, err := http.Post(r.http+path, "video/mp2t", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

// The webhook is asked about a stream once, and decides whose it is: another one who knows its
// name adds nothing to it.
func TestPushedStreamBelongsToItsPublisher(t *testing.T) {
	var asked atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var q struct{ URL string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		if !strings.HasSuffix(q.URL, "?token=good") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if strings.Contains(q.URL, "/live/renamed?") {
			_, _ = io.WriteString(w, `{"manifestID":"other"}`)
		}
	}))
	defer hook.Close()
	seg := transportStream(t, "-bf 0")
	for path, name := range map[string]string{"mine": "mine", "renamed": "other"} {
		t.Run(path, func(t *testing.T) {
			asked.Store(0)
			r := run(t, Options{AuthWebhookURL: hook.URL})
			defer r.webhook.CloseIdleConnections()
			for n := range 3 {
				code, body := r.push(t, fmt.Sprintf("/live/%s/%d.ts?token=good", path, n), seg)
				require.Equal(t, http.StatusOK, code, body)
			}
			require.EqualValues(t, 1, asked.Load())
			for _, query := range []string{"", "?token=bad", "?token=good&more"} {
				code, _ := r.push(t, "/live/"+path+"/3.ts"+query, seg)
				require.Equal(t, http.StatusForbidden, code, query)
			}
			require.Equal(t, name, r.Status().Streams[0].Name)
			require.Len(t, r.find(name).buf.SegmentsAfter("source", 0), 3)
		})
	}
}

// A name that is live is not pushed to, and there are as many streams as allowed.
func TestPushIsRefused(t *testing.T) {
	r := run(t, Options{MaxStreams: 1, CurrentManifest: true})
	seg := transportStream(t, "-bf 0")
	r.publish(t, "a", publisher(t, 4, testsignal.Options{}))
	r.until(t, "a", live(1))
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/live/a/0.ts":       {http.StatusConflict, "publisher"},
		"/live/b/0.ts":       {http.StatusServiceUnavailable, "capacity"},
		"/live/current/0.ts": {http.StatusConflict, "another name"},
	} {
		code, body := r.push(t, path, seg)
		require.Equal(t, want.code, code, body)
		require.Contains(t, body, want.text)
	}
}
