#include "thumbnail.h"
#include "compat.h"

#include <math.h>

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#define QUALITY 4 // of 1 (best) to 31: about 10 KB for a picture full of detail

static AVFrame *alloc_frame(int width, int height, int pix_fmt)
{
    AVFrame *f = av_frame_alloc();

    if (!f)
        return NULL;
    f->width = width;
    f->height = height;
    f->format = pix_fmt;
    if (av_frame_get_buffer(f, 0) < 0)
        av_frame_free(&f);
    return f;
}

// Of pictures that do not say how their colours are coded, players take the large ones for
// BT.709 and the others for BT.601.
static int color_space(const lpms_picture *in)
{
    if (in->space != AVCOL_SPC_UNSPECIFIED)
        return in->space;
    return FFMAX(in->width, in->height) >= 1280 || FFMIN(in->width, in->height) > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

// Scales to RGB, which means one thing only, whatever depth, range and matrix the source has.
static lpms_result to_rgb(const lpms_picture *in, AVFrame *rgb)
{
    const int flags = SWS_AREA | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;
    const int *from = sws_getCoefficients(color_space(in)), *to = sws_getCoefficients(SWS_CS_DEFAULT);
    struct SwsContext *sws =
        sws_getContext(in->width, in->height, in->pix_fmt, rgb->width, rgb->height, AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    int err;

    if (!sws)
        return lpms_fail(AVERROR(EINVAL), "sws_getContext");
    if (!(av_pix_fmt_desc_get(in->pix_fmt)->flags & AV_PIX_FMT_FLAG_RGB))
        sws_setColorspaceDetails(sws, from, in->range == AVCOL_RANGE_JPEG, to, 1, 0, 1 << 16, 1 << 16);
    err = sws_scale(sws, (const uint8_t *const *)in->frame->data, in->frame->linesize, 0, in->height, rgb->data, rgb->linesize);
    sws_freeContext(sws);
    return err < 0 ? lpms_fail(err, "sws_scale") : lpms_ok();
}

// Fills two by two pixels, which share a sample of either colour, with the values that JFIF
// defines (ITU-T T.871 section 7): BT.601, and all 256 levels.
static void fill_block(const AVFrame *rgb, AVFrame *yuv, int x, int y)
{
    float red = 0, blue = 0, luma = 0;

    for (int i = 0; i < 4; i++) {
        int row = y + i / 2, column = x + i % 2;
        const uint8_t *p = rgb->data[0] + row * rgb->linesize[0] + 3 * column;
        float l = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
        yuv->data[0][row * yuv->linesize[0] + column] = (uint8_t)lrintf(l);
        red += p[0] / 4.f;
        blue += p[2] / 4.f;
        luma += l / 4;
    }
    yuv->data[1][y / 2 * yuv->linesize[1] + x / 2] = av_clip_uint8((int)lrintf(128 + (blue - luma) / 1.772f));
    yuv->data[2][y / 2 * yuv->linesize[2] + x / 2] = av_clip_uint8((int)lrintf(128 + (red - luma) / 1.402f));
}

static lpms_result encode(const AVFrame *yuv, AVPacket *jpeg)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("mjpeg");
    AVCodecContext *ctx;
    int err;

    if (!codec)
        return lpms_fail(AVERROR_ENCODER_NOT_FOUND, "find JPEG encoder");
    if (!(ctx = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    ctx->width = yuv->width;
    ctx->height = yuv->height;
    ctx->pix_fmt = yuv->format;
    ctx->color_range = yuv->color_range;
    ctx->sample_aspect_ratio = (AVRational){1, 1}; // with one, it writes JFIF's header
    ctx->time_base = (AVRational){1, 1};
    ctx->thread_count = 1;
    ctx->flags = AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT; // without libav's name in the file
    ctx->global_quality = QUALITY * FF_QP2LAMBDA;
    if ((err = avcodec_open2(ctx, codec, NULL)) >= 0 && (err = avcodec_send_frame(ctx, yuv)) >= 0)
        err = avcodec_receive_packet(ctx, jpeg);
    avcodec_free_context(&ctx);
    return err < 0 ? lpms_fail(err, "encode JPEG") : lpms_ok();
}

lpms_result lpms_thumbnail_make(const lpms_picture *in, int width, int height, struct AVPacket **jpeg)
{
    AVFrame *rgb = alloc_frame(width, height, AV_PIX_FMT_RGB24), *yuv = alloc_frame(width, height, AV_PIX_FMT_YUV420P);
    lpms_result r = lpms_fail(AVERROR(ENOMEM), "open thumbnail");

    *jpeg = av_packet_alloc();
    if (rgb && yuv && *jpeg)
        r = to_rgb(in, rgb);
    if (r.code >= 0) {
        for (int y = 0; y < height; y += 2)
            for (int x = 0; x < width; x += 2)
                fill_block(rgb, yuv, x, y);
        yuv->color_range = AVCOL_RANGE_JPEG;
        yuv->pts = 0;
        yuv->quality = QUALITY * FF_QP2LAMBDA; // the encoder goes by this one
        r = encode(yuv, *jpeg);
    }
    av_frame_free(&rgb);
    av_frame_free(&yuv);
    return r;
}

void lpms_thumbnail_free(struct AVPacket **jpeg)
{
    av_packet_free(jpeg);
}
