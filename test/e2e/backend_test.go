package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/status"
)

// backEndServer is the program lpms, running.
type backEndServer struct {
	*server
	admin string // host:port
}

// serveBackEnd starts the program on ports that are free, and checks at the end of the test
// that it ends well.
func serveBackEnd(t testing.TB, args ...string) *backEndServer {
	t.Helper()
	args = append([]string{"-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0", "-cliAddr", "127.0.0.1:0"}, args...)
	p := start(t, backEnd, args...)
	m := p.see(t, `Publish to +rtmp://([^/]+)/NAME\S*\nWatch +http://([^/]+)/stream/NAME.m3u8\nStatus +http://([^/]+)/status`, time.Minute)
	s := &backEndServer{&server{process: p, rtmp: m[1], http: m[2]}, m[3]}
	t.Cleanup(func() { s.end(t) })
	return s
}

// status asks the program how it is.
func (s *backEndServer) status(t testing.TB) (st status.Status) {
	t.Helper()
	_, body := s.get(t, "http://"+s.admin+"/status")
	require.NoError(t, json.Unmarshal(body, &st))
	return st
}

func (s *backEndServer) get(t testing.TB, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	resp, body, err := get(t.Context(), client(t), http.MethodGet, url, header...)
	require.NoError(t, err)
	return resp, body
}

// variant is a line of a master playlist.
type variant struct {
	uri        string
	resolution string
	attributes map[string]string
}

func variants(t testing.TB, master string) (all []variant) {
	t.Helper()
	for _, m := range regexp.MustCompile(`#EXT-X-STREAM-INF:(.*)\n(.*)\n`).FindAllStringSubmatch(master, -1) {
		v := variant{uri: m[2], attributes: map[string]string{}}
		for _, a := range attribute.FindAllStringSubmatch(m[1], -1) {
			v.attributes[a[1]] = a[2]
		}
		v.resolution = v.attributes["RESOLUTION"]
		all = append(all, v)
	}
	return all
}

func uris(vs []variant) (all []string) {
	for _, v := range vs {
		all = append(all, v.uri)
	}
	return all
}

// recipe is the publishing line of the Streaming Back-End's recipe, for some seconds.
func recipe(t testing.TB, seconds int, url string) *process {
	t.Helper()
	return start(t, "ffmpeg", strings.Fields(fmt.Sprintf("-nostdin -v error -re -f lavfi -i testsrc=size=640x480:rate=30,format=yuv420p "+
		"-f lavfi -i sine -t %d -threads 1 -c:v libx264 -b:v 10000k -preset ultrafast -x264-params keyint=30 -strict -2 -c:a aac -f flv %s", seconds, url))...)
}

// The recipe: its publishing line, its test, and what a reader finds in the renditions.
func TestBackEndRecipe(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t, "-broadcaster", "-currentManifest", "-transcodingOptions", "P144p30fps16x9", "-v", "99")
	publisher := recipe(t, 10, "rtmp://"+s.rtmp+"/hello_world")
	master := ""
	wait(t, "both renditions", func() bool {
		_, body := s.get(t, s.masterURL("hello_world"))
		master = string(body)
		return strings.Contains(master, "P144p30fps16x9")
	})
	vs := variants(t, master)
	require.Equal(t, []string{"hello_world/source.m3u8", "hello_world/P144p30fps16x9.m3u8"}, uris(vs))
	_, current := s.get(t, s.masterURL("current"))
	assert.Equal(t, uris(vs), uris(variants(t, string(current))))
	for _, v := range vs {
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x",
			"http://"+s.http+"/stream/"+v.uri).CombinedOutput()
		require.NoError(t, err, "%s", out)
		first, _, _ := strings.Cut(string(out), "\n")
		assert.Equal(t, v.resolution, strings.TrimSpace(first), v.uri)
		assert.Contains(t, v.attributes["CODECS"], "mp4a.40.2")
		assert.Equal(t, "30.000", v.attributes["FRAME-RATE"])
	}
	assert.Equal(t, "640x480", vs[0].resolution)
	publisher.succeed(t, time.Minute)
}

// followAll follows the source and renditions of a stream until they end.
func followAll(t testing.TB, s *server, name string, renditions ...string) func() map[string]*viewer {
	t.Helper()
	found := make(map[string]*viewer)
	failed := make(chan error, len(renditions))
	for _, r := range renditions {
		v := &viewer{client: client(t), gone: map[string]goneSegment{}}
		found[r] = v
		go func() {
			failed <- v.follow(t.Context(), s.masterURL(name), fmt.Sprintf("http://%s/stream/%s/%s.m3u8", s.http, name, r))
		}()
	}
	return func() map[string]*viewer {
		for range renditions {
			require.NoError(t, <-failed)
		}
		return found
	}
}

// The default ladder of a stream: every rendition has the boundaries of the source, obeys the
// rules by itself, and is what the master playlist says.
func TestBackEndDefaultLadder(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t)
	sent := makeClip(t, "natural", natural)
	publisher := publish(t, sent, "rtmp://"+s.rtmp+"/live/ladder")
	vs := s.ladder(t, "ladder")
	var names []string
	for _, v := range vs {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(v.uri, "ladder/"), ".m3u8"))
	}
	require.Equal(t, "source", names[0])
	// An RTMP player that joins late is told of pictures and sound only.
	kinds, _, err := run(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", "rtmp://"+s.rtmp+"/ladder")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"video", "audio"}, strings.Fields(kinds))
	got := followAll(t, s.server, "ladder", names...)
	publisher.succeed(t, time.Minute)
	all := got()
	source := all["source"]
	for i, name := range names {
		v := all[name]
		v.checkPlaylists(t)
		v.checkUnbroken(t)
		v.checkIndependent(t)
		for _, l := range v.segments {
			j := slices.IndexFunc(source.segments, func(o *segment) bool { return o.sequence == l.sequence })
			require.NotEqual(t, -1, j)
			assert.Equal(t, source.segments[j].extinf, l.extinf, "%s %d", name, l.sequence)
			assert.Equal(t, source.segments[j].date, l.date, "%s %d", name, l.sequence)
		}
		assert.Equal(t, source.segments[len(source.segments)-1].sequence, v.segments[len(v.segments)-1].sequence, "%s has the last segment", name)
		v.probe(t, true)
		v.segments.checkContinuity(t)
		width, height, _ := strings.Cut(vs[i].resolution, "x")
		assert.Equal(t, width+"x"+height, sizeOf(t, v.segments[0]), name)
	}
}

// sizeOf is what ffprobe says of the picture of a segment.
func sizeOf(t testing.TB, s *segment) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x", "-i", "pipe:0")
	cmd.Stdin = bytes.NewReader(s.data)
	out, err := cmd.Output()
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(first)
}

// On demand, a rendition is made first to be measured, then only while somebody asks for it.
func TestBackEndOnDemand(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t, "-onDemand", "-transcodingOptions", "P144p30fps16x9,P72p2fps16x9", "-testSignal", "demand")
	state := func(name string) status.Rendition {
		for _, st := range s.status(t).Streams {
			for _, r := range st.Renditions {
				if r.Name == name {
					return r
				}
			}
		}
		return status.Rendition{}
	}
	wait(t, "both to rest", func() bool {
		return state("P144p30fps16x9").State == status.Resting && state("P72p2fps16x9").State == status.Resting
	})
	_, master := s.get(t, s.masterURL("demand"))
	require.Equal(t, []string{"demand/source.m3u8", "demand/P144p30fps16x9.m3u8", "demand/P72p2fps16x9.m3u8"}, uris(variants(t, string(master))))
	before := state("P144p30fps16x9").Last
	resp, body := s.get(t, "http://"+s.http+"/stream/demand/P144p30fps16x9.m3u8")
	require.Equal(t, http.StatusOK, resp.StatusCode, "whoever asks for it waits until it is there")
	p, err := parsePlaylist(string(body))
	require.NoError(t, err)
	require.Greater(t, p.segments[0].sequence, before)
	require.Equal(t, status.Live, state("P144p30fps16x9").State)
	require.Equal(t, status.Resting, state("P72p2fps16x9").State, "nobody asks for that one")
	resp, _ = s.get(t, fmt.Sprintf("http://%s/stream/demand/P144p30fps16x9/%d.ts", s.http, p.segments[0].sequence))
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// push sends a segment and returns the renditions of the answer.
func push(t testing.TB, url string, body []byte, header ...string) (code int, parts map[string][]byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client(t).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		return resp.StatusCode, nil
	}
	parts = make(map[string][]byte)
	for r := multipart.NewReader(resp.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return resp.StatusCode, parts
		}
		require.NoError(t, err)
		b, err := io.ReadAll(p)
		require.NoError(t, err)
		parts[p.Header.Get("Rendition-Name")] = b
	}
}

// Segments that are pushed are watched like any stream, and come back as renditions.
func TestBackEndPush(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t, "-transcodingOptions", "P144p30fps16x9,P240p30fps16x9", "-publishKey", "correct-horse")
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine -t 8 "+
		"-c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -c:a aac -f segment -segment_time 2 -segment_format mpegts "+filepath.Join(dir, "%d.ts"))...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	url := func(n int, query string) string {
		return fmt.Sprintf("http://%s/live/pushed/%d.ts%s", s.http, n, query)
	}
	media := func(n int) []byte {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(n)+".ts"))
		require.NoError(t, err)
		return b
	}
	code, _ := push(t, url(0, ""), media(0))
	require.Equal(t, http.StatusForbidden, code)
	for n := range 4 {
		code, parts := push(t, url(n, "?key=correct-horse"), media(n), "Content-Duration", "2000", "Accept", "multipart/mixed")
		require.Equal(t, http.StatusOK, code)
		require.Len(t, parts, 2)
		for name, want := range map[string]string{"P144p30fps16x9": "256x144", "P240p30fps16x9": "426x240"} {
			require.Equal(t, want, sizeOf(t, &segment{data: parts[name]}), name)
		}
	}
	_, master := s.get(t, s.masterURL("pushed"))
	require.Equal(t, []string{"pushed/source.m3u8", "pushed/P240p30fps16x9.m3u8", "pushed/P144p30fps16x9.m3u8"}, uris(variants(t, string(master))))
	_, body := s.get(t, s.mediaURL("pushed"))
	p, err := parsePlaylist(string(body))
	require.NoError(t, err)
	require.Len(t, p.segments, 4)
	for _, l := range p.segments {
		require.False(t, l.discontinuity)
	}
	require.Equal(t, status.Push, s.status(t).Streams[0].Ingest)
	code, _ = push(t, url(9, "?key=correct-horse"), []byte("no segment"))
	require.Equal(t, http.StatusUnprocessableEntity, code)
}

// A machine that is asked for more than it can do gives up renditions, the largest first, and
// nothing of the source.
//
// It runs before the parallel tests: they need the processor.
func TestBackEndOverload(t *testing.T) {
	t.Setenv("GOMAXPROCS", "1") // a thread for each encoder: too little for 720p, however many cores there are
	s := serveBackEnd(t, "-preset", "veryslow", "-transcodingOptions", "P720p60fps16x9,P576p30fps16x9,P360p30fps16x9,P144p30fps16x9", "-testSignal", "busy")
	wait(t, "a rendition to be shed", func() bool { return s.status(t).Machine.Shed > 0 })
	st := s.status(t).Streams[0]
	require.Equal(t, status.Shed, st.Renditions[1].State, "the largest")
	_, body := s.get(t, s.masterURL("busy"))
	require.NotContains(t, string(body), st.Renditions[1].Name)
	_, body = s.get(t, "http://"+s.admin+"/status")
	require.Contains(t, string(body), `"overloaded": true`)

	source := func() *playlist {
		resp, body := s.get(t, s.mediaURL("busy"))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		p, err := parsePlaylist(string(body))
		require.NoError(t, err)
		return p
	}
	first := source().sequence
	wait(t, "the source to go on", func() bool { return source().sequence > first+2 })
	p := source()
	for i, l := range p.segments {
		assert.Equal(t, p.sequence+uint64(i), l.sequence)
		assert.False(t, l.discontinuity)
	}
}

// What cannot work is said before anything starts.
func TestBackEndRefusesBadSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown preset":   {[]string{"-transcodingOptions", "P144p30fps16x8"}, "P144p30fps16x9"},
		"bad JSON":         {[]string{"-transcodingOptions", `[{"name":`}, "-transcodingOptions"},
		"bad address":      {[]string{"-rtmpAddr", "localhost"}, "-rtmpAddr"},
		"unknown flag":     {[]string{"-rtmpAdr", ":1935"}, "-rtmpAddr"},
		"metrics of what?": {[]string{"-metricsPerStream"}, "-monitor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), backEnd, c.args...).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 78, exit.ExitCode())
			require.Contains(t, string(out), c.want)
		})
	}
}

// The commands of the program.
func TestBackEndCommands(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"version":            {[]string{"-version"}, 0, "lpms "},
		"help":               {[]string{"-help"}, 0, "-transcodingOptions"},
		"presets":            {[]string{"presets"}, 0, "P720p60fps16x9"},
		"healthy":            {[]string{"healthcheck", "http://" + s.http + "/healthz"}, 0, ""},
		"not found":          {[]string{"healthcheck", "http://" + s.http + "/nothing"}, 1, "404"},
		"nobody there":       {[]string{"healthcheck", "http://127.0.0.1:1/"}, 1, "refused"},
		"bench of what?":     {[]string{"bench", "-size", "large"}, 2, "1280x720"},
		"presets of what?":   {[]string{"presets", "P720"}, 2, "usage"},
		"bench of too much":  {[]string{"bench", "-size", "320x180", "twice"}, 2, "twice"},
		"bench of no preset": {[]string{"bench", "-transcodingOptions", "P1"}, 2, "no preset"},
		"bench":              {[]string{"bench", "-size", "160x96", "-bitrate", "200", "-transcodingOptions", "none", "-step", "1s", "-max", "2"}, 0, "carries at least 2 such streams"},
		"the port is taken":  {[]string{"-rtmpAddr", "127.0.0.1:0", "-httpAddr", s.http, "-cliAddr", "off"}, 1, "another server"},
		"the admin's, too":   {[]string{"-rtmpAddr", "127.0.0.1:0", "-httpAddr", "127.0.0.1:0", "-cliAddr", s.admin}, 1, "-cliAddr"},
		"no such file":       {[]string{"-config", "/nonexistent/lpms.conf"}, 78, "-config"},
		"an unknown command": {[]string{"serve"}, 78, "serve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), backEnd, c.args...).CombinedOutput()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.code, code, "%s", out)
			assert.Contains(t, string(out), c.want)
		})
	}
}

// What the operator sees: metrics of each stage, and settings that can be changed.
func TestBackEndAdmin(t *testing.T) {
	t.Parallel()
	s := serveBackEnd(t, "-monitor", "-metricsPerStream", "-transcodingOptions", "P144p30fps16x9", "-testSignal", "seen")
	wait(t, "a rendition", func() bool {
		st := s.status(t)
		return len(st.Streams) == 1 && len(st.Streams[0].Renditions) == 2 && st.Streams[0].Renditions[1].State == status.Live
	})
	_, list := s.get(t, s.mediaURL("seen"))
	p, err := parsePlaylist(string(list))
	require.NoError(t, err)
	s.get(t, fmt.Sprintf("http://%s/stream/seen/source/%d.ts", s.http, p.segments[0].sequence))
	_, body := s.get(t, "http://"+s.admin+"/metrics")
	for _, stage := range []string{"ingest", "segment", "transcode", "served"} {
		assert.Regexp(t, `lpms_stage_seconds_count\{stage="`+stage+`"\} [1-9]`, string(body))
	}
	assert.Regexp(t, `lpms_stream_\w+\{.*stream="seen"`, string(body))
	_, body = s.get(t, "http://"+s.admin+"/debug/pprof/")
	assert.Contains(t, string(body), "goroutine")
	resp, err := client(t).Post("http://"+s.admin+"/setBroadcastConfig?transcodingOptions=P240p30fps16x9&maxSessions=3", "", nil)
	require.NoError(t, err)
	body, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, string(body), "P240p30fps16x9")
	resp, _ = s.get(t, "http://"+s.http+"/status")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode, "not for the public")
}
