package lpms_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/rtmp"
)

// freeAddr is an address of this machine that nothing listens on at the moment.
func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// readmeCode gives the Go parts of the README: the program, and what renditions add to it.
func readmeCode(t *testing.T) (program, renditions string) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, code, 2)
	return string(code[0][1]), string(code[1][1])
}

// insert puts text in front of the one place where mark stands.
func insert(t *testing.T, program, mark, text string) string {
	require.Equal(t, 1, strings.Count(program, mark), mark)
	return strings.Replace(program, mark, text+"\n"+mark, 1)
}

// The program of the README compiles and works; only its ports are others.
func TestReadmeProgram(t *testing.T) {
	program, _ := readmeCode(t)
	runReadme(t, program)
}

// So it does with renditions, where the README says.
func TestReadmeRenditions(t *testing.T) {
	program, renditions := readmeCode(t)
	engine, rest, ok := strings.Cut(renditions, "\n\n")
	require.True(t, ok)
	program = insert(t, program, "\tserver, err := lpms.New", "\tctx := context.Background()\n"+engine)
	program = insert(t, program, "\t\t\tmu.Lock()\n\t\t\tdefer mu.Unlock()\n\t\t\tdb[rtmp.ID()]", rest)
	program = insert(t, program, "\t\"github.com/livepeer/lpms/stream\"", "\t\"github.com/livepeer/lpms/ffmpeg\"\n\t\"github.com/livepeer/lpms/transcoder\"")
	httpAddr := runReadme(t, program)
	for name, codecs := range map[string]string{"P360p30fps16x9": "avc1.64", "P144p30fps16x9": "avc1.64", "P72p2fps16x9": "avc1.64"} {
		master := get(t, "http://"+httpAddr+"/stream/test.m3u8", func(_ int, b string) bool { return strings.Contains(b, "test/"+name+".m3u8") })
		require.Contains(t, master, codecs)
		pl := get(t, "http://"+httpAddr+"/stream/test/"+name+".m3u8", ended)
		segments := regexp.MustCompile(`(?m)^`+name+`/\d+\.ts$`).FindAllString(pl, -1)
		require.Len(t, segments, 5)
		require.NotContains(t, pl, "EXT-X-GAP")
		require.NotEmpty(t, get(t, "http://"+httpAddr+"/stream/test/"+segments[0], nil))
	}
}

// runReadme builds and runs a program of the README, publishes a clip to it and watches the
// source.
func runReadme(t *testing.T, program string) (httpAddr string) {
	rtmpAddr, httpAddr := freeAddr(t), freeAddr(t)
	program = strings.NewReplacer(`":1936"`, `"`+rtmpAddr+`"`, `":8000"`, `"`+httpAddr+`"`).Replace(program)
	require.Contains(t, program, rtmpAddr)
	dir, err := os.MkdirTemp(".", "readme_program_") // inside the module, so that it is its import
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	bin := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-o", bin, "./"+dir).CombinedOutput()
	require.NoError(t, err, "%s", out)

	ctx := t.Context()
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // where glog writes by default
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.Eventually(t, func() bool {
		nc, err := net.Dial("tcp", rtmpAddr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)

	p := publish(t, "rtmp://"+rtmpAddr+"/stream/test")
	p.send(t, clip(t, "small", small), 0)
	player, err := rtmp.Dial(ctx, "rtmp://"+rtmpAddr+"/stream/test", rtmp.ClientOptions{})
	require.NoError(t, err)
	defer player.Conn.Close()
	require.NoError(t, player.Play(ctx))
	master := get(t, "http://"+httpAddr+"/stream/test.m3u8", nil)
	require.Contains(t, master, "test/source.m3u8")
	pl := get(t, "http://"+httpAddr+"/stream/test/source.m3u8", nil)
	seg := segmentLine.FindString(pl)
	require.NotEmpty(t, seg)
	require.NotEmpty(t, get(t, "http://"+httpAddr+"/stream/test/"+seg, nil))
	require.NoError(t, p.Close())
	return httpAddr
}
