package push

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// Times move by exactly what was asked for, and nothing else changes.
func TestShift(t *testing.T) {
	for _, name := range []string{"ts", "sound"} {
		original := clip(t, name)[0]
		before := packets(t, original)
		for _, by := range []int64{1, 90000, -45000, 12345678} {
			moved := bytes.Clone(original)
			shiftTS(moved, by)
			after := packets(t, moved)
			require.Len(t, after, len(before))
			for i := range before {
				require.Equal(t, ticks(before[i].pts)+by, ticks(after[i].pts), "%s %d", name, i)
			}
			shiftTS(moved, -by)
			require.Equal(t, original, moved)
		}
	}
	t.Run("around the wrap", func(t *testing.T) {
		original := clip(t, "ts")[0]
		moved := bytes.Clone(original)
		shiftTS(moved, -1<<32)
		shiftTS(moved, 1<<33+1<<32)
		require.Equal(t, original, moved)
	})
}

func FuzzShift(f *testing.F) {
	f.Add([]byte{0x47, 0x40, 0, 0x30, 7, 0x10}, int64(5))
	f.Add(append([]byte{0x47, 0x40, 0, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10}, make([]byte, 175)...), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, n int64) {
		c := bytes.Clone(b)
		shiftTS(c, n)
		require.Len(t, c, len(b))
		shiftTS(c, -n)
		require.Equal(t, b, c)
	})
}

// joined checks that segments make one stream: counters go on, pictures stand a thirtieth of
// a second apart, and sound has neither a hole nor, but for slack, an overlap.
func joined(t *testing.T, segs []*stream.Segment, slack time.Duration) {
	t.Helper()
	counters := map[int]byte{}
	var all []byte
	for _, s := range segs {
		for b := s.Data; len(b) > 0; b = b[188:] {
			pid, payload, cc := int(b[1]&0x1f)<<8|int(b[2]), b[3]&0x10 != 0, b[3]&0x0f
			if last, seen := counters[pid]; seen && payload {
				require.Equal(t, (last+1)&15, cc, "PID %d", pid)
			}
			counters[pid] = cc
		}
		all = append(all, s.Data...)
	}
	var shown []time.Duration
	heard := time.Duration(math.MinInt64)
	for _, p := range packets(t, all) {
		if p.kind == "video" {
			shown = append(shown, p.pts)
			continue
		}
		if heard != math.MinInt64 {
			gap := p.pts - heard - 1024*time.Second/48000
			require.True(t, gap >= -slack && gap <= slack, "sound at %v: %v", p.pts, gap)
		}
		heard = p.pts
	}
	seen := map[int64]bool{}
	for _, at := range shown {
		frame := (at - shown[0]).Seconds() * 30
		require.InDelta(t, math.Round(frame), frame, 0.01, "picture at %v", at)
		require.False(t, seen[int64(math.Round(frame))], "two pictures at %v", at)
		seen[int64(math.Round(frame))] = true
	}
	var whole time.Duration
	for _, s := range segs {
		whole += s.Duration
	}
	require.Len(t, shown, int(math.Round(whole.Seconds()*30)))
	for n := range shown {
		require.True(t, seen[int64(n)], "picture %d is missing", n)
	}
}

// plays has ffmpeg read the playlist of a presentation that has ended, as a player does, and decode all of it.
func plays(t *testing.T, buf *stream.HLSBuffer, frames int) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "source.m3u8"), []byte(playlist(t, buf)), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "source"), 0o700))
	for _, s := range source(buf) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "source", fmt.Sprint(s.Seq, ".ts")), s.Data, 0o600))
	}
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-xerror", "-stats", "-i", filepath.Join(dir, "source.m3u8"), "-map", "0:v", "-fps_mode", "passthrough", "-f", "null", "-").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, fmt.Sprintf(`frame=\s*%d `, frames), string(out))
}

// All that can be pushed becomes one stream without a hole, whatever clock it has.
func TestContinuity(t *testing.T) {
	for _, c := range []struct {
		clip, ext string
		frames    int
		slack     time.Duration // of sound
	}{
		{"ts", ".ts", 240, time.Millisecond},
		{"ts", ".mp4", 240, time.Millisecond}, // bytes win
		{"wrap", ".ts", 240, time.Millisecond},
		{"mp4", ".mp4", 240, time.Millisecond},
		{"mp4", ".ts", 240, time.Millisecond},
		// The clock of pictures and sound begins anew: they overlap by frames at most.
		{"mp4 own", ".mp4", 240, 60 * time.Millisecond},
		{"mp4 frag", ".mp4", 240, 60 * time.Millisecond},
		{"mp4 silent", ".mp4", 180, 0},
	} {
		t.Run(c.clip+c.ext, func(t *testing.T) {
			h, rooms := newHandler(t, Options{})
			pushAll(t, h, 0, c.ext, clip(t, c.clip)...)
			require.Len(t, rooms.shows, 1)
			show := rooms.shows[0]
			require.Empty(t, show.changed)
			h.Close()
			segs := source(show.buf)
			require.Len(t, segs, c.frames/60)
			for i, s := range segs {
				require.False(t, s.Discontinuity)
				require.True(t, s.Independent)
				require.InDelta(t, 2, s.Duration.Seconds(), 0.0001)
				require.False(t, s.Arrived.IsZero())
				require.Equal(t, [2]int{320, 180}, [2]int{s.Info.Width, s.Info.Height})
				require.Same(t, segs[0].Info, s.Info)
				require.Equal(t, 30.0, s.Info.FrameRate)
				require.Contains(t, s.Info.Codecs, "avc1.")
				require.Equal(t, c.clip != "mp4 silent", strings.Contains(s.Info.Codecs, "mp4a.40.2"))
				if i > 0 {
					require.InDelta(t, 0, (s.Start - segs[i-1].Start - segs[i-1].Duration).Seconds(), 0.0001)
				}
			}
			joined(t, segs, c.slack)
			text := playlist(t, show.buf)
			require.Len(t, regexp.MustCompile(`#EXTINF:(2\.0000|1\.9999)`).FindAllString(text, -1), c.frames/60, text)
			require.Contains(t, text, "#EXT-X-TARGETDURATION:2\n")
			require.Contains(t, text, "#EXT-X-INDEPENDENT-SEGMENTS\n")
			plays(t, show.buf, c.frames)
		})
	}
}

func TestSoundAlone(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	pushAll(t, h, 0, ".ts", clip(t, "sound")...)
	segs := source(rooms.shows[0].buf)
	require.GreaterOrEqual(t, len(segs), 2)
	require.Equal(t, "mp4a.40.2", segs[0].Info.Codecs)
	require.True(t, segs[0].Independent)
	require.NotContains(t, breaksOf(segs), true)
}

// The duration is the media's, whatever the publisher says.
func TestContentDuration(t *testing.T) {
	segs := clip(t, "ts")
	for said, want := range map[string]float64{"": 2, "2000": 2, "2400": 2, "9000": 2, "1": 2} {
		h, rooms := newHandler(t, Options{})
		require.Equal(t, 200, send(h, "/live/x/0.ts", bytes.NewReader(segs[0]), durationHeader, said).Code)
		require.InDelta(t, want, source(rooms.shows[0].buf)[0].Duration.Seconds(), 0.0001, "said %s", said)
	}
	for said, want := range map[string]float64{"": 2, "5000": 5} { // nobody can measure a single picture
		h, rooms := newHandler(t, Options{})
		require.Equal(t, 200, send(h, "/live/x/0.ts", bytes.NewReader(clip(t, "still")[0]), durationHeader, said).Code)
		require.InDelta(t, want, source(rooms.shows[0].buf)[0].Duration.Seconds(), 0.0001, "said %s", said)
	}
}

func TestUndecodable(t *testing.T) {
	ts, mp4 := clip(t, "ts")[0], clip(t, "mp4 frag")[0]
	noPictures := bytes.Clone(ts)
	for b := noPictures; len(b) > 0; b = b[188:] {
		if pid := int(b[1]&0x1f)<<8 | int(b[2]); pid == 0x100 || pid == 0x101 {
			copy(b[4+int(b[3]>>5&1)*20:188], bytes.Repeat([]byte{0xa5}, 188))
		}
	}
	for _, c := range []struct {
		name string
		body []byte
		says string
	}{
		{"garbage", bytes.Repeat([]byte("garbage!"), 5000), "neither MPEG-TS nor MP4"},
		{"one byte", []byte{0x47}, "42"},
		{"text", []byte("<html></html>"), "neither"},
		{"FLV", clip(t, "flv")[0], "neither"},
		{"VP9", clip(t, "vp9")[0], "no place in HLS"},
		{"packets without media", noPictures, "42"},
		{"only a header", mp4[:40], "42"},
		{"MP4 without moov", mp4[bytes.Index(mp4, []byte("moof"))-4:], "42"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, rooms := newHandler(t, Options{})
			w := send(h, "/live/x/0.ts", bytes.NewReader(c.body))
			require.Equal(t, http.StatusUnprocessableEntity, w.Code, w.Body.String())
			if c.says != "42" {
				require.Contains(t, w.Body.String(), c.says)
			}
			require.Empty(t, rooms.shows)
			pushAll(t, h, 1, ".ts", ts) // the name is not lost
		})
	}
}

// Bad media in a stream is a hole in it, not its end.
func TestBadSegmentInside(t *testing.T) {
	h, rooms := newHandler(t, Options{OrderWait: time.Hour}) // would be noticed
	segs := clip(t, "ts")
	pushAll(t, h, 0, ".ts", segs[0])
	require.Equal(t, 422, send(h, "/live/x/1.ts", strings.NewReader("bad")).Code)
	pushAll(t, h, 2, ".ts", segs[2], segs[3])
	require.Equal(t, []bool{false, true, false}, breaksOf(source(rooms.shows[0].buf)))
}

// Another size or other tracks are a discontinuity, and the Show is told.
func TestChange(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	ts, large, silent := clip(t, "ts"), clip(t, "large"), clip(t, "silent")
	pushAll(t, h, 0, ".ts", ts[0], large[1], silent[0], silent[1])
	require.Len(t, rooms.shows, 1)
	show := rooms.shows[0]
	segs := source(show.buf)
	require.Equal(t, []bool{false, true, true, false}, breaksOf(segs))
	require.Equal(t, 640, segs[1].Info.Width)
	require.NotContains(t, segs[2].Info.Codecs, "mp4a")
	require.Len(t, show.changed, 2)
	require.Equal(t, 640, show.changed[0].Video().Video.Width)
	require.Nil(t, show.changed[1].Audio())
	require.Contains(t, playlist(t, show.buf), "#EXT-X-DISCONTINUITY\n")
}

// A segment that is too long begins the playlist again; numbers go on.
func TestTargetDuration(t *testing.T) {
	h, rooms := newHandler(t, Options{})
	ts, long := clip(t, "ts"), clip(t, "long")
	require.Len(t, long, 1)
	pushAll(t, h, 0, ".ts", ts[0], ts[1])
	show := rooms.shows[0]
	require.Equal(t, 2*time.Second, show.buf.TargetDuration())
	old := source(show.buf)
	pushAll(t, h, 2, ".ts", long[0])
	require.Equal(t, 5*time.Second, show.buf.TargetDuration())
	require.False(t, show.buf.Ended())
	require.Len(t, show.changed, 1)
	segs := source(show.buf)
	require.Len(t, segs, 1)
	require.Equal(t, old[1].Seq+1, segs[0].Seq)
	_, err := show.buf.Segment(stream.Source, old[0].Seq) // for players that are behind
	require.NoError(t, err)
	pushAll(t, h, 3, ".ts", ts[0])
	require.Equal(t, 5*time.Second, show.buf.TargetDuration())
	require.Len(t, source(show.buf), 2)
	require.Empty(t, show.closed)
}

// A picture with sound lasts as long as the sound.
func TestMeasure(t *testing.T) {
	m := &media{probed: &ffmpeg.Info{Tracks: []ffmpeg.TrackInfo{{Packets: 1, Video: &ffmpeg.VideoInfo{}}, {Packets: 9, Duration: time.Hour, Audio: &ffmpeg.AudioInfo{}}}}}
	require.Equal(t, time.Hour, m.measure(time.Second, 0))
}

// A few bytes that claim millions of samples are not even looked at.
func TestTooManySamples(t *testing.T) {
	u32 := func(vs ...uint32) (b []byte) {
		for _, v := range vs {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	box := func(kind string, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return slices.Concat(u32(uint32(len(body)+8)), []byte(kind), body)
	}
	header := clip(t, "mp4 frag")[0]
	header = header[:bytes.Index(header, []byte("moof"))-4]
	fragment := func(samples uint32) []byte {
		return box("moof", box("mfhd", u32(0, 1)), box("traf",
			box("tfhd", u32(0x020038, 1, 3000, 1, 0x1010000)), box("tfdt", u32(0, 0)), box("trun", u32(1, samples, 0))))
	}
	h, _ := newHandler(t, Options{})
	for name, body := range map[string][]byte{
		"one fragment":  slices.Concat(header, fragment(1<<31)),
		"two fragments": slices.Concat(header, fragment(60_000), fragment(60_000)),
		"a table":       slices.Concat(header, box("moov", box("trak", box("mdia", box("minf", box("stbl", box("stsz", u32(0, 1, 1<<20)))))))),
	} {
		w := send(h, "/live/x/0.mp4", bytes.NewReader(append(body, make([]byte, 1<<20)...)))
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, name)
		require.Contains(t, w.Body.String(), "samples", name)
	}
	require.Equal(t, uint64(60+92), samplesOf(clip(t, "mp4")[0], 0))
	require.Equal(t, uint64(60+92), samplesOf(clip(t, "mp4 frag")[0], 0))
	require.Zero(t, samplesOf(clip(t, "ts")[0], 0))
}

func FuzzSamples(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x20moof\x00\x00\x00\x18traf\x00\x00\x00\x10trun\x00\x00\x00\x00\x00\x00\x00\x07"))
	f.Add([]byte("\x00\x00\x00\x01moov\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00mdat"))
	f.Fuzz(func(t *testing.T, b []byte) { _ = samplesOf(b, 0) })
}

// Whatever a body is, it is taken or refused, and the stream lives on.
func TestDamagedBodies(t *testing.T) {
	h, rooms := newHandler(t, Options{OrderWait: time.Nanosecond})
	rnd := rand.New(rand.NewPCG(1, 2))
	bodies := [][]byte{clip(t, "ts")[1], clip(t, "mp4")[1], clip(t, "mp4 frag")[1], clip(t, "sound")[0]}
	taken := 0
	for n := range 120 {
		body := bytes.Clone(bodies[n%len(bodies)])
		for range rnd.IntN(40) {
			at := rnd.IntN(len(body))
			body[at] = byte(rnd.Uint32())
			if n%2 == 0 { // where headers are
				body[rnd.IntN(min(2000, len(body)))] ^= 1 << rnd.IntN(8)
			}
		}
		if n%3 == 0 {
			body = body[:1+rnd.IntN(len(body))]
		}
		w := send(h, fmt.Sprintf("/live/x/%d.ts", n), bytes.NewReader(body))
		switch w.Code {
		case http.StatusOK:
			taken++
		case http.StatusUnprocessableEntity:
		default:
			t.Errorf("body %d: %d %v", n, w.Code, rooms.errs[len(rooms.errs)-1])
		}
	}
	require.Greater(t, taken, 20)
	require.Less(t, taken, 120)
	pushAll(t, h, 1000, ".ts", clip(t, "ts")...)
}
