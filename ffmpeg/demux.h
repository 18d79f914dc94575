// lpms_demuxer reads the access units of a media file.

#ifndef LPMS_DEMUX_H
#define LPMS_DEMUX_H

#include "input.h"
#include "unit.h"

struct AVCodecParameters;

typedef struct lpms_demuxer lpms_demuxer;

typedef struct lpms_demux_track {
    int video, audio;
    int rotation;           // clockwise degrees to turn the picture by: 0, 90, 180, 270
    int fps_num, fps_den;   // what the container says; 0 when it says nothing
    int sar_num, sar_den;   // the shape of a pixel that the container says
} lpms_demux_track;

// Opens data, which must stay where it is until the close, or fd when data is NULL.
// stop, when not NULL, is set to something else than 0 to end waiting for input.
lpms_result lpms_demuxer_open(lpms_demuxer **d, const uint8_t *data, size_t size, int fd, int container, const int *stop);
void lpms_demuxer_close(lpms_demuxer **d);

// 1 when times are those of a transport stream: as they are there, of 33 bits.
int lpms_demuxer_wraps(const lpms_demuxer *d);

// Tracks may be added while units are read.
int lpms_demuxer_tracks(const lpms_demuxer *d);
lpms_demux_track lpms_demuxer_track(const lpms_demuxer *d, int index);
// A copy, to be freed by the caller.
lpms_result lpms_demuxer_params(const lpms_demuxer *d, int index, struct AVCodecParameters **par);

// Reads the next unit; its data is good until the next call. lpms_eof is the code at the end.
lpms_result lpms_demuxer_next(lpms_demuxer *d, lpms_unit *u);

#endif
