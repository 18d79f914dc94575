// lpms_encoder encodes pictures to the units of one video track.

#ifndef LPMS_ENCODE_H
#define LPMS_ENCODE_H

#include "picture.h"
#include "result.h"
#include "unit.h"

struct AVCodecParameters;

typedef struct lpms_encoder lpms_encoder;

typedef struct lpms_encoder_config {
    const char *name; // libavcodec's
    int width, height, pix_fmt;
    int fps_num, fps_den;
    int grid;      // pictures are numbered in units of 1/(fps*grid) seconds
    int64_t bit_rate, max_rate, buffer; // 0: the encoder's default
    int gop;       // pictures between keyframes; below 0: the encoder's default
    int b_frames;  // below 0: the encoder's default
    int threads;
    int sar_num, sar_den;
    int range, space, primaries, transfer;
} lpms_encoder_config;

enum { LPMS_TYPE_ANY, LPMS_TYPE_KEY, LPMS_TYPE_P };

// Options are pairs of the encoder's own; one that it does not have is an error, whose
// text is written to unknown.
lpms_result lpms_encoder_open(lpms_encoder **e, const lpms_encoder_config *c, const char *const *options, int pairs,
                              char *unknown, int unknown_size);
void lpms_encoder_close(lpms_encoder **e);

// How many pictures a unit may be behind the one that comes before it in time.
int lpms_encoder_delay(const lpms_encoder *e);
// A copy, to be freed by the caller.
lpms_result lpms_encoder_params(const lpms_encoder *e, struct AVCodecParameters **par);

// The number n rises from picture to picture. NULL: no more pictures come.
lpms_result lpms_encoder_send(lpms_encoder *e, const struct AVFrame *frame, int64_t n, int type);
// Gives a unit whose pts and dts are numbers of pictures; the data is good until the next
// call. lpms_again: another picture is needed. lpms_eof: all units were given.
lpms_result lpms_encoder_receive(lpms_encoder *e, lpms_unit *u);

// 1 when libavcodec has an encoder of that name.
int lpms_encoder_exists(const char *name);

#endif
