#include "scale.h"
#include "compat.h"

#include <string.h>

#include <libavutil/frame.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

struct lpms_scaler {
    struct SwsContext *sws;
    int width, height, pix_fmt;
};

lpms_result lpms_scaler_open(lpms_scaler **out, const lpms_picture *in, int width, int height, int pix_fmt)
{
    lpms_scaler *s = *out = av_mallocz(sizeof(*s));
    const int *coefficients = sws_getCoefficients(in->space);
    int full = in->range == AVCOL_RANGE_JPEG;

    if (!s)
        return lpms_fail(AVERROR(ENOMEM), "open scaler");
    s->width = width;
    s->height = height;
    s->pix_fmt = pix_fmt;
    s->sws = sws_getContext(in->width, in->height, in->pix_fmt, width, height, pix_fmt, SWS_BICUBIC, NULL, NULL, NULL);
    if (!s->sws)
        return lpms_fail(AVERROR(EINVAL), "sws_getContext");
    // Colours stay what they are.
    sws_setColorspaceDetails(s->sws, coefficients, full, coefficients, full, 0, 1 << 16, 1 << 16);
    return lpms_ok();
}

void lpms_scaler_close(lpms_scaler **sp)
{
    if (!*sp)
        return;
    sws_freeContext((*sp)->sws);
    av_freep(sp);
}

lpms_result lpms_scaler_scale(lpms_scaler *s, const lpms_picture *in, lpms_picture *out)
{
    const AVFrame *src = in->frame;
    AVFrame *dst = av_frame_alloc();
    int err;

    memset(out, 0, sizeof(*out));
    if (!dst)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    dst->width = s->width;
    dst->height = s->height;
    dst->format = s->pix_fmt;
    if ((err = av_frame_get_buffer(dst, 0)) < 0 || (err = av_frame_copy_props(dst, src)) < 0 ||
        (err = sws_scale(s->sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height, dst->data, dst->linesize)) < 0) {
        av_frame_free(&dst);
        return lpms_fail(err, "scale");
    }
    out->frame = dst;
    lpms_picture_describe(out);
    return lpms_ok();
}
