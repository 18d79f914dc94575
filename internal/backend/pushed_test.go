package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
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
		_, token, _ := strings.Cut(q.URL, "?token=")
		switch {
		case token != "alice" && token != "bob":
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(q.URL, "/live/renamed?"):
			_, _ = fmt.Fprintf(w, `{"manifestID":"of-%s"}`, token)
		}
	}))
	defer hook.Close()
	seg := transportStream(t, "-bf 0")
	for path, name := range map[string]string{"mine": "mine", "renamed": "of-alice"} {
		t.Run(path, func(t *testing.T) {
			asked.Store(0)
			r := run(t, Options{AuthWebhookURL: hook.URL})
			defer r.webhook.CloseIdleConnections()
			for n := range 3 {
				code, body := r.push(t, fmt.Sprintf("/live/%s/%d.ts?token=alice", path, n), seg)
				require.Equal(t, http.StatusOK, code, body)
			}
			require.EqualValues(t, 1, asked.Load())
			for _, query := range []string{"", "?token=bad", "?token=alice&more"} {
				code, _ := r.push(t, "/live/"+path+"/3.ts"+query, seg)
				require.Equal(t, http.StatusForbidden, code, query)
			}
			code, body := r.push(t, "/live/"+path+"/3.ts?token=bob", seg) // who may publish, too
			if path == "mine" {
				require.Equal(t, http.StatusConflict, code, body)
			} else {
				require.Equal(t, http.StatusOK, code, body)
				require.NotNil(t, r.find("of-bob"), "a stream of his own")
			}
			require.Len(t, r.find(name).buf.SegmentsAfter("source", 0), 3)
		})
	}
}

// An upload that is on its way when the server stops is answered.
func TestPushIsAnsweredAtTheEnd(t *testing.T) {
	b, err := New(Options{RTMPAddr: "off", HTTPAddr: "127.0.0.1:0", HTTPIngest: true})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	body, upload := io.Pipe()
	answer := make(chan *http.Response, 1)
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	go func() {
		req, _ := http.NewRequest(http.MethodPut, "http://"+b.HTTPAddr().String()+"/live/a/0.ts", body)
		req.Header.Set("Expect", "100-continue") // the body is sent when the server reads it
		resp, err := client.Do(req)
		if assert.NoError(t, err) {
			resp.Body.Close()
		}
		answer <- resp
	}()
	_, err = upload.Write(make([]byte, 188))
	require.NoError(t, err)
	cancel()
	resp := <-answer
	upload.Close()
	require.NoError(t, <-done)
	require.NotNil(t, resp)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	client.CloseIdleConnections()
}

// Segments that come together when a stream begins are one question.
func TestOneQuestionForSegmentsThatComeTogether(t *testing.T) {
	var asked atomic.Int32
	both := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-both
	}))
	defer hook.Close()
	r := run(t, Options{AuthWebhookURL: hook.URL})
	defer r.webhook.CloseIdleConnections()
	seg := transportStream(t, "-bf 0")
	codes := make(chan int, 3)
	for n := range cap(codes) {
		go func() {
			code, _ := r.push(t, fmt.Sprintf("/live/a/%d.ts?token=once", n), seg)
			codes <- code
		}()
	}
	r.until(t, "the question", func(status.Status) bool { return asked.Load() > 0 })
	close(both)
	for range cap(codes) {
		require.Equal(t, http.StatusOK, <-codes)
	}
	require.EqualValues(t, 1, asked.Load())
	require.Empty(t, r.asked.asked, "nothing is left of it")
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
