package ffmpeg

// #include <libavcodec/codec_par.h>
// #include "rawencode.h"
import "C"

import (
	"fmt"
	"slices"
	"time"
	"unsafe"
)

// RawAudioOptions says how raw sound is encoded. A field that is 0 has its default.
type RawAudioOptions struct {
	SampleRate int // Hz, one that AAC has an index for: 8000 to 96000; default 48000
	Channels   int // 1 or 2; default 2
	Bitrate    int // bit/s, 8,000 to 512,000; default 96,000
}

// rawRates are the rates of ISO/IEC 14496-3 table 1.18 that the encoder takes.
var rawRates = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}

func (o *RawAudioOptions) validate() error {
	if o.SampleRate == 0 {
		o.SampleRate = 48000
	}
	if !slices.Contains(rawRates, o.SampleRate) {
		return &RawOptionError{"SampleRate", o.SampleRate, fmt.Sprintf("must be one of %d", rawRates)}
	}
	if err := checkRange("Channels", &o.Channels, 2, 1, 2); err != nil {
		return err
	}
	return checkRange("Bitrate", &o.Bitrate, 96_000, 8_000, 512_000)
}

// RawAudioEncoder encodes sound to AAC-LC. It is for one goroutine at a time.
type RawAudioEncoder struct {
	c         *C.lpms_raw_audio
	opts      RawAudioOptions
	extradata []byte
	size      int       // samples of each channel in a frame
	held      []float32 // interleaved, less than a frame
	sent      int64     // samples of each channel given to the encoder
	flushed   bool
}

// NewRawAudioEncoder opens an encoder. A bad option is a *RawOptionError, what libav refuses an
// *Error. Close it to free its memory, which is C's.
func NewRawAudioEncoder(opts RawAudioOptions) (*RawAudioEncoder, error) {
	quietLog()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	a := &RawAudioEncoder{opts: opts}
	liveHandles.Add(1)
	if err := a.open(); err != nil {
		a.free()
		return nil, err
	}
	return a, nil
}

func (a *RawAudioEncoder) open() error {
	o := &a.opts
	if err := resultError(C.lpms_raw_audio_open(&a.c, C.int(o.SampleRate), C.int(o.Channels), C.int64_t(o.Bitrate))); err != nil {
		return err
	}
	a.size = int(C.lpms_raw_audio_frame_size(a.c))
	var par *C.AVCodecParameters
	err := resultError(C.lpms_raw_audio_params(a.c, &par))
	p := newParams(par)
	defer p.close()
	if err != nil {
		return err
	}
	if a.extradata = slices.Clone(p.extradata()); len(a.extradata) < 2 {
		return errInvalid("read the encoder's AudioSpecificConfig")
	}
	return nil
}

// Extradata is the AudioSpecificConfig, for Track and RTMP's sequence header. The bytes are the
// caller's to read only.
func (a *RawAudioEncoder) Extradata() []byte { return a.extradata }

// FrameSamples is how many samples of each channel a packet holds.
func (a *RawAudioEncoder) FrameSamples() int { return a.size }

// Encode takes samples from -1 to 1, interleaved, whole ones of all channels (ErrFormat
// otherwise), borrowed for the call. They go on where those of the last call ended; the first
// is at time 0. What is less than a frame waits for more. The packets, without ADTS headers, are
// the caller's. They come a frame late, and the first is before time 0: it holds nothing,
// but lets a decoder make all of the next one.
func (a *RawAudioEncoder) Encode(interleaved []float32) ([]Packet, error) {
	if a.c == nil || a.flushed {
		return nil, ErrClosed
	}
	if len(interleaved)%a.opts.Channels != 0 {
		return nil, fmt.Errorf("%w: %d samples for %d channels", ErrFormat, len(interleaved), a.opts.Channels)
	}
	var out []Packet
	frame := a.size * a.opts.Channels
	for len(interleaved) > 0 {
		if len(a.held) == 0 && len(interleaved) >= frame { // nothing to copy
			if err := a.send(interleaved[:frame], &out); err != nil {
				return out, err
			}
			interleaved = interleaved[frame:]
			continue
		}
		n := min(frame-len(a.held), len(interleaved))
		a.held = append(a.held, interleaved[:n]...)
		interleaved = interleaved[n:]
		if len(a.held) == frame {
			err := a.send(a.held, &out)
			a.held = a.held[:0]
			if err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// Flush gives the rest, up to a frame of silence behind the last sample. After it nothing can be
// encoded.
func (a *RawAudioEncoder) Flush() (out []Packet, err error) {
	if a.c == nil || a.flushed {
		return nil, ErrClosed
	}
	a.flushed = true
	if len(a.held) > 0 {
		if err := a.send(a.held, &out); err != nil {
			return out, err
		}
	}
	return out, a.send(nil, &out)
}

// send gives the encoder a frame, nil at the end, and appends what is ready to out.
func (a *RawAudioEncoder) send(frame []float32, out *[]Packet) error {
	n := len(frame) / a.opts.Channels
	r := C.lpms_raw_audio_send(a.c, (*C.float)(unsafe.SliceData(frame)), C.int(n), C.int64_t(a.sent))
	if err := resultError(r); err != nil {
		return err
	}
	a.sent += int64(n)
	for {
		var c C.lpms_unit
		r := C.lpms_raw_audio_receive(a.c, &c)
		if r.code == C.lpms_again || r.code == C.lpms_eof {
			return nil
		}
		if err := resultError(r); err != nil {
			return err
		}
		u := unitFromC(&c)
		at := a.time(int64(u.pts))
		*out = append(*out, Packet{DTS: at, PTS: at, Duration: a.time(int64(a.size)), Key: true, Data: u.data})
	}
}

// time is when sample number n is heard.
func (a *RawAudioEncoder) time(n int64) time.Duration {
	return time.Duration(mulDiv(n, int64(time.Second), int64(a.opts.SampleRate)))
}

// Close frees the encoder. It may be called again.
func (a *RawAudioEncoder) Close() {
	if a.c != nil {
		a.free()
	}
}

func (a *RawAudioEncoder) free() {
	C.lpms_raw_audio_close(&a.c)
	liveHandles.Add(-1)
}
