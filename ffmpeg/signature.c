#include "signature.h"

#include <string.h>

#include <libavutil/frame.h>

void lpms_picture_luma(const lpms_picture *p, uint8_t *out)
{
    const AVFrame *f = p->frame;

    for (int y = 0; y < f->height; y++)
        memcpy(out + (size_t)y * f->width, f->data[0] + (ptrdiff_t)y * f->linesize[0], f->width);
}
