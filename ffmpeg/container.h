// lpms_container writes units as one file of libavformat's into memory.

#ifndef LPMS_CONTAINER_H
#define LPMS_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "result.h"

struct AVCodecParameters;

typedef struct lpms_container lpms_container;

// Fills in the size and pixel format of a video track, which transport streams do not say,
// from an access unit that begins with parameter sets.
lpms_result lpms_params_learn(struct AVCodecParameters *par, const uint8_t *data, int size);

// lpms_sample is a unit whose times are in the time base of its track.
typedef struct lpms_sample {
    int track, key;
    int64_t dts, pts, duration;
} lpms_sample;

typedef struct lpms_time_base {
    int num, den;
} lpms_time_base;

typedef struct lpms_bytes {
    const uint8_t *data;
    size_t size;
} lpms_bytes;

// Makes an empty container of one of libavformat's muxers that holds at most limit bytes:
// set options and metadata, add the tracks, then start it. On any failure, close it.
lpms_result lpms_container_open(lpms_container **c, const char *muxer, size_t limit);
void lpms_container_close(lpms_container **c);

// Sets an option of the muxer, or one that all muxers have.
lpms_result lpms_container_option(lpms_container *c, const char *name, const char *value);
lpms_result lpms_container_metadata(lpms_container *c, const char *key, const char *value);

// Adds a track. The parameters are copied; the extradata takes the place of theirs. The tag
// is the container's name of the codec, 0 for the usual one; scale are the wished ticks per
// second, 0 for the usual ones.
lpms_result lpms_container_add(lpms_container *c, const struct AVCodecParameters *par,
                               const uint8_t *extradata, int size, uint32_t tag, int scale);

// Writes the header. With hide_sdt, a transport stream has no SDT; with it, the first
// stands behind the PMT.
lpms_result lpms_container_start(lpms_container *c, int hide_sdt);

// The time base that the muxer chose for a track; only after the start.
lpms_time_base lpms_container_time_base(const lpms_container *c, int track);

// Writes one unit. The data is copied.
lpms_result lpms_container_write(lpms_container *c, lpms_sample s, const uint8_t *data, int size);
// Makes the next fragment of an MP4 start at its own times instead of at the end of the
// fragment before.
lpms_result lpms_container_break(lpms_container *c);
// Writes the trailer: the last that may be written.
lpms_result lpms_container_finish(lpms_container *c);

// What was written since the last lpms_container_taken; good until the next call.
lpms_bytes lpms_container_bytes(const lpms_container *c);
void lpms_container_taken(lpms_container *c);

#endif
