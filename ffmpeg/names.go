package ffmpeg

// #include <libavutil/log.h>
// #include <libavutil/pixfmt.h>
// #include "probe.h"
import "C"

import (
	"fmt"
	"math"
	"time"
)

// This file holds the names that embedders of the published LPMS use, as thin faces.

// Format is a container.
type Format int

// The containers.
const (
	FormatNone Format = iota
	FormatMPEGTS
	FormatMP4
)

// String names the container.
func (f Format) String() string {
	switch f {
	case FormatNone:
		return "no format"
	case FormatMPEGTS:
		return "MPEG-TS"
	case FormatMP4:
		return "MP4"
	}
	return fmt.Sprintf("Format(%d)", int(f))
}

// ExtensionFormats gives the container of a file extension.
var ExtensionFormats = map[string]Format{
	".ts":  FormatMPEGTS,
	".mp4": FormatMP4,
}

// FormatExtensions gives the file extension of a container.
var FormatExtensions = map[Format]string{
	FormatNone:   ".ts",
	FormatMPEGTS: ".ts",
	FormatMP4:    ".mp4",
}

// VideoCodec is a video coding format.
type VideoCodec int

// The video codecs.
const (
	H264 VideoCodec = iota
	H265
	VP8
	VP9
	AV1
)

// String names the codec as FFmpeg does.
func (c VideoCodec) String() string {
	for name, v := range FfmpegNameToVideoCodec {
		if v == c {
			return name
		}
	}
	return fmt.Sprintf("VideoCodec(%d)", int(c))
}

// FfmpegNameToVideoCodec gives the codec of one of FFmpeg's names.
var FfmpegNameToVideoCodec = map[string]VideoCodec{
	"h264": H264,
	"hevc": H265,
	"vp8":  VP8,
	"vp9":  VP9,
	"av1":  AV1,
}

// InitFFmpeg lets FFmpeg's libraries write warnings to standard error. Without it,
// or one of the two below, they write nothing.
func InitFFmpeg() { InitFFmpegWithLogLevel(FFLogWarning) }

// InitFFmpegWithLogLevel sets what FFmpeg's libraries write to standard error, for
// the whole process.
func InitFFmpegWithLogLevel(level LogLevel) { setLogLevel(int(level)) }

// FfmpegSetLogLevel is InitFFmpegWithLogLevel with FFmpeg's own numbers.
func FfmpegSetLogLevel(level int) { setLogLevel(level) }

// FfmpegGetLogLevel is the level in force, in FFmpeg's own numbers.
func FfmpegGetLogLevel() int { return int(C.av_log_get_level()) }

// ChromaSubsampling is how often colour is sampled.
type ChromaSubsampling int

// The chroma subsamplings.
const (
	ChromaSubsampling420 ChromaSubsampling = iota
	ChromaSubsampling422
	ChromaSubsampling444
)

// ColorDepthBits is the number of bits of a colour component above eight.
type ColorDepthBits int

// The colour depths.
const (
	ColorDepth8Bit  ColorDepthBits = 0
	ColorDepth10Bit ColorDepthBits = 2
	ColorDepth12Bit ColorDepthBits = 4
	ColorDepth16Bit ColorDepthBits = 8
)

// Values of PixelFormat.RawValue.
const (
	PixelFormatNone        int = C.AV_PIX_FMT_NONE
	PixelFormatNV12        int = C.AV_PIX_FMT_NV12
	PixelFormatNV21        int = C.AV_PIX_FMT_NV21
	PixelFormatYUV420P     int = C.AV_PIX_FMT_YUV420P
	PixelFormatYUV422P     int = C.AV_PIX_FMT_YUV422P
	PixelFormatYUV444P     int = C.AV_PIX_FMT_YUV444P
	PixelFormatUYVY422     int = C.AV_PIX_FMT_UYVY422
	PixelFormatYUYV422     int = C.AV_PIX_FMT_YUYV422
	PixelFormatYUV420P10BE int = C.AV_PIX_FMT_YUV420P10BE
	PixelFormatYUV420P10LE int = C.AV_PIX_FMT_YUV420P10LE
	PixelFormatYUV422P10BE int = C.AV_PIX_FMT_YUV422P10BE
	PixelFormatYUV422P10LE int = C.AV_PIX_FMT_YUV422P10LE
	PixelFormatYUV444P10BE int = C.AV_PIX_FMT_YUV444P10BE
	PixelFormatYUV444P10LE int = C.AV_PIX_FMT_YUV444P10LE
)

// PixelFormat is FFmpeg's number of a pixel format.
type PixelFormat struct {
	RawValue int
}

// Properties gives the subsampling and depth of a YUV format; others are ErrFormat.
func (pixelFormat PixelFormat) Properties() (ChromaSubsampling, ColorDepthBits, error) {
	var depth, w, h C.int
	if C.lpms_pix_fmt_describe(C.int(pixelFormat.RawValue), &depth, &w, &h) != 0 {
		chroma, known := map[[2]C.int]ChromaSubsampling{
			{1, 1}: ChromaSubsampling420,
			{1, 0}: ChromaSubsampling422,
			{0, 0}: ChromaSubsampling444,
		}[[2]C.int{w, h}]
		bits := ColorDepthBits(depth - 8)
		switch bits {
		case ColorDepth8Bit, ColorDepth10Bit, ColorDepth12Bit, ColorDepth16Bit:
			if known {
				return chroma, bits, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("%w: pixel format %d", ErrFormat, pixelFormat.RawValue)
}

// CodecStatus says whether a segment can be transcoded.
type CodecStatus int

// What GetCodecInfoBytes answers.
const (
	// CodecStatusInternalError: the bytes could not be read; the error says why.
	CodecStatusInternalError CodecStatus = iota - 1
	// CodecStatusOk: there are pictures and sound.
	CodecStatusOk
	// CodecStatusNeedsBypass: there is a video track, but no picture in it could be
	// decoded, and there is sound: pass the segment on as it is.
	CodecStatusNeedsBypass
	// CodecStatusMissing: there is no video track, or no audio track.
	CodecStatusMissing
)

// MediaFormatInfo describes a segment.
type MediaFormatInfo struct {
	Format         string // FFmpeg's name of the container
	Acodec, Vcodec string // FFmpeg's names of the codecs; empty without such a track
	PixFormat      PixelFormat
	Width, Height  int
	FPS            float32
	DurSecs        int64 // rounded down
	AudioBitrate   int   // bits per second; zero when unknown
}

// ScaledHeight is the height that keeps the picture's shape at a width: the nearest
// even number, or zero when the shape is unknown.
func (f *MediaFormatInfo) ScaledHeight(width int) int { return scaled(width, f.Height, f.Width) }

// ScaledWidth is the width that keeps the picture's shape at a height: the nearest
// even number, or zero when the shape is unknown.
func (f *MediaFormatInfo) ScaledWidth(height int) int { return scaled(height, f.Width, f.Height) }

func scaled(n, num, den int) int {
	if n <= 0 || num <= 0 || den <= 0 {
		return 0
	}
	return max(int(math.Round(float64(n)*float64(num)/float64(den)/2))*2, 2)
}

// GetCodecInfoBytes describes a segment by its first video and audio track, see Probe.
func GetCodecInfoBytes(data []byte) (CodecStatus, MediaFormatInfo, error) {
	none := PixelFormat{RawValue: PixelFormatNone}
	info, err := Probe(data)
	if err != nil {
		return CodecStatusInternalError, MediaFormatInfo{PixFormat: none}, err
	}
	f := MediaFormatInfo{Format: info.Format, PixFormat: none, DurSecs: int64(info.Duration / time.Second)}
	video, audio := info.Video(), info.Audio()
	if video != nil {
		f.Vcodec, f.PixFormat = video.Codec, video.Video.PixFormat
		f.Width, f.Height, f.FPS = video.Video.Width, video.Video.Height, float32(video.Video.FPS)
	}
	if audio != nil {
		f.Acodec, f.AudioBitrate = audio.Codec, audio.BitRate
	}
	switch {
	case video == nil || audio == nil:
		return CodecStatusMissing, f, nil
	case video.Packets == 0 || f.PixFormat == none:
		return CodecStatusNeedsBypass, f, nil
	}
	return CodecStatusOk, f, nil
}
