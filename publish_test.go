package lpms_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/nareix/joy4/av"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms"
	"github.com/livepeer/lpms/stream"
)

// packets is a stream in memory.
type packets struct {
	streams []av.CodecData
	packets []av.Packet
	end     error
	wait    chan struct{} // nil, or what the end waits for
}

func (p *packets) Streams() ([]av.CodecData, error) { return p.streams, nil }
func (p *packets) Close() error                     { return nil }
func (p *packets) ReadPacket() (av.Packet, error) {
	if len(p.packets) == 0 {
		if p.wait != nil {
			<-p.wait
		}
		return av.Packet{}, p.end
	}
	next := p.packets[0]
	p.packets = p.packets[1:]
	return next, nil
}

// withHeaders is a stream in memory that knows more than av.Packet can say.
type withHeaders struct{ *packets }

func (w withHeaders) ReadStreamPacket() (stream.Packet, error) {
	p, err := w.ReadPacket()
	h := &stream.Headers{Video: w.streams[0]}
	return stream.Packet{Packet: p, Headers: h}, err
}

// recordedPackets are the pictures of a stream.
func recordedPackets(t *testing.T, r *running) *packets {
	p := publish(t, r.rtmp+"/record")
	r.mu.Lock()
	s := stream.Unwrap(r.db["record"])
	r.mu.Unlock()
	reader := s.NewReader(stream.ReaderOptions{Lossless: true})
	p.send(t, clip(t, "small", small), 0)
	require.NoError(t, p.Close())
	defer reader.Close()
	out := &packets{end: io.EOF}
	batch := make([]stream.Packet, 16)
	for {
		n, err := reader.Read(t.Context(), batch)
		for _, q := range batch[:n] {
			if !q.Audio && q.Headers.Video != nil {
				out.streams = []av.CodecData{q.Headers.Video}
				q.Packet.Idx = 0
				out.packets = append(out.packets, q.Packet)
			}
		}
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return out
		}
	}
}

// What a program publishes itself goes the way of every stream.
func TestPublishInProcess(t *testing.T) {
	r := start(t, lpms.Options{})
	media := recordedPackets(t, r)
	require.NotEmpty(t, media.packets)
	copyOf := func() *packets { c := *media; return &c }

	// watched publishes, and returns the playlist before and after the end.
	watched := func(name string, p *packets, src av.DemuxCloser) (live, after string, err error) {
		p.wait = make(chan struct{})
		published := make(chan error, 1)
		go func() { published <- r.server.Publish(t.Context(), "/"+name+"?any=query", src) }()
		url := r.http + "/stream/" + name + "/source.m3u8"
		live = get(t, url, func(status int, body string) bool { return status == http.StatusOK })
		close(p.wait)
		err = <-published
		return live, get(t, url, nil), err
	}
	own := copyOf()
	live, after, err := watched("own", own, own)
	require.NoError(t, err)
	require.NotContains(t, live, "ENDLIST")
	require.Contains(t, after, "ENDLIST")
	segments := len(segmentLine.FindAllString(after, -1))
	require.Positive(t, segments)
	require.Contains(t, r.endedStreams(), "own")

	headers := copyOf()
	_, after, err = watched("headers", headers, withHeaders{headers})
	require.NoError(t, err)
	require.Len(t, segmentLine.FindAllString(after, -1), segments)

	// One that breaks may come back: its presentation waits.
	broken := copyOf()
	broken.end = errors.New("the camera was unplugged")
	_, after, err = watched("broken", broken, broken)
	require.ErrorIs(t, err, broken.end)
	require.NotContains(t, after, "ENDLIST")

	require.ErrorContains(t, r.server.Publish(t.Context(), "/forbidden", copyOf()), "that name is forbidden")
	require.Error(t, r.server.Publish(t.Context(), "/../x", copyOf()))
	p := publish(t, r.rtmp+"/taken")
	p.send(t, clip(t, "small", small)[:20], 0)
	require.ErrorIs(t, r.server.Publish(t.Context(), "/taken", copyOf()), lpms.ErrLive)
}

func TestPublishNeedsCallbacks(t *testing.T) {
	server, err := lpms.New(lpms.Options{RTMPAddr: lpms.Off, HTTPAddr: lpms.Off})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Start(ctx) }()
	require.ErrorContains(t, server.Publish(t.Context(), "/a", &packets{end: io.EOF}), "takes no publishers")
	cancel()
	require.NoError(t, <-served)
	require.ErrorIs(t, server.Publish(t.Context(), "/a", &packets{end: io.EOF}), context.Canceled)
}

func TestWrapHTTP(t *testing.T) {
	r := start(t, lpms.Options{WrapHTTP: func(hls http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/stream/", hls)
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") })
		return mux
	}})
	require.Equal(t, "a page", get(t, r.http+"/", nil))
	require.Equal(t, "Not Found\n", get(t, r.http+"/stream/none.m3u8", nil))
}
