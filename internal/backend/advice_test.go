package backend

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/stream"
)

// transportStream is two seconds of video in it, as ffmpeg makes them.
func transportStream(t *testing.T, options string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(
		"-v error -f lavfi -i testsrc2=size=64x64:rate=30 -f lavfi -i sine -t 2 -c:v libx264 -pix_fmt yuv420p -c:a aac "+options+" -f mpegts -")...).Output()
	require.NoError(t, err)
	return out
}

func TestAdvice(t *testing.T) {
	both := &stream.RenditionInfo{Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25}
	silent := &stream.RenditionInfo{Codecs: "avc1.64001f", Width: 1280, Height: 720, FrameRate: 25}
	sound := &stream.RenditionInfo{Codecs: "mp4a.40.2"}
	ac3 := &stream.RenditionInfo{Codecs: "avc1.64001f,ac-3", Width: 1280, Height: 720, FrameRate: 25}
	reordered, straight := transportStream(t, "-bf 2"), transportStream(t, "-bf 0")
	twoKeys := transportStream(t, "-bf 0 -g 30")
	for name, c := range map[string]struct {
		info     *stream.RenditionInfo
		segment  time.Duration
		data     []byte
		realtime bool
		want     []string // a part of each
	}{
		"well":                         {both, 2 * time.Second, straight, true, nil},
		"four seconds":                 {both, 4 * time.Second, nil, false, nil},
		"long groups":                  {both, 10 * time.Second, nil, false, []string{"-g 50"}},
		"long segments of sound":       {sound, 10 * time.Second, nil, false, nil},
		"two groups in a segment":      {both, 8 * time.Second, twoKeys, false, nil},
		"AC-3":                         {ac3, 2 * time.Second, nil, false, nil},
		"silent":                       {silent, 2 * time.Second, nil, false, []string{"anullsrc"}},
		"B-frames":                     {both, 2 * time.Second, reordered, false, nil},
		"B-frames with low latency":    {both, 2 * time.Second, reordered, true, []string{"-bf 0"}},
		"nothing known":                {nil, 2 * time.Second, nil, true, nil},
		"everything":                   {silent, 5 * time.Second, reordered, true, []string{"-g 50", "anullsrc", "-bf 0"}},
		"cut off in the middle of one": {both, 2 * time.Second, reordered[:188*3+17], true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var a adviser
			var got []string
			for range 5 {
				got = append(got, a.look(&stream.Segment{Info: c.info, Duration: c.segment, Data: c.data}, c.realtime)...)
			}
			require.Len(t, got, len(c.want), "each is said once: %q", got)
			require.Equal(t, got, append([]string(nil), a.said...))
			all := strings.Join(got, "\n")
			for _, part := range c.want {
				require.Contains(t, all, part)
			}
		})
	}
}

// Bytes of a publisher do not lead out of the packets.
func FuzzPictures(f *testing.F) {
	f.Add([]byte(strings.Repeat("G@\x00\x30\xff", 100)))
	f.Add(append([]byte("G@\x00\x30\xb7"), make([]byte, 400)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if keys, _ := pictures(b); keys > len(b)/188 {
			t.Fatal("more than there are packets")
		}
	})
}

func TestArrival(t *testing.T) {
	start := time.Unix(1e9, 0)
	var a arrival
	at := func(media, wall time.Duration, brk bool) time.Duration {
		return a.late(&stream.Segment{Start: media, Duration: time.Second, Arrived: start.Add(wall), Discontinuity: brk})
	}
	require.Zero(t, at(0, 1500*time.Millisecond, false))
	require.Equal(t, 300*time.Millisecond, at(time.Second, 2800*time.Millisecond, false))
	require.Zero(t, at(2*time.Second, 3100*time.Millisecond, false), "the earliest so far")
	require.Equal(t, 400*time.Millisecond, at(3*time.Second, 4500*time.Millisecond, false))
	require.Zero(t, at(100*time.Second, 8*time.Second, true), "another clock")
}

// The publisher's clock is a little slow: that is no delay, however long it goes on.
func TestArrivalDrifts(t *testing.T) {
	start := time.Unix(1e9, 0)
	var a arrival
	for i := range 24 * 1800 {
		media := time.Duration(i) * 2 * time.Second
		late := a.late(&stream.Segment{Start: media, Duration: 2 * time.Second, Arrived: start.Add(media + media/10_000)})
		require.Less(t, late, 50*time.Millisecond)
	}
}
