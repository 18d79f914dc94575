package ffmpeg

// #include <libavcodec/codec_par.h>
// #include <libavutil/error.h>
import "C"

// params are the parameters of one elementary stream: what an encoder or a demuxer says of
// it. They lie in C's memory and are never changed once they are handed on.
type params struct {
	c *C.AVCodecParameters
}

// newParams takes over what C made.
func newParams(c *C.AVCodecParameters) *params {
	if c != nil {
		liveHandles.Add(1)
	}
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

// clone makes a copy, which is closed by itself.
func (p *params) clone() (*params, error) {
	q := newParams(C.avcodec_parameters_alloc())
	if q.c == nil {
		return nil, &Error{Op: "avcodec_parameters_alloc", Code: C.AVERROR_UNKNOWN}
	}
	if code := C.avcodec_parameters_copy(q.c, p.c); code < 0 {
		q.close()
		return nil, &Error{Op: "avcodec_parameters_copy", Code: int(code)}
	}
	return q, nil
}
