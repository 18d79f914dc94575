package stream

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"
	"github.com/stretchr/testify/require"
)

var (
	avHeaders    = &Headers{Video: h264parser.CodecData{Record: []byte{1}}, Audio: aacparser.CodecData{}}
	audioHeaders = &Headers{Audio: aacparser.CodecData{}}
)

// write appends n frames of 40 ms from frame `from` on, with a keyframe each gop frames.
func write(t testing.TB, s *VideoStream, from, n, gop, size int) {
	for i := from; i < from+n; i++ {
		p := Packet{Headers: avHeaders}
		p.Time = time.Duration(i) * 40 * time.Millisecond
		p.IsKeyFrame = i%gop == 0
		p.Data = make([]byte, size)
		require.NoError(t, s.WritePacket(&p))
	}
}

func frame(p *Packet) int { return int(p.Time / (40 * time.Millisecond)) }

func readAll(t testing.TB, r *Reader) (frames []int, gaps []int) {
	batch := make([]Packet, 7)
	for {
		n, err := r.TryRead(batch)
		if n == 0 || err != nil {
			return frames, gaps
		}
		for i := range batch[:n] {
			frames = append(frames, frame(&batch[i]))
			if batch[i].Gap {
				gaps = append(gaps, frame(&batch[i]))
			}
		}
	}
}

func sequence(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

func TestReaderStartsAtNewestKeyframe(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	write(t, s, 0, 55, 25, 10)
	r := s.NewReader(ReaderOptions{})
	defer r.Close()
	frames, _ := readAll(t, r)
	require.Equal(t, sequence(50, 55), frames)
}

func TestReaderBeforeTheFirstKeyframeWaitsForIt(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	write(t, s, 3, 10, 25, 10)
	r := s.NewReader(ReaderOptions{})
	defer r.Close()
	frames, _ := readAll(t, r)
	require.Empty(t, frames)
	write(t, s, 13, 20, 25, 10)
	frames, gaps := readAll(t, r)
	require.Equal(t, sequence(25, 33), frames)
	require.Empty(t, gaps, "waiting for a start is not a loss")
}

func TestReaderLossless(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	r := s.NewReader(ReaderOptions{Lossless: true})
	defer r.Close()
	write(t, s, 3, 10, 25, 10)
	frames, _ := readAll(t, r)
	require.Equal(t, sequence(3, 13), frames)
}

// A reader that does not read is moved to a keyframe and told of its loss; a reader
// that does reads everything.
func TestSlowReaderJumps(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	slow, fast := s.NewReader(ReaderOptions{}), s.NewReader(ReaderOptions{})
	defer slow.Close()
	defer fast.Close()
	write(t, s, 0, 1, 25, 1000)
	got, _ := readAll(t, fast)
	readAll(t, slow)
	for i := 1; i < 1000; i += 9 {
		write(t, s, i, 9, 25, 1000)
		f, _ := readAll(t, fast)
		got = append(got, f...)
	}
	require.Equal(t, sequence(0, 1000), got)
	require.Zero(t, fast.Lost())
	frames, gaps := readAll(t, slow)
	require.Equal(t, sequence(975, 1000), frames)
	require.Equal(t, []int{975}, gaps)
	require.Equal(t, uint64(974), slow.Lost())
}

func TestRingIsBounded(t *testing.T) {
	for name, gop := range map[string]int{"no keyframe ever": 1 << 30, "keyframes": 25} {
		s := NewVideoStream("x", RTMP)
		lagging := s.NewReader(ReaderOptions{})
		write(t, s, 1, 2000, gop, 50_000)
		require.LessOrEqual(t, s.Stats().HeldBytes, DefaultReaderBytes+50_000, name)
		lagging.Close()
		lagging = s.NewReader(ReaderOptions{Lossless: true})
		write(t, s, 2001, 2000, gop, 50_000)
		require.LessOrEqual(t, s.Stats().HeldBytes, losslessBytes+50_000, name)
		require.GreaterOrEqual(t, s.Stats().HeldBytes, losslessBytes-50_000, name)
		lagging.Close()
	}
}

// Without readers a stream holds no more than its newest group of pictures.
func TestIdleStreamHoldsOneGroup(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	write(t, s, 0, 1010, 50, 1000)
	require.Equal(t, 10_000, s.Stats().HeldBytes)
}

func TestAudioOnlyStartsAnywhere(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	for i := range 100 {
		p := Packet{Audio: true, Headers: audioHeaders}
		p.Time, p.Data = time.Duration(i)*40*time.Millisecond, []byte{1}
		require.NoError(t, s.WritePacket(&p))
	}
	r := s.NewReader(ReaderOptions{})
	defer r.Close()
	frames, _ := readAll(t, r)
	require.Equal(t, []int{99}, frames)
}

func TestEnd(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	write(t, s, 0, 3, 25, 10)
	r := s.NewReader(ReaderOptions{})
	defer r.Close()
	s.End()
	s.End()
	batch := make([]Packet, 8)
	n, err := r.Read(t.Context(), batch)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = r.Read(t.Context(), batch)
	require.Equal(t, io.EOF, err)
	require.ErrorIs(t, s.WritePacket(&Packet{Headers: avHeaders}), ErrClosed)
	for _, p := range []Packet{{}, {Headers: audioHeaders}, {Headers: &Headers{Video: avHeaders.Video}, Audio: true}} {
		require.ErrorIs(t, NewVideoStream("x", RTMP).WritePacket(&p), ErrFormat)
	}
	select {
	case <-s.Done():
	default:
		t.Fatal("Done is not closed")
	}
}

func TestReadWaitsAndIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewVideoStream("x", RTMP)
		r := s.NewReader(ReaderOptions{})
		defer r.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		got := make(chan error)
		go func() {
			_, err := r.Read(ctx, make([]Packet, 1))
			got <- err
			_, err = r.Read(ctx, make([]Packet, 1))
			got <- err
		}()
		synctest.Wait()
		write(t, s, 0, 1, 25, 10)
		require.NoError(t, <-got)
		synctest.Wait()
		cancel(why)
		require.ErrorIs(t, <-got, why)
	})
}

// A lazy reader is woken by keyframes, breaks and gathered media, and not in between.
func TestLazyReader(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	r := s.NewReader(ReaderOptions{Lossless: true, Lazy: 500 * time.Millisecond, LazyBytes: 5000})
	defer r.Close()
	woken := func() bool {
		select {
		case <-r.Wake():
			return true
		default:
			return false
		}
	}
	readAll(t, r)
	write(t, s, 0, 1, 25, 10)
	require.True(t, woken(), "a keyframe")
	readAll(t, r)
	write(t, s, 1, 11, 25, 10)
	require.False(t, woken(), "440 ms")
	write(t, s, 12, 1, 25, 10)
	require.False(t, woken(), "480 ms")
	write(t, s, 13, 1, 25, 10)
	require.True(t, woken(), "520 ms")
	readAll(t, r)
	write(t, s, 14, 1, 25, 6000)
	require.True(t, woken(), "6000 bytes")
	frames, _ := readAll(t, r)
	require.Equal(t, []int{14}, frames)
	require.NoError(t, s.WritePacket(&Packet{Headers: avHeaders, Discontinuity: true}))
	require.True(t, woken(), "a break")
	readAll(t, r)
	s.End()
	require.True(t, woken(), "the end")
}

// muxer records what a foreign av.MuxCloser is given.
type muxer struct {
	headers [][]av.CodecData
	packets []av.Packet
	trailer bool
	fail    error
}

func (m *muxer) WriteHeader(h []av.CodecData) error { m.headers = append(m.headers, h); return nil }
func (m *muxer) WritePacket(p av.Packet) error      { m.packets = append(m.packets, p); return m.fail }
func (m *muxer) WriteTrailer() error                { m.trailer = true; return nil }
func (m *muxer) Close() error                       { return nil }

func TestForeignMuxer(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	write(t, s, 0, 30, 25, 10)
	metadata := *avHeaders // a change that av.Muxer has no words for
	metadata.Metadata = []byte{1}
	p := Packet{Headers: &metadata}
	p.Time, p.Data = 29*40*time.Millisecond+1, []byte{1}
	require.NoError(t, s.WritePacket(&p))
	other := metadata
	other.Audio = codecData(av.AAC)
	p = Packet{Headers: &other}
	p.Time, p.Data = 30*40*time.Millisecond, []byte{1}
	require.NoError(t, s.WritePacket(&p))
	s.End()
	var m muxer
	require.NoError(t, s.ReadRTMPFromStream(t.Context(), &m))
	require.Len(t, m.packets, 7)
	require.Len(t, m.headers, 2, "a change of headers is told")
	require.True(t, m.trailer)
	m = muxer{fail: errors.New("full")}
	require.ErrorIs(t, s.ReadRTMPFromStream(t.Context(), &m), m.fail)
}

// demuxer gives packets, then io.EOF, or blocks until it is closed.
type demuxer struct {
	streams []av.CodecData
	packets []av.Packet
	block   chan struct{}
}

func (d *demuxer) Streams() ([]av.CodecData, error) { return d.streams, nil }
func (d *demuxer) ReadPacket() (av.Packet, error) {
	if len(d.packets) == 0 {
		if d.block != nil {
			<-d.block
			return av.Packet{}, errors.New("closed")
		}
		return av.Packet{}, io.EOF
	}
	p := d.packets[0]
	d.packets = d.packets[1:]
	return p, nil
}
func (d *demuxer) Close() error { close(d.block); return nil }

func TestForeignDemuxer(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	r := s.NewReader(ReaderOptions{Lossless: true})
	defer r.Close()
	d := &demuxer{streams: []av.CodecData{avHeaders.Audio, avHeaders.Video}, packets: []av.Packet{
		{Idx: 0, Data: []byte{1}}, {Idx: 1, IsKeyFrame: true, Data: []byte{2}},
	}}
	d.streams[0] = codecData(av.AAC)
	d.streams[1] = codecData(av.H264)
	require.NoError(t, s.WriteRTMPToStream(t.Context(), d))
	batch := make([]Packet, 8)
	n, err := r.TryRead(batch)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.True(t, batch[0].Audio)
	require.False(t, batch[1].Audio)
	require.Equal(t, []av.CodecData{codecData(av.H264), codecData(av.AAC)}, batch[0].Headers.Streams())
	require.Equal(t, [2]int8{1, 0}, [2]int8{batch[0].Idx, batch[1].Idx})
	require.ErrorIs(t, s.WriteRTMPToStream(t.Context(), d), ErrClosed)

	s = NewVideoStream("y", RTMP)
	require.Error(t, s.WriteRTMPToStream(t.Context(), &demuxer{packets: []av.Packet{{Idx: 3}}}))
}

type codecData av.CodecType

func (c codecData) Type() av.CodecType { return av.CodecType(c) }

func TestWriterIsCancelledAndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewVideoStream("x", RTMP)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.WriteRTMPToStream(ctx, &demuxer{block: make(chan struct{})}) }()
		synctest.Wait()
		require.ErrorIs(t, s.WriteRTMPToStream(t.Context(), &demuxer{}), ErrBusy)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		<-s.Done()
	})
}

func TestFormats(t *testing.T) {
	h := NewVideoStream("x", HLS)
	require.NotNil(t, h.HLS())
	require.ErrorIs(t, h.WriteRTMPToStream(t.Context(), &demuxer{}), ErrFormat)
	require.ErrorIs(t, h.ReadRTMPFromStream(t.Context(), &muxer{}), ErrFormat)
	require.Nil(t, NewVideoStream("x", RTMP).HLS())
	require.Equal(t, h, Unwrap(struct{ Stream }{h}))
}

// Many readers and one writer, for the race detector; every reader that keeps up gets
// everything in order.
func TestConcurrentReaders(t *testing.T) {
	s := NewVideoStream("x", RTMP)
	var wg sync.WaitGroup
	for range 8 {
		r := s.NewReader(ReaderOptions{Lossless: true})
		wg.Go(func() {
			defer r.Close()
			batch := make([]Packet, 5)
			last := -1
			for {
				n, err := r.Read(context.Background(), batch)
				if err == io.EOF {
					return
				}
				for i := range batch[:n] {
					f := frame(&batch[i])
					if f != last+1 && !batch[i].Gap {
						t.Errorf("frame %d after %d", f, last)
					}
					last = f
				}
			}
		})
	}
	write(t, s, 0, 5000, 25, 10)
	s.End()
	wg.Wait()
}

func BenchmarkWritePacket(b *testing.B) {
	s := NewVideoStream("x", RTMP)
	r := s.NewReader(ReaderOptions{Lossless: true, Lazy: 500 * time.Millisecond})
	defer r.Close()
	p := Packet{Headers: avHeaders}
	p.Data = make([]byte, 1000)
	batch := make([]Packet, 64)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Time = time.Duration(i) * 40 * time.Millisecond
		p.IsKeyFrame = i%50 == 0
		s.WritePacket(&p)
		if i%20 == 0 {
			r.TryRead(batch)
		}
	}
}
