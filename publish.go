package lpms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang/glog"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/segmenter"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/vidlistener"
)

// ErrLive is a publisher on the name of a stream that is live.
var ErrLive = errors.New("lpms: a stream of this name is live")

const (
	// silentFor is how long a publisher must have been silent before another
	// connection may take its stream over: an encoder that reconnects after a
	// network change is not made to wait until the dead connection is noticed.
	silentFor = 3 * time.Second
	// takeoverWait is how long the old publisher has to end.
	takeoverWait = 2 * time.Second
)

// publication is one live publisher.
type publication struct {
	src    *vidlistener.Source
	ending atomic.Bool   // its last packet has been read: the name is free in a moment
	done   chan struct{} // closed when everything of it has ended
}

// servePublisher serves one published stream from its first packet to its last
// segment.
func (l *LPMS) servePublisher(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request) error {
	refuse := func(code string, err error) error {
		conn.Refuse(refusalCode(req.Kind, code), err.Error())
		return fmt.Errorf("publisher of %.200q refused: %w", req.Path, err)
	}
	l.mu.Lock()
	h := l.publish
	l.mu.Unlock()
	if h.got == nil {
		return refuse("Rejected", errors.New("this server takes no publishers"))
	}
	if err := l.authorizeRTMP(ctx, conn, req); err != nil {
		conn.Refuse("NetStream.Publish.Rejected", "not allowed") // the reason is not for strangers
		return fmt.Errorf("publisher of %.200q refused: %w", req.Path, err)
	}
	path := reqPath(req)
	id, err := h.streamID(path)
	if err != nil {
		return refuse("Rejected", err)
	}
	p := &publication{src: vidlistener.NewSource(conn), done: make(chan struct{})}
	if err := l.reserve(ctx, id, p); err != nil {
		return refuse("BadName", err)
	}
	defer l.release(id, p)
	rtmpStrm, hlsStrm, err := h.got(path)
	if err != nil {
		return refuse("Rejected", err)
	}
	if rtmpStrm == nil || rtmpStrm.Format() != stream.RTMP || hlsStrm != nil && hlsStrm.Format() != stream.HLS {
		return refuse("Failed", errors.New("the callback returned no usable stream"))
	}
	if err := stream.Unwrap(rtmpStrm).Available(); err != nil {
		return refuse("BadName", fmt.Errorf("the callback returned a stream that is in use: %w", err))
	}
	glog.Infof("RTMP server got upstream from %s", conn.NetConn().RemoteAddr())
	glog.Infof("Got RTMP Stream: %s", rtmpStrm.ID())
	hlsID := ""
	if hlsStrm != nil {
		hlsID = hlsStrm.ID()
	}
	err = l.runPublication(ctx, conn, p, rtmpStrm, hlsStrm)
	if hlsStrm != nil {
		stream.Unwrap(hlsStrm).End()
	}
	h.end(rtmpStrm.ID(), hlsID)
	if err == nil {
		glog.Infof("RTMP Stream ended: %s", rtmpStrm.ID())
		return nil
	}
	return fmt.Errorf("stream %s: %w", rtmpStrm.ID(), err)
}

// runPublication moves media from the connection to the streams until the publisher
// ends, and returns when the last segment is in the presentation.
func (l *LPMS) runPublication(ctx context.Context, conn *rtmp.ServerConn, p *publication, rtmpStrm, hlsStrm stream.Stream) error {
	var segmenting sync.WaitGroup
	if hlsStrm != nil {
		hls := l.shows.open(hlsStrm)
		defer func() { l.shows.close(hlsStrm.ID(), hls, p.src.CleanEnd()) }()
		// Made before the publisher may send, so that no packet is missed; it ends with
		// the stream, not with ctx, so that the last segment is complete.
		s := segmenter.New(stream.Unwrap(rtmpStrm), hls, segmenter.Options{Target: l.opts.SegmentDuration})
		segmenting.Go(func() {
			var err error
			func() {
				defer recovered(&err)
				err = s.Run(context.WithoutCancel(ctx))
			}()
			if err != nil {
				glog.Errorf("lpms: stream %s: segmenting stopped, HLS viewers get nothing new: %v", rtmpStrm.ID(), err)
			}
		})
	}
	// Segments are made of whole groups of pictures: as long as nobody plays the stream by
	// RTMP, its packets may come in batches.
	strm := stream.Unwrap(rtmpStrm)
	if !l.opts.Realtime {
		conn.Relax(func() bool { return !strm.Eager() })
	}
	err := conn.AcceptPublish()
	if err == nil {
		err = rtmpStrm.WriteRTMPToStream(ctx, p.src)
	}
	p.ending.Store(true)
	strm.End()
	segmenting.Wait()
	var unsupported *rtmp.UnsupportedCodecError
	switch {
	case ctx.Err() != nil:
		conn.SayShutdown()
	case errors.As(err, &unsupported):
		conn.Refuse("NetStream.Publish.Rejected", unsupported.Error())
	}
	return err
}

// reserve takes a name for a publisher.
func (l *LPMS) reserve(ctx context.Context, id string, p *publication) error {
	if id == "" {
		return errors.New("a stream needs a name")
	}
	for {
		l.mu.Lock()
		old := l.live[id]
		if old == nil {
			l.live[id] = p
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		switch {
		case old.ending.Load(): // an encoder that reconnects at once waits for its own end
		case old.src.Silent() < silentFor:
			return fmt.Errorf("%w: choose another, or stop the other publisher", ErrLive)
		default:
			glog.Warningf("lpms: stream %s: its publisher is silent, a new one takes over", id)
			old.src.Close()
		}
		select {
		case <-old.done:
		case <-time.After(takeoverWait):
			return fmt.Errorf("%w: its last publisher did not end in time", ErrLive)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *LPMS) release(id string, p *publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[id] == p {
		delete(l.live, id)
	}
	close(p.done)
}
