// Package stream holds live media in memory.
//
// A [VideoStream] fans out the packets of one publisher: a ring of immutable
// packets with an index of its groups of pictures, and a cursor for each reader.
// Writing never waits. A reader that is too slow loses packets and goes on at the
// newest keyframe; it delays neither the writer nor other readers.
//
// An [HLSBuffer] is one live presentation: a window of immutable segments for the
// source and for each rendition, and the playlists that list them, rendered once for
// each change and shared as bytes.
//
// It is the vocabulary of the whole system and imports none of its packages. In the
// flow it stands behind vidlistener, which writes packets, and in front of segmenter
// and vidplayer, which read them. It starts no goroutine.
//
// Bytes handed to a stream are read-only from then on.
package stream
