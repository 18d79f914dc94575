package push

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/livepeer/lpms/ffmpeg"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if n := ffmpeg.LiveHandles(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d C handles were left open\n", n)
		code = 1
	}
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
