#include "decode.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/avstring.h>
#include <libavutil/hwcontext.h>
#include <libavutil/mem.h>

struct lpms_decoder {
    AVCodecContext *ctx;
    AVPacket *pkt;
    AVBufferRef *device;
};

// The decoder of the codec, when it is one that may be used.
static const AVCodec *find_decoder(enum AVCodecID id)
{
    void *i = NULL;
    const AVCodec *c;

    while ((c = av_codec_iterate(&i)))
        if (c->id == id && av_codec_is_decoder(c) && av_match_list(c->name, LPMS_DECODERS, ','))
            return c;
    return NULL;
}

static enum AVPixelFormat choose_cuda(AVCodecContext *ctx, const enum AVPixelFormat *formats)
{
    (void)ctx;
    for (; *formats != AV_PIX_FMT_NONE; formats++)
        if (*formats == AV_PIX_FMT_CUDA)
            return *formats;
    return AV_PIX_FMT_NONE;
}

lpms_result lpms_decoder_open(lpms_decoder **out, const struct AVCodecParameters *par, int threads, int hw, const char *device)
{
    lpms_decoder *d = *out = av_mallocz(sizeof(*d));
    const AVCodec *codec = find_decoder(par->codec_id);
    int err;

    if (!d || !(d->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open decoder");
    if (!codec)
        return lpms_fail(AVERROR_DECODER_NOT_FOUND, "find decoder");
    if (!(d->ctx = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    if ((err = avcodec_parameters_to_context(d->ctx, par)) < 0)
        return lpms_fail(err, "avcodec_parameters_to_context");
    d->ctx->max_pixels = LPMS_MAX_PIXELS;
    d->ctx->thread_count = threads;
    d->ctx->pkt_timebase = (AVRational){1, LPMS_CLOCK};
    if (hw) {
        if ((err = av_hwdevice_ctx_create(&d->device, AV_HWDEVICE_TYPE_CUDA, device, NULL, 0)) < 0)
            return lpms_fail(err, "open CUDA device");
        if (!(d->ctx->hw_device_ctx = av_buffer_ref(d->device)))
            return lpms_fail(AVERROR(ENOMEM), "av_buffer_ref");
        d->ctx->get_format = choose_cuda;
        d->ctx->thread_count = 1;
    }
    if ((err = avcodec_open2(d->ctx, codec, NULL)) < 0)
        return lpms_fail(err, "open decoder");
    return lpms_ok();
}

void lpms_decoder_close(lpms_decoder **dp)
{
    if (!*dp)
        return;
    avcodec_free_context(&(*dp)->ctx);
    av_packet_free(&(*dp)->pkt);
    av_buffer_unref(&(*dp)->device);
    av_freep(dp);
}

lpms_result lpms_decoder_send(lpms_decoder *d, const lpms_unit *u)
{
    AVPacket *pkt = d->pkt;
    int err;

    if (!u) {
        err = avcodec_send_packet(d->ctx, NULL);
        return err < 0 && err != AVERROR_EOF ? lpms_fail(err, "avcodec_send_packet") : lpms_ok();
    }
    if ((err = av_new_packet(pkt, u->size)) < 0)
        return lpms_fail(err, "av_new_packet");
    memcpy(pkt->data, u->data, u->size);
    pkt->pts = u->pts == LPMS_NO_TIME ? AV_NOPTS_VALUE : u->pts;
    pkt->dts = u->dts == LPMS_NO_TIME ? AV_NOPTS_VALUE : u->dts;
    pkt->duration = u->duration;
    if (u->key)
        pkt->flags |= AV_PKT_FLAG_KEY;
    err = avcodec_send_packet(d->ctx, pkt);
    av_packet_unref(pkt);
    return err < 0 ? lpms_fail(err, "avcodec_send_packet") : lpms_ok();
}

// Brings a picture from the device's memory.
static lpms_result fetch(AVFrame **frame)
{
    AVFrame *f = av_frame_alloc();
    int err;

    if (!f)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    if ((err = av_hwframe_transfer_data(f, *frame, 0)) >= 0)
        err = av_frame_copy_props(f, *frame);
    av_frame_free(frame);
    *frame = f;
    return err < 0 ? lpms_fail(err, "av_hwframe_transfer_data") : lpms_ok();
}

lpms_result lpms_decoder_receive(lpms_decoder *d, lpms_picture *p)
{
    lpms_result r = lpms_ok();
    int err;

    memset(p, 0, sizeof(*p));
    if (!(p->frame = av_frame_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    if ((err = avcodec_receive_frame(d->ctx, p->frame)) < 0)
        r = lpms_fail(err, "avcodec_receive_frame");
    else if (p->frame->hw_frames_ctx)
        r = fetch(&p->frame);
    if (r.code < 0)
        av_frame_free(&p->frame);
    else
        lpms_picture_describe(p);
    return r;
}

void lpms_decoder_reset(lpms_decoder *d)
{
    avcodec_flush_buffers(d->ctx);
}
