package e2e

import (
	"os"
	"testing"
	"time"
)

// A person finds a stream in the list and watches it, and the player follows what the network
// can carry: testdata/watchpage.js says what they see and do. WATCH_SHOTS=dir keeps screenshots.
//
// It runs before the parallel tests: a picture that stops for want of processor time is a failure.
func TestBackEndWatchPage(t *testing.T) {
	s := serveBackEnd(t, "-testSignal", "hello_world")
	s.ladder(t, "hello_world")
	person := node(t, "watchpage.js", chromium(t), "http://"+s.http+"/", "hello_world", os.Getenv("WATCH_SHOTS"))
	person.succeed(t, 6*time.Minute)
	t.Logf("%s", person.log)
}
