// Command example is the smallest complete media server on package lpms: publish to
// rtmp://localhost:1935/stream/test, play the same URL, or watch
// http://localhost:8000/stream/test.m3u8.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/golang/glog"
	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/stream"
)

// streams are the live streams by name.
type streams struct {
	mu   sync.Mutex
	rtmp map[string]stream.Stream
	hls  map[string]stream.Stream
}

func main() {
	rtmpAddr := flag.String("rtmpAddr", ":1935", "address for RTMP publishers and players")
	httpAddr := flag.String("httpAddr", ":8000", "address for HLS")
	realtime := flag.Bool("realtime", false, "write each packet to RTMP players at once, for about three times the CPU time")
	flag.Set("logtostderr", "true")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "example: %q is not a flag (write -name=value for flags that are true or false); see -help\n", flag.Arg(0))
		os.Exit(2)
	}
	if os.Getenv("GOGC") == "" {
		// Segments are most of the heap and hold no pointers: collecting early is cheap and
		// saves their weight in garbage.
		debug.SetGCPercent(10)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, lpms.Options{RTMPAddr: *rtmpAddr, HTTPAddr: *httpAddr, Realtime: *realtime})
	glog.Flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts lpms.Options) error {
	server, err := lpms.New(opts)
	if err != nil {
		return err
	}
	s := &streams{rtmp: make(map[string]stream.Stream), hls: make(map[string]stream.Stream)}
	if err := server.HandleRTMPPublish(s.id, s.publish, s.end); err != nil {
		return err
	}
	if err := server.HandleRTMPPlay(s.play); err != nil {
		return err
	}
	if err := server.HandleHLSPlay(s.watch); err != nil {
		return err
	}
	go func() {
		select {
		case <-server.Ready():
			glog.Infof("publish to rtmp://%s/stream/NAME, watch http://%s/stream/NAME.m3u8", shown(server.RTMPAddr()), shown(server.HTTPAddr()))
		case <-ctx.Done():
		}
	}()
	return server.Start(ctx)
}

// shown is an address that can be copied: all interfaces are localhost, too.
func shown(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", t.Port)
	}
	return fmt.Sprint(a)
}

// name is the last element of a path, without query and extension: the application
// does not matter.
func name(reqPath string) string {
	p, _, _ := strings.Cut(reqPath, "?")
	return strings.TrimSuffix(path.Base(p), ".m3u8")
}

func (s *streams) id(reqPath string) (string, error) { return name(reqPath), nil }

func (s *streams) publish(reqPath string) (stream.Stream, stream.Stream, error) {
	id := name(reqPath)
	rtmp, hls := stream.NewVideoStream(id, stream.RTMP), stream.NewVideoStream(id+"_hls", stream.HLS)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rtmp[id], s.hls[id+"_hls"] = rtmp, hls
	return rtmp, hls, nil
}

// keepEnded is how long viewers still find a stream that has ended.
const keepEnded = time.Minute

func (s *streams) end(rtmpID, hlsID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rtmp, rtmpID)
	hls := s.hls[hlsID]
	time.AfterFunc(keepEnded, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hls[hlsID] == hls {
			delete(s.hls, hlsID)
		}
	})
}

func (s *streams) play(ctx context.Context, reqPath string, dst av.MuxCloser) error {
	s.mu.Lock()
	src := s.rtmp[name(reqPath)]
	s.mu.Unlock()
	if src == nil {
		return stream.ErrNotFound
	}
	return src.ReadRTMPFromStream(ctx, dst)
}

// watch answers for test.m3u8 and test_hls.m3u8 alike.
func (s *streams) watch(reqPath string) (*stream.HLSBuffer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.hls[strings.TrimSuffix(name(reqPath), "_hls")+"_hls"]
	if src == nil {
		return nil, stream.ErrNotFound
	}
	return src.HLS(), nil
}
