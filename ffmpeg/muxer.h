// lpms_muxer writes H.264 and AAC packets as an MPEG transport stream into the
// caller's memory.

#ifndef LPMS_MUXER_H
#define LPMS_MUXER_H

#include <stddef.h>
#include <stdint.h>

#include "result.h"

typedef struct lpms_muxer lpms_muxer;

enum { LPMS_H264 = 1, LPMS_AAC };

typedef struct lpms_track {
    int codec;
    int width, height;         // video
    int sample_rate, channels; // audio
} lpms_track;

typedef struct lpms_packet {
    int track;
    int key;
    int64_t dts, pts, duration; // 90 kHz
} lpms_packet;

// The code of a packet whose output needs more room than was given.
extern const int lpms_no_room;

typedef struct lpms_written {
    lpms_result result;
    size_t size; // bytes written; after lpms_no_room, the room that is needed
} lpms_written;

// Makes an empty muxer. Add the tracks, then start it; on any failure, close it.
lpms_result lpms_muxer_open(lpms_muxer **m);
// The extradata is copied.
lpms_result lpms_muxer_add(lpms_muxer *m, lpms_track t, const uint8_t *extradata, int size);
lpms_result lpms_muxer_start(lpms_muxer *m);
void lpms_muxer_close(lpms_muxer **m);

// Writes one packet as TS packets to dst. The data is copied, dst is not kept. After
// a failure the next packet may be written.
lpms_written lpms_muxer_write(lpms_muxer *m, lpms_packet p, const uint8_t *data, int size,
                              uint8_t *dst, size_t room);

// Makes the next packet begin with PAT and PMT.
lpms_result lpms_muxer_cut(lpms_muxer *m);

#endif
