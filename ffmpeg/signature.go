package ffmpeg

// #include "signature.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// A signature says in a few bytes for each picture what a video looks like. The format is
// our own, not that of MPEG-7: signatureMagic, then for each picture, in the order they are
// shown, the time after the first one in microseconds (4 bytes, big endian), each later than
// the one before, and the brightness of the picture shrunk to 8x8, a byte each.
const (
	signatureMagic  = "LPMSsig\x01"
	signatureSide   = 8
	signatureCells  = signatureSide * signatureSide
	signatureRecord = 4 + signatureCells
	// maxSignature is more pictures than an input of a Transcoder can have.
	maxSignature = maxFrameRate * int(MaxInputDuration/time.Second)
)

type signedPicture struct {
	at    time.Duration
	cells []byte // of the signature
}

// makeSignature decodes the video of an input and signs it.
func makeSignature(in Input) ([]byte, error) {
	b := []byte(signatureMagic)
	sc := newScaler(signatureSide, signatureSide, PixelFormatYUV420P)
	defer sc.close()
	first, last := noTime, time.Duration(-1)
	err := eachPicture(in, func(p *picture) error {
		if first == noTime {
			first = p.pts()
		}
		at := (p.pts() - first).duration() / time.Microsecond
		if at <= last || at > math.MaxUint32 {
			return nil // shown at no time of its own
		}
		last = at
		small, err := sc.scale(p)
		if err != nil {
			return err
		}
		defer small.release()
		var cells [signatureCells]byte
		C.lpms_picture_luma(&small.c, (*C.uint8_t)(&cells[0]))
		b = binary.BigEndian.AppendUint32(b, uint32(at))
		b = append(b, cells[:]...)
		return nil
	})
	if err == nil && first == noTime {
		err = fmt.Errorf("%w: no picture to sign", ErrTranscoderVid)
	}
	return b, err
}

// eachPicture decodes the first video track of an input.
func eachPicture(in Input, f func(*picture) error) error {
	d, err := openDemuxer(in)
	if err != nil {
		return err
	}
	defer d.close()
	var dec *decoder
	defer func() { dec.close() }()
	track := -1
	for {
		u, err := d.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		ended := err != nil
		switch {
		case ended && dec == nil:
			return nil
		case ended:
			err = dec.send(nil)
		case track < 0 && d.tracks[u.track].video:
			track = u.track
			if dec, err = openDecoder(d.tracks[track].params, 1, Software, ""); err != nil {
				return err
			}
			fallthrough
		case u.track == track:
			err = dec.send(&u)
		default:
			continue
		}
		for err == nil {
			var p *picture
			if p, err = dec.receive(); err == nil {
				err = f(p)
				p.release()
				if err != nil {
					return err
				}
			}
		}
		if !errors.Is(err, errAgain) {
			return err
		}
		if ended {
			return nil
		}
	}
}

// parseSignature reads a signature; what is none is ErrFormat.
func parseSignature(b []byte) ([]signedPicture, error) {
	if len(b) < len(signatureMagic) || string(b[:len(signatureMagic)]) != signatureMagic {
		return nil, fmt.Errorf("%w: this is no signature", ErrFormat)
	}
	b = b[len(signatureMagic):]
	n := len(b) / signatureRecord
	if n == 0 || n > maxSignature || len(b)%signatureRecord != 0 {
		return nil, fmt.Errorf("%w: a signature of %d bytes", ErrFormat, len(b))
	}
	ps := make([]signedPicture, n)
	for i := range ps {
		r := b[i*signatureRecord:]
		ps[i] = signedPicture{time.Duration(binary.BigEndian.Uint32(r)) * time.Microsecond, r[4:signatureRecord]}
		if i > 0 && ps[i].at <= ps[i-1].at {
			return nil, fmt.Errorf("%w: a signature whose times do not advance", ErrFormat)
		}
	}
	return ps, nil
}

// distance is how much the brightness of two videos differs, as the root of the mean square,
// when b is shown later by offset, and how many pictures were compared. Each picture of a is
// compared with the one that b shows at that time.
func distance(a, b []signedPicture, offset time.Duration) (rms float64, n int) {
	sum, j := 0, 0
	for _, p := range a {
		at := p.at - offset
		if at < 0 || at > b[len(b)-1].at {
			continue
		}
		for j+1 < len(b) && b[j+1].at-at <= at-b[j].at {
			j++
		}
		for i, c := range p.cells {
			d := int(c) - int(b[j].cells[i])
			sum += d * d
		}
		n++
	}
	return math.Sqrt(float64(sum) / float64(signatureCells*max(n, 1))), n
}
