package vidplayer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/stream"
)

// headersOf makes headers whose generation can be told from their bytes.
func headersOf(generation byte) *stream.Headers {
	return &stream.Headers{
		Video:    h264parser.CodecData{Record: []byte{1, generation}},
		Audio:    aacparser.CodecData{ConfigBytes: []byte{0x11, generation}},
		Metadata: rtmp.AppendAMF0(nil, "onMetaData", rtmp.Object{{Name: "generation", Value: float64(generation)}}),
	}
}

const gop = 10

// numbered is video frame n: its payload says which it is.
func numbered(n int, size int, h *stream.Headers) *stream.Packet {
	p := &stream.Packet{Headers: h}
	p.Time = time.Duration(n) * 40 * time.Millisecond
	p.IsKeyFrame = n%gop == 0
	p.Data = make([]byte, size)
	binary.BigEndian.PutUint32(p.Data, uint32(n))
	for i := 4; i < size; i++ {
		p.Data[i] = byte(n)
	}
	return p
}

// rtmpServer plays one stream to whoever connects.
type rtmpServer struct {
	addr    string
	players *Players
	stream  *stream.VideoStream
	results chan error
}

func newServer(t *testing.T, coalesce time.Duration, limits rtmp.Limits) *rtmpServer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rtmpServer{addr: ln.Addr().String(), players: NewPlayers(PlayersOptions{Coalesce: coalesce}),
		stream: stream.NewVideoStream("x", stream.RTMP), results: make(chan error, 100)}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			nc.(*net.TCPConn).SetWriteBuffer(32 << 10) // full soon
			wg.Go(func() {
				defer nc.Close()
				s.results <- s.serve(ctx, nc, limits)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		wg.Wait()
		s.players.Wait()
	})
	return s
}

func (s *rtmpServer) serve(ctx context.Context, nc net.Conn, limits rtmp.Limits) error {
	conn := rtmp.NewServerConn(nc, limits)
	if err := conn.Handshake(); err != nil {
		return err
	}
	req, err := conn.NextRequest()
	if err != nil {
		return err
	}
	return s.players.Serve(ctx, conn, req, func(ctx context.Context, dst av.MuxCloser) error {
		if req.Path != "/x" {
			return stream.ErrNotFound
		}
		return s.stream.ReadRTMPFromStream(ctx, dst)
	})
}

func (s *rtmpServer) play(t *testing.T) *rtmp.Client {
	c, err := rtmp.Dial(t.Context(), "rtmp://"+s.addr+"/x", rtmp.ClientOptions{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			nc.(*net.TCPConn).SetReadBuffer(128 << 10) // below the segment size of loopback, TCP crawls
		}
		return nc, err
	}})
	require.NoError(t, err)
	require.NoError(t, c.Play(t.Context()))
	t.Cleanup(func() { c.Conn.Close() })
	return c
}

// viewer checks what a player gets: frames in order and whole, after a loss a keyframe,
// and headers of the right generation before the frames that need them.
type viewer struct {
	last       int
	generation byte
	meta       byte
	frames     int
	jumps      int
}

func (v *viewer) take(m *rtmp.Message) error {
	switch m.Type {
	case rtmp.TypeDataAMF0:
		vs, err := rtmp.DecodeAMF0(m.Payload)
		if err != nil {
			return err
		}
		if o, ok := vs[1].(rtmp.Object); ok {
			v.meta = byte(o.Get("generation").(float64))
		}
	case rtmp.TypeVideo:
		tag, err := rtmp.ParseVideo(m.Payload)
		if err != nil {
			return err
		}
		if tag.Kind == rtmp.TagConfig {
			v.generation = tag.Data[1]
			return nil
		}
		return v.frame(m, &tag)
	}
	return nil
}

func (v *viewer) frame(m *rtmp.Message, tag *rtmp.VideoTag) error {
	n := int(binary.BigEndian.Uint32(tag.Data))
	for _, b := range tag.Data[4:] {
		if b != byte(n) {
			return fmt.Errorf("frame %d has a byte of frame %d", n, b)
		}
	}
	if want := byte(n / generationLength); v.generation != want || v.meta != want {
		return fmt.Errorf("frame %d came under headers %d and metadata %d", n, v.generation, v.meta)
	}
	if m.Timestamp != uint32(n*40) {
		return fmt.Errorf("frame %d has time %d", n, m.Timestamp)
	}
	if v.frames == 0 || n != v.last+1 {
		if n%gop != 0 || n <= v.last && v.frames > 0 {
			return fmt.Errorf("frame %d after %d", n, v.last)
		}
		v.jumps++
	}
	v.last = n
	v.frames++
	return nil
}

// generationLength is how many frames headers are valid for.
const generationLength = 170

func writeFrames(t *testing.T, s *stream.VideoStream, from, to int, size func() int, pause func(n int)) {
	h := headersOf(byte(from / generationLength))
	for n := from; n < to; n++ {
		if n%generationLength == 0 {
			h = headersOf(byte(n / generationLength))
		}
		require.NoError(t, s.WritePacket(numbered(n, size(), h)))
		pause(n)
	}
}

// Players of every speed, through full sockets, partial writes, losses and header
// changes, get whole frames in order.
func TestFanoutIntegrity(t *testing.T) {
	for _, coalesce := range []time.Duration{-1, time.Millisecond} {
		t.Run(fmt.Sprint(coalesce), func(t *testing.T) {
			s := newServer(t, coalesce, rtmp.Limits{OutChunkSize: 4096})
			rnd := rand.New(rand.NewPCG(1, 2))
			const frames = 1500
			var wg sync.WaitGroup
			viewers := make([]viewer, 12)
			start := func(i int) {
				c := s.play(t)
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(3, uint64(i)))
					for {
						m, err := c.ReadMessage()
						if errors.Is(err, rtmp.ErrUnpublished) {
							return
						}
						if err == nil {
							err = viewers[i].take(&m)
						}
						if err != nil {
							t.Errorf("viewer %d: %v", i, err)
							return
						}
						// Odd viewers are slower than the stream.
						if i%2 == 1 && rnd.IntN(4) == 0 {
							time.Sleep(time.Duration(rnd.IntN(4*i)) * time.Millisecond) // a slow reader, not a wait for something
						}
					}
				})
			}
			for i := range 6 {
				start(i)
			}
			next := 6
			writeFrames(t, s.stream, 0, frames, func() int { return 5 + rnd.IntN(30_000) }, func(n int) {
				time.Sleep(200 * time.Microsecond) // the pace of the stream
				if n%200 == 100 && next < len(viewers) {
					start(next)
					next++
				}
			})
			s.stream.End()
			wg.Wait()
			for range viewers {
				require.NoError(t, <-s.results)
			}
			jumps := 0
			for i, v := range viewers {
				jumps += v.jumps
				require.Positive(t, v.frames, "viewer %d", i)
				require.Equal(t, frames-1, v.last, "viewer %d saw the end", i)
			}
			require.Greater(t, jumps, len(viewers), "nobody was slow enough to lose frames")
		})
	}
}

// A player that takes nothing is ended after a while, and the fan-out with it.
func TestStuckPlayerIsClosed(t *testing.T) {
	s := newServer(t, -1, rtmp.Limits{WriteTimeout: 50 * time.Millisecond})
	s.play(t)
	h := headersOf(0)
	for n := 0; ; n++ {
		require.NoError(t, s.stream.WritePacket(numbered(n, 100_000, h)))
		select {
		case err := <-s.results:
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		default:
			time.Sleep(time.Millisecond) // the pace of the stream
		}
	}
}

// The end that follows the last packet at once, and a stream that has ended before, are
// told to the player.
func TestEndIsTold(t *testing.T) {
	for _, coalesce := range []time.Duration{-1, time.Millisecond} {
		for range 5 {
			s := newServer(t, coalesce, rtmp.Limits{})
			first, h := s.play(t), headersOf(0)
			require.NoError(t, s.stream.WritePacket(numbered(0, 100, h)))
			require.NoError(t, s.stream.WritePacket(numbered(1, 100, h)))
			s.stream.End()
			for _, c := range []*rtmp.Client{first, s.play(t)} {
				var v viewer
				var err error
				for err == nil {
					var m rtmp.Message
					if m, err = c.ReadMessage(); err == nil {
						require.NoError(t, v.take(&m))
					}
				}
				require.ErrorIs(t, err, rtmp.ErrUnpublished)
				require.Equal(t, 2, v.frames)
				c.Conn.Close()
			}
		}
	}
}

// A burst of media is not lost on a player whose socket has room.
func TestBurst(t *testing.T) {
	s := newServer(t, 0, rtmp.Limits{})
	c, h := s.play(t), headersOf(0)
	require.NoError(t, s.stream.WritePacket(numbered(0, 100, h)))
	done := make(chan error, 1)
	var v viewer
	go func() {
		for {
			m, err := c.ReadMessage()
			if err == nil {
				err = v.take(&m)
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for n := 1; n < 160; n++ { // 6.4 s of media at once
		require.NoError(t, s.stream.WritePacket(numbered(n, 100, h)))
	}
	s.stream.End()
	require.ErrorIs(t, <-done, rtmp.ErrUnpublished)
	require.Equal(t, 159, v.last)
}

func TestPlayerLeaves(t *testing.T) {
	s := newServer(t, -1, rtmp.Limits{})
	c := s.play(t)
	require.NoError(t, s.stream.WritePacket(numbered(0, 1000, headersOf(0))))
	var v viewer
	for v.frames == 0 {
		m, err := c.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, v.take(&m))
	}
	require.NoError(t, c.Close())
	require.NoError(t, <-s.results)
	s.players.Wait()
	require.Zero(t, s.stream.Stats().Readers, "nobody reads for players that have left")
}

func TestPlayNotFound(t *testing.T) {
	s := newServer(t, -1, rtmp.Limits{})
	c, err := rtmp.Dial(t.Context(), "rtmp://"+s.addr+"/other", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	require.ErrorContains(t, c.Play(t.Context()), "StreamNotFound")
	require.ErrorIs(t, <-s.results, stream.ErrNotFound)
}

// A player on another message stream is served alone, with its own bytes.
func TestPlayerOnAnotherMessageStream(t *testing.T) {
	client, server := net.Pipe() // also not a TCP connection
	defer client.Close()
	s := stream.NewVideoStream("x", stream.RTMP)
	ps := NewPlayers(PlayersOptions{})
	done := make(chan error, 1)
	go func() {
		conn := rtmp.NewServerConn(server, rtmp.Limits{})
		if err := conn.Handshake(); err != nil {
			done <- err
			return
		}
		req, err := conn.NextRequest()
		if err != nil {
			done <- err
			return
		}
		done <- ps.Serve(context.Background(), conn, req, func(ctx context.Context, dst av.MuxCloser) error {
			return s.ReadRTMPFromStream(ctx, dst)
		})
	}()
	c, err := rtmp.Dial(t.Context(), "rtmp://pipe/x", rtmp.ClientOptions{DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
	require.NoError(t, err)
	require.NoError(t, c.Play(t.Context()))
	var v viewer
	go func() {
		for n := range 50 {
			s.WritePacket(numbered(n, 1000, headersOf(0)))
		}
		s.End()
	}()
	for {
		m, err := c.ReadMessage()
		if errors.Is(err, rtmp.ErrUnpublished) || err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.NoError(t, v.take(&m))
	}
	client.Close()
	require.NoError(t, <-done)
	require.Equal(t, 49, v.last)
}

// foreign writes packet by packet through the av.MuxCloser face.
func TestForeignWriterToPlayer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	ps := NewPlayers(PlayersOptions{})
	done := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		conn := rtmp.NewServerConn(nc, rtmp.Limits{})
		conn.Handshake()
		req, _ := conn.NextRequest()
		done <- ps.Serve(context.Background(), conn, req, func(_ context.Context, dst av.MuxCloser) error {
			h := headersOf(0)
			if err := dst.WriteHeader(h.Streams()); err != nil {
				return err
			}
			if err := dst.WritePacket(av.Packet{Idx: 5}); err == nil {
				return errors.New("a packet of no track was taken")
			}
			for n := range 20 {
				if err := dst.WritePacket(numbered(n, 500, h).Packet); err != nil {
					return err
				}
			}
			return dst.WriteTrailer()
		})
	}()
	c, err := rtmp.Dial(t.Context(), "rtmp://"+ln.Addr().String()+"/x", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	require.NoError(t, c.Play(t.Context()))
	var v viewer
	for {
		m, err := c.ReadMessage()
		if errors.Is(err, rtmp.ErrUnpublished) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, v.take(&m))
	}
	require.Equal(t, 20, v.frames)
	c.Conn.Close()
	require.NoError(t, <-done)
}

func BenchmarkEncodePacket(b *testing.B) {
	l := newSendLog(65536)
	p := numbered(1, 10_000, headersOf(0))
	b.SetBytes(10_000)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p.Time = time.Duration(n) * 40 * time.Millisecond
		p.IsKeyFrame = n%50 == 0
		l.add(p, l.head, l.head)
	}
}
