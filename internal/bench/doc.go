//go:build linux

// Command bench measures the example server beside nginx-rtmp, nginx and an ideal
// sender, on this machine and in one run, and prints a Markdown table.
//
// It is the load too: it publishes a clip in real time by the client of internal/rtmp,
// plays it, and fetches it over HTTP. The servers are processes of their own on free
// ports of 127.0.0.1; what they cost is read from /proc. The usual way to run it is
// "make bench".
//
// A figure that misses its target does not fail the run: the exit code tells only
// whether everything could be measured. It needs ffmpeg, nginx with its RTMP module,
// and wrk.
package main
