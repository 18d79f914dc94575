package lpms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang/glog"
	"github.com/nareix/joy4/av"

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
	src    publisher
	ending atomic.Bool   // its last packet has been read: the name is free in a moment
	done   chan struct{} // closed when everything of it has ended
}

// publisher is where the media of a stream comes from.
type publisher interface {
	av.DemuxCloser
	// Silent is how long it has sent nothing.
	Silent() time.Duration
	// CleanEnd reports, behind its last packet, whether it has ended, or was lost and may
	// come back.
	CleanEnd() bool
}

// servePublisher serves one published stream from its first packet to its last
// segment.
func (l *LPMS) servePublisher(ctx context.Context, conn *rtmp.ServerConn, req rtmp.Request) error {
	if err := l.authorizeRTMP(ctx, conn, req); err != nil {
		conn.Refuse("NetStream.Publish.Rejected", "not allowed") // the reason is not for strangers
		return fmt.Errorf("publisher of %.200q refused: %w", req.Path, err)
	}
	accept := func(strm *stream.VideoStream) error {
		glog.Infof("RTMP server got upstream from %s", conn.NetConn().RemoteAddr())
		glog.Infof("Got RTMP Stream: %s", strm.ID())
		// Segments are made of whole groups of pictures: as long as nobody plays the stream
		// by RTMP, its packets may come in batches.
		if !l.opts.Realtime {
			conn.Relax(func() bool { return !strm.Eager() })
		}
		return conn.AcceptPublish()
	}
	id, err := l.publishStream(ctx, reqPath(req), vidlistener.NewSource(conn), accept)
	var refused *refusal
	var unsupported *rtmp.UnsupportedCodecError
	switch {
	case errors.As(err, &refused):
		conn.Refuse(refusalCode(req.Kind, refused.code), refused.Error())
		return fmt.Errorf("publisher of %.200q refused: %w", req.Path, err)
	case ctx.Err() != nil:
		conn.SayShutdown()
	case errors.As(err, &unsupported):
		conn.Refuse("NetStream.Publish.Rejected", unsupported.Error())
	}
	if err == nil {
		glog.Infof("RTMP Stream ended: %s", id)
		return nil
	}
	return fmt.Errorf("stream %s: %w", id, err)
}

// refusal is why a publisher was not accepted.
type refusal struct {
	error
	code string // of RTMP
}

func (r *refusal) Unwrap() error { return r.error }

// Publish publishes src as if it had come by RTMP with this path: the callbacks of
// HandleRTMPPublish name the stream and make it, Options.Authorize is not asked. It waits
// until the server is ready, then blocks until src ends (nil), ctx or the server ends or src
// fails, and until the last segment is in the presentation. It closes src when ctx or the
// server ends. ErrLive is a name that is taken.
//
// A source whose last read returned io.EOF ends the presentation; one that failed may come
// back, by another call, within Options.ReconnectWait.
func (l *LPMS) Publish(ctx context.Context, reqPath string, src av.DemuxCloser) error {
	path, _, _ := strings.Cut(reqPath, "?")
	if err := checkPath(path); err != nil {
		return err
	}
	ctx, done, err := l.untilStop(ctx)
	if err != nil {
		return err
	}
	defer done()
	var p publisher = &inProcess{DemuxCloser: src}
	if packets, ok := src.(stream.PacketSource); ok {
		p = &inProcessPackets{inProcess{DemuxCloser: src}, packets}
	}
	_, err = l.publishStream(ctx, reqPath, p, func(*stream.VideoStream) error { return nil })
	return err
}

// untilStop waits until the server is ready, and returns a context that ends with it, too.
// The server waits until done is called.
func (l *LPMS) untilStop(ctx context.Context) (_ context.Context, done func(), err error) {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.serving.Err() != nil {
		return nil, nil, context.Cause(l.serving)
	}
	l.publishing.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.serving, func() { cancel(context.Cause(l.serving)) })
	return ctx, func() {
		stop()
		cancel(nil)
		l.publishing.Done()
	}, nil
}

// inProcess is a publisher without a connection.
type inProcess struct {
	av.DemuxCloser
	ended bool
}

func (p *inProcess) Silent() time.Duration { return 0 }
func (p *inProcess) CleanEnd() bool        { return p.ended }

// ReadPacket implements av.Demuxer.
func (p *inProcess) ReadPacket() (av.Packet, error) {
	pkt, err := p.DemuxCloser.ReadPacket()
	p.ended = errors.Is(err, io.EOF)
	return pkt, err
}

// inProcessPackets is an inProcess that knows more than av.Packet can say.
type inProcessPackets struct {
	inProcess
	packets stream.PacketSource
}

// ReadStreamPacket implements stream.PacketSource.
func (p *inProcessPackets) ReadStreamPacket() (stream.Packet, error) {
	pkt, err := p.packets.ReadStreamPacket()
	p.ended = errors.Is(err, io.EOF)
	return pkt, err
}

// publishStream serves a publisher from its first packet to its last segment. accept is
// called when all is ready for its media. A *refusal came before that.
func (l *LPMS) publishStream(ctx context.Context, path string, src publisher, accept func(*stream.VideoStream) error) (id string, err error) {
	refuse := func(code string, err error) (string, error) { return id, &refusal{err, code} }
	l.mu.Lock()
	h := l.publish
	l.mu.Unlock()
	if h.got == nil {
		return refuse("Rejected", errors.New("this server takes no publishers"))
	}
	id, err = h.streamID(path)
	if err != nil {
		return refuse("Rejected", err)
	}
	p := &publication{src: src, done: make(chan struct{})}
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
	hlsID := ""
	if hlsStrm != nil {
		hlsID = hlsStrm.ID()
	}
	err = l.runPublication(ctx, p, rtmpStrm, hlsStrm, accept)
	if hlsStrm != nil {
		stream.Unwrap(hlsStrm).End()
	}
	h.end(rtmpStrm.ID(), hlsID)
	return rtmpStrm.ID(), err
}

// runPublication moves media from the publisher to the streams until it ends, and returns
// when the last segment is in the presentation.
func (l *LPMS) runPublication(ctx context.Context, p *publication, rtmpStrm, hlsStrm stream.Stream, accept func(*stream.VideoStream) error) error {
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
	strm := stream.Unwrap(rtmpStrm)
	err := accept(strm)
	if err == nil {
		err = rtmpStrm.WriteRTMPToStream(ctx, p.src)
	}
	p.ending.Store(true)
	strm.End()
	segmenting.Wait()
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
