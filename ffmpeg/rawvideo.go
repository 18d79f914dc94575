package ffmpeg

// #include <libavutil/pixfmt.h>
// #include "encode.h"
// #include "rawencode.h"
import "C"

import (
	"fmt"
	"strconv"
	"time"
	"unsafe"
)

// RawVideoOptions says how raw pictures are encoded. A field that is 0 or empty has its
// default, except for the size.
type RawVideoOptions struct {
	Width, Height int    // luma samples: even, 16 to 8192
	FrameRate     int    // pictures a second, 1 to 240; default 30
	GOP           int    // pictures from one keyframe to the next, 1 to 3600; default two seconds
	Bitrate       int    // bit/s at most, 10,000 to 200,000,000; easy pictures take less; default 2,500,000
	Preset        string // x264's; default "superfast". Slower ones cost CPU
}

// RawOptionError is an option of a raw encoder that cannot be used.
type RawOptionError struct {
	Option string // the name of the field
	Value  any
	Want   string // what it must be
}

// Error names the option, its value and what it must be.
func (e *RawOptionError) Error() string {
	return fmt.Sprintf("ffmpeg: %s is %v: %s", e.Option, e.Value, e.Want)
}

// checkRange gives an unset option its default and checks it.
func checkRange(option string, v *int, def, least, most int) error {
	if *v == 0 {
		*v = def
	}
	if *v < least || *v > most {
		return &RawOptionError{option, *v, fmt.Sprintf("must be %d to %d", least, most)}
	}
	return nil
}

func (o *RawVideoOptions) validate() error {
	for _, side := range []struct {
		option string
		v      int
	}{{"Width", o.Width}, {"Height", o.Height}} {
		if side.v < 16 || side.v > 8192 || side.v%2 != 0 {
			return &RawOptionError{side.option, side.v, "must be an even number from 16 to 8192"}
		}
	}
	if o.Width*o.Height > maxRawPixels {
		return &RawOptionError{"Height", o.Height, "makes a picture of more than 36 million pixels"}
	}
	if o.Preset == "" {
		o.Preset = "superfast"
	}
	if err := checkRange("FrameRate", &o.FrameRate, 30, 1, 240); err != nil {
		return err
	}
	if err := checkRange("GOP", &o.GOP, 2*o.FrameRate, 1, 3600); err != nil {
		return err
	}
	return checkRange("Bitrate", &o.Bitrate, 2_500_000, 10_000, 200_000_000)
}

// rawFinest is the smallest quantiser of x264. With it nobody sees a loss; less would spend bits and
// CPU on pictures that are easy, only to reach the bitrate.
const rawFinest = "16"

// maxRawPixels is what the parsers of the project read at most.
const maxRawPixels = 36_000_000

// RawVideoEncoder encodes pictures to H.264 for a live stream: every picture comes out at once,
// in the order it went in, and keyframes are IDR pictures at exact multiples of the GOP. The
// colours are BT.709 in the limited range. It is for one goroutine at a time.
type RawVideoEncoder struct {
	opts      RawVideoOptions
	enc       *encoder
	frame     *picture // the encoder's input, filled anew for each picture
	extradata []byte
	last      int64 // the number of the last picture, -1 before the first
	flushed   bool
}

// NewRawVideoEncoder opens an encoder; it runs on the caller's thread. A bad option is a
// *RawOptionError, what libav refuses (an unknown preset, a build without x264) an *Error.
// Close it to free its memory, which is C's.
func NewRawVideoEncoder(opts RawVideoOptions) (*RawVideoEncoder, error) {
	quietLog()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	v := &RawVideoEncoder{opts: opts, last: -1}
	if err := v.open(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (v *RawVideoEncoder) open() (err error) {
	o := &v.opts
	cfg := encoderConfig{
		name: "libx264", rate: rational{o.FrameRate, 1}, gop: o.GOP, bFrames: 0, threads: 1,
		bitRate: o.Bitrate, maxRate: o.Bitrate, buffer: o.Bitrate,
		size: look{
			width: o.Width, height: o.Height, pixFmt: C.AV_PIX_FMT_YUV420P, sar: rational{1, 1},
			colorRange: C.AVCOL_RANGE_MPEG, space: C.AVCOL_SPC_BT709, primaries: C.AVCOL_PRI_BT709, curve: C.AVCOL_TRC_BT709,
		},
	}
	cfg.setOptions(map[string]string{
		"preset": o.Preset, "tune": "zerolatency", "forced-idr": "1", "qmin": rawFinest,
		"flags": "+global_header", "sc_threshold": "0", "keyint_min": strconv.Itoa(o.GOP),
	})
	if v.enc, err = openEncoder(cfg, false); err != nil {
		return err
	}
	if v.extradata, err = avcRecord(v.enc.params.extradata()); err != nil {
		return err
	}
	var c C.lpms_picture
	if err := resultError(C.lpms_raw_frame_open(&c.frame, C.int(o.Width), C.int(o.Height))); err != nil {
		return err
	}
	v.frame = newPicture(c)
	return nil
}

// Extradata is the AVCDecoderConfigurationRecord, for Track and RTMP's sequence header; the
// packets have no parameter sets. The bytes are the caller's to read only.
func (v *RawVideoEncoder) Extradata() []byte { return v.extradata }

// Encode takes picture number n, which is shown at n/FrameRate seconds, as tightly packed
// planes: Width*Height bytes of y, a quarter of that each of u and v, borrowed for the call.
// Numbers rise (ErrTimestamp), and may leave some out: the first picture of each GOP's
// numbers is a keyframe, so keyframes stay where they are in time. The packets, mostly one, have length
// fields of four bytes, and their data is the caller's.
func (v *RawVideoEncoder) Encode(n int64, y, cb, cr []byte) ([]Packet, error) {
	if v.frame == nil || v.flushed {
		return nil, ErrClosed
	}
	luma := v.opts.Width * v.opts.Height
	if len(y) != luma || len(cb) != luma/4 || len(cr) != luma/4 {
		return nil, fmt.Errorf("%w: planes of %d, %d and %d bytes for %dx%d: must be tightly packed 4:2:0",
			ErrFormat, len(y), len(cb), len(cr), v.opts.Width, v.opts.Height)
	}
	if n <= v.last || n < 0 || n > maxRawNumber {
		return nil, fmt.Errorf("%w: picture %d after %d", ErrTimestamp, n, v.last)
	}
	r := C.lpms_raw_frame_fill(v.frame.c.frame, bytesC(y), bytesC(cb), bytesC(cr))
	if err := resultError(r); err != nil {
		return nil, err
	}
	kind := C.int(C.LPMS_TYPE_ANY)
	if gop := int64(v.opts.GOP); v.last < 0 || n/gop != v.last/gop {
		kind = C.LPMS_TYPE_KEY
	}
	if err := resultError(C.lpms_encoder_send(v.enc.c, v.frame.c.frame, C.int64_t(n), kind)); err != nil {
		return nil, err
	}
	v.last = n
	return v.receive()
}

// maxRawNumber keeps times within a time.Duration.
const maxRawNumber = 1 << 32

// Flush gives what the encoder still holds, which is nothing with these settings of x264. After
// it nothing can be encoded.
func (v *RawVideoEncoder) Flush() ([]Packet, error) {
	if v.frame == nil || v.flushed {
		return nil, ErrClosed
	}
	v.flushed = true
	if err := resultError(C.lpms_encoder_send(v.enc.c, nil, 0, 0)); err != nil {
		return nil, err
	}
	return v.receive()
}

func (v *RawVideoEncoder) receive() (out []Packet, err error) {
	for {
		var c C.lpms_unit
		r := C.lpms_encoder_receive(v.enc.c, &c)
		if r.code == C.lpms_again || r.code == C.lpms_eof {
			return out, nil
		}
		if err := resultError(r); err != nil {
			return out, err
		}
		u := unitFromC(&c)
		out = append(out, Packet{
			DTS: v.time(int64(u.dts)), PTS: v.time(int64(u.pts)), Duration: time.Second / time.Duration(v.opts.FrameRate),
			Key: u.key, Data: fromAnnexB(u.data),
		})
	}
}

// time is when picture number n is shown.
func (v *RawVideoEncoder) time(n int64) time.Duration {
	return time.Duration(mulDiv(n, int64(time.Second), int64(v.opts.FrameRate)))
}

// Close frees the encoder. It may be called again.
func (v *RawVideoEncoder) Close() {
	v.enc.close()
	v.frame.release()
	v.frame = nil
}

// bytesC is where the bytes lie, for the length of a call.
func bytesC(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }
