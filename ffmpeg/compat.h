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

// The bytes an AVIO write callback gets are const since 7.0.
#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t lpms_avio_byte;
#else
typedef uint8_t lpms_avio_byte;
#endif

#endif
