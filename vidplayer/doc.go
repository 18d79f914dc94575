// Package vidplayer serves streams to viewers: packets over RTMP, playlists and
// segments over HTTP.
//
// RTMP: [Players] serves accepted players. The plain TCP players of one stream are
// served by one loop that writes the same encoded bytes to each of them without
// blocking; a player that takes nothing costs the others nothing.
//
// HTTP: [HLSHandler] answers for presentations, by the rules of RFC 8216 and Apple's
// authoring specification.
//
// It reads package stream and changes nothing in it, and accepts no connection by
// itself.
package vidplayer
