package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chromium is the browser's program, in the order of preference.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.NoError(t, missing("chromium"))
	return ""
}

// nodeModules is where scripts/test-deps.sh puts what the scripts of testdata need.
func nodeModules(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(repository, ".cache", "browser", "node_modules")
	for _, file := range []string{"playwright-core/package.json", "hls.js/dist/hls.min.js", "hls-parser/package.json"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			require.NoError(t, missing(file))
		}
	}
	return dir
}

// playing is what testdata/play.js reports.
type playing struct {
	Time          float64
	Width, Height int
	Frames        int
	Ended         bool
	Error         string
	Spread        float64
	Problems      []struct {
		Fatal           bool
		Details, Reason string
	}
	Console []string
}

// site serves the page and hls.js, from another origin than the stream.
func site(t testing.TB, modules string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("testdata", "page.html"))
	})
	mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(modules, "hls.js", "dist", "hls.min.js"))
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// browse opens a page with a player for the stream. The player reports when the picture
// runs, again when it has run for some seconds more, and at the end of the stream.
func browse(t testing.TB, s *server, name string, seconds int, screenshot string) *process {
	t.Helper()
	return node(t, "play.js", chromium(t), filepath.Join(t.TempDir(), "profile"),
		site(t, nodeModules(t))+"/?src="+url.QueryEscape(s.masterURL(name)), strconv.Itoa(seconds), screenshot)
}

// node starts a script of testdata.
func node(t testing.TB, script string, args ...string) *process {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		require.NoError(t, missing("node"))
	}
	cmd := exec.Command("node", append([]string{filepath.Join("testdata", script)}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+nodeModules(t), "HOME="+t.TempDir())
	return launch(t, cmd)
}

// reports are those of a player that has ended.
func reports(t testing.TB, player *process) (began, ran, ended playing) {
	t.Helper()
	player.succeed(t, 3*time.Minute)
	var all []playing
	for line := range strings.Lines(player.log.String()) {
		if strings.HasPrefix(line, "{") {
			var p playing
			require.NoError(t, json.Unmarshal([]byte(line), &p))
			all = append(all, p)
		}
	}
	require.Len(t, all, 3, "it began, ran, and ended:\n%s", player.log)
	return all[0], all[1], all[2]
}

// A person opens a page with hls.js in a browser: the picture comes, runs on, and ends when
// the stream ends.
func TestBrowser(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "natural", natural)
	publisher := publish(t, sent, s.publishURL("test"))
	s.live(t, "test", 1)
	screenshot := filepath.Join(t.TempDir(), "screenshot.png")
	player := browse(t, s, "test", 5, screenshot)
	publisher.succeed(t, time.Minute)
	began, ran, ended := reports(t, player)
	assert.Greater(t, ran.Time, began.Time+5)
	assert.Greater(t, ran.Frames, began.Frames+30)
	assert.Greater(t, ended.Time, ran.Time)
	assert.True(t, ended.Ended, "the video ends with the stream")
	assert.Equal(t, [2]int{320, 180}, [2]int{ran.Width, ran.Height})
	assert.Greater(t, ran.Spread, 20.0, "there is a picture")
	assert.Empty(t, ended.Problems, "errors of hls.js")
	assert.Empty(t, ended.Console, "errors in the console")
	assert.Empty(t, ended.Error, "error of the video")
	info, err := os.Stat(screenshot)
	require.NoError(t, err)
	assert.Positive(t, info.Size())
}

// The page of a viewer goes on when the encoder has died and come back.
func TestBrowserPublisherComesBack(t *testing.T) {
	t.Parallel()
	s := serve(t)
	before, after := makeClip(t, "natural", natural), makeClip(t, "short", short)
	first := publish(t, before, s.publishURL("again"))
	s.live(t, "again", 1)
	player := browse(t, s, "again", 1, filepath.Join(t.TempDir(), "screenshot.png"))
	player.see(t, `"time":`, time.Minute)
	first.kill()
	s.ended(t, "again", 1)
	publish(t, after, s.publishURL("again")).succeed(t, time.Minute)
	_, ran, ended := reports(t, player)
	assert.True(t, ended.Ended, "the video ends with the stream")
	assert.Greater(t, ended.Time, ran.Time+float64(short.Seconds)-2, "the second part was played too")
	assert.Equal(t, [2]int{160, 90}, [2]int{ended.Width, ended.Height}, "of the second encoder")
	for _, p := range ended.Problems {
		assert.False(t, p.Fatal, "error of hls.js: %+v", p) // that it waits in between is none
	}
	assert.Empty(t, ended.Console, "errors in the console")
	assert.Empty(t, ended.Error, "error of the video")
}
