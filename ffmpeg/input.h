// lpms_input opens a media file that lies in memory, or that an open file descriptor
// gives, as libavformat's input. It opens nothing else, whatever the file says.

#ifndef LPMS_INPUT_H
#define LPMS_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "result.h"

enum { LPMS_ANY, LPMS_MPEGTS, LPMS_MP4, LPMS_FLV };

enum { LPMS_MAX_STREAMS = 16 };

// The decoders that may be used.
#define LPMS_DECODERS "h264,hevc,vp8,vp9,av1,libdav1d,aac,mp3,mp3float,ac3,eac3,opus,libopus"

#define LPMS_MAX_PIXELS (36 << 20) // of a picture that is decoded; 8192x4320 is below

struct AVFormatContext;
struct AVIOContext;

typedef struct lpms_input {
    struct AVFormatContext *fmt;
    struct AVIOContext *pb;
    const uint8_t *data; // or NULL, then fd counts
    int64_t size, pos;
    int fd;
    const int *stop; // set to end waiting for input, or NULL
} lpms_input;

// Opens data, which must stay where it is until lpms_input_close, or fd when data is NULL. in is zeroed
// first; close it also after a failure.
lpms_result lpms_input_open(lpms_input *in, const uint8_t *data, size_t size, int fd, int container, const int *stop);
void lpms_input_close(lpms_input *in);

#endif
