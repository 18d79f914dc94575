// Package lpms is a live media server to embed: it takes RTMP in and gives RTMP and
// HLS out.
//
// Make one with [New], register what to do with publishers and viewers, and call
// [LPMS.Start]:
//
//   - [LPMS.HandleRTMPPublish] names each published stream, or refuses it, says where
//     its media goes, and hears of its end;
//   - [LPMS.HandleRTMPPlay] finds the stream for an RTMP player;
//   - [LPMS.HandleHLSPlay] finds the presentation for an HTTP viewer.
//
// The callbacks are called from many goroutines at once: what they share needs a
// lock. A callback that was not registered refuses its kind of request.
//
// [LPMS.Start] opens the ports and blocks. When its context ends, the ports are
// closed, publishers and viewers are told, and all goroutines are waited for.
//
// Playback by HLS obeys RFC 8216 and Apple's authoring rules; the last segment and the
// ended playlist stay available for a while after a publisher has left. A publisher
// whose connection breaks may come back: viewers see a discontinuity, not a new URL.
//
// What it does not do: it does not record, and it does not open a connection to
// anybody.
package lpms
