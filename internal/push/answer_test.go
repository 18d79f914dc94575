package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// part is one of a multipart answer.
type part struct {
	head map[string][]string
	data []byte
}

func readParts(t *testing.T, contentType string, body io.Reader) (parts []part) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	require.NoError(t, err)
	require.Equal(t, "multipart/mixed", kind)
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts
		}
		require.NoError(t, err)
		data, err := io.ReadAll(p)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(len(data)), p.Header.Get("Content-Length"))
		require.Equal(t, "video/mp2t", p.Header.Get("Content-Type"))
		parts = append(parts, part{p.Header, data})
	}
}

// transcoded is a fakeShow whose renditions are made.
type transcoded struct {
	*fakeShow
	run sync.WaitGroup
}

func (s *transcoded) Close(clean bool) {
	s.fakeShow.Close(clean)
	s.run.Wait()
}

// Segments in, renditions out, over a real connection and through the real transcoder.
func TestRenditions(t *testing.T) {
	engine := transcoder.NewLocal(transcoder.LocalOptions{})
	var show *transcoded
	h, _ := newHandler(t, Options{
		ResultWait: 2 * time.Minute, // a slow machine is no reason to fail
		Open: func(_ context.Context, r Request) (Show, error) {
			show = &transcoded{fakeShow: &fakeShow{buf: stream.NewHLSBuffer()}}
			for _, spec := range r.Renditions {
				show.renditions = append(show.renditions, spec.Profile.Name)
			}
			tr, err := transcoder.New(show.buf, transcoder.Options{Stream: r.Name, Engine: engine, Renditions: r.Renditions, MaxLag: time.Minute})
			if err != nil {
				return nil, err
			}
			show.run.Go(func() { _ = tr.Run(t.Context()) })
			return show, nil
		},
	})
	srv := httptest.NewServer(h)
	defer srv.Close()
	const config = `{"profiles":[{"name":"small","width":160,"height":90,"bitrate":100000},{"name":"slow","width":128,"height":72,"bitrate":50000,"fps":15}]}`
	counters := map[string][]byte{}
	segs := clip(t, "mp4 own")
	for n, seg := range segs {
		req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/live/x/%03d.mp4", srv.URL, n), bytes.NewReader(seg))
		require.NoError(t, err)
		req.Header.Set("Accept", "multipart/mixed")
		req.Header.Set(configurationHeader, config)
		req.Header.Set(durationHeader, "2000")
		req.Header.Set(resolutionHeader, "320x180")
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Empty(t, resp.Header.Get(missingHeader))
		parts := readParts(t, resp.Header.Get("Content-Type"), resp.Body)
		resp.Body.Close()
		require.Len(t, parts, 2)
		for i, want := range []struct {
			name          string
			width, frames int
		}{{"small", 160, 60}, {"slow", 128, 30}} {
			p := parts[i]
			require.Equal(t, []string{want.name}, p.head["Rendition-Name"])
			require.Equal(t, []string{fmt.Sprintf(`attachment; filename="%s_%d.ts"`, want.name, n)}, p.head["Content-Disposition"])
			info, err := ffmpeg.Probe(p.data)
			require.NoError(t, err)
			require.Equal(t, want.width, info.Video().Video.Width)
			require.Equal(t, want.frames, info.Video().Packets)
			require.NotNil(t, info.Audio())
			pictures := 0
			for _, packet := range packets(t, p.data) {
				if packet.kind == "video" {
					pictures++
				}
			}
			require.Equal(t, want.frames, pictures)
			counters[want.name] = append(counters[want.name], p.data...)
		}
	}
	require.NotEmpty(t, packets(t, counters["small"])) // they are one stream
	h.Close()                                          // or ffmpeg waits for more
	plays(t, show.buf, 60*len(segs))
}

// fill appends a rendition's segment beside that of the source.
func fill(t *testing.T, buf *stream.HLSBuffer, name string, seq uint64) {
	src, err := buf.Segment(stream.Source, seq)
	require.NoError(t, err)
	_, err = buf.Append(name, stream.Segment{Seq: seq, Data: []byte(name + strconv.FormatUint(seq, 10)), Start: src.Start, Duration: src.Duration})
	require.NoError(t, err)
}

// ask pushes a segment of the clip and wants its renditions.
func ask(t *testing.T, h http.Handler, n int) chan *httptest.ResponseRecorder {
	seg := clip(t, "ts")[n]
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		answer <- send(h, fmt.Sprintf("/live/x/%d.ts", n), bytes.NewReader(seg), "Accept", "multipart/mixed")
	}()
	synctest.Wait()
	return answer
}

// sent is what the parts of an answer hold.
func sent(t *testing.T, w *httptest.ResponseRecorder) (list []string) {
	require.Equal(t, 200, w.Code, w.Body.String())
	for _, p := range readParts(t, w.Header().Get("Content-Type"), w.Body) {
		list = append(list, string(p.data))
	}
	return list
}

// What an answer with the renditions a and b waits for, and not.
var waiting = []struct {
	name string
	run  func(t *testing.T, h *Handler, show *fakeShow)
}{
	{"for all", func(t *testing.T, h *Handler, show *fakeShow) {
		answer := ask(t, h, 0)
		fill(t, show.buf, "b", 1000)
		synctest.Wait()
		require.Empty(t, answer)
		fill(t, show.buf, "a", 1000)
		w := <-answer
		require.Empty(t, w.Header().Get(missingHeader))
		require.Equal(t, []string{"a1000", "b1000"}, sent(t, w))
		// The same again is answered again.
		require.Equal(t, []string{"a1000", "b1000"}, sent(t, <-ask(t, h, 0)))
		require.Len(t, source(show.buf), 1)
	}},
	{"as long as it is told", func(t *testing.T, h *Handler, show *fakeShow) {
		begun := time.Now()
		answer := ask(t, h, 0)
		fill(t, show.buf, "a", 1000)
		w := <-answer
		require.Equal(t, 8*time.Second, time.Since(begun))
		require.Equal(t, "b", w.Header().Get(missingHeader))
		require.Equal(t, []string{"a1000"}, sent(t, w))
	}},
	{"for nothing", func(t *testing.T, h *Handler, show *fakeShow) {
		w := <-ask(t, h, 0)
		require.Equal(t, 503, w.Code)
		require.Equal(t, "a, b", w.Header().Get(missingHeader))
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		fill(t, show.buf, "a", 1000)
		fill(t, show.buf, "b", 1000)
		require.Equal(t, []string{"a1000", "b1000"}, sent(t, <-ask(t, h, 0)))
	}},
	{"not for a gap", func(t *testing.T, h *Handler, show *fakeShow) {
		first, second := ask(t, h, 0), ask(t, h, 1)
		begun := time.Now()
		fill(t, show.buf, "a", 1000)
		fill(t, show.buf, "b", 1001)
		w := <-first
		require.Equal(t, "b", w.Header().Get(missingHeader))
		require.Equal(t, []string{"a1000"}, sent(t, w))
		fill(t, show.buf, "a", 1001)
		require.Equal(t, []string{"a1001", "b1001"}, sent(t, <-second))
		require.Equal(t, begun, time.Now())
	}},
	{"not for one that has left", func(t *testing.T, h *Handler, show *fakeShow) {
		begun := time.Now()
		first := ask(t, h, 0)
		fill(t, show.buf, "a", 1000)
		fill(t, show.buf, "b", 1000)
		<-first
		require.NoError(t, show.buf.EndRendition("b"))
		second := ask(t, h, 1)
		fill(t, show.buf, "a", 1001)
		w := <-second
		require.Equal(t, "b", w.Header().Get(missingHeader))
		require.Equal(t, []string{"a1001"}, sent(t, w))
		require.Equal(t, begun, time.Now())
	}},
	{"not for what is not wanted any more", func(t *testing.T, h *Handler, show *fakeShow) {
		answer := ask(t, h, 0)
		show.mu.Lock()
		show.renditions = []string{"a"}
		show.mu.Unlock()
		fill(t, show.buf, "a", 1000)
		require.Equal(t, []string{"a1000"}, sent(t, <-answer))
	}},
	{"not without renditions", func(t *testing.T, h *Handler, show *fakeShow) {
		show.renditions = nil
		require.Empty(t, sent(t, <-ask(t, h, 0)))
	}},
	{"not beyond a new beginning", func(t *testing.T, h *Handler, show *fakeShow) {
		begun := time.Now()
		answer := ask(t, h, 0)
		fill(t, show.buf, "a", 1000)
		show.buf.End()
		show.buf.Resume()
		_, err := show.buf.Append(stream.Source, stream.Segment{Data: []byte{1}, Duration: time.Second})
		require.NoError(t, err)
		require.Equal(t, []string{"a1000"}, sent(t, <-answer))
		require.Equal(t, begun, time.Now())
	}},
	{"not when the server stops", func(t *testing.T, h *Handler, show *fakeShow) {
		answer := ask(t, h, 0)
		h.Close()
		w := <-answer
		require.Equal(t, 503, w.Code)
		require.Contains(t, w.Body.String(), "stopping")
	}},
}

func TestAnswerWaits(t *testing.T) {
	clip(t, "ts") // outside of the bubbles: it runs a program
	for _, c := range waiting {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				show := &fakeShow{buf: stream.NewHLSBufferWithConfig(stream.HLSConfig{FirstSequence: 1000}), renditions: []string{"a", "b"}}
				h, _ := newHandler(t, Options{Open: func(context.Context, Request) (Show, error) { return show, nil }})
				c.run(t, h, show)
				h.Close()
			})
		})
	}
}

// A client that leaves is not waited for, and its segment stays.
func TestClientLeaves(t *testing.T) {
	segs := clip(t, "ts")
	synctest.Test(t, func(t *testing.T) {
		h, rooms := newHandler(t, Options{})
		rooms.next = func(s *fakeShow) error { s.renditions = []string{"never"}; return nil }
		conn := dialPush(t, serve(t, h), "/live/x/0.ts", len(segs[0]), "Accept: multipart/mixed")
		_, err := io.Copy(conn, bytes.NewReader(segs[0]))
		require.NoError(t, err)
		begun := time.Now()
		synctest.Wait()
		conn.Close()
		synctest.Wait()
		h.mu.Lock()
		require.Empty(t, h.cancels)
		h.mu.Unlock()
		require.Equal(t, begun, time.Now())
		require.Len(t, source(rooms.shows[0].buf), 1)
		require.Empty(t, rooms.errs)
		h.Close()
	})
}

func TestAnswerHeaders(t *testing.T) {
	h, _ := newHandler(t, Options{})
	w := send(h, "/live/x/0.ts", strings.NewReader("bad"))
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.True(t, strings.HasSuffix(w.Body.String(), "\n"))
	require.Equal(t, strconv.Itoa(w.Body.Len()), w.Header().Get("Content-Length"))
}
