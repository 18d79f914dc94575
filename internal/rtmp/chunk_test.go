package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func testReader(b []byte) *chunkReader {
	l := Limits{}.withDefaults()
	c := newChunkReader(bufio.NewReaderSize(bytes.NewReader(b), 64), &l)
	c.maxMessage, c.maxPartial = l.MediaMessage, l.MediaPartial
	return c
}

// header0 is a type-0 chunk header without an extended timestamp.
func header0(csid byte, ts, length uint32, typ MessageType) []byte {
	return []byte{csid, byte(ts >> 16), byte(ts >> 8), byte(ts), byte(length >> 16), byte(length >> 8), byte(length), byte(typ), 1, 0, 0, 0}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestMessageRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 129, 4096, 65536, 200_000} {
		for _, chunk := range []int{1, 128, 4096, 65536, 1 << 20} {
			if size/chunk > 10_000 {
				continue
			}
			for _, ts := range []uint32{0, 1, 0xFFFFFE, 0xFFFFFF, 0x1000000, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
				t.Run(fmt.Sprintf("size %d chunk %d ts %d", size, chunk, ts), func(t *testing.T) {
					payload := bytes.Repeat([]byte{7}, size)
					m := Message{Type: TypeVideo, Timestamp: ts, StreamID: 1, Payload: payload}
					wire := AppendMessage(nil, VideoChunkStream, &m, chunk)
					wire = AppendParts(wire, VideoChunkStream, &m, chunk, payload[:size/3], payload[size/3:])
					r := testReader(wire)
					require.NoError(t, r.setChunkSize(uint32(chunk)))
					for range 2 {
						got, err := r.next()
						require.NoError(t, err)
						require.Equal(t, ts, got.Timestamp)
						require.Equal(t, size, len(got.Payload))
						require.True(t, bytes.Equal(payload, got.Payload))
					}
					_, err := r.next()
					require.Equal(t, io.EOF, err)
				})
			}
		}
	}
}

func TestChunkHeaders(t *testing.T) {
	pay := func(n int) []byte { return bytes.Repeat([]byte{9}, n) }
	be32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	for _, c := range []struct {
		name string
		wire []byte
		ts   []uint32
	}{
		{"type 1, 2 and 3 add their delta",
			join(header0(4, 1000, 2, TypeAudio), pay(2),
				[]byte{1<<6 | 4, 0, 0, 23, 0, 0, 3, byte(TypeAudio)}, pay(3),
				[]byte{2<<6 | 4, 0, 0, 20}, pay(3),
				[]byte{3<<6 | 4}, pay(3)),
			[]uint32{1000, 1023, 1043, 1063}},
		{"type 3 after type 0 repeats a small timestamp as a delta, as FFmpeg sends it",
			join(header0(4, 23, 1, TypeAudio), pay(1), []byte{3<<6 | 4}, pay(1)),
			[]uint32{23, 46}},
		{"type 3 after type 0 with a large timestamp means the same time",
			join(header0(4, 90000, 1, TypeAudio), pay(1), []byte{3<<6 | 4}, pay(1)),
			[]uint32{90000, 90000}},
		{"a delta may be extended and the clock wraps",
			join(header0(4, 0xFFFFFF, 1, TypeAudio), be32(0xFFFFFFF0), pay(1),
				[]byte{1<<6 | 4, 0xff, 0xff, 0xff, 0, 0, 1, byte(TypeAudio)}, be32(0x1000020), pay(1)),
			[]uint32{0xFFFFFFF0, 0x1000010}},
		{"extended timestamp repeated on type 3",
			join(header0(4, 0xFFFFFF, 130, TypeAudio), be32(0x01000000), pay(128), []byte{3<<6 | 4}, be32(0x01000000), pay(2)),
			[]uint32{0x01000000}},
		{"extended timestamp not repeated on type 3",
			join(header0(4, 0xFFFFFF, 140, TypeAudio), be32(0x01000000), pay(128), []byte{3<<6 | 4}, pay(12)),
			[]uint32{0x01000000}},
		{"messages of two chunk streams interleaved",
			join(header0(4, 5, 200, TypeAudio), pay(128), header0(6, 7, 130, TypeVideo), pay(128), []byte{3<<6 | 4}, pay(72), []byte{3<<6 | 6}, pay(2)),
			[]uint32{5, 7}},
		{"chunk stream ids of two and three bytes",
			join([]byte{0, 255 - 64}, header0(0, 1, 1, TypeAudio)[1:], pay(1), []byte{1, 0xff, 0xff}, header0(0, 2, 1, TypeAudio)[1:], pay(1)),
			[]uint32{1, 2}},
		{"a type-1 chunk first, as some encoders begin",
			join([]byte{1<<6 | 4, 0, 0, 40, 0, 0, 1, byte(TypeAudio)}, pay(1)),
			[]uint32{40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testReader(c.wire)
			var got []uint32
			for {
				m, err := r.next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				require.Equal(t, pay(len(m.Payload)), m.Payload)
				got = append(got, m.Timestamp)
			}
			require.Equal(t, c.ts, got)
			require.Zero(t, r.partial)
		})
	}
}

func TestChunkLimits(t *testing.T) {
	many := func() (b []byte) {
		for i := range byte(62) {
			b = append(b, join(header0(2+i, 0, 200, TypeAudio), make([]byte, 128))...)
		}
		for i := range byte(10) {
			b = append(b, 0, i)
			b = append(b, header0(0, 0, 200, TypeAudio)[1:]...)
			b = append(b, make([]byte, 128)...)
		}
		return b
	}
	for _, c := range []struct {
		name string
		wire []byte
		prep func(*chunkReader)
		err  error
	}{
		{"message above the limit", header0(4, 0, 100_000, TypeCommandAMF0), func(r *chunkReader) { r.maxMessage = 64 << 10 }, ErrLimit},
		{"too many chunk streams", many(), nil, ErrLimit},
		{"too many bytes in unfinished messages", many(), func(r *chunkReader) { r.maxPartial = 1000 }, ErrLimit},
		{"type 3 first", []byte{3<<6 | 4}, nil, ErrProtocol},
		{"a message inside another of its chunk stream", join(header0(4, 0, 200, TypeAudio), make([]byte, 128), header0(4, 0, 1, TypeAudio)), nil, ErrProtocol},
		{"cut short in a payload", join(header0(4, 0, 20, TypeAudio), make([]byte, 3)), nil, io.ErrUnexpectedEOF},
		{"cut short in a header", header0(4, 0, 20, TypeAudio)[:5], nil, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testReader(c.wire)
			if c.prep != nil {
				c.prep(r)
			}
			var err error
			for err == nil {
				_, err = r.next()
			}
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestChunkSizeAccepted(t *testing.T) {
	for n, want := range map[uint32]error{0: ErrProtocol, 1: nil, 16 << 20: nil, 16<<20 + 1: ErrLimit, 1 << 31: ErrProtocol, 1<<32 - 1: ErrProtocol} {
		require.ErrorIs(t, testReader(nil).setChunkSize(n), want, n)
	}
}

// A few bytes of headers that claim a lot must not take memory.
func TestClaimsTakeNoMemory(t *testing.T) {
	var wire []byte
	for i := range byte(60) {
		wire = append(wire, header0(2+i, 0, 16<<20-1, TypeVideo)...)
		wire = append(wire, 0)
		break
	}
	for i := range byte(50) {
		wire = append(wire, 0, i)
		wire = append(wire, header0(0, 0, 16<<20-1, TypeVideo)[1:]...)
		wire = append(wire, 0)
	}
	r := testReader(wire)
	require.NoError(t, r.setChunkSize(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.next()
	runtime.ReadMemStats(&after)
	require.Equal(t, io.EOF, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

func FuzzChunks(f *testing.F) {
	m := Message{Type: TypeVideo, Timestamp: 0x1000000, StreamID: 1, Payload: make([]byte, 300)}
	f.Add(AppendMessage(nil, 6, &m, 128))
	f.Add(join(header0(4, 1000, 2, TypeAudio), []byte{1, 2, 3<<6 | 4, 1, 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := testReader(b)
		total := 0
		for {
			m, err := r.next()
			if err != nil {
				break
			}
			if total += len(m.Payload); total > len(b) {
				t.Fatalf("%d bytes of payload from %d", total, len(b))
			}
			if m.Type == TypeSetChunkSize && len(m.Payload) >= 4 {
				r.setChunkSize(binary.BigEndian.Uint32(m.Payload))
			}
		}
		if r.partial < 0 || r.partial > len(b) {
			t.Fatalf("%d bytes in unfinished messages of %d", r.partial, len(b))
		}
	})
}

func BenchmarkReadMessages(b *testing.B) {
	m := Message{Type: TypeVideo, Timestamp: 40, StreamID: 1, Payload: make([]byte, 10_000)}
	wire := AppendMessage(nil, 6, &m, 4096)
	src := bytes.NewReader(nil)
	l := Limits{}.withDefaults()
	r := newChunkReader(bufio.NewReaderSize(src, l.ReadBuffer), &l)
	r.setChunkSize(4096)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(wire)
		if _, err := r.next(); err != nil {
			b.Fatal(err)
		}
	}
}
