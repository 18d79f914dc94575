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
	if _, err := exec.LookPath("node"); err != nil {
		require.NoError(t, missing("node"))
	}
	program, modules := chromium(t), browserModules(t)
	s := serveBackEnd(t, "-testSignal", "hello_world")
	s.ladder(t, "hello_world")
	cmd := exec.Command("node", filepath.Join("testdata", "watchpage.js"), program, "http://"+s.http+"/", "hello_world", os.Getenv("WATCH_SHOTS"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "HOME="+t.TempDir())
	person := launch(t, cmd)
	person.succeed(t, 6*time.Minute)
	t.Logf("%s", person.log)
}
