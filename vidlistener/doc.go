// Package vidlistener turns one RTMP publish connection into one stream, from its
// first packet to its last.
//
// [NewSource] wraps an accepted publisher; stream.VideoStream.WriteRTMPToStream reads
// it. On the way the publisher's clock is repaired, once, for everybody behind: 32-bit
// wrap, jumps, decoding times that go back, audio times rounded to milliseconds.
//
// It parses codec configurations with bounded parsers and refuses what is not
// supported by name. It starts no goroutine, accepts no connection and knows no
// segment.
package vidlistener
