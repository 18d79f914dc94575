package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBenchCluster(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		says []string
	}{
		"load": {"-cluster -streams 4 -segment 200ms -size 2000 -work 5ms -workers 2 -duration 400ms -origins 2", []string{
			"4 streams of 2 broadcasters", "3 renditions of 500 bytes", "2 workers take 2 segments", "\noffered       8 ", "\nfailed        0 ", "\noverhead p50  ", "\nmemory ",
		}},
		"latency": {"-latency --cluster", []string{"200 jobs", "100 KiB   25 KiB", "4096 KiB  1024 KiB", "less 0s"}},
		"scaling": {"-cluster -scaling -work 5ms -duration 100ms -size 100", []string{"sleep for 5ms", "\n       1        20 ", "\n       8       160 ", "0.9 is the goal"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.True(t, asksForCluster(strings.Fields(c.args)))
			require.Equal(t, 0, benchCluster(t.Context(), strings.Fields(c.args), &out))
			t.Log(out.String())
			for _, text := range c.says {
				require.Contains(t, out.String(), text)
			}
		})
	}
}

func TestBenchFlags(t *testing.T) {
	for args, want := range map[string]int{
		"-cluster -help":              0,
		"-help":                       0,
		"-cluster -nonsense":          2,
		"-cluster stray":              2,
		"-cluster -streams -5":        2,
		"-cluster -latency -scaling":  2,
		"-cluster -latency -size 5":   2,
		"-cluster -scaling -slots 5":  2,
		"-cluster=true -size 1TB":     2,
		"-size 1280x720 -streams 100": 2,
		"cluster":                     2,
	} {
		t.Run(args, func(t *testing.T) {
			require.Equal(t, want, run(t.Context(), append([]string{"bench"}, strings.Fields(args)...)))
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	require.Equal(t, 1, run(ctx, strings.Fields("bench -cluster -streams 10")))
}

func TestRounded(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", 1234: "1.23µs", 12_345: "12.3µs", 123_456: "123µs", 1_234_567: "1.23ms", 45_678_901: "45.7ms", 1_234_567_890: "1.23s", 61_987_654_321: "1m1.99s",
	} {
		require.Equal(t, want, rounded(in).String())
	}
}

func TestFirstWarnings(t *testing.T) {
	var out bytes.Buffer
	warn := firstWarnings(&out)
	for i := range 100 {
		warn("number %d", i)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, maxWarnings+1)
	require.Equal(t, "warning: number 19", lines[19])
	require.Equal(t, "warning: and so on", lines[20])
}
