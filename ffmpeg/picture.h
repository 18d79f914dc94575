// lpms_picture describes a decoded frame, which stays in C's memory.

#ifndef LPMS_PICTURE_H
#define LPMS_PICTURE_H

#include <stdint.h>

struct AVFrame;

typedef struct lpms_picture {
    struct AVFrame *frame; // the receiver's, who calls lpms_picture_free
    int64_t pts, duration; // LPMS_NO_TIME, 0 when unknown
    int width, height, pix_fmt;
    int interlaced;
    int rotation;          // clockwise degrees to turn it by; -1: as the one before
    int sar_num, sar_den;  // 0 when unknown
    int range, space, primaries, transfer; // colour, in libavutil's numbers
} lpms_picture;

// The clockwise turn that a display matrix asks for: 0, 90, 180 or 270 degrees.
int lpms_rotation(const int32_t *matrix);

void lpms_picture_describe(lpms_picture *p);
void lpms_picture_free(lpms_picture *p);

#endif
