package push

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Close answers whoever is there: in an upload, in the queue, in Open.
func TestCloseInterrupts(t *testing.T) {
	segs := clip(t, "ts")
	synctest.Test(t, func(t *testing.T) {
		var h *Handler
		h, _ = newHandler(t, Options{Open: func(ctx context.Context, r Request) (Show, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		srv := serve(t, h)
		var clients []net.Conn
		c := dialPush(t, srv, "/live/a/0.ts", len(segs[0]))
		_, err := c.Write(segs[0][:100]) // and no more
		require.NoError(t, err)
		clients = append(clients, c)
		for n := range 2 { // one in Open, the other behind it
			c := dialPush(t, srv, fmt.Sprintf("/live/b/%d.ts", n), len(segs[n]))
			_, err := c.Write(segs[n])
			require.NoError(t, err)
			clients = append(clients, c)
		}
		synctest.Wait()
		go h.Close()
		for _, c := range clients {
			require.Equal(t, 503, status(t, c))
			c.Close()
		}
	})
}

// serve is a server on pipes, whose deadlines are those of the bubble's clock.
func serve(t *testing.T, h http.Handler) *pipes {
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-ended })
	return l
}

// pipes is a net.Listener.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { close(l.done); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dialPush sends the head of a request.
func dialPush(t *testing.T, l *pipes, path string, length int, headers ...string) net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", path, length, strings.Join(append(headers, ""), "\r\n"))
	_, err := io.WriteString(client, head)
	require.NoError(t, err)
	return client
}

func status(t *testing.T, c net.Conn) int {
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, r.Body)
	return r.StatusCode
}

func TestSlowUploads(t *testing.T) {
	segs := clip(t, "ts")
	body := segs[0]
	for _, c := range []struct {
		name  string
		every time.Duration
		piece int
		want  int
		after time.Duration
	}{
		{"stands still", time.Hour, 1, 408, 10 * time.Second},
		{"trickles", time.Second, 1000, 408, 10 * time.Second}, // 1000 B/s: slower than 8192
		{"too long in all", time.Second, 8400, 408, 20 * time.Second},
		{"slow enough", time.Second, 20000, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, rooms := newHandler(t, Options{IdleEnd: 20 * time.Second})
				length := len(body)
				if c.want != 200 {
					length = 1 << 20 // there would be more to come
				}
				conn := dialPush(t, serve(t, h), "/live/x/0.ts", length)
				begun := time.Now()
				go func() {
					for b := bytes.Clone(body); len(b) > 0; {
						n := min(len(b), c.piece)
						if _, err := conn.Write(b[:n]); err != nil {
							return
						}
						b = b[n:]
						time.Sleep(c.every)
					}
				}()
				require.Equal(t, c.want, status(t, conn), "%v", rooms.errs)
				if c.after > 0 {
					require.InDelta(t, c.after.Seconds(), time.Since(begun).Seconds(), 3)
				}
				conn.Close()
				h.Close()
				time.Sleep(2 * time.Hour) // the writer
			})
		})
	}
}

func TestCutOff(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	seg := clip(t, "ts")[0]
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "PUT /live/x/0.ts HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(seg), seg[:len(seg)/2])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	require.Equal(t, http.StatusBadRequest, status(t, conn))
	conn.Close()
	require.Empty(t, rooms.shows)
	require.Equal(t, http.StatusBadRequest, send(h, "/live/x/0.ts", strings.NewReader("")).Code)
}

// A client that waits for leave gets it, or the refusal before it sends anything.
func TestExpectContinue(t *testing.T) {
	h, rooms := newHandler(t, Options{MaxBody: 1 << 20})
	srv := httptest.NewServer(h)
	defer srv.Close()
	seg := clip(t, "ts")[0]
	for _, c := range []struct {
		path   string
		length int
		first  int
	}{
		{"/live/x/0.ts", len(seg), 100},
		{"/live/x/0.ts", 2 << 20, 413},
		{"/live/x/0.txt", len(seg), 400},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", c.path, c.length)
		require.NoError(t, err)
		br := bufio.NewReader(conn)
		line, err := br.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, fmt.Sprint("HTTP/1.1 ", c.first))
		if c.first == 100 {
			_, err = br.ReadString('\n')
			require.NoError(t, err)
			_, err = conn.Write(seg)
			require.NoError(t, err)
			r, err := http.ReadResponse(br, nil)
			require.NoError(t, err)
			require.Equal(t, 200, r.StatusCode)
			require.Zero(t, r.ContentLength)
		}
		conn.Close()
	}
	require.Len(t, rooms.shows, 1)
}

// Segment after segment on one connection that lives longer than any deadline.
func TestKeptConnection(t *testing.T) {
	segs := clip(t, "ts")
	synctest.Test(t, func(t *testing.T) {
		h, rooms := newHandler(t, Options{})
		l := serve(t, h)
		conn := dialPush(t, l, "/live/x/0.ts", len(segs[0]))
		br := bufio.NewReader(conn)
		for n, seg := range segs {
			_, err := conn.Write(seg)
			require.NoError(t, err)
			r, err := http.ReadResponse(br, nil)
			require.NoError(t, err)
			require.Equal(t, 200, r.StatusCode)
			time.Sleep(40 * time.Second)
			if n+1 < len(segs) {
				_, err = fmt.Fprintf(conn, "PUT /live/x/%d.ts HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", n+1, len(segs[n+1]))
				require.NoError(t, err)
				r, err := http.ReadResponse(br, nil)
				require.NoError(t, err)
				require.Equal(t, 100, r.StatusCode)
			}
		}
		require.Len(t, source(rooms.shows[0].buf), 4)
		conn.Close()
		h.Close()
	})
}

// ffmpeg itself as the publisher: bodies of unknown length.
func TestFFmpegPublishes(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	args := append(strings.Fields("-nostdin -v error "+clips["ts"]), srv.URL+"/live/x/%05d.ts")
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
	rooms.mu.Lock()
	buf := rooms.shows[0].buf
	rooms.mu.Unlock()
	for version := uint64(0); len(source(buf)) < 4; { // it does not wait for its last answer
		version, err = buf.Wait(t.Context(), version)
		require.NoError(t, err)
	}
	h.Close()
	segs := source(buf)
	require.Empty(t, rooms.errs)
	require.NotContains(t, breaksOf(segs), true)
	joined(t, segs, time.Millisecond)
}
