package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// tenSeconds makes five segments of 2 s with B-frames and sound.
const tenSeconds = "-nostdin -v error -f lavfi -i testsrc2=size=480x270:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 " +
	"-t 10 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 2 -c:a aac -b:a 64k " +
	"-f segment -segment_time 2 -segment_time_delta 0.02 -segment_format mpegts"

func realSegments(t *testing.T, args string) (out []stream.Segment) {
	dir := t.TempDir()
	text, err := exec.Command("ffmpeg", append(strings.Fields(args), filepath.Join(dir, "%d.ts"))...).CombinedOutput()
	require.NoError(t, err, string(text))
	for n := 0; ; n++ {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(n, ".ts")))
		if err != nil {
			return out
		}
		s, err := ffmpeg.SummarizeTS(data)
		require.NoError(t, err)
		out = append(out, stream.Segment{Data: data, Start: s.Video.Start, Duration: 2 * time.Second, Independent: true})
	}
}

// times are the presentation times of a track of a file, in seconds.
func times(t *testing.T, data []byte, track string) (pts []float64) {
	path := filepath.Join(t.TempDir(), "joined.ts")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-select_streams", track, "-show_entries", "frame=pts_time", path)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	require.Empty(t, stderr.String(), "ffprobe complains")
	var out struct {
		Frames []struct {
			Time string `json:"pts_time"`
		}
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &out))
	for _, f := range out.Frames {
		s, err := strconv.ParseFloat(f.Time, 64)
		require.NoError(t, err)
		pts = append(pts, s)
	}
	return pts
}

// evenly requires times that go on by the same step from first to last.
func evenly(t *testing.T, pts []float64, step float64) {
	t.Helper()
	for i := 1; i < len(pts); i++ {
		require.InDelta(t, step, pts[i]-pts[i-1], 0.00005, "after %v s (%d)", pts[i-1], i)
	}
}

// Real segments, transcoded by turns on two workers that know nothing of each other: every rendition
// is complete, and its joins cannot be seen in pictures or sound.
func TestRealMedia(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	encoders, err := cluster.EncodersHere(t.Context(), ffmpeg.Software, "")
	require.NoError(t, err)
	for _, name := range []string{"1", "2"} {
		startWorker(t, addr, cluster.WorkerOptions{Name: name, Encoders: encoders, LeaveTime: patience})
	}
	pictures := make(chan []byte, 100)
	o := cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{serverAt(addr)}, Warnf: t.Logf})
	o.Attach(nil, func(_ string, jpeg []byte) { pictures <- jpeg })
	run(t, o.Run)
	awaitWorkers(t, o, 2)

	ladder := []ffmpeg.Rendition{
		{Profile: ffmpeg.VideoProfile{Name: "copied-sound", Resolution: "256x144", Bitrate: "200k"}},
		{Profile: ffmpeg.VideoProfile{Name: "own-sound", Resolution: "160x90", Bitrate: "60k", Framerate: 15},
			Audio: ffmpeg.ComponentOptions{Name: "aac", Opts: map[string]string{"b": "32k", "ac": "1"}}},
		{Profile: ffmpeg.VideoProfile{Name: "hevc", Resolution: "160x90", Bitrate: "60k", Encoder: ffmpeg.H265}, Audio: ffmpeg.ComponentOptions{Name: "drop"}},
		ffmpeg.AudioOnly("audio", ffmpeg.ComponentOptions{Name: "copy"}),
	}
	buf := stream.NewHLSBuffer()
	tr, err := transcoder.New(buf, transcoder.Options{
		Stream: "real", Engine: o.Engine(false), Parallel: o.Parallel(), Attempts: 1, Renditions: ladder,
		MaxLag: time.Minute, OnEvent: func(e transcoder.Event) { t.Log(e) },
	})
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- tr.Run(context.WithoutCancel(t.Context())) }()
	segs := realSegments(t, tenSeconds)
	for _, seg := range segs {
		_, err := buf.Append(stream.Source, seg)
		require.NoError(t, err)
	}
	buf.End()
	require.NoError(t, receive(t, "the end", result))

	joined := func(name string) (all []byte) {
		held := buf.SegmentsAfter(name, 0)
		require.Len(t, held, len(segs), name)
		for _, seg := range held {
			all = append(all, seg.Data...)
		}
		return all
	}
	source := joined(stream.Source)
	require.Equal(t, times(t, source, "v"), times(t, joined("copied-sound"), "v"), "the pictures of the source, at their times")
	require.Equal(t, times(t, source, "a"), times(t, joined("copied-sound"), "a"))
	require.Equal(t, times(t, source, "a"), times(t, joined("audio"), "a"))
	require.Equal(t, times(t, source, "v"), times(t, joined("hevc"), "v"))
	slow := times(t, joined("own-sound"), "v")
	require.Len(t, slow, 150)
	evenly(t, slow, 1.0/15)
	sound := times(t, joined("own-sound"), "a")
	require.InDelta(t, 10*48000/1024, len(sound), 4, "the last frames are those of a segment that does not come")
	evenly(t, sound, 1024.0/48000)
	for _, w := range o.Workers() {
		require.Zero(t, w.Refused)
		require.Equal(t, status.WorkerReady, w.State)
		require.Positive(t, w.Speed)
		require.NotZero(t, w.Done, "worker %s had its turns", w.Name)
	}
	require.NotEmpty(t, pictures)
}

// What does not fit its source is refused, whatever its worker says of it.
func TestVerification(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	segs := realSegments(t, tenSeconds)
	spec := []ffmpeg.Rendition{{Profile: ffmpeg.VideoProfile{Name: "a", Resolution: "256x144", Bitrate: "200k"}}}
	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: spec})
	require.NoError(t, err)
	defer l.Close()
	made := func(n int) ffmpeg.Output {
		r, err := l.Transcode(t.Context(), ffmpeg.Input{Data: segs[n].Data, Discontinuity: true}, nil)
		require.NoError(t, err)
		return r.Outputs[0]
	}
	good, other := made(1), made(2)
	scrambled := bytes.Clone(good.Data)
	for i := range scrambled {
		if i%188 > 60 {
			scrambled[i] ^= 0xa5
		}
	}
	for name, c := range map[string]struct {
		change func(o *ffmpeg.Output)
		want   string
	}{
		"good":             {func(*ffmpeg.Output) {}, ""},
		"another segment":  {func(o *ffmpeg.Output) { *o = other }, "begins at"},
		"the source":       {func(o *ffmpeg.Output) { o.Data = segs[1].Data }, "480x270, said to be 256x144"},
		"text":             {func(o *ffmpeg.Output) { o.Data = []byte("no video") }, "no whole TS packets"},
		"half of it":       {func(o *ffmpeg.Output) { o.Data = o.Data[:len(o.Data)/188/2*188] }, "pictures of 60"},
		"no pictures":      {func(o *ffmpeg.Output) { o.Data = scrambled }, ""},
		"invented codecs":  {func(o *ffmpeg.Output) { o.Info.Codecs = "avc1\"\n#EXT-X-ENDLIST" }, "codecs"},
		"an invented size": {func(o *ffmpeg.Output) { o.Info.Width = 1920 }, "said to be 1920x144"},
	} {
		t.Run(name, func(t *testing.T) {
			out := good
			c.change(&out)
			w, p := startWorker(t, addr, cluster.WorkerOptions{Work: func(_ context.Context, _ cluster.Segment, done func(int, ffmpeg.Output)) error {
				done(0, out)
				return nil
			}})
			o := cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{serverAt(addr)}, Tries: 1, Warnf: t.Logf})
			origin := run(t, o.Run)
			awaitWorkers(t, o, 1)
			s, err := o.Engine(false).Open("x", spec)
			require.NoError(t, err)
			defer s.Close()
			m := transcode(t, s, &segs[1])
			switch {
			case name == "good":
				require.NoError(t, m.err)
			case c.want == "":
				require.Error(t, m.err)
			default:
				require.ErrorContains(t, m.err, c.want)
			}
			_, _ = w.Status()
			require.NoError(t, origin.stop())
			require.NoError(t, p.stop())
		})
	}
}

// When two workers agree on a result that does not fit, it is the segment that is broken: it is
// taken, and nobody is benched for it.
func TestBrokenSegment(t *testing.T) {
	addr := freeAddr(t)
	startOrchestrator(t, addr)
	segs := realSegments(t, tenSeconds)
	spec := []ffmpeg.Rendition{{Profile: ffmpeg.VideoProfile{Name: "a", Resolution: "256x144", Bitrate: "200k"}}}
	broken := segs[1]
	broken.Data = bytes.Clone(broken.Data)
	for i := len(broken.Data) / 2; i < len(broken.Data); i++ { // the pictures of the second half are noise
		if i%188 > 40 && broken.Data[i-i%188+1]&0x40 == 0 {
			broken.Data[i] = byte(i * 7)
		}
	}
	for range 2 {
		startWorker(t, addr, cluster.WorkerOptions{LeaveTime: patience})
	}
	o := cluster.NewOrigin(cluster.OriginOptions{Servers: []cluster.Server{serverAt(addr)}, Warnf: t.Logf})
	run(t, o.Run)
	awaitWorkers(t, o, 2)
	s, err := o.Engine(false).Open("x", spec)
	require.NoError(t, err)
	defer s.Close()
	m := transcode(t, s, &broken)
	require.NoError(t, m.err)
	require.Len(t, m.outs[0], 1)
	for _, w := range o.Workers() {
		require.Zero(t, w.Refused)
	}
}
