package push

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// What the clips are made of: 2 s groups of pictures with B-frames, and sound.
const (
	pictures = "-f lavfi -i testsrc2=size=320x180:rate=30"
	sound    = "-f lavfi -i sine=frequency=440:sample_rate=48000"
	encoders = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 2 -c:a aac -b:a 64k"
	cutting  = "-f segment -segment_time 2 -segment_time_delta 0.02"
	asTS     = cutting + " -segment_format mpegts"
)

// clips are the arguments of ffmpeg for what the tests push.
var clips = map[string]string{
	"ts":         pictures + " " + sound + " -t 8 " + encoders + " " + asTS,
	"wrap":       pictures + " " + sound + " -t 8 " + encoders + " -output_ts_offset 95440 " + asTS,
	"large":      "-f lavfi -i testsrc2=size=640x360:rate=30 " + sound + " -t 4 " + encoders + " " + asTS,
	"long":       pictures + " " + sound + " -t 5 " + encoders + " -force_key_frames 0 -g 300 -f segment -segment_time 10 -segment_format mpegts",
	"silent":     pictures + " -t 4 " + encoders + " " + asTS,
	"sound":      sound + " -t 4 -c:a aac " + asTS,
	"mp4":        pictures + " " + sound + " -t 8 " + encoders + " " + cutting + " -segment_format mp4",
	"mp4 own":    pictures + " " + sound + " -t 8 " + encoders + " " + cutting + " -reset_timestamps 1 -segment_format mp4",
	"mp4 frag":   pictures + " " + sound + " -t 8 " + encoders + " " + cutting + " -segment_format mp4 -segment_format_options movflags=frag_keyframe+empty_moov",
	"mp4 silent": pictures + " -t 6 " + encoders + " " + cutting + " -reset_timestamps 1 -segment_format mp4",
	"vp9":        pictures + " -t 1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -f segment -segment_time 10 -segment_format mp4",
	"flv":        pictures + " -t 1 " + encoders + " -f segment -segment_time 10 -segment_format flv",
	"still":      pictures + " -frames:v 1 -c:v libx264 -pix_fmt yuv420p -f segment -segment_time 10 -segment_format mpegts",
}

var made sync.Map // of clips

// clip makes segments with ffmpeg, once.
func clip(t testing.TB, name string) [][]byte {
	t.Helper()
	if segs, ok := made.Load(name); ok {
		return segs.([][]byte)
	}
	require.Contains(t, clips, name)
	dir := t.TempDir()
	args := append(strings.Fields("-nostdin -v error "+clips[name]), filepath.Join(dir, "%d.ts"))
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	var segs [][]byte
	for n := 0; ; n++ {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(n)+".ts"))
		if err != nil {
			break
		}
		segs = append(segs, b)
	}
	require.NotEmpty(t, segs)
	made.Store(name, segs)
	return segs
}

// fakeShow is a presentation that keeps account.
type fakeShow struct {
	buf *stream.HLSBuffer

	mu         sync.Mutex
	renditions []string
	changed    []*ffmpeg.Info
	closed     []bool
	onClose    func()
}

func (s *fakeShow) Buffer() *stream.HLSBuffer { return s.buf }

func (s *fakeShow) Renditions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renditions
}

func (s *fakeShow) Changed(info *ffmpeg.Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, info)
}

func (s *fakeShow) Close(clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, clean)
	s.buf.End()
	if s.onClose != nil {
		s.onClose()
	}
}

// house opens shows.
type house struct {
	mu    sync.Mutex
	shows []*fakeShow
	asked []Request
	next  func(*fakeShow) error
	errs  []error // of requests
}

func (o *house) open(_ context.Context, r Request) (Show, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r)
	s := &fakeShow{buf: stream.NewHLSBufferWithConfig(stream.HLSConfig{FirstSequence: 1000})}
	if o.next != nil {
		if err := o.next(s); err != nil {
			return nil, err
		}
	}
	o.shows = append(o.shows, s)
	return s, nil
}

// newHandler closes the handler when the test ends.
func newHandler(t *testing.T, o Options) (*Handler, *house) {
	rooms := &house{}
	if o.Open == nil {
		o.Open = rooms.open
	}
	o.OnError = func(_ *http.Request, _ int, err error) {
		rooms.mu.Lock()
		defer rooms.mu.Unlock()
		rooms.errs = append(rooms.errs, err)
	}
	h := New(o)
	t.Cleanup(func() {
		h.Close()
		require.Equal(t, h.opts.MaxUploads, h.budget.left.Load(), "bytes of bodies were not given back")
		require.Empty(t, h.streams)
		require.Zero(t, h.open)
	})
	return h, rooms
}

// send pushes a body; headers are pairs.
func send(h http.Handler, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// pushAll pushes segments as /live/x/{first}.ext and so on.
func pushAll(t *testing.T, h http.Handler, first int, ext string, segs ...[]byte) {
	t.Helper()
	for i, b := range segs {
		w := send(h, fmt.Sprintf("/live/x/%d%s", first+i, ext), bytes.NewReader(b))
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		require.Empty(t, w.Body.String())
	}
}

func source(b *stream.HLSBuffer) []*stream.Segment { return b.SegmentsAfter(stream.Source, 0) }

func playlist(t *testing.T, b *stream.HLSBuffer) string {
	t.Helper()
	p, err := b.MediaPlaylist(t.Context(), stream.Source)
	require.NoError(t, err)
	return string(p.Raw)
}

func breaksOf(segs []*stream.Segment) (list []bool) {
	for _, s := range segs {
		list = append(list, s.Discontinuity)
	}
	return list
}

// packet is what ffprobe sees.
type packet struct {
	kind string
	pts  time.Duration
}

// packets reads a transport stream with ffprobe, which must not complain.
func packets(t *testing.T, data []byte) (list []packet) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "media.ts")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "compact=p=0:nk=1", "-show_entries", "packet=codec_type,pts", path)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	require.Empty(t, stderr.String())
	for line := range strings.Lines(stdout.String()) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		require.NoError(t, err, line)
		list = append(list, packet{f[0], fromTicks(n)})
	}
	return list
}
