//go:build linux

// Command benchtranscode measures ffmpeg.Ladder beside the ffmpeg program, on this machine
// and in one run, and prints Markdown tables: processor time, wall time per segment, quality
// at the same bits, and where the time goes.
//
// Each contender is a process of its own, so that its processor time is what the kernel
// says of it; ours is this program, started again. Runs are made in turns and medians are
// taken. The usual way to run it is "make bench-transcode".
//
// A figure that misses its limit does not fail the run: the exit code tells only whether
// everything could be measured. It needs ffmpeg and ffprobe, and perf for the profile.
package main
