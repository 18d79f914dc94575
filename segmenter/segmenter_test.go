package segmenter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/nareix/joy4/av"
	"github.com/nareix/joy4/codec/h264parser"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/internal/testmedia"
	"github.com/livepeer/lpms/stream"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if n := ffmpeg.LiveHandles(); n != 0 {
		fmt.Println("muxers left open:", n)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// packets are 20 s of a real clip, 30 frames a second, a keyframe every 2 s, B-frames,
// and sound.
var packets = sync.OnceValues(func() ([]stream.Packet, error) {
	dir, err := os.MkdirTemp("", "segmenter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path, err := testmedia.Clip{Seconds: 20, Size: "160x90"}.Make(dir, "clip")
	if err != nil {
		return nil, err
	}
	ms, err := testmedia.ReadFLV(path)
	if err != nil {
		return nil, err
	}
	return parse(ms)
})

func parse(ms []rtmp.Message) (out []stream.Packet, err error) {
	h := new(stream.Headers) // of both tracks from the start
	for _, m := range ms {
		p := stream.Packet{Headers: h, Arrival: 1, Audio: m.Type == rtmp.TypeAudio}
		p.Time = time.Duration(m.Timestamp) * time.Millisecond
		if p.Audio {
			tag, err := rtmp.ParseAudio(m.Payload)
			if err != nil {
				return nil, err
			}
			if tag.Kind == rtmp.TagConfig {
				c, err := codec.ParseAACConfig(tag.Data)
				if err != nil {
					return nil, err
				}
				h.Audio = c.Config
				continue
			}
			p.Data = tag.Data
		} else {
			tag, err := rtmp.ParseVideo(m.Payload)
			if err != nil {
				return nil, err
			}
			if tag.Kind == rtmp.TagConfig {
				c, err := codec.ParseAVCConfig(tag.Data)
				if err != nil {
					return nil, err
				}
				h.Video = c.Config
				continue
			}
			p.Data, p.CompositionTime = tag.Data, time.Duration(tag.CompositionTime)*time.Millisecond
			p.IsKeyFrame = codec.HasIDR(tag.Data, 4)
		}
		if len(p.Data) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// edit copies the clip, with those packets for which f returns true, as f leaves them.
func edit(t testing.TB, f func(*stream.Packet) bool) []stream.Packet {
	all, err := packets()
	require.NoError(t, err)
	var out []stream.Packet
	for _, p := range all {
		if f == nil || f(&p) {
			out = append(out, p)
		}
	}
	return out
}

type result struct {
	segments []*stream.Segment
	target   time.Duration
	stats    Stats
	playlist string
}

// run segments packets and checks what must hold for any stream: nothing is refused, no
// packet is lost, no segment is longer than the target, and segments follow each other
// without a hole unless they say so.
func run(t *testing.T, ps []stream.Packet) result {
	s, b := stream.NewVideoStream("x", stream.RTMP), stream.NewHLSBufferWithConfig(stream.HLSConfig{MinSegments: 1000})
	sg := New(s, b, Options{})
	for i := range ps {
		require.NoError(t, s.WritePacket(&ps[i]))
	}
	s.End()
	require.NoError(t, sg.Run(t.Context()))
	r := result{segments: b.SegmentsAfter(stream.Source, 0), target: b.TargetDuration(), stats: sg.Stats()}
	if len(r.segments) > 0 {
		pl, err := b.MediaPlaylist(t.Context(), stream.Source)
		require.NoError(t, err)
		r.playlist = string(pl.Raw)
	}
	video, audio := 0, 0
	for i, seg := range r.segments {
		v, a := demux(t, seg.Data)
		video, audio = video+v, audio+a
		require.LessOrEqual(t, seg.Duration.Round(time.Second), r.target, "segment %d", i)
		require.Positive(t, seg.Duration)
		if i > 0 && !seg.Discontinuity {
			prev := r.segments[i-1]
			require.InDelta(t, (prev.Start + prev.Duration).Seconds(), seg.Start.Seconds(), 0.001, "segment %d", i)
		}
	}
	wantV, wantA := 0, 0
	for _, p := range ps {
		if p.Audio {
			wantA++
		} else {
			wantV++
		}
	}
	require.Equal(t, wantA, audio, "audio frames")
	require.Equal(t, wantV-int(r.stats.Dropped), video, "video frames")
	return r
}

// demux counts the access units of a segment with a reader that is not ours.
func demux(t *testing.T, data []byte) (video, audio int) {
	r := &mpegts.Reader{R: bytes.NewReader(data)}
	require.NoError(t, r.Initialize())
	for _, track := range r.Tracks() {
		switch track.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(track, func(int64, int64, [][]byte) error { video++; return nil })
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(track, func(_ int64, aus [][]byte) error { audio += len(aus); return nil })
		}
	}
	for r.Read() == nil {
	}
	return video, audio
}

func (r *result) durations() (out []float64) {
	for _, s := range r.segments {
		out = append(out, s.Duration.Round(10*time.Millisecond).Seconds())
	}
	return out
}

func (r *result) breaks() (n int) {
	for _, s := range r.segments {
		if s.Discontinuity {
			n++
		}
	}
	return n
}

func TestPlainStream(t *testing.T) {
	r := run(t, edit(t, nil))
	require.Equal(t, 2*s, r.target)
	require.Equal(t, []float64{2, 2, 2, 2, 2, 2, 2, 2, 2}, r.durations()[:9])
	require.Len(t, r.segments, 10)
	require.Zero(t, r.breaks())
	require.Equal(t, Stats{Segments: 10}, r.stats)
	info := r.segments[0].Info
	require.Equal(t, stream.RenditionInfo{Codecs: info.Codecs, Width: 160, Height: 90, FrameRate: 30}, *info)
	require.Regexp(t, `^avc1\.[0-9a-f]{6},mp4a\.40\.2$`, info.Codecs)
	require.Contains(t, r.playlist, "#EXT-X-INDEPENDENT-SEGMENTS")
}

func TestOddStreams(t *testing.T) {
	keep := func(f func(*stream.Packet) bool) []stream.Packet { return edit(t, f) }
	video := func(p *stream.Packet) bool { return !p.Audio }
	type c struct {
		name   string
		in     []stream.Packet
		target time.Duration
		breaks int // -1: any
	}
	cases := []c{
		{"video only", keep(func(p *stream.Packet) bool {
			h := *p.Headers
			h.Audio = nil
			p.Headers = &h
			return !p.Audio
		}), 2 * s, 0},
		{"audio only", keep(func(p *stream.Packet) bool {
			h := *p.Headers
			h.Video = nil
			p.Headers = &h
			return p.Audio
		}), 2 * s, 0},
		{"a video header and no picture ever", keep(func(p *stream.Packet) bool { return p.Audio }), 3 * s, 0},
		{"video ends at 7 s", keep(func(p *stream.Packet) bool { return p.Audio || p.Time < 7*s }), 2 * s, 0},
		{"video starts at 5 s", keep(func(p *stream.Packet) bool { return p.Audio || p.Time > 5*s }), 3 * s, 1},
		{"audio starts at 5 s", keep(func(p *stream.Packet) bool { return !p.Audio || p.Time > 5*s }), 2 * s, -1},
		{"one keyframe", keep(func(p *stream.Packet) bool { return p.Audio || p.Time < 2*s || !p.IsKeyFrame }), 20 * s, 0},
		{"keyframes and sound", keep(func(p *stream.Packet) bool { return p.Audio || p.IsKeyFrame }), 2 * s, 0},
		{"keyframes alone", keep(func(p *stream.Packet) bool { return p.IsKeyFrame }), 2 * s, -1},
		{"a single frame", keep(video)[:1], 2 * s, 0},
		{"sound 1.5 s late in order", late(keep(nil), 1500*time.Millisecond), 2 * s, 0},
		{"sound 1.5 s early in order", late(keep(nil), -1500*time.Millisecond), -1, -1},
	}
	for ms := 7950; ms <= 9500; ms += 50 {
		to := time.Duration(ms) * time.Millisecond
		cases = append(cases, c{"video lost from 7.9 s to " + to.String(), keep(func(p *stream.Packet) bool {
			return p.Audio || p.Time < 7900*time.Millisecond || p.Time > to
		}), 2 * s, -1})
	}
	for ms := 0; ms <= 3000; ms += 100 {
		d := time.Duration(ms) * time.Millisecond
		cases = append(cases, c{"sound longer than the picture by " + d.String(), keep(func(p *stream.Packet) bool {
			end := 11900 * time.Millisecond
			return p.Audio && p.Time < end+d || !p.Audio && p.Time < end
		}), 2 * s, -1})
	}
	for _, gap := range []time.Duration{s, 2 * s, 3 * s, 4 * s, 6 * s, 8 * s, 9500 * time.Millisecond} {
		for ms := 6000; ms <= 8000; ms += 250 {
			at := time.Duration(ms) * time.Millisecond
			ps := keep(func(p *stream.Packet) bool {
				if p.Time >= at {
					p.Time += gap
				}
				return true
			})
			cases = append(cases,
				c{fmt.Sprintf("%v of nothing at %v", gap, at), ps, 2 * s, -1},
				c{fmt.Sprintf("%v of nothing at %v, sound first", gap, at), audioFirst(ps, at+gap), 2 * s, -1})
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.in)
			if c.target > 0 {
				require.Equal(t, c.target, r.target)
			}
			if c.breaks >= 0 {
				require.Equal(t, c.breaks, r.breaks())
			}
		})
	}
}

// late delays sound behind video in the order of arrival; times stay the same.
func late(ps []stream.Packet, d time.Duration) []stream.Packet {
	out := slices.Clone(ps)
	slices.SortStableFunc(out, func(a, b stream.Packet) int {
		at := func(p stream.Packet) time.Duration {
			if p.Audio {
				return p.Time + d
			}
			return p.Time
		}
		return int(at(a) - at(b))
	})
	return out
}

// audioFirst brings the first sound behind a time to the front of what follows it.
func audioFirst(ps []stream.Packet, at time.Duration) []stream.Packet {
	out := slices.Clone(ps)
	first := slices.IndexFunc(out, func(p stream.Packet) bool { return p.Time >= at })
	sound := slices.IndexFunc(out, func(p stream.Packet) bool { return p.Audio && p.Time >= at })
	p := out[sound]
	copy(out[first+1:sound+1], out[first:sound])
	out[first] = p
	return out
}

// With open groups of pictures, of which only the first begins with an IDR, segments are
// cut at keyframes and the playlist does not call them independent.
func TestOpenGOP(t *testing.T) {
	first := true
	r := run(t, edit(t, func(p *stream.Packet) bool {
		if p.IsKeyFrame && !first {
			p.Data = slices.Clone(p.Data)
			for at := 0; at+4 < len(p.Data); {
				if p.Data[at+4]&0x1f == 5 {
					p.Data[at+4] = p.Data[at+4]&^0x1f | 1 // a picture that is no IDR
				}
				at += 4 + int(binary.BigEndian.Uint32(p.Data[at:]))
			}
		}
		first = first && !p.IsKeyFrame
		return true
	}))
	require.Equal(t, 2*s, r.target)
	require.Len(t, r.segments, 10)
	require.Equal(t, uint64(9), r.stats.NotIndependent)
	require.NotContains(t, r.playlist, "#EXT-X-INDEPENDENT-SEGMENTS")
}

// Sound in front of the first picture is in the first segment with it.
func TestSoundFirst(t *testing.T) {
	for _, lead := range []time.Duration{21 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond} {
		r := run(t, edit(t, func(p *stream.Packet) bool {
			if !p.Audio {
				p.Time += lead
			}
			return true
		}))
		require.Zero(t, r.breaks(), lead)
		require.Contains(t, r.segments[0].Info.Codecs, "avc1", lead)
		require.True(t, r.segments[0].Independent, lead)
		require.Equal(t, 2*s, r.target, lead)
		require.Equal(t, 2*s, r.segments[0].Duration, lead)
	}
}

// A cut inside a group of pictures with B-frames is where the last shown picture ends.
func TestCutInsideAGroup(t *testing.T) {
	keys := 0
	r := run(t, edit(t, func(p *stream.Packet) bool {
		if p.IsKeyFrame {
			if keys++; keys > 2 && keys < 7 {
				p.Data, p.IsKeyFrame = slices.Clone(p.Data), false
				for at := 0; at+4 < len(p.Data); {
					if p.Data[at+4]&0x1f == 5 {
						p.Data[at+4] = p.Data[at+4]&^0x1f | 1
					}
					at += 4 + int(binary.BigEndian.Uint32(p.Data[at:]))
				}
			}
		}
		return true
	}))
	for i, seg := range r.segments {
		v, _ := demux(t, seg.Data)
		require.InDelta(t, float64(v)/30, seg.Duration.Seconds(), 0.1, "segment %d of %v with %d pictures", i, seg.Duration, v)
	}
}

// Frames of sound travel in groups, and each keeps its time; a frame that is missing
// ends a group.
func TestAudioGroups(t *testing.T) {
	n := 0
	exact := int64(0)
	ps := edit(t, func(p *stream.Packet) bool {
		if !p.Audio {
			return true
		}
		p.Time = time.Duration(exact * 1024 * int64(time.Second) / 48000) // as vidlistener makes them
		exact++
		n++
		return n%101 != 0
	})
	r := run(t, ps)
	var want, got []int64
	for _, p := range ps {
		if p.Audio {
			want = append(want, int64(p.Time*90_000/time.Second))
		}
	}
	packets := 0
	for _, seg := range r.segments {
		rd := &mpegts.Reader{R: bytes.NewReader(seg.Data)}
		require.NoError(t, rd.Initialize())
		for _, track := range rd.Tracks() {
			if _, ok := track.Codec.(*codecs.MPEG4Audio); ok {
				rd.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error {
					packets++
					for i := range aus {
						got = append(got, pts+int64(i)*1024*90_000/48000)
					}
					return nil
				})
			}
		}
		for rd.Read() == nil {
		}
	}
	require.Len(t, got, len(want))
	for i := range want {
		require.InDelta(t, want[i], got[i], 1, "frame %d, in ticks of 90 kHz", i)
	}
	require.Less(t, packets, len(want)/4)
}

// A break of the clock that sound brings starts a segment at the next keyframe.
func TestBreakOnSound(t *testing.T) {
	done := false
	r := run(t, edit(t, func(p *stream.Packet) bool {
		if p.Audio && p.Time > 7*s && !done {
			p.Discontinuity, done = true, true
		}
		return true
	}))
	require.Equal(t, 1, r.breaks())
	require.True(t, r.segments[4].Discontinuity)
	require.InDelta(t, 8, r.segments[4].Start.Seconds(), 0.1)
}

// New sequence headers take effect at their picture.
func TestHeaderChange(t *testing.T) {
	// The same pictures under a record that differs in a byte which decoders skip.
	all := edit(t, nil)
	h := *all[0].Headers
	c := h.Video
	changed := recordWithReservedBits(t, c)
	h.Video = changed
	r := run(t, edit(t, func(p *stream.Packet) bool {
		if p.Time >= 8*s {
			p.Headers = &h
		}
		return true
	}))
	require.Equal(t, 1, r.breaks())
}

// Packets that are not what their track says are left out, and nothing else.
func TestBrokenPackets(t *testing.T) {
	n := 0
	s2, b := stream.NewVideoStream("x", stream.RTMP), stream.NewHLSBuffer()
	sg := New(s2, b, Options{})
	for _, p := range edit(t, func(p *stream.Packet) bool {
		if !p.Audio && !p.IsKeyFrame {
			if n++; n%50 == 0 {
				p.Data = []byte{0xff, 0xff, 0xff, 0xff, 1}
			}
		}
		return true
	}) {
		require.NoError(t, s2.WritePacket(&p))
	}
	s2.End()
	require.NoError(t, sg.Run(t.Context()))
	require.Equal(t, uint64(n/50), sg.Stats().Dropped)
	require.Equal(t, uint64(10), sg.Stats().Segments)
}

// A presentation that goes on keeps its target duration.
func TestResumedPresentation(t *testing.T) {
	b := stream.NewHLSBufferWithConfig(stream.HLSConfig{MinSegments: 100})
	for range 2 {
		v := stream.NewVideoStream("x", stream.RTMP)
		sg := New(v, b, Options{})
		for _, p := range edit(t, nil) {
			require.NoError(t, v.WritePacket(&p))
		}
		v.End()
		require.NoError(t, sg.Run(t.Context()))
		b.Suspend()
		b.Resume()
	}
	segs := b.SegmentsAfter(stream.Source, 0)
	require.Len(t, segs, 20)
	require.True(t, segs[10].Discontinuity)
	require.Equal(t, segs[9].Seq+1, segs[10].Seq)
}

// FuzzSegmenter drops and shifts packets of a real clip: whatever is left, the
// presentation takes every segment.
func FuzzSegmenter(f *testing.F) {
	f.Add([]byte{0, 1, 2, 200, 90, 0, 3, 255, 17})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		i, shift := 0, time.Duration(0)
		last := map[bool]time.Duration{true: -1, false: -1}
		ps := edit(t, func(p *stream.Packet) bool {
			op := script[i%len(script)]
			i++
			switch {
			case op < 40:
				return false
			case op > 250:
				shift += time.Duration(op-250) * 700 * time.Millisecond
			}
			p.Time += shift
			p.Discontinuity = op == 250
			if p.Time <= last[p.Audio] {
				return false
			}
			last[p.Audio] = p.Time
			return true
		})
		v, b := stream.NewVideoStream("x", stream.RTMP), stream.NewHLSBuffer()
		sg := New(v, b, Options{})
		for i := range ps {
			if err := v.WritePacket(&ps[i]); err != nil {
				t.Fatal(err)
			}
		}
		v.End()
		if err := sg.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func recordWithReservedBits(t *testing.T, c av.CodecData) av.CodecData {
	record := slices.Clone(videoRecord(t, c))
	record[2] ^= 4 // a reserved constraint flag: the record differs, the pictures do not
	parsed, err := codec.ParseAVCConfig(record)
	require.NoError(t, err)
	return parsed.Config
}

func videoRecord(t *testing.T, c av.CodecData) []byte {
	d, ok := c.(h264parser.CodecData)
	require.True(t, ok)
	return d.Record
}
