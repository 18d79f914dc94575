// Command lpms is the Streaming Back-End: publish a stream by RTMP, and the world watches it
// by HLS, in several qualities.
//
//	lpms                          # RTMP 1935, HTTP 8935
//	lpms -testSignal hello_world  # a stream without any other program
//	lpms -help                    # all settings
//	lpms bench                    # how many streams this machine carries
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/golang/glog"

	"github.com/livepeer/lpms/internal/settings"
)

// version is set by the build: -ldflags "-X main.version=...".
var version = ""

// versionText is the version of the build, or of the commit it was made of.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:]))
}

// badSettings is the exit code that deploy/lpms.service knows: EX_CONFIG of sysexits.h. A crash
// of Go is 2.
const badSettings = 78

// run returns the exit code.
func run(ctx context.Context, args []string) int {
	if len(args) > 0 {
		if c := commands[args[0]]; c != nil {
			return c(ctx, args[1:])
		}
	}
	s, err := settings.Parse(args, os.LookupEnv, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil && s.Version:
		fmt.Println("lpms", versionText())
		return 0
	}
	if err = errors.Join(err, settings.CheckEnv(os.Environ())); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nSee lpms -help.\n", err)
		return badSettings
	}
	logTo(s.V)
	defer glog.Flush()
	if err := serve(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "lpms:", err)
		return 1
	}
	return 0
}

// commands are the first arguments that are no flags.
var commands = map[string]func(ctx context.Context, args []string) int{
	"bench":       bench,
	"healthcheck": healthcheck,
	"presets":     presets,
	"workers":     workers,
}
