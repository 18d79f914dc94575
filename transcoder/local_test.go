package transcoder

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// fakeLadder notes what it is given.
type fakeLadder struct {
	opts   ffmpeg.LadderOptions
	inputs []ffmpeg.Input
	err    error
	closed int
}

func (l *fakeLadder) Transcode(_ context.Context, in ffmpeg.Input, done func(int, ffmpeg.Output)) (*ffmpeg.LadderResult, error) {
	l.inputs = append(l.inputs, in)
	if l.opts.Thumbnail != nil && !in.NoThumbnail && l.err == nil {
		l.opts.Thumbnail(in.Data)
	}
	if l.err == nil {
		done(0, ffmpeg.Output{Data: in.Data})
	}
	return nil, l.err
}

func (l *fakeLadder) Close() { l.closed++ }

func TestLocal(t *testing.T) {
	for _, c := range []struct {
		name   string
		segs   []stream.Segment
		breaks []bool
	}{
		{"one after the other", []stream.Segment{{Seq: 7}, {Seq: 8}, {Seq: 9}}, []bool{true, false, false}},
		{"some left out", []stream.Segment{{Seq: 7}, {Seq: 9}, {Seq: 10}}, []bool{true, true, false}},
		{"the source breaks", []stream.Segment{{Seq: 7, Discontinuity: true}, {Seq: 8, Discontinuity: true}}, []bool{true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := new(fakeLadder)
			l := NewLocal(LocalOptions{Preset: "fast", Threads: 3})
			l.open = func(o ffmpeg.LadderOptions) (ladder, error) {
				fake.opts = o
				return fake, nil
			}
			s, err := l.Open("x", ladderOf("a"))
			require.NoError(t, err)
			require.Equal(t, ffmpeg.LadderOptions{Renditions: ladderOf("a"), Continuous: true, Preset: "fast", Threads: 3}, fake.opts)
			var breaks []bool
			for i := range c.segs {
				c.segs[i].Data = []byte{byte(i)}
				var got []byte
				require.NoError(t, s.Transcode(t.Context(), Input{Segment: &c.segs[i]}, func(n int, o ffmpeg.Output) { got = o.Data }))
				require.Equal(t, c.segs[i].Data, got)
				breaks = append(breaks, fake.inputs[i].Discontinuity)
			}
			require.Equal(t, c.breaks, breaks)
			fake.err = errBroken
			require.ErrorIs(t, s.Transcode(t.Context(), Input{Segment: &c.segs[0]}, nil), errBroken)
			s.Close()
			require.Equal(t, 1, fake.closed)
		})
	}
}

// What others have made, or a ladder that keeps nothing, goes on from the segment before.
func TestLocalJoins(t *testing.T) {
	sound := ladderOf("a")
	sound[0].Audio.Name = "aac"
	before := &stream.Segment{Seq: 8, Data: realSegments(t, tenSeconds)[0].Data}
	tail, err := ffmpeg.SoundTail(before.Data, soundBefore)
	require.NoError(t, err)
	require.NotEmpty(t, tail)
	seg := func(seq uint64, independent bool) *stream.Segment {
		return &stream.Segment{Seq: seq, Data: []byte{1}, Independent: independent}
	}
	for _, c := range []struct {
		name       string
		perSegment bool
		renditions []ffmpeg.Rendition
		in         Input
		before     []byte
		breaks     bool
	}{
		{"sound that is encoded", true, sound, Input{seg(9, true), before}, tail, false},
		{"sound that is copied", true, ladderOf("a"), Input{seg(9, true), before}, nil, false},
		{"pictures that refer to others", true, ladderOf("a"), Input{seg(9, false), before}, before.Data, false},
		{"the first one", true, sound, Input{Segment: seg(9, true)}, nil, true},
		{"after one that others made", false, sound, Input{seg(9, true), before}, tail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := new(fakeLadder)
			l := NewLocal(LocalOptions{PerSegment: c.perSegment})
			l.open = func(o ffmpeg.LadderOptions) (ladder, error) {
				fake.opts = o
				return fake, nil
			}
			s, err := l.Open("x", c.renditions)
			require.NoError(t, err)
			defer s.Close()
			require.Equal(t, c.perSegment, fake.opts.Joined)
			require.NoError(t, s.Transcode(t.Context(), c.in, func(int, ffmpeg.Output) {}))
			require.Equal(t, c.before, fake.inputs[0].Before)
			require.Equal(t, c.breaks, fake.inputs[0].Discontinuity)
		})
	}
}

// Thumbnails come with the name of the stream, and no more often than was asked for.
func TestLocalThumbnails(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		name     string
		interval time.Duration
		starts   []time.Duration // of the segments, of which those below zero fail
		want     []byte          // which had one
	}{
		{"each segment", 0, []time.Duration{0, 2 * second, 4 * second}, []byte{0, 1, 2}},
		{"segments of about two seconds", 0, []time.Duration{0, 1966 * time.Millisecond, 4 * second, 5980 * time.Millisecond}, []byte{0, 1, 2, 3}},
		{"short segments", 0, []time.Duration{7 * second, 8 * second, 9 * second, 10 * second, 11 * second}, []byte{0, 2, 4}},
		{"seldom", 10 * second, []time.Duration{0, 6 * second, 12 * second, 18 * second, 24 * second}, []byte{0, 2, 4}},
		{"time begins again", 10 * second, []time.Duration{60 * second, 0, 2 * second, 10 * second}, []byte{0, 1, 3}},
		{"after a failure", 4 * second, []time.Duration{-1, 2 * second, 4 * second, 6 * second}, []byte{1, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := new(fakeLadder)
			var got []byte
			l := NewLocal(LocalOptions{ThumbnailInterval: c.interval, Thumbnail: func(stream string, jpeg []byte) {
				require.Equal(t, "x", stream)
				got = append(got, jpeg...)
			}})
			l.open = func(o ffmpeg.LadderOptions) (ladder, error) {
				fake.opts = o
				return fake, nil
			}
			s, err := l.Open("x", ladderOf("a"))
			require.NoError(t, err)
			defer s.Close()
			for i, start := range c.starts {
				fake.err = nil
				if start < 0 {
					fake.err = errBroken
				}
				err := s.Transcode(t.Context(), Input{Segment: &stream.Segment{Seq: uint64(i + 1), Start: max(start, 0), Data: []byte{byte(i)}}}, func(int, ffmpeg.Output) {})
				require.ErrorIs(t, err, fake.err)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestLocalTurns(t *testing.T) {
	l := NewLocal(LocalOptions{})
	var give []func()
	for range runtime.GOMAXPROCS(0) {
		release, err := l.Turn(t.Context())
		require.NoError(t, err)
		give = append(give, release)
	}
	_, err := l.Turn(contextWith(errBroken))
	require.ErrorIs(t, err, errBroken)
	give[0]()
	_, err = l.Turn(t.Context())
	require.NoError(t, err)
}
