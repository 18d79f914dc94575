// lpms_probe says what is in a media file that lies in memory.

#ifndef LPMS_PROBE_H
#define LPMS_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "input.h"
#include "result.h"

typedef struct lpms_stream_info {
    int video, audio;  // neither: another kind, nothing else is set
    const char *codec; // static
    int64_t start, duration; // ns; 0 when unknown
    int64_t bit_rate;
    int64_t packets;
    int first_key;
    int width, height, pix_fmt;
    int fps_num, fps_den;
    int sample_rate, channels;
} lpms_stream_info;

typedef struct lpms_info {
    const char *format;      // static
    int64_t start, duration; // ns; 0 when unknown
    int64_t bit_rate;
    int streams;
    lpms_stream_info stream[LPMS_MAX_STREAMS];
} lpms_info;

// Reads size bytes at data, which are borrowed for the call, as the given container.
lpms_result lpms_probe(const uint8_t *data, size_t size, int container, lpms_info *info);

// Depth and chroma shifts of a planar or packed YUV pixel format; 0 when it is another.
int lpms_pix_fmt_describe(int pix_fmt, int *depth, int *log2_chroma_w, int *log2_chroma_h);

#endif
