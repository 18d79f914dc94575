// Every dependence on a libav version stands in this file. The floor is
// FFmpeg 5.1; the code compiles without deprecated names up to 9.0.

#ifndef LPMS_COMPAT_H
#define LPMS_COMPAT_H

#if defined(__has_include)
#if !__has_include(<libavformat/avformat.h>)
#error "FFmpeg's headers were not found: install libavformat-dev, libavcodec-dev and libavutil-dev (5.1 or newer), or run install_ffmpeg.sh and set PKG_CONFIG_PATH"
#endif
#endif

#include <libavcodec/version.h>
#include <libavformat/version.h>
#include <libavutil/version.h>

#if LIBAVFORMAT_VERSION_INT < AV_VERSION_INT(59, 27, 100) || \
    LIBAVCODEC_VERSION_INT < AV_VERSION_INT(59, 37, 100) ||  \
    LIBAVUTIL_VERSION_INT < AV_VERSION_INT(57, 28, 100)
#error "FFmpeg 5.1 or newer is needed: these headers are older; run install_ffmpeg.sh and set PKG_CONFIG_PATH"
#endif

#include <stdint.h>

#include <libavutil/frame.h>

// The bytes an AVIO write callback gets are const since 7.0.
#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t lpms_avio_byte;
#else
typedef uint8_t lpms_avio_byte;
#endif

#include <libavformat/avformat.h>

// Side data of a stream moved to its parameters in 6.1.
static inline const int32_t *lpms_stream_display_matrix(const AVStream *st)
{
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *sd = av_packet_side_data_get(st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data,
                                                         AV_PKT_DATA_DISPLAYMATRIX);
    return sd && sd->size >= 9 * sizeof(int32_t) ? (const int32_t *)sd->data : NULL;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
#endif
}

// The flags of a frame were fields before 6.1.
static inline int lpms_frame_interlaced(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 29, 100)
    return !!(f->flags & AV_FRAME_FLAG_INTERLACED);
#else
    return f->interlaced_frame;
#endif
}

// A frame's duration had another name before 6.0.
static inline int64_t lpms_frame_duration(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    return f->duration;
#else
    return f->pkt_duration;
#endif
}

#endif
