#include "picture.h"
#include "compat.h"
#include "unit.h"

#include <libavutil/display.h>
#include <libavutil/frame.h>

int lpms_rotation(const int32_t *matrix)
{
    double theta = matrix ? -av_display_rotation_get(matrix) : 0;

    if (!(theta >= -360 && theta <= 360)) // also not a number
        return 0;
    return ((int)(theta + 360 + 45) / 90) % 4 * 90;
}

void lpms_picture_describe(lpms_picture *p)
{
    const AVFrame *f = p->frame;
    const AVFrameSideData *matrix = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);

    p->pts = f->pts != AV_NOPTS_VALUE ? f->pts : LPMS_NO_TIME;
    p->duration = FFMAX(lpms_frame_duration(f), 0);
    p->width = f->width;
    p->height = f->height;
    p->pix_fmt = f->format;
    p->interlaced = lpms_frame_interlaced(f);
    p->rotation = matrix && matrix->size >= 9 * sizeof(int32_t) ? lpms_rotation((const int32_t *)matrix->data) : -1;
    p->sar_num = f->sample_aspect_ratio.num;
    p->sar_den = f->sample_aspect_ratio.den;
    p->range = f->color_range;
    p->space = f->colorspace;
    p->primaries = f->color_primaries;
    p->transfer = f->color_trc;
}

void lpms_picture_free(lpms_picture *p)
{
    av_frame_free(&p->frame);
}
