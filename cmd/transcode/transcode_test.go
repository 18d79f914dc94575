package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "transcode")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "transcode")
	code := 1
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// clip makes a media file of some seconds in a folder of its own.
func clip(t *testing.T, name string, seconds float64, size string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=30:size="+size,
		"-f", "lavfi", "-i", "sine", "-t", fmt.Sprint(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

type result struct {
	code           int
	stdout, stderr string
}

func execute(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func probe(t *testing.T, path string) *ffmpeg.Info {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := ffmpeg.Probe(b)
	require.NoError(t, err)
	return info
}

func TestTranscode(t *testing.T) {
	in := clip(t, "in.ts", 1, "320x180")
	dir := filepath.Dir(in)
	r := execute(t, nil, in, "P144p30fps16x9,P144p15fps16x9")
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr, "there is no terminal")
	require.Equal(t, []string{"P144p15fps16x9_in.ts", "P144p30fps16x9_in.ts", "in.ts"}, names(t, dir))
	for name, frames := range map[string]int{"P144p30fps16x9": 30, "P144p15fps16x9": 15} {
		path := filepath.Join(dir, name+"_in.ts")
		info := probe(t, path)
		require.Equal(t, "mpegts", info.Format)
		require.Equal(t, frames, info.Video().Packets)
		require.Equal(t, []int{256, 144}, []int{info.Video().Video.Width, info.Video().Video.Height})
		require.NotNil(t, info.Audio())
		stat, err := os.Stat(path)
		require.NoError(t, err)
		require.Regexp(t, fmt.Sprintf(`(?m)^%s +256x144 +%d +%d +\d+ +1\.00 s$`, name, frames, stat.Size()), r.stdout)
	}
	require.Regexp(t, `(?m)^30 frames read, \d+\.\d\d s in all, \d+\.\d x realtime$`, r.stdout)

	before, err := os.Stat(filepath.Join(dir, "P144p30fps16x9_in.ts"))
	require.NoError(t, err)
	r = execute(t, nil, in, "P144p30fps16x9", "-audio", "drop", "-preset=ultrafast", "-threads", "1")
	require.Equal(t, 0, r.code, r.stderr)
	require.Nil(t, probe(t, filepath.Join(dir, before.Name())).Audio())
}

func TestTranscodeMP4(t *testing.T) {
	in := clip(t, "in.mp4", 1, "320x180")
	dir := t.TempDir()
	r := execute(t, nil, "-o", dir, "-audio", "aac", in, "P144p30fps16x9")
	require.Equal(t, 0, r.code, r.stderr)
	info := probe(t, filepath.Join(dir, "P144p30fps16x9_in.mp4"))
	require.Contains(t, info.Format, "mp4")
	require.Equal(t, "aac", info.Audio().Codec)
	require.Equal(t, []string{"in.mp4"}, names(t, filepath.Dir(in)))
}

func TestTranscodeOtherNames(t *testing.T) {
	in := clip(t, "in.flv", 0.5, "320x180")
	dir := t.TempDir()
	r := execute(t, nil, "-o", dir, in, "P144p30fps16x9")
	require.Equal(t, 0, r.code, r.stderr)
	for _, stdin := range []string{"-", "pipe:0"} {
		f, err := os.Open(in)
		require.NoError(t, err)
		defer f.Close()
		r = execute(t, f, "-o", dir, stdin, "P144p30fps16x9")
		require.Equal(t, 0, r.code, r.stderr)
	}
	require.Equal(t, []string{"P144p30fps16x9_in.ts", "P144p30fps16x9_stdin.ts"}, names(t, dir))
	require.Equal(t, 15, probe(t, filepath.Join(dir, "P144p30fps16x9_stdin.ts")).Video().Packets)
}

func TestTranscodeProfilesFile(t *testing.T) {
	in := clip(t, "in.ts", 1, "320x180")
	profiles := filepath.Join(t.TempDir(), "profiles.json")
	require.NoError(t, os.WriteFile(profiles, []byte(`[{"name":"low","width":160,"height":90,"bitrate":100000,"fps":10},{"width":64,"height":36,"bitrate":50000}]`), 0o600))
	for _, args := range [][]string{{in, "@" + profiles}, {"-profiles", profiles, in}} {
		dir := t.TempDir()
		r := execute(t, nil, append([]string{"-o", dir}, args...)...)
		require.Equal(t, 0, r.code, r.stderr)
		require.Len(t, names(t, dir), 2)
		require.Equal(t, 10, probe(t, filepath.Join(dir, "low_in.ts")).Video().Packets)
	}
}

func TestTranscodeErrors(t *testing.T) {
	in := clip(t, "in.ts", 0.5, "320x180")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	named := func(name string) string {
		return "@" + write("p.json", `[{"name":"`+name+`","width":160,"height":90,"bitrate":100000}]`)
	}
	const p = "P144p30fps16x9"
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, 2, "which file"},
		{"no renditions", []string{in}, 2, "P72p2fps16x9"},
		{"an unknown preset", []string{in, "P145p"}, 2, `no rendition "P145p": write one of P720p60fps16x9`},
		{"an empty word", []string{in, p + ","}, 2, `no rendition ""`},
		{"an unknown flag", []string{"-x", in, p}, 2, "-x"},
		{"an x264 preset", []string{"-preset", "warp", in, p}, 2, "ultrafast"},
		{"audio", []string{"-audio", "mp3", in, p}, 2, "copy, drop, aac or light"},
		{"threads", []string{"-threads", "-1", in, p}, 2, "-threads"},
		{"twice", []string{in, p + "," + p}, 2, "two renditions"},
		{"too many", []string{in, strings.Join(presetNames(), ",")}, 2, "1 to 10"},
		{"no JSON", []string{in, "@" + write("p.json", "hello")}, 2, "p.json"},
		{"missing JSON", []string{in, "@/missing/p.json"}, 2, "/missing/p.json"},
		{"a name with a slash", []string{in, named("../a")}, 2, "../a"},
		{"a name with a dot", []string{in, named(".a")}, 2, ".a"},
		{"a missing file", []string{"/missing/in.ts", p, "-o", dir}, 1, "/missing/in.ts"},
		{"a folder", []string{dir, p}, 1, "is a folder"},
		{"a missing folder", []string{"-o", "/missing", in, p}, 1, "/missing"},
		{"a folder that is a file", []string{"-o", in, in, p}, 1, "not a directory"},
		{"no media", []string{"-o", dir, write("in.ts", "hello"), p}, 1, "transcode: "},
		{"standard input is empty", []string{"-o", dir, "-", p}, 1, "transcode: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := execute(t, nil, c.args...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.want)
			require.Empty(t, r.stdout)
			require.Empty(t, names(t, dir), "nothing is left")
		})
	}
}

func TestHelp(t *testing.T) {
	for _, flag := range []string{"-help", "-h", "--help"} {
		r := execute(t, nil, flag)
		require.Equal(t, 0, r.code)
		require.Empty(t, r.stderr)
		for _, name := range append(presetNames(), "-preset", "-audio", "-threads", "-profiles", "-o", "Exit codes") {
			require.Contains(t, r.stdout, name)
		}
	}
}

// An interrupt ends it soon, and nothing is left behind.
func TestInterrupt(t *testing.T) {
	long := clip(t, "in.ts", 20, "640x360")
	for _, name := range []string{"a slow transcode", "an input that waits"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"-o", dir, "-preset", "placebo", long, "P360p30fps16x9"}
			var stdin io.Reader
			if name == "an input that waits" {
				r, w, err := os.Pipe()
				require.NoError(t, err)
				defer r.Close()
				defer w.Close()
				b, err := os.ReadFile(long)
				require.NoError(t, err)
				go w.Write(b[:len(b)/2]) // and no more
				args[4], stdin = "-", r
			}
			cmd := exec.CommandContext(t.Context(), program, args...)
			var stderr bytes.Buffer
			cmd.Stdin, cmd.Stderr = stdin, &stderr
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return len(names(t, dir)) > 0 }, 30*time.Second, 10*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			start := time.Now()
			cmd.Wait()
			require.Less(t, time.Since(start), 10*time.Second)
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			require.Contains(t, stderr.String(), "interrupted")
			require.Empty(t, names(t, dir))
		})
	}
}

func TestProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, make([]byte, 1000), 0o600))
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	p := newProgress(in, in)
	require.Nil(t, p.w, "a file is no terminal")
	_, err = in.Seek(420, io.SeekStart)
	require.NoError(t, err)
	require.Equal(t, " 42%  10.0 s, 5.0 x realtime", p.line(10*time.Second, 2*time.Second))
	var shown bytes.Buffer
	p.w = &shown
	for range 100 {
		p.show(time.Second)
	}
	p.end()
	require.Regexp(t, regexp.MustCompile(`^\r\x1b\[K 42%  1\.0 s, \S+ x realtime\r\x1b\[K$`), shown.String())
	p.size = 0
	require.Equal(t, "10.0 s, 5.0 x realtime", p.line(10*time.Second, 2*time.Second))
}
