package ffmpeg

// #include <libavcodec/avcodec.h>
// #include "thumbnail.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// The box of a thumbnail, in pixels.
const (
	ThumbnailWidth  = 320
	ThumbnailHeight = 180
)

// Thumbnail makes a JPEG of the first keyframe of a segment or file, MPEG-TS, MP4 or FLV,
// on the caller's goroutine. Nothing else is decoded, and nothing else is opened, whatever
// the file says.
//
// The picture is upright and has square pixels. It has the shape that players show, fits
// into ThumbnailWidth x ThumbnailHeight, is in neither direction larger than the source,
// and its sides are even. Colours are those of standard dynamic range: HDR is not mapped
// to it, and looks pale.
//
// ErrFormat is another container, ErrTranscoderVid a file without a keyframe that can be
// decoded; what libav reports is an *Error. The segment is borrowed for the call, the JPEG
// is the caller's.
func Thumbnail(segment []byte) ([]byte, error) {
	jpeg, err := firstKeyframe(segment)
	if err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	return jpeg, nil
}

func firstKeyframe(segment []byte) ([]byte, error) {
	if segment == nil {
		return nil, ErrFormat
	}
	d, err := openDemuxer(Input{Data: segment})
	if err != nil {
		return nil, err
	}
	defer d.close()
	// Tables of a file can name the same bytes over and over.
	for left := len(segment); left >= 0; {
		u, err := d.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		left -= len(u.data)
		if d.tracks[u.track].video && u.key {
			return keyframeJPEG(&d.tracks[u.track], &u)
		}
	}
	return nil, fmt.Errorf("%w: there is no keyframe", ErrTranscoderVid)
}

// keyframeJPEG decodes one unit.
func keyframeJPEG(t *demuxTrack, u *unit) ([]byte, error) {
	dec, err := openDecoder(t.params, 1, Software, "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTranscoderVid, err)
	}
	defer dec.close()
	err = dec.send(u)
	if end := dec.send(nil); err == nil {
		err = end
	}
	p, none := dec.receive()
	if none != nil {
		return nil, fmt.Errorf("%w: %w", ErrTranscoderVid, cmp.Or(err, none))
	}
	defer p.release()
	rotation := t.rotation
	if p.c.rotation >= 0 {
		rotation = int(p.c.rotation)
	}
	chain := filterChain(false, rotation) // so much smaller, two fields look like one
	if chain == "" {
		return p.jpeg(t.pixelShape(p, rotation))
	}
	f, err := openFilter(p, chain)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var jpeg []byte
	emit := func(turned *picture) (err error) {
		jpeg, err = turned.jpeg(t.pixelShape(turned, rotation))
		return err
	}
	if err := f.filter(p, 0, emit); err != nil || jpeg != nil {
		return jpeg, err
	}
	return jpeg, f.end(1, emit)
}

// makeThumbnail makes the thumbnail of the input of its first picture, beside the
// renditions. Nobody is told of a failure: the next segment has a picture too.
func (r *run) makeThumbnail(p *picture) {
	if r.opts.Thumbnail == nil || r.in.NoThumbnail {
		return
	}
	sar := r.d.tracks[r.video].pixelShape(p, r.rotation)
	p.retain()
	r.wg.Go(func() {
		r.turns <- struct{}{}
		jpeg, err := p.jpeg(sar)
		p.release()
		<-r.turns
		if err == nil && r.ctx.Err() == nil {
			r.opts.Thumbnail(jpeg)
		}
	})
}

// jpeg makes a thumbnail of an upright picture, whose pixels have a shape.
func (p *picture) jpeg(sar rational) ([]byte, error) {
	liveHandles.Add(1)
	defer liveHandles.Add(-1)
	var c *C.AVPacket
	defer C.lpms_thumbnail_free(&c)
	w, h := thumbnailSize(p.width(), p.height(), sar)
	if err := resultError(C.lpms_thumbnail_make(&p.c, C.int(w), C.int(h), &c)); err != nil {
		return nil, err
	}
	return C.GoBytes(unsafe.Pointer(c.data), c.size), nil
}

// thumbnailSize is the largest size with the shape that is shown, within the box and
// within the source. Sides are even and at least 2.
func thumbnailSize(srcW, srcH int, sar rational) (w, h int) {
	pixel := 1.0
	if sar.num > 0 && sar.den > 0 {
		pixel = sar.float()
	}
	shownW, shownH := float64(srcW)*pixel, float64(srcH)
	scale := min(1, 1/pixel, ThumbnailWidth/shownW, ThumbnailHeight/shownH)
	side := func(shown float64, src int) int {
		return max(min(evenDown(int(shown*scale+1)), evenDown(src)), 2)
	}
	return side(shownW, srcW), side(shownH, srcH)
}
