package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

var (
	repository string // its root folder
	workDir    string // of the whole run, removed at its end
	example    string // the programs under test, built by TestMain
	backEnd    string
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	for _, name := range []string{"ffmpeg", "ffprobe", "rtmpdump"} {
		if _, err := exec.LookPath(name); err != nil {
			return 1, missing(name)
		}
	}
	if repository, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	if workDir, err = os.MkdirTemp("", "lpms-e2e"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(workDir)
	example, backEnd = filepath.Join(workDir, "example"), filepath.Join(workDir, "lpms")
	if err := errors.Join(build(example), build(backEnd)); err != nil {
		return 1, err
	}
	// Live streams take their time and little else: run many at once, whatever the
	// number of cores.
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		flag.Set("test.parallel", "32")
	}
	code = m.Run()
	if code == 0 {
		err = goleak.Find()
	}
	return code, err
}

// missing says what to do when a program is not there.
func missing(name string) error {
	return fmt.Errorf("%s is missing: run scripts/test-deps.sh", name)
}

// build makes the program of that name with the race detector, or without it where that does not
// work. What the detector finds fails the test: see server.end.
func build(path string) error {
	var failures error
	for _, args := range [][]string{{"-race"}, nil} {
		cmd := exec.Command("go", append(append([]string{"build"}, args...), "-o", path, "./cmd/"+filepath.Base(path))...)
		cmd.Dir = repository
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		failures = errors.Join(failures, fmt.Errorf("%v: %w\n%s", cmd.Args, err, out))
	}
	return failures
}
