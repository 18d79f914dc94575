package watch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// need skips the test where a program or file is missing, but not where CI says that all are
// there.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		require.NoError(t, err)
	}
	t.Skipf("%s is missing (make test-deps installs it): %v", what, err)
}

func program(t *testing.T, names ...string) (path string) {
	t.Helper()
	var err error
	for _, name := range names {
		if path, err = exec.LookPath(name); err == nil {
			return path
		}
	}
	need(t, names[0], err)
	return ""
}

// A person looks at the pages in a browser: testdata/page.js says what they see and do.
// WATCH_SHOTS=dir keeps the screenshots.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	node, browser := program(t, "node"), program(t, "chromium", "chromium-browser", "google-chrome")
	program(t, "ffmpeg")
	modules, err := filepath.Abs("../../.cache/browser/node_modules")
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(modules, "playwright-core", "package.json"))
	need(t, "playwright-core", err)
	shots, size := os.Getenv("WATCH_SHOTS"), "1280x720"
	if shots == "" {
		shots, size = t.TempDir(), "640x360"
	}
	b := serve(t, size)
	b.makePictures()

	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "page.js"), browser, b.pages.URL, b.control.URL, shots)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "HOME="+home)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}
