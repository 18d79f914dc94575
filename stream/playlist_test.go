package stream

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parsedPlaylist is a media playlist as a player would read it. The parser knows nothing of
// the code that writes playlists and refuses what it does not know.
type parsedPlaylist struct {
	target, sequence, breaks uint64
	independent, ended       bool
	segments                 []parsedSegment
}

type parsedSegment struct {
	seq, breaks uint64 // media and discontinuity sequence number
	brk, gap    bool
	pdt         time.Time
	micros      int64 // EXTINF
	uri         string
}

func (p *parsedPlaylist) micros() (sum int64) {
	for _, s := range p.segments {
		sum += s.micros
	}
	return sum
}

func parsePlaylist(t testing.TB, raw []byte) *parsedPlaylist {
	t.Helper()
	p := new(parsedPlaylist)
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		return n
	}
	require.True(t, bytes.HasSuffix(raw, []byte("\n")))
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	require.Equal(t, "#EXTM3U", lines[0])
	seen := map[string]int{}
	var next parsedSegment
	for i, line := range lines[1:] {
		require.False(t, p.ended, "something after EXT-X-ENDLIST")
		tag, value, _ := strings.Cut(line, ":")
		seen[tag]++
		switch tag {
		case "#EXT-X-VERSION":
			require.Equal(t, "3", value)
		case "#EXT-X-TARGETDURATION":
			p.target = number(value)
		case "#EXT-X-MEDIA-SEQUENCE":
			p.sequence = number(value)
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			p.breaks = number(value)
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			p.independent = true
		case "#EXT-X-DISCONTINUITY":
			next.brk = true
		case "#EXT-X-GAP":
			next.gap = true
		case "#EXT-X-PROGRAM-DATE-TIME":
			require.Len(t, value, len("2006-01-02T15:04:05.000Z"))
			at, err := time.Parse(time.RFC3339Nano, value)
			require.NoError(t, err)
			require.Equal(t, time.UTC, at.Location())
			next.pdt = at
		case "#EXTINF":
			whole, fraction, ok := strings.Cut(strings.TrimSuffix(value, ","), ".")
			require.True(t, ok && len(fraction) == 6 && strings.HasSuffix(value, ","), line)
			next.micros = int64(number(whole)*1e6 + number(fraction))
		case "#EXT-X-ENDLIST":
			p.ended = true
		default:
			require.False(t, strings.HasPrefix(line, "#"), "line %d: %s", i+2, line)
			require.NotZero(t, next.micros, "URI without EXTINF")
			require.NotZero(t, next.pdt, "URI without EXT-X-PROGRAM-DATE-TIME")
			next.uri = line
			next.seq = p.sequence + uint64(len(p.segments))
			if next.breaks = p.breaks; len(p.segments) > 0 {
				next.breaks = p.segments[len(p.segments)-1].breaks
			}
			if next.brk {
				next.breaks++
			}
			p.segments = append(p.segments, next)
			next = parsedSegment{}
		}
	}
	require.Equal(t, parsedSegment{}, next, "tags without a segment")
	for _, tag := range []string{"#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE"} {
		require.Equal(t, 1, seen[tag], tag)
	}
	require.LessOrEqual(t, seen["#EXT-X-INDEPENDENT-SEGMENTS"], 1)
	return p
}

func mediaPlaylist(t testing.TB, b *HLSBuffer, rendition string) *parsedPlaylist {
	t.Helper()
	p, err := b.MediaPlaylist(t.Context(), rendition)
	require.NoError(t, err)
	return parsePlaylist(t, p.Raw)
}

var epoch = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return epoch.Add(time.Hour) }

func segmentAt(start, d time.Duration) Segment {
	return Segment{
		Data: []byte(fmt.Sprint("media ", start)), Start: start, Duration: d,
		ProgramTime: epoch.Add(start), Independent: true,
	}
}

// appendN appends segments of d each to the source, from the start given.
func appendN(t testing.TB, b *HLSBuffer, from time.Duration, n int, d time.Duration) {
	t.Helper()
	for i := range n {
		_, err := b.Append(Source, segmentAt(from+time.Duration(i)*d, d))
		require.NoError(t, err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestMediaPlaylistGolden(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 41, TargetDuration: 5500 * time.Millisecond, Now: fixedClock})
	appendN(t, b, 0, 3, 6*time.Second)
	b.Resume()
	appendN(t, b, 90*time.Second, 1, 5339*time.Millisecond+300*time.Microsecond)
	last := segmentAt(95339300*time.Microsecond, 1234567*time.Microsecond)
	last.Independent = false
	_, err := b.Append(Source, last)
	require.NoError(t, err)

	p, err := b.MediaPlaylist(t.Context(), Source)
	require.NoError(t, err)
	golden(t, "media.m3u8", p.Raw)
	assert.Equal(t, fixedClock(), p.Modified)
	assert.Equal(t, 3*time.Second, p.MaxAge)

	appendN(t, b, 96573867*time.Microsecond, 4, 6*time.Second)
	b.End()
	p, err = b.MediaPlaylist(t.Context(), Source)
	require.NoError(t, err)
	golden(t, "media-ended.m3u8", p.Raw)
	assert.Equal(t, time.Minute, p.MaxAge)
}

func TestMasterPlaylistGolden(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1, TargetDuration: 2 * time.Second, Now: fixedClock})
	renditions := []struct {
		name string
		size int
		info *RenditionInfo
	}{
		{Source, 1_000_000, &RenditionInfo{Codecs: "avc1.640028,mp4a.40.2", Width: 1920, Height: 1080, FrameRate: 60000. / 1001}},
		{"audio", 10_000, &RenditionInfo{Codecs: "mp4a.40.2"}},
		{"240p", 100_001, &RenditionInfo{Codecs: "avc1.42001e", Width: 426, Height: 240, FrameRate: 30}},
		{"720p", 500_000, &RenditionInfo{Width: 1280, Height: 720}},
		{"unknown", 20_000, nil},
		{"liar", 20_000, &RenditionInfo{Codecs: "x\"\n#EXT-X-ENDLIST", Width: -1, Height: 100}},
	}
	for i := range 3 {
		for _, r := range renditions {
			seg := segmentAt(time.Duration(i)*2*time.Second, 2*time.Second)
			seg.Data, seg.Info = make([]byte, r.size*(i+1)), r.info
			if r.name != Source {
				seg.Seq = uint64(i + 1)
			}
			_, err := b.Append(r.name, seg)
			require.NoError(t, err)
		}
	}
	p, err := b.MasterPlaylist(t.Context(), "name")
	require.NoError(t, err)
	golden(t, "master.m3u8", p.Raw)
	same, err := b.MasterPlaylist(t.Context(), "name")
	require.NoError(t, err)
	assert.Same(t, p, same)
	other, err := b.MasterPlaylist(t.Context(), "other")
	require.NoError(t, err)
	assert.Equal(t, strings.ReplaceAll(string(p.Raw), "name/", "other/"), string(other.Raw))
	_, err = b.MasterPlaylist(t.Context(), "../x")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestMasterIsNotIndependentWhenOneSegmentIsNot(t *testing.T) {
	b := NewHLSBuffer()
	appendN(t, b, 0, 1, time.Second)
	p, err := b.MasterPlaylist(t.Context(), "x")
	require.NoError(t, err)
	assert.Contains(t, string(p.Raw), independentSegments)
	seg := segmentAt(time.Second, time.Second)
	seg.Independent = false
	_, err = b.Append(Source, seg)
	require.NoError(t, err)
	p, err = b.MasterPlaylist(t.Context(), "x")
	require.NoError(t, err)
	assert.NotContains(t, string(p.Raw), independentSegments)
}

func TestPlaylistIsRenderedOnceForEachChange(t *testing.T) {
	b := NewHLSBuffer()
	appendN(t, b, 0, 1, time.Second)
	get := func() *Playlist {
		p, err := b.MediaPlaylist(t.Context(), Source)
		require.NoError(t, err)
		return p
	}
	first := get()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p, err := b.MediaPlaylist(context.Background(), Source)
			assert.NoError(t, err)
			assert.Same(t, first, p)
			assert.Equal(t, &first.Gzip()[0], &p.Gzip()[0])
		})
	}
	wg.Wait()
	b.End()
	second := get()
	b.End()
	assert.Same(t, second, get())
	assert.NotSame(t, first, second)
	assert.NotEqual(t, first.ETag, second.ETag)
	assert.NotEqual(t, second.ETag, second.GzipETag)

	zr, err := gzip.NewReader(bytes.NewReader(second.Gzip()))
	require.NoError(t, err)
	raw, err := io.ReadAll(zr)
	require.NoError(t, err)
	assert.Equal(t, second.Raw, raw)
}

// Three hours of frames at 60000/1001 per second, whose times do not fit whole microseconds:
// the sum of EXTINF of any run stays within one microsecond of the truth.
func TestRoundingErrorsDoNotAddUp(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{TargetDuration: 4 * time.Second, FirstSequence: 1})
	frame := func(n int64) time.Duration { return time.Duration(n * 1001 * int64(time.Second) / 60000) }
	rng := rand.New(rand.NewPCG(1, 2))
	var sum int64
	var at int64
	for range 5000 {
		n := at + 30 + rng.Int64N(200)
		seg, err := b.Append(Source, segmentAt(frame(at), frame(n)-frame(at)))
		require.NoError(t, err)
		p := mediaPlaylist(t, b, Source)
		last := p.segments[len(p.segments)-1]
		require.Equal(t, seg.Seq, last.seq)
		sum += last.micros
		at = n
		require.InDelta(t, frame(at).Microseconds(), sum, 1)
	}
}

func TestSmallHolesAreAbsorbed(t *testing.T) {
	for _, c := range []struct {
		name string
		hole time.Duration
		brk  bool
		want int64
	}{
		{"none", 0, false, 2_000_000},
		{"small", 3 * time.Millisecond, false, 2_003_000},
		{"overlap", -3 * time.Millisecond, false, 1_997_000},
		{"large", 30 * time.Millisecond, false, 2_000_000},
		{"discontinuity", 3 * time.Millisecond, true, 2_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewHLSBuffer()
			appendN(t, b, 0, 1, 2*time.Second)
			seg := segmentAt(2*time.Second+c.hole, 2*time.Second)
			seg.Discontinuity = c.brk
			_, err := b.Append(Source, seg)
			require.NoError(t, err)
			assert.Equal(t, c.want, mediaPlaylist(t, b, Source).segments[1].micros)
		})
	}
}

func TestBandwidth(t *testing.T) {
	assert.Equal(t, uint64(0), bitrate(1, 0))
	assert.Equal(t, uint64(8), bitrate(1, time.Second))
	assert.Equal(t, uint64(9), bitrate(1, time.Second-1), "rounded up")
	assert.Equal(t, uint64(8_000_000), bitrate(1e6*86400*3650, 86400*3650*time.Second), "ten years do not overflow")

	b := NewHLSBufferWithConfig(HLSConfig{TargetDuration: 4 * time.Second, FirstSequence: 1})
	at := time.Duration(0)
	add := func(size int, d time.Duration, info *RenditionInfo) RenditionStats {
		seg := segmentAt(at, d)
		seg.Data, seg.Info = make([]byte, size), info
		_, err := b.Append(Source, seg)
		require.NoError(t, err)
		at += d
		return b.Stats().Renditions[0]
	}
	small, big := &RenditionInfo{Height: 1}, &RenditionInfo{Height: 2}
	s := add(4000, 4*time.Second, small)
	assert.Equal(t, [2]uint64{8000, 8000}, [2]uint64{s.Bandwidth, s.Average})
	// A tenth of a second is no peak by itself: what counts is half a target duration.
	s = add(1000, 100*time.Millisecond, small)
	assert.Equal(t, [2]uint64{9757, 9757}, [2]uint64{s.Bandwidth, s.Average})
	s = add(2000, 4*time.Second, small)
	assert.Equal(t, [2]uint64{9757, 6914}, [2]uint64{s.Bandwidth, s.Average}, "the highest so far stays")
	s = add(100, 2*time.Second, &RenditionInfo{Height: 1})
	assert.Equal(t, uint64(9757), s.Bandwidth, "equal info is no change")
	s = add(500, 4*time.Second, big)
	assert.Equal(t, [2]uint64{1000, 1000}, [2]uint64{s.Bandwidth, s.Average}, "other media are measured anew")
}

func BenchmarkAppend(b *testing.B) {
	buf := NewHLSBufferWithConfig(HLSConfig{TargetDuration: 2 * time.Second})
	data := make([]byte, 1<<20)
	var at time.Duration
	b.ReportAllocs()
	for b.Loop() {
		if _, err := buf.Append(Source, Segment{Data: data, Start: at, Duration: 2 * time.Second}); err != nil {
			b.Fatal(err)
		}
		if _, err := buf.MediaPlaylist(b.Context(), Source); err != nil {
			b.Fatal(err)
		}
		at += 2 * time.Second
	}
}

func BenchmarkRead(b *testing.B) {
	buf := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(b, buf, 0, 20, 2*time.Second)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := buf.MediaPlaylist(b.Context(), Source); err != nil {
				b.Error(err)
			}
			if _, err := buf.Segment(Source, 18); err != nil {
				b.Error(err)
			}
		}
	})
}
