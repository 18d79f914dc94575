// Package watch is the web pages of the Streaming Back-End: a list of what is live, and a
// player for each stream.
//
// New gives a handler for the root of a server that serves the presentations at
// /stream/NAME.m3u8 of the same origin:
//
//	GET /                      the list
//	GET /watch/NAME            the player, which waits when the stream is not live yet
//	GET /watch/NAME?embed=1    the player alone, for a frame on another site
//	GET /streams.json          what the pages show: the public part of the status
//	GET /thumbnail/NAME.jpg    a picture of the stream
//	GET /assets/HASH/FILE      scripts and styles
//
// The pages are HTML, CSS and ES modules as they stand in pages and assets, without a build
// step; hls.js is the only script that is not ours. They load nothing from other origins.
// The package makes no pictures, counts no viewers and starts no goroutine.
package watch
