// Package transcoder fills the renditions of a live presentation from its source.
//
// It stands beside the segmenter: that one appends the source's segments to a
// [stream.HLSBuffer], a [Transcoder] reads them there and appends each rendition of them,
// under the same number and with the same times. What makes the renditions is an
// [Engine]: [Local] transcodes in this process, others may send segments elsewhere.
//
// The smallest use:
//
//	engine := transcoder.NewLocal(transcoder.LocalOptions{}) // one for all streams
//	t, err := transcoder.New(buf, transcoder.Options{Stream: id, Engine: engine, Renditions: ladder})
//	if err != nil {
//		return err
//	}
//	go t.Run(ctx) // beside whatever fills the source
//
// The caller's duties, in order: make one engine for the process and one Transcoder for
// each presentation, call [Transcoder.Run] whenever a publisher begins, end the presentation
// when the publisher has gone for good, wait for Run. [Transcoder.SetRenditions] changes
// what is made while it runs.
//
// When the machine cannot keep up, whole segments are left out: the playlist of a rendition
// marks them as gaps, the renditions go on near the live edge, and the source is never held
// up. A segment that cannot be transcoded is such a gap too. A rendition that fails again
// and again leaves the presentation until it works again.
//
// Which segment is next and which are left out is decided by a planner that knows no
// goroutine, no clock and no engine.
//
// What is made is the caller's choice. [DefaultLadder] proposes renditions for a source,
// [FitLadder] leaves out of a list what a source cannot have, [NamedRendition] knows the
// presets; all are pure functions, and [SourceOf] makes their input of what ffmpeg.Probe
// found.
//
// The package does not look at the source by itself, does not know what the machine
// can carry, does not end presentations, and does not log: events go to Options.OnEvent.
package transcoder
