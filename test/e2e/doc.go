// Package e2e tests cmd/example from outside: it starts the real program on free ports
// and drives it with the programs that people use. ffmpeg publishes and plays,
// rtmpdump and nginx-rtmp are RTMP peers, ffprobe reads every segment, and a headless
// Chromium plays the HLS with hls.js.
//
// scripts/test-deps.sh installs what the tests need; a program that is missing is a
// failure, never a skipped test; only those that need networks of their own (network namespaces, an
// address that is not loopback) skip, with the reason, where they cannot be had.
//
// Nothing here is timed: a test waits for a condition, and its deadline is only there
// to end a test that has failed already.
package e2e
