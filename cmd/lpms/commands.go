package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/settings"
)

// healthcheck asks a server on this machine whether it is well, for Docker.
func healthcheck(ctx context.Context, args []string) int {
	url := "http://127.0.0.1:8935/healthz"
	switch {
	case len(args) > 1 || len(args) == 1 && args[0] == "-help":
		fmt.Fprintln(os.Stderr, "usage: lpms healthcheck [URL]   exits with 0 when URL (default "+url+") answers 200")
		return 2
	case len(args) == 1:
		url = args[0]
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms healthcheck:", err)
		return 2
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms healthcheck:", err)
		return 1
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "lpms healthcheck:", url, "answers", resp.Status)
		return 1
	}
	return 0
}

// presets lists what -transcodingOptions takes by name.
func presets(_ context.Context, args []string) int {
	if len(args) > 0 {
		fmt.Fprintln(os.Stderr, "usage: lpms presets   lists the names for -transcodingOptions")
		return 2
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSIZE\tFPS\tBITRATE")
	for _, name := range settings.Presets() {
		p, ok := ffmpeg.VideoProfileLookup[name]
		if !ok {
			fmt.Fprintf(w, "%s\t\t\t\n", name)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", name, p.Resolution, p.Framerate, p.Bitrate)
	}
	if err := w.Flush(); err != nil {
		return 1
	}
	return 0
}
