// Package push takes live streams by HTTP: a publisher sends one segment after the other to
// /live/{name}/{n}.ts or .mp4, with POST or PUT.
//
// It stands where vidlistener and the segmenter stand for RTMP: what it appends to the source
// of a [stream.HLSBuffer] is what players see and what a transcoder works on. The smallest
// use:
//
//	h := push.New(push.Options{Open: open}) // open returns the presentation of a name
//	defer h.Close()
//	mux.Handle("/live/", h)
//
// The caller's duties, in order: decide in Options.Authorize who may push and in Options.Open
// what a new stream is, fill the renditions beside the source (or none), end the presentation
// when its Show is closed, and close the handler when the HTTP server stops: requests that are
// there are answered then.
//
// # What a segment is
//
// Every body is probed and remuxed to MPEG-TS without transcoding, whatever it came as: the
// bytes decide which container it is, not the extension, and what is neither MPEG-TS nor MP4,
// or has no picture or sound that can be decoded, is 422. Start, duration, codecs and size are
// those of the media. Content-Duration counts only when the media does not say how long it is
// (a single picture without sound), and Content-Resolution is checked for its syntax.
//
// Times stay as they are, with the 33 bits of transport streams unwrapped. An MP4 that begins
// within its first second has a clock of its own: it is placed right behind the segment before
// it, the first one at 10 s.
//
// # The order
//
// n is the publisher's own number, 0 to 2^53; players see the numbers of the buffer.
//   - n after n-1 goes on.
//   - A segment that was taken already (same number and bytes, among the last 16) is answered
//     again and not appended again.
//   - A segment that overtook others waits up to Options.OrderWait for them.
//   - A number that leaves others out is a discontinuity. What was left out is refused with
//     409 when it comes after all.
//   - Any other number that is not higher than the last is a publisher that began again: a
//     discontinuity, and counting goes on from there.
//
// A discontinuity is also where times leave out more than 500 ms or go back by more than 200 ms,
// and where codecs or the size of the picture change.
//
// The target duration is that of the first segment, rounded up to seconds, at least 2 s. A
// segment that is too long for it later ends the playlist and begins a new one with a longer
// target duration (stream.HLSBuffer.End and Resume), because players must never see it change.
//
// # The answer
//
// It is 200 and empty as soon as the source has the segment. With Accept: multipart/mixed
// it comes when the renditions are made, and has them as parts; see Options.ResultWait. Names of
// renditions that could not be made are in the header Missing-Renditions; when none could be,
// the answer is 503, and sending the segment again asks again.
//
// Everything else is a sentence with one of the statuses: 400 (path, number, headers, or a body
// that was cut off), 403 (not allowed), 404 (not below /live/), 405 (method), 408 (too slow), 409
// (the name is live from elsewhere, or the segment came too late), 413 (too large), 422 (no
// media), 500, 503 with Retry-After (no capacity, or the server stops).
//
// A stream ends when no segment has come for Options.IdleEnd, or with [Handler.Close].
//
// The package does not transcode, does not keep presentations over publishers, and does not
// log. It tells publishers apart by what Options.Authorize says.
package push
