package lpms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/golang/glog"
	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// acceptRTMP accepts connections until the listener is closed, by whomever, then calls
// closed, and returns when all connections have ended.
func (l *LPMS) acceptRTMP(ctx context.Context, ln net.Listener, closed context.CancelCauseFunc) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			delay = 0
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			closed(fmt.Errorf("lpms: RTMP: %w", err))
			return
		default:
			// Out of file descriptors, most likely: wait until there are some.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			glog.Errorf("lpms: accept: %v; trying again in %v", err, delay)
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
			continue
		}
		if !l.addConn(nc) {
			glog.Warningf("lpms: %s refused: %d connections are open", nc.RemoteAddr(), l.opts.MaxConnections)
			nc.Close()
			continue
		}
		wg.Go(func() {
			conn, req, err := l.negotiate(ctx, nc)
			// A player stays for long and needs little: it goes on in a new goroutine,
			// whose stack the negotiation has not grown.
			wg.Go(func() { l.serveConn(ctx, conn, req, err) })
		})
	}
}

func (l *LPMS) addConn(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.opts.MaxConnections {
		return false
	}
	l.conns[nc] = struct{}{}
	return true
}

func (l *LPMS) removeConn(nc net.Conn) {
	nc.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, nc)
}

func (l *LPMS) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for nc := range l.conns {
		nc.Close()
	}
}

// negotiate does what comes before media: the handshake, and commands up to the first
// request.
func (l *LPMS) negotiate(ctx context.Context, nc net.Conn) (conn *rtmp.ServerConn, req rtmp.Request, err error) {
	conn = rtmp.NewServerConn(nc, rtmp.Limits{})
	defer recovered(&err)
	stop := context.AfterFunc(ctx, conn.Interrupt)
	defer stop()
	if err = conn.Handshake(); err == nil {
		req, err = conn.NextRequest()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("neither published nor played in time")
	}
	return conn, req, err
}

// recovered makes an error of a panic: a bug that one connection finds ends that
// connection.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
	}
}

// serveConn serves a connection's requests, and logs once why it ended.
func (l *LPMS) serveConn(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request, err error) {
	defer l.removeConn(conn.NetConn())
	if err == nil {
		err = l.serveRequests(ctx, conn, req)
	}
	peer := conn.NetConn().RemoteAddr()
	switch {
	case ctx.Err() != nil:
		glog.V(2).Infof("lpms: RTMP %s: closed: the server stops", peer)
	case err == nil, errors.Is(err, io.EOF):
		glog.V(2).Infof("lpms: RTMP %s: closed", peer)
	default:
		glog.Warningf("lpms: RTMP %s: %v", peer, err)
	}
}

// serveRequests serves one player, or the streams of a publisher, one after the other.
func (l *LPMS) serveRequests(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request) (err error) {
	defer recovered(&err)
	for {
		if err := checkPath(req.Path); err != nil {
			conn.Refuse(refusalCode(req.Kind, "BadName"), err.Error())
			return err
		}
		if req.Kind == rtmp.Play {
			return l.servePlayer(ctx, conn, req)
		}
		if err := l.servePublisher(ctx, conn, req); err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, conn.Interrupt)
		req, err = conn.NextRequest()
		stop()
		if err != nil {
			return nil // it might have published again, and need not
		}
	}
}

func refusalCode(k rtmp.Kind, what string) string {
	if k == rtmp.Play {
		return "NetStream.Play.StreamNotFound"
	}
	return "NetStream.Publish." + what
}

// errPath is a path that no stream can have.
var errPath = errors.New("stream names hold 1 to 128 of A-Z a-z 0-9 _ . - and do not begin with a dot")

// checkPath lets only names through that are safe in a path, a playlist, a log line
// and a label.
func checkPath(path string) error {
	elements := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(elements) > 8 {
		return errPath
	}
	for _, e := range elements {
		if !stream.ValidName(e) {
			return errPath
		}
	}
	return nil
}

func reqPath(req rtmp.Request) string {
	if req.Query == "" {
		return req.Path
	}
	return req.Path + "?" + req.Query
}

// authorizeRTMP asks Options.Authorize.
func (l *LPMS) authorizeRTMP(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request) error {
	if l.opts.Authorize == nil {
		return nil
	}
	a := AccessRequest{Action: PublishRTMP, Path: reqPath(req), RemoteAddr: conn.NetConn().RemoteAddr().String()}
	if req.Kind == rtmp.Play {
		a.Action = PlayRTMP
	}
	if tc, ok := conn.NetConn().(*tls.Conn); ok {
		state := tc.ConnectionState()
		a.TLS = &state
	}
	return l.opts.Authorize(ctx, a)
}

func (l *LPMS) servePlayer(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request) error {
	l.mu.Lock()
	play := l.play
	l.mu.Unlock()
	if err := l.authorizeRTMP(ctx, conn, req); err != nil {
		conn.Refuse("NetStream.Play.Failed", "not allowed")
		return err
	}
	return l.players.Serve(ctx, conn, req, func(ctx context.Context, dst av.MuxCloser) error {
		if play == nil {
			return stream.ErrNotFound
		}
		return play(ctx, reqPath(req), dst)
	})
}
