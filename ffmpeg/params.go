package ffmpeg

// #include <libavcodec/codec_par.h>
import "C"

// params are the parameters of one elementary stream: what an encoder or a demuxer says of
// it. They lie in C's memory and are never changed once they are handed on.
type params struct {
	c *C.AVCodecParameters
}

// newParams takes over what C made.
func newParams(c *C.AVCodecParameters) *params {
	liveHandles.Add(1)
	return &params{c: c}
}

// close frees them; it may be called again.
func (p *params) close() {
	if p != nil && p.c != nil {
		C.avcodec_parameters_free(&p.c)
		liveHandles.Add(-1)
	}
}

// unit is one access unit of a track, on its way to a container.
type unit struct {
	track    int
	dts, pts clock
	duration clock // zero when unknown
	key      bool
	data     []byte
}
