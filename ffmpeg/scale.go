package ffmpeg

// #include "scale.h"
import "C"

// scaler brings pictures to one size and pixel format. It is for one goroutine at a time.
type scaler struct {
	c      *C.lpms_scaler
	from   look
	width  int
	height int
	pixFmt int
}

func newScaler(width, height, pixFmt int) *scaler {
	return &scaler{width: width, height: height, pixFmt: pixFmt}
}

// scale returns the picture in the right size; the caller releases it. One that has the
// size already is passed on.
func (s *scaler) scale(p *picture) (*picture, error) {
	from := p.look()
	if from.width == s.width && from.height == s.height && from.pixFmt == s.pixFmt {
		return p.retain(), nil
	}
	if s.c == nil || from != s.from {
		s.close()
		r := C.lpms_scaler_open(&s.c, &p.c, C.int(s.width), C.int(s.height), C.int(s.pixFmt))
		if s.c != nil {
			liveHandles.Add(1)
		}
		if err := resultError(r); err != nil {
			s.close()
			return nil, err
		}
		s.from = from
	}
	var out C.lpms_picture
	if err := resultError(C.lpms_scaler_scale(s.c, &p.c, &out)); err != nil {
		return nil, err
	}
	return newPicture(out), nil
}

func (s *scaler) close() {
	if s != nil && s.c != nil {
		C.lpms_scaler_close(&s.c)
		liveHandles.Add(-1)
	}
}
