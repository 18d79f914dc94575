package e2e

import (
	"context"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkPlaylists checks all versions of the media playlist that a viewer saw.
func (v *viewer) checkPlaylists(t testing.TB) {
	t.Helper()
	first := v.playlists[0]
	known := map[uint64]listed{}
	for i, p := range v.playlists {
		final := i == len(v.playlists)-1
		require.NotEmpty(t, p.segments)
		assert.True(t, p.hasBreaks, "DISCONTINUITY-SEQUENCE is always there")
		assert.Equal(t, final, p.ended, "ENDLIST, at the end only")
		assert.Equal(t, first.target, p.target, "TARGETDURATION never changes")
		if i > 0 {
			assert.GreaterOrEqual(t, p.sequence, v.playlists[i-1].sequence, "the media sequence never goes back")
		}
		so := int(p.sequence-first.sequence) + len(p.segments)
		if so >= 6 {
			assert.GreaterOrEqual(t, len(p.segments), 6, "listed segments")
		}
		if p.sequence > first.sequence {
			assert.GreaterOrEqual(t, p.duration(), 3*p.target, "duration of the playlist")
		}
		for j, l := range p.segments {
			assert.LessOrEqual(t, l.extinf.Round(time.Second), p.target, "EXTINF of %d", l.sequence)
			assert.Positive(t, l.extinf, "EXTINF of %d", l.sequence)
			assert.False(t, l.date.IsZero(), "PROGRAM-DATE-TIME of %d", l.sequence)
			if j > 0 && !l.discontinuity {
				before := p.segments[j-1]
				assert.InDelta(t, before.extinf.Seconds(), l.date.Sub(before.date).Seconds(), 0.002, "step of PROGRAM-DATE-TIME to %d", l.sequence)
			}
			if seen, ok := known[l.sequence]; ok {
				assert.Equal(t, seen, l, "what is said of a segment never changes")
			}
			known[l.sequence] = l
		}
		breaks := first.breaks
		for _, l := range known {
			if l.discontinuity && l.sequence < p.sequence {
				breaks++
			}
		}
		assert.Equal(t, breaks, p.breaks, "DISCONTINUITY-SEQUENCE")
	}
}

// checkUnbroken checks that no discontinuity was announced, since there was none.
func (v *viewer) checkUnbroken(t testing.TB) {
	t.Helper()
	for _, p := range v.playlists {
		if !assert.NotContains(t, p.raw, "#EXT-X-DISCONTINUITY\n") {
			break
		}
	}
}

// checkIndependent checks that every segment can be where a player begins.
func (v *viewer) checkIndependent(t testing.TB) {
	t.Helper()
	assert.Contains(t, v.master, "\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	for i, p := range v.playlists {
		if !assert.True(t, p.independent, "EXT-X-INDEPENDENT-SEGMENTS in version %d of the playlist:\n%s", i, p.raw) {
			break
		}
	}
	for _, s := range v.segments {
		if len(s.video) == 0 {
			continue
		}
		assert.True(t, s.video[0].key, "segment %d begins with a key frame", s.sequence)
		units := s.firstUnits(t)
		for _, want := range []int{nalSPS, nalPPS, nalIDR} {
			assert.Contains(t, units, want, "NAL units of the first picture of segment %d", s.sequence)
		}
	}
}

// exactly is how far a time may be from the source's, which knows milliseconds only.
const exactly = time.Millisecond + 12*time.Microsecond

// align says which frames of the source are expected.
type align int

const (
	whole align = iota // every one
	head               // those before the publisher was cut off
	tail               // those after a relay or a player came in
)

func (a align) of(want []frame, n int) []frame {
	n = min(n, len(want))
	if a == tail {
		return want[len(want)-n:]
	}
	return want[:n]
}

// checkMedia compares the frames of segments without a discontinuity between them with the
// source's. They must be one run without a break.
func (r segments) checkMedia(t testing.TB, c *clip, a align) {
	t.Helper()
	var video, audio []frame
	for _, s := range r {
		video = append(video, s.video...)
		audio = append(audio, s.audio...)
	}
	if a == whole {
		for _, s := range r {
			assert.Equal(t, len(c.video) > 0, len(s.video) > 0, "segment %d has a picture", s.sequence)
		}
		require.Len(t, video, len(c.video), "video frames")
		require.Len(t, audio, len(c.audio), "audio frames")
	}
	require.LessOrEqual(t, len(video), len(c.video), "video frames")
	require.LessOrEqual(t, len(audio), len(c.audio), "audio frames")
	videoLow, videoHigh := checkTrack(t, "video", video, a.of(c.video, len(video)))
	audioLow, audioHigh := checkTrack(t, "audio", audio, a.of(c.audio, len(audio)))
	for i := 1; i < len(audio); i++ {
		if !assert.InDelta(t, c.perSound.Seconds(), (audio[i].pts - audio[i-1].pts).Seconds(), exactly.Seconds(), "step of audio frame %d", i) {
			break
		}
	}
	if len(video) > 0 && len(audio) > 0 {
		moved := max(videoHigh-audioLow, audioHigh-videoLow)
		t.Logf("audio and video moved apart by %v at most", moved)
		assert.LessOrEqual(t, moved, c.perSound+exactly, "the offset of audio and video")
	}
	r.checkDurations(t, c)
}

// checkTrack compares the times of a track and returns how far they were moved.
func checkTrack(t testing.TB, what string, got, want []frame) (low, high time.Duration) {
	t.Helper()
	low, high = math.MaxInt64, math.MinInt64
	failures := 0
	for i := range got {
		moved := got[i].pts - want[i].pts
		low, high = min(low, moved), max(high, moved)
		if i == 0 || failures == 5 {
			continue
		}
		step, source := got[i].pts-got[i-1].pts, want[i].pts-want[i-1].pts
		ok := assert.InDelta(t, source.Seconds(), step.Seconds(), exactly.Seconds(), "step to %s frame %d of %d", what, i, len(got))
		ok = assert.Greater(t, got[i].dts, got[i-1].dts, "decoding time of %s frame %d of %d", what, i, len(got)) && ok
		if !ok {
			failures++
		}
	}
	return low, high
}

// checkDurations compares EXTINF with the times of the frames: each, and the sum of any
// run (Apple's rule 8.1).
func (r segments) checkDurations(t testing.TB, c *clip) {
	t.Helper()
	one := c.perFrame
	if one == 0 {
		one = c.perSound
	}
	starts := make([]time.Duration, 0, len(r)+1)
	for _, s := range r {
		track := s.track()
		require.NotEmpty(t, track, "segment %d", s.sequence)
		first := track[0].pts
		for _, f := range track {
			first = min(first, f.pts) // another than the first where a group of pictures was cut
		}
		starts = append(starts, first)
	}
	var end time.Duration
	for _, f := range r[len(r)-1].track() {
		end = max(end, f.pts+one)
	}
	starts = append(starts, end)
	for i := range r {
		var sum time.Duration
		for j := i; j < len(r); j++ {
			sum += r[j].extinf
			within := one + 100*time.Microsecond
			if j < len(r)-1 {
				within = time.Millisecond // where the next one begins is known
			}
			if !assert.InDelta(t, (starts[j+1] - starts[i]).Seconds(), sum.Seconds(), within.Seconds(), "EXTINF of segments %d to %d of %d", i, j, len(r)) {
				return
			}
		}
	}
}

// track is what a segment is timed by.
func (s *segment) track() []frame {
	if len(s.video) > 0 {
		return s.video
	}
	return s.audio
}

// checkEnd checks that everything is still there after the end, as it was.
func (v *viewer) checkEnd(t testing.TB, s *server, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last := v.playlists[len(v.playlists)-1]
	resp, body, err := get(ctx, v.client, http.MethodGet, s.mediaURL(name))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "the playlist after the end")
	assert.Equal(t, last.raw, string(body))
	for _, seg := range v.segments[len(v.segments)-len(last.segments):] {
		_, data, err := v.segment(ctx, http.MethodGet, s.mediaURL(name), seg.uri)
		if assert.NoError(t, err) {
			assert.Equal(t, string(seg.data), string(data), "the bytes of a segment never change")
		}
	}
}

var attribute = regexp.MustCompile(`([A-Z-]+)=("[^"]*"|[^,\n]*)`)

// checkMaster checks the attributes of the only variant against what was sent.
func (v *viewer) checkMaster(t testing.TB, master string, want map[string]string) {
	t.Helper()
	m := regexp.MustCompile(`\n#EXT-X-STREAM-INF:(.*)\n(.*)\n`).FindStringSubmatch(master)
	require.NotNil(t, m, master)
	got := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(m[1], -1) {
		got[a[1]] = a[2]
	}
	peak, err := strconv.ParseFloat(got["BANDWIDTH"], 64)
	require.NoError(t, err)
	average, err := strconv.ParseFloat(got["AVERAGE-BANDWIDTH"], 64)
	require.NoError(t, err)
	delete(got, "BANDWIDTH")
	delete(got, "AVERAGE-BANDWIDTH")
	assert.Equal(t, want, got)
	var bits, seconds float64
	for _, s := range v.segments {
		b, d := 8*float64(len(s.data)), s.extinf.Seconds()
		bits, seconds = bits+b, seconds+d
		if 2*s.extinf >= v.playlists[0].target {
			assert.GreaterOrEqual(t, peak, math.Floor(b/d), "BANDWIDTH, segment %d", s.sequence)
		}
	}
	assert.InEpsilon(t, bits/seconds, average, 0.01, "AVERAGE-BANDWIDTH")
}
