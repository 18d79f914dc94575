package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// demux reads the times of a segment with a reader that is not ours and needs no process.
func (s *segment) demux() error {
	r := &mpegts.Reader{R: bytes.NewReader(s.data)}
	if err := r.Initialize(); err != nil {
		return err
	}
	var wrong error
	r.OnDecodeError(func(err error) { wrong = errors.Join(wrong, err) })
	for _, track := range r.Tracks() {
		s.tracks = append(s.tracks, fmt.Sprintf("%T as %d", track.Codec, track.PID))
		switch track.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(track, func(pts, dts int64, au [][]byte) error {
				s.video = append(s.video, frame{pts: ticks(pts), dts: ticks(dts), key: h264.IsRandomAccess(au)})
				return nil
			})
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error {
				for i := range aus {
					at := ticks(pts) + time.Duration(i) // in order is what counts
					s.audio = append(s.audio, frame{pts: at, dts: at, key: true})
				}
				return nil
			})
		}
	}
	for {
		if err := r.Read(); errors.Is(err, io.EOF) {
			return wrong
		} else if err != nil {
			return errors.Join(wrong, err)
		}
	}
}

// judgement is what an observation comes to.
type judgement struct {
	segments    int // of the source
	gaps        int // in renditions
	lag, median time.Duration
	longest     time.Duration // segment of the source
	masters     []masterState
}

func (j judgement) String() string {
	text := fmt.Sprintf("%d segments of up to %v, %d gaps; renditions came %v after the source at the most, %v in the middle",
		j.segments, j.longest, j.gaps, j.lag.Round(10*time.Millisecond), j.median.Round(10*time.Millisecond))
	for i, m := range j.masters {
		text += fmt.Sprintf("; %v after %v", m.names, m.at.Sub(j.masters[max(0, i-1)].at).Round(100*time.Millisecond))
	}
	return text
}

// judge checks every segment of a stream that is over. What is in gaps, or while a rendition was
// out of the master playlist, is only counted.
func (o *observation) judge(t testing.TB) (j judgement) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	source := o.tracks["source"]
	require.NotEmpty(t, source.segments, o.stream)
	require.Empty(t, source.gaps, "gaps in the source")
	order := source.inOrder(t)
	require.Equal(t, order[0].sequence+uint64(len(order))-1, order[len(order)-1].sequence, "%s: the source's numbers", o.stream)
	for _, s := range order {
		j.longest = max(j.longest, s.extinf)
	}
	j.segments, j.masters = len(order), o.masters
	var lags []time.Duration
	for name, r := range o.tracks {
		assert.Empty(t, r.wrong)
		if name == "source" {
			continue
		}
		j.gaps += len(r.gaps)
		r.compare(t, o.stream, source)
		for n := range r.segments {
			lags = append(lags, r.seen[n].Sub(source.seen[n]))
		}
	}
	if len(lags) > 0 {
		slices.Sort(lags)
		j.lag, j.median = lags[len(lags)-1], lags[len(lags)/2]
	}
	return j
}

// inOrder are the segments, read.
func (r *track) inOrder(t testing.TB) (order segments) {
	t.Helper()
	for _, n := range slices.Sorted(maps.Keys(r.segments)) {
		s := r.segments[n]
		if s.video == nil {
			require.NoError(t, s.demux(), "%s %d", r.name, n)
		}
		require.NotEmpty(t, s.video, "pictures of %s %d", r.name, n)
		order = append(order, s)
	}
	return order
}

// compare checks a rendition against its source: what each segment is said to be, the time of
// its first picture, how many pictures and sounds, and that time never goes back.
func (r *track) compare(t testing.TB, stream string, source *track) {
	t.Helper()
	order := r.inOrder(t)
	last := frame{dts: -1}
	for _, s := range order {
		what := fmt.Sprintf("%s/%s %d", stream, r.name, s.sequence)
		from := source.segments[s.sequence]
		if !assert.NotNil(t, from, "%s is not in the source", what) {
			continue
		}
		assert.Equal(t, from.extinf, s.extinf, what)
		assert.Equal(t, from.date, s.date, what)
		assert.Equal(t, earliest(from.video).Round(time.Millisecond), earliest(s.video).Round(time.Millisecond), "the first picture of %s", what)
		assert.Len(t, s.video, len(from.video), "pictures of %s", what)
		assert.Len(t, s.audio, len(from.audio), "sounds of %s", what)
		assert.True(t, s.video[0].key, "%s begins with a keyframe", what)
		for i, f := range s.video {
			if !assert.Greater(t, f.dts, last.dts, "decoding time of picture %d of %s", i, what) {
				break
			}
			last = f
		}
	}
}

// judgeWhole is judge for a stream of which no rendition may lack anything.
func (o *observation) judgeWhole(t testing.TB, names ...string) judgement {
	t.Helper()
	j := o.judge(t)
	o.mu.Lock()
	defer o.mu.Unlock()
	source := o.tracks["source"]
	complete := false
	for _, m := range o.masters {
		if complete {
			assert.Equal(t, names, m.names, "%s: a rendition left the master playlist at %v", o.stream, m.at)
		}
		complete = complete || slices.Equal(m.names, names)
	}
	assert.True(t, complete, "%s never had %v", o.stream, names)
	want := slices.Sorted(maps.Keys(source.segments))
	for _, name := range names {
		r := o.tracks[name]
		if !assert.NotNil(t, r, name) {
			continue
		}
		assert.Empty(t, r.gaps, "%s/%s: gaps", o.stream, name)
		assert.Equal(t, want, slices.Sorted(maps.Keys(r.segments)), "%s/%s: segments", o.stream, name)
		order := r.inOrder(t)
		order.checkContinuity(t)
		order.decode(t, false)
	}
	return j
}
