package lpms_test

import (
	"context"
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

// The program of the README compiles and works; only its ports are others.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, code, "README.md has no program")
	rtmpAddr, httpAddr := freeAddr(t), freeAddr(t)
	program := strings.NewReplacer(`":1936"`, `"`+rtmpAddr+`"`, `":8000"`, `"`+httpAddr+`"`).Replace(string(code[1]))
	require.Contains(t, program, rtmpAddr)
	dir, err := os.MkdirTemp(".", "readme_program_") // inside the module, so that it is its import
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	bin := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-o", bin, "./"+dir).CombinedOutput()
	require.NoError(t, err, "%s", out)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
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
}
