// Package segmenter reads a packet stream and appends self-contained segments, cut at
// the source's keyframes, to an HLS presentation.
//
// [New] makes a segmenter before the publisher is let in, so that no packet is
// missed; [Segmenter.Run] works until the stream ends. Every packet that came in is in
// exactly one segment, the first and the last included.
//
// When to cut is decided by a planner that knows no goroutine, no wall clock and no C;
// the segments are written by package ffmpeg, a whole segment at a time, from the
// packets that the stream holds anyway.
//
// It reads no network, starts no goroutine and serves nobody.
package segmenter
