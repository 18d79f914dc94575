package lpms_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/internal/testmedia"
)

func TestMain(m *testing.M) {
	flag.Set("logtostderr", "true")
	flag.Set("stderrthreshold", "FATAL")
	flag.Parse()
	dir, err := os.MkdirTemp("", "lpms")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	clipDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var (
	clipDir string
	clipMu  sync.Mutex
	clipsOf = map[string][]rtmp.Message{}
)

// clip makes a clip once for all tests.
func clip(t testing.TB, name string, c testmedia.Clip) []rtmp.Message {
	clipMu.Lock()
	defer clipMu.Unlock()
	if m := clipsOf[name]; m != nil {
		return m
	}
	path, err := c.Make(clipDir, filepath.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := testmedia.ReadFLV(path)
	if err != nil {
		t.Fatal(err)
	}
	clipsOf[name] = m
	return m
}
