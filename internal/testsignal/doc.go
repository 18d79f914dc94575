// Package testsignal makes a live test signal: a test card with a clock, and a tone.
//
// The picture shows colour bars, the name of the stream, the time of day to the millisecond (UTC),
// the number of the picture and a bar that sweeps once a second. At each full second two fields
// flash, and the tone beeps: whether sound and picture are together can be seen and heard.
// A player's delay is its wall clock less the time in its picture.
//
// In the flow a [Source] stands where a publisher does:
//
//	src, err := testsignal.New(testsignal.Options{Name: "test"})
//	if err != nil {
//		return err
//	}
//	defer src.Close()
//	return videoStream.WriteRTMPToStream(ctx, src)
//
// The caller's duties: one goroutine reads, and the source is closed in the end, from any
// goroutine. A source starts no goroutine: whoever reads does the work, which is drawing what
// changed, x264 and AAC.
package testsignal
