#include "scale.h"
#include "compat.h"
#include "resize.h"

#include <string.h>

#include <libavutil/buffer.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#define ALIGN 64 // bytes, of lines

struct lpms_scaler {
    struct SwsContext *sws;    // or
    lpms_resizer *luma, *chroma;
    int width, height, pix_fmt;
    AVBufferPool *pool; // pictures come and go: fresh memory for each would cost page faults
};

// Pictures that the resizer takes: planes of 8 bits, 4:2:0, made smaller.
static int is_simple(const lpms_picture *in, int width, int height, int pix_fmt)
{
    return in->pix_fmt == pix_fmt && (pix_fmt == AV_PIX_FMT_YUV420P || pix_fmt == AV_PIX_FMT_YUVJ420P) &&
           in->width >= width && in->height >= height && in->width <= 16 * width && in->height <= 16 * height;
}

static lpms_result open_resizers(lpms_scaler *s, const lpms_picture *in)
{
    s->luma = lpms_resizer_open(in->width, in->height, s->width, s->height);
    s->chroma = lpms_resizer_open((in->width + 1) / 2, (in->height + 1) / 2, (s->width + 1) / 2, (s->height + 1) / 2);
    return s->luma && s->chroma ? lpms_ok() : lpms_fail(AVERROR(ENOMEM), "open resizer");
}

static lpms_result open_sws(lpms_scaler *s, const lpms_picture *in)
{
    const int *coefficients = sws_getCoefficients(in->space);
    int full = in->range == AVCOL_RANGE_JPEG;

    s->sws = sws_getContext(in->width, in->height, in->pix_fmt, s->width, s->height, s->pix_fmt, SWS_BICUBIC, NULL, NULL, NULL);
    if (!s->sws)
        return lpms_fail(AVERROR(EINVAL), "sws_getContext");
    // Colours stay what they are.
    sws_setColorspaceDetails(s->sws, coefficients, full, coefficients, full, 0, 1 << 16, 1 << 16);
    return lpms_ok();
}

lpms_result lpms_scaler_open(lpms_scaler **out, const lpms_picture *in, int width, int height, int pix_fmt)
{
    lpms_scaler *s = *out = av_mallocz(sizeof(*s));
    int size = av_image_get_buffer_size(pix_fmt, width, height, ALIGN);

    if (!s)
        return lpms_fail(AVERROR(ENOMEM), "open scaler");
    if (size < 0)
        return lpms_fail(size, "open scaler");
    s->width = width;
    s->height = height;
    s->pix_fmt = pix_fmt;
    // Filters and encoders read past the end of a line.
    if (!(s->pool = av_buffer_pool_init(size + 4 * ALIGN, NULL)))
        return lpms_fail(AVERROR(ENOMEM), "av_buffer_pool_init");
    return is_simple(in, width, height, pix_fmt) ? open_resizers(s, in) : open_sws(s, in);
}

void lpms_scaler_close(lpms_scaler **sp)
{
    lpms_scaler *s = *sp;

    if (!s)
        return;
    sws_freeContext(s->sws);
    lpms_resizer_close(&s->luma);
    lpms_resizer_close(&s->chroma);
    av_buffer_pool_uninit(&s->pool);
    av_freep(sp);
}

static int alloc_picture(lpms_scaler *s, AVFrame *f)
{
    int err;

    f->width = s->width;
    f->height = s->height;
    f->format = s->pix_fmt;
    if (!(f->buf[0] = av_buffer_pool_get(s->pool)))
        return AVERROR(ENOMEM);
    err = av_image_fill_arrays(f->data, f->linesize, f->buf[0]->data, s->pix_fmt, s->width, s->height, ALIGN);
    f->extended_data = f->data;
    return err;
}

static int scale(lpms_scaler *s, const AVFrame *src, AVFrame *dst)
{
    if (s->sws)
        return sws_scale(s->sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height, dst->data, dst->linesize);
    lpms_resizer_resize(s->luma, src->data[0], src->linesize[0], dst->data[0], dst->linesize[0]);
    lpms_resizer_resize(s->chroma, src->data[1], src->linesize[1], dst->data[1], dst->linesize[1]);
    lpms_resizer_resize(s->chroma, src->data[2], src->linesize[2], dst->data[2], dst->linesize[2]);
    return 0;
}

lpms_result lpms_scaler_scale(lpms_scaler *s, const lpms_picture *in, lpms_picture *out)
{
    AVFrame *dst = av_frame_alloc();
    int err;

    memset(out, 0, sizeof(*out));
    if (!dst)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    if ((err = alloc_picture(s, dst)) < 0 || (err = av_frame_copy_props(dst, in->frame)) < 0 ||
        (err = scale(s, in->frame, dst)) < 0) {
        av_frame_free(&dst);
        return lpms_fail(err, "scale");
    }
    out->frame = dst;
    lpms_picture_describe(out);
    return lpms_ok();
}
