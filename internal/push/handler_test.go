package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMethods(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	for _, method := range []string{"GET", "HEAD", "DELETE", "PATCH", "CONNECT", "ODD"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/live/x/0.ts", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Equal(t, allowed, w.Header().Get("Allow"))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("OPTIONS", "/live/x/0.ts", nil))
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, allowed, w.Header().Get("Allow"))
	r := httptest.NewRequest("PUT", "/live/x/0.ts", bytes.NewReader(clip(t, "ts")[0]))
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Len(t, rooms.shows, 1)
}

func TestOpen(t *testing.T) {
	seg := clip(t, "ts")
	t.Run("is told what begins", func(t *testing.T) {
		h, rooms := newHandler(t, Options{})
		w := send(h, "/live/camera/4.ts?key=1", bytes.NewReader(seg[0]), configurationHeader, `{"presets":["P144p30fps16x9"]}`)
		require.Equal(t, 200, w.Code)
		require.Equal(t, 200, send(h, "/live/camera/5.ts", bytes.NewReader(seg[1]), configurationHeader, "ignored").Code)
		require.Len(t, rooms.asked, 1)
		r := rooms.asked[0]
		require.Equal(t, "camera", r.Name)
		require.Equal(t, "key=1", r.HTTP.URL.RawQuery)
		require.Equal(t, "P144p30fps16x9", r.Renditions[0].Profile.Name)
		require.Equal(t, 320, r.Info.Video().Video.Width)
	})
	t.Run("bad configuration", func(t *testing.T) {
		h, rooms := newHandler(t, Options{})
		w := send(h, "/live/x/0.ts", bytes.NewReader(seg[0]), configurationHeader, "{")
		require.Equal(t, 400, w.Code)
		require.Contains(t, w.Body.String(), configurationHeader)
		require.Empty(t, rooms.asked)
	})
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("webhook: %w", ErrForbidden), 403},
		{fmt.Errorf("rtmp: %w", ErrBusy), 409},
		{ErrCapacity, 503},
		{errors.New("secret of the house"), 500},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			h, rooms := newHandler(t, Options{MaxStreams: 1})
			rooms.next = func(*fakeShow) error { return c.err }
			w := send(h, "/live/x/0.ts", bytes.NewReader(seg[0]))
			require.Equal(t, c.status, w.Code)
			require.NotContains(t, w.Body.String(), "house")
			require.NotContains(t, w.Body.String(), "webhook")
			require.Equal(t, c.status == 503, w.Header().Get("Retry-After") != "")
			require.ErrorIs(t, rooms.errs[0], c.err)
			rooms.next = nil
			pushAll(t, h, 0, ".ts", seg[0]) // the place is free again
		})
	}
	t.Run("panics", func(t *testing.T) {
		h, rooms := newHandler(t, Options{MaxStreams: 1})
		rooms.next = func(*fakeShow) error { panic("at the disco") }
		require.Panics(t, func() { send(h, "/live/x/0.ts", bytes.NewReader(seg[0])) })
		rooms.next = nil
		pushAll(t, h, 0, ".ts", seg[0])
	})
	t.Run("nothing", func(t *testing.T) {
		h, _ := newHandler(t, Options{Open: func(context.Context, Request) (Show, error) { return nil, nil }})
		require.Equal(t, 500, send(h, "/live/x/0.ts", bytes.NewReader(seg[0])).Code)
		h = New(Options{})
		defer h.Close()
		require.Equal(t, 403, send(h, "/live/x/0.ts", bytes.NewReader(seg[0])).Code)
	})
}

func TestAuthorize(t *testing.T) {
	var answer error
	h, _ := newHandler(t, Options{Authorize: func(r *http.Request, name string) (Ticket, error) {
		require.Equal(t, "x", name)
		return Ticket{}, answer
	}})
	seg := clip(t, "ts")
	pushAll(t, h, 0, ".ts", seg[0])
	answer = errors.New("why is not for strangers")
	w := send(h, "/live/x/1.ts", failing{t})
	require.Equal(t, 403, w.Code)
	require.NotContains(t, w.Body.String(), "why")
	answer = ErrCapacity
	require.Equal(t, 503, send(h, "/live/x/1.ts", failing{t}).Code)
}

// Two who push under one name are two publishers, and Open decides.
func TestOwners(t *testing.T) {
	live := false
	h, _ := newHandler(t, Options{
		Authorize: func(r *http.Request, _ string) (Ticket, error) {
			owner := r.URL.Query().Get("owner")
			return Ticket{owner, "ticket of " + owner}, nil
		},
	})
	open := h.opts.Open
	h.opts.Open = func(ctx context.Context, r Request) (Show, error) {
		require.Equal(t, "ticket of "+r.Ticket.Owner, r.Ticket.Value)
		if live {
			return nil, ErrBusy
		}
		live = true
		return open(ctx, r)
	}
	seg := clip(t, "ts")
	push := func(owner string, n int) int {
		return send(h, fmt.Sprintf("/live/x/%d.ts?owner=%s", n, owner), bytes.NewReader(seg[n])).Code
	}
	require.Equal(t, 200, push("alice", 0))
	require.Equal(t, 409, push("bob", 0))
	require.Equal(t, 409, push("bob", 1))
	require.Equal(t, 200, push("alice", 1))
	require.Len(t, h.streams, 1, "nothing is left of those who were refused")
}

// failing is a body that nobody should read.
type failing struct{ t *testing.T }

func (f failing) Read([]byte) (int, error) { f.t.Error("the body was read"); return 0, io.EOF }

func TestLimits(t *testing.T) {
	seg := clip(t, "ts")
	t.Run("body", func(t *testing.T) {
		h, _ := newHandler(t, Options{MaxBody: int64(len(seg[0]))})
		pushAll(t, h, 0, ".ts", seg[0])
		larger := append(bytes.Clone(seg[0]), 0)
		w := send(h, "/live/x/1.ts", bytes.NewReader(larger))
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		require.Contains(t, w.Body.String(), fmt.Sprint(len(seg[0])))
		w = send(h, "/live/x/1.ts", io.MultiReader(bytes.NewReader(larger))) // of unknown length
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		pushAll(t, h, 1, ".ts", seg[0])
	})
	t.Run("uploads", func(t *testing.T) {
		h, _ := newHandler(t, Options{MaxUploads: 300 << 10})
		require.True(t, h.budget.take(100<<10))
		w := send(h, "/live/x/0.ts", bytes.NewReader(make([]byte, 1<<20)))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		h.budget.left.Add(100 << 10)
	})
	t.Run("streams", func(t *testing.T) {
		h, rooms := newHandler(t, Options{MaxStreams: 2})
		for _, name := range []string{"a", "b"} {
			require.Equal(t, 200, send(h, "/live/"+name+"/0.ts", bytes.NewReader(seg[0])).Code)
		}
		w := send(h, "/live/c/0.ts", failing{t})
		require.Equal(t, 503, w.Code)
		require.Equal(t, 200, send(h, "/live/b/1.ts", bytes.NewReader(seg[1])).Code)
		require.Len(t, rooms.shows, 2)
	})
	t.Run("requests", func(t *testing.T) {
		h, _ := newHandler(t, Options{MaxStreams: 1})
		for range newcomers {
			_, err := h.admit(&request{http: httptest.NewRequest("POST", "/", nil), name: "x"})
			require.NoError(t, err)
		}
		_, err := h.admit(&request{http: httptest.NewRequest("POST", "/", nil), name: "y"})
		require.ErrorIs(t, err, ErrCapacity)
		h.streams[streamID{name: "x"}].users = 0 // they were not real
		clear(h.streams)
		clear(h.cancels)
		h.wg.Add(-newcomers)
		pushAll(t, h, 0, ".ts", seg[0])
		h.streams[streamID{name: "x"}].users += maxRequests
		w := send(h, "/live/x/1.ts", failing{t})
		require.Equal(t, 503, w.Code)
		h.streams[streamID{name: "x"}].users -= maxRequests
	})
}

func TestRetry(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	segs := clip(t, "ts")
	pushAll(t, h, 0, ".ts", segs[0], segs[1])
	pushAll(t, h, 0, ".ts", segs[0], segs[1]) // the answers were lost
	pushAll(t, h, 2, ".ts", segs[2])
	require.Len(t, rooms.shows, 1)
	got := source(rooms.shows[0].buf)
	require.Equal(t, []bool{false, false, false}, breaksOf(got))
	pushAll(t, h, 0, ".ts", segs[3]) // another publisher's 0
	require.Equal(t, []bool{false, false, false, true}, breaksOf(source(rooms.shows[0].buf)))
}

// Two requests with the same segment at once append it once.
func TestRetryAtOnce(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	segs := clip(t, "ts")
	codes := make(chan int)
	for range 4 {
		go func() { codes <- send(h, "/live/x/0.ts", bytes.NewReader(segs[0])).Code }()
	}
	for range 4 {
		require.Equal(t, 200, <-codes)
	}
	require.Len(t, rooms.shows, 1)
	require.Len(t, source(rooms.shows[0].buf), 1)
}

func TestOrder(t *testing.T) {
	segs := clip(t, "ts") // outside of the bubble: it runs a program
	t.Run("waits for those that are on their way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, rooms := newHandler(t, Options{})
			codes := make(chan int, 4)
			var feeds []*io.PipeWriter
			for n := range 4 {
				body, feed := io.Pipe()
				feeds = append(feeds, feed)
				go func() { codes <- send(h, fmt.Sprintf("/live/x/%d.ts", n), body).Code }()
			}
			synctest.Wait() // all have begun
			for n := 3; n >= 0; n-- {
				_, _ = feeds[n].Write(segs[n])
				feeds[n].Close()
				time.Sleep(100 * time.Millisecond)
			}
			for range 4 {
				require.Equal(t, 200, <-codes)
			}
			require.Equal(t, []bool{false, false, false, false}, breaksOf(source(rooms.shows[0].buf)))
			joined(t, source(rooms.shows[0].buf), time.Millisecond)
			h.Close()
		})
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, rooms := newHandler(t, Options{})
			pushAll(t, h, 0, ".ts", segs[0], segs[1])
			begun := time.Now()
			pushAll(t, h, 3, ".ts", segs[3])
			require.Equal(t, 2*time.Second, time.Since(begun))
			w := send(h, "/live/x/2.ts", bytes.NewReader(segs[2]))
			require.Equal(t, http.StatusConflict, w.Code)
			require.Contains(t, w.Body.String(), "too late")
			require.Equal(t, []bool{false, false, true}, breaksOf(source(rooms.shows[0].buf)))
			h.Close()
		})
	})
	t.Run("a hanging upload holds nobody up twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newHandler(t, Options{})
			pushAll(t, h, 0, ".ts", segs[0])
			body, feed := io.Pipe()
			code := make(chan int)
			go func() { code <- send(h, "/live/x/1.ts", body).Code }()
			synctest.Wait()
			begun := time.Now()
			pushAll(t, h, 2, ".ts", segs[2], segs[3])
			require.Equal(t, 2*time.Second, time.Since(begun))
			feed.CloseWithError(errors.New("gone"))
			require.Equal(t, http.StatusBadRequest, <-code)
			h.Close()
		})
	})
}

func TestIdle(t *testing.T) {
	segs := clip(t, "ts")
	synctest.Test(t, func(t *testing.T) {
		h, rooms := newHandler(t, Options{MaxStreams: 1})
		pushAll(t, h, 0, ".ts", segs[0])
		time.Sleep(59 * time.Second)
		pushAll(t, h, 1, ".ts", segs[1])
		time.Sleep(59 * time.Second)
		synctest.Wait()
		show := rooms.shows[0]
		require.Empty(t, show.closed)
		body, feed := io.Pipe() // an upload is no segment
		code := make(chan int)
		go func() { code <- send(h, "/live/x/2.ts", body).Code }()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []bool{true}, show.closed)
		// What comes then begins again.
		_, _ = feed.Write(segs[2])
		feed.Close()
		require.Equal(t, 200, <-code)
		require.Len(t, rooms.shows, 2)
		h.Close()
		require.Equal(t, []bool{true}, show.closed)
		require.Equal(t, []bool{false}, rooms.shows[1].closed)
		require.Equal(t, 503, send(h, "/live/x/3.ts", failing{t}).Code)
		h.Close()
		time.Sleep(time.Hour)
		require.Equal(t, []bool{false}, rooms.shows[1].closed)
	})
}

// The name is taken until the Show has closed.
func TestBeginsAfterEnd(t *testing.T) {
	segs := clip(t, "ts")
	synctest.Test(t, func(t *testing.T) {
		h, rooms := newHandler(t, Options{})
		closing := make(chan struct{})
		rooms.next = func(s *fakeShow) error { s.onClose = func() { <-closing }; return nil }
		pushAll(t, h, 0, ".ts", segs[0])
		time.Sleep(61 * time.Second)
		code := make(chan int)
		go func() { code <- send(h, "/live/x/1.ts", bytes.NewReader(segs[1])).Code }()
		synctest.Wait()
		require.Len(t, rooms.asked, 1)
		close(closing)
		require.Equal(t, 200, <-code)
		require.Len(t, rooms.asked, 2)
		require.Equal(t, []bool{false}, breaksOf(source(rooms.shows[1].buf)))
		h.Close()
	})
}

// A buffer that somebody ended ends the stream.
func TestEndedFromOutside(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	segs := clip(t, "ts")
	pushAll(t, h, 0, ".ts", segs[0])
	rooms.shows[0].buf.End()
	w := send(h, "/live/x/1.ts", bytes.NewReader(segs[1]))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, []bool{true}, rooms.shows[0].closed)
	pushAll(t, h, 1, ".ts", segs[1])
	require.Len(t, rooms.shows, 2)
}
