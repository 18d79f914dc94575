// lpms_scaler changes the size and the pixel format of pictures.

#ifndef LPMS_SCALE_H
#define LPMS_SCALE_H

#include "picture.h"
#include "result.h"

typedef struct lpms_scaler lpms_scaler;

// From pictures like in to the given size and pixel format.
lpms_result lpms_scaler_open(lpms_scaler **s, const lpms_picture *in, int width, int height, int pix_fmt);
void lpms_scaler_close(lpms_scaler **s);

lpms_result lpms_scaler_scale(lpms_scaler *s, const lpms_picture *in, lpms_picture *out);

#endif
