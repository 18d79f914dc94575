package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A person finds a stream in the list and watches it, and the player follows what the network
// can carry: testdata/watchpage.js says what they see and do. WATCH_SHOTS=dir keeps screenshots.
//
// It runs before the parallel tests: a picture that stops for want of processor time is a failure.
func TestBackEndWatchPage(t *testing.T) {
	s := serveBackEnd(t, "-testSignal", "hello_world")
	s.ladder(t, "hello_world")
	person := script(t, "watchpage.js", "http://"+s.http+"/", "hello_world", os.Getenv("WATCH_SHOTS"))
	person.succeed(t, 6*time.Minute)
	t.Logf("%s", person.log)
}

// script starts a script of testdata that has Chromium look at something.
func script(t testing.TB, name string, args ...string) *process {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		require.NoError(t, missing("node"))
	}
	program, modules := chromium(t), browserModules(t)
	cmd := exec.Command("node", append([]string{filepath.Join("testdata", name), program}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "HOME="+t.TempDir())
	return launch(t, cmd)
}
