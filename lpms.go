package lpms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/golang/glog"
	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/vidplayer"
)

// ErrStarted is a call that must come before Start, or a second Start.
var ErrStarted = errors.New("lpms: already started")

// ErrNoHandler is a nil callback.
var ErrNoHandler = errors.New("lpms: callback is nil")

// LPMS is a media server.
type LPMS struct {
	opts    Options
	hls     *vidplayer.HLSHandler
	players *vidplayer.Players
	shows   *presentations

	mu      sync.Mutex
	started bool
	publish publishHandler
	play    func(ctx context.Context, reqPath string, dst av.MuxCloser) error
	buffer  func(reqPath string) (*stream.HLSBuffer, error)
	live    map[string]*publication // by stream id
	conns   map[net.Conn]struct{}
	rtmp    net.Addr
	http    net.Addr
	ready   chan struct{}

	serving    context.Context // set before ready is closed
	publishing sync.WaitGroup  // calls of Publish
	stopped    bool            // none begins any more
}

type publishHandler struct {
	streamID func(reqPath string) (string, error)
	got      func(reqPath string) (rtmpStrm, hlsStrm stream.Stream, err error)
	end      func(rtmpStrmID, hlsStrmID string)
}

// New makes a server. It opens nothing. The error is ErrOptions, with what to change.
func New(opts Options) (*LPMS, error) {
	o, err := opts.validate()
	if err != nil {
		return nil, err
	}
	l := &LPMS{
		opts:  o,
		shows: newPresentations(o.ReconnectWait, o.EndedRetention),
		live:  make(map[string]*publication),
		conns: make(map[net.Conn]struct{}),
		ready: make(chan struct{}),
	}
	po := vidplayer.PlayersOptions{}
	if o.Realtime {
		po.Coalesce = -1
	}
	l.players = vidplayer.NewPlayers(po)
	l.hls = vidplayer.NewHLS(vidplayer.HLSOptions{
		Buffer:           l.findBuffer,
		Authorize:        l.authorizeHLS,
		FirstSegmentWait: o.FirstSegmentWait,
		EndedRetention:   o.EndedRetention,
	})
	return l, nil
}

// HandleRTMPPublish registers what happens to publishers. For each, in this order:
// getStreamID names the stream, or refuses it by an error; a name that is live already
// is refused. gotRTMPStream makes the streams that its media goes to; hlsStrm may be
// nil when no HLS is wanted. endRTMPStream (nil if not needed) is told after the last
// packet and the last segment were written.
//
// reqPath is the path of the publisher's URL with its query, such as
// "/stream/test?key=secret".
func (l *LPMS) HandleRTMPPublish(
	getStreamID func(reqPath string) (string, error),
	gotRTMPStream func(reqPath string) (rtmpStrm, hlsStrm stream.Stream, err error),
	endRTMPStream func(rtmpStrmID, hlsStrmID string),
) error {
	if getStreamID == nil || gotRTMPStream == nil {
		return ErrNoHandler
	}
	if endRTMPStream == nil {
		endRTMPStream = func(string, string) {}
	}
	return l.register(func() { l.publish = publishHandler{getStreamID, gotRTMPStream, endRTMPStream} })
}

// HandleRTMPPlay registers what an RTMP player gets: play finds the stream for reqPath
// and lets it write into dst, with stream.Stream.ReadRTMPFromStream, until it ends. It
// returns stream.ErrNotFound, before anything is written, when there is none. ctx ends
// when the server stops, and, once something was written, when the player leaves.
func (l *LPMS) HandleRTMPPlay(play func(ctx context.Context, reqPath string, dst av.MuxCloser) error) error {
	if play == nil {
		return ErrNoHandler
	}
	return l.register(func() { l.play = play })
}

// HandleHLSPlay registers what an HTTP viewer gets: getBuffer returns the presentation
// for reqPath, the path of its master playlist with the request's query, such as
// "/stream/test.m3u8", or stream.ErrNotFound. It is called for playlists; segments are
// served from the presentation that it returned last for the path.
func (l *LPMS) HandleHLSPlay(getBuffer func(reqPath string) (*stream.HLSBuffer, error)) error {
	if getBuffer == nil {
		return ErrNoHandler
	}
	return l.register(func() { l.buffer = getBuffer })
}

func (l *LPMS) register(set func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started {
		return ErrStarted
	}
	set()
	return nil
}

// Handler serves HLS, to mount on a server of your own. It is ready before Start and
// may be used with HTTPAddr set to Off. The path of a request is taken as it is: mount
// it with http.StripPrefix below a prefix.
func (l *LPMS) Handler() http.Handler { return l.hls }

// Ready is closed when the ports are open.
func (l *LPMS) Ready() <-chan struct{} { return l.ready }

// RTMPAddr is the address that is listened on; nil before Ready and when it is off.
func (l *LPMS) RTMPAddr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rtmp
}

// HTTPAddr is the address that is listened on; nil before Ready and when it is off.
func (l *LPMS) HTTPAddr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.http
}

// Start opens the ports and serves until ctx ends; it blocks. It returns nil after a
// graceful stop, which takes at most about 4 s, or at once the reason why a port cannot be
// opened. It can be called once.
func (l *LPMS) Start(ctx context.Context) error {
	if err := l.register(func() { l.started = true }); err != nil {
		return err
	}
	rtmpLn, err := listen(ctx, "RTMP", l.opts.RTMPListener, l.opts.RTMPAddr)
	if err != nil {
		if l.opts.HTTPListener != nil {
			l.opts.HTTPListener.Close()
		}
		return err
	}
	httpLn, err := listen(ctx, "HTTP", l.opts.HTTPListener, l.opts.HTTPAddr)
	if err != nil {
		if rtmpLn != nil {
			rtmpLn.Close()
		}
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.mu.Lock()
	l.rtmp, l.http, l.serving = addrOf(rtmpLn), addrOf(httpLn), ctx
	l.mu.Unlock()
	close(l.ready)
	return l.serve(ctx, cancel, rtmpLn, httpLn)
}

func addrOf(ln net.Listener) net.Addr {
	if ln == nil {
		return nil
	}
	return ln.Addr()
}

// listen opens a port, nil when it is off.
func listen(ctx context.Context, what string, ln net.Listener, addr string) (net.Listener, error) {
	if ln != nil || addr == Off {
		return ln, nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("lpms: cannot listen for %s on %s: %w (is another server running there? choose another address)", what, addr, err)
	}
	return ln, nil
}

// stopTime is how long a graceful stop may take before connections are cut.
const stopTime = 3 * time.Second

func (l *LPMS) serve(ctx context.Context, cancel context.CancelCauseFunc, rtmpLn, httpLn net.Listener) error {
	var wg sync.WaitGroup
	if rtmpLn != nil {
		wg.Go(func() { l.acceptRTMP(ctx, rtmpLn, cancel) })
	}
	var srv *http.Server
	if httpLn != nil {
		srv = l.httpServer(ctx)
		wg.Go(func() {
			if err := srv.Serve(httpLn); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("lpms: HTTP: %w", err))
			}
		})
	}
	<-ctx.Done()
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer done()
	if rtmpLn != nil {
		rtmpLn.Close()
	}
	cut := context.AfterFunc(stop, l.closeConns) // connections that do not end by themselves
	if srv != nil {
		wg.Go(func() {
			if srv.Shutdown(stop) != nil {
				srv.Close()
			}
		})
	}
	wg.Wait()
	l.players.Wait()
	cut()
	l.waitPublishing()
	l.shows.closeAll()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// waitPublishing lets no call of Publish begin any more, and waits for the others.
func (l *LPMS) waitPublishing() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.publishing.Wait()
}

func (l *LPMS) httpServer(ctx context.Context) *http.Server {
	var h http.Handler = l.hls
	if l.opts.WrapHTTP != nil {
		h = l.opts.WrapHTTP(h)
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // the handler moves it for requests that wait and for slow clients
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// findBuffer asks the callback for a presentation.
func (l *LPMS) findBuffer(reqPath string) (*stream.HLSBuffer, error) {
	l.mu.Lock()
	f := l.buffer
	l.mu.Unlock()
	if f == nil {
		return nil, stream.ErrNotFound
	}
	b, err := f(reqPath)
	if err == nil && b == nil {
		glog.Errorf("lpms: HandleHLSPlay returned neither a buffer nor an error for %.200q", reqPath)
		return nil, stream.ErrNotFound
	}
	return b, err
}

func (l *LPMS) authorizeHLS(r *http.Request, reqPath string) error {
	if l.opts.Authorize == nil {
		return nil
	}
	return l.opts.Authorize(r.Context(), AccessRequest{
		Action: PlayHLS, Path: reqPath, RemoteAddr: r.RemoteAddr, TLS: r.TLS, Header: r.Header,
	})
}
