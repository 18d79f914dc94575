// Package backend is the Streaming Back-End: it wires the media server, the transcoder, the
// watch page, HTTP push and the test signal into one process.
//
// It stands at the top of the flow, below cmd/lpms, which gives it its settings and its log:
//
//	b, err := backend.New(backend.Options{RTMPAddr: ":1935", HTTPAddr: ":8935", Auto: true})
//	if err != nil {
//		return err
//	}
//	return b.Run(ctx)
//
// Each stream is a show: a presentation with its transcoder, on a goroutine of its own that
// plans the ladder when the source is known, and again when it changes. One more goroutine
// looks at all shows once a second and decides, by a controller that knows no clock, which
// renditions the machine has no room for.
package backend
