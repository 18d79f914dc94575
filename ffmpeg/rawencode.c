#include "rawencode.h"
#include "compat.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>

lpms_result lpms_raw_frame_open(struct AVFrame **out, int width, int height)
{
    AVFrame *f = *out = av_frame_alloc();
    int err;

    if (!f)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    f->format = AV_PIX_FMT_YUV420P;
    f->width = width;
    f->height = height;
    if ((err = av_frame_get_buffer(f, 0)) < 0) {
        av_frame_free(out);
        return lpms_fail(err, "av_frame_get_buffer");
    }
    return lpms_ok();
}

lpms_result lpms_raw_frame_fill(struct AVFrame *f, const uint8_t *y, const uint8_t *u, const uint8_t *v)
{
    int err = av_frame_make_writable(f); // the encoder may still read the last picture
    int w = (f->width + 1) / 2, h = (f->height + 1) / 2;

    if (err < 0)
        return lpms_fail(err, "av_frame_make_writable");
    av_image_copy_plane(f->data[0], f->linesize[0], y, f->width, f->width, f->height);
    av_image_copy_plane(f->data[1], f->linesize[1], u, w, w, h);
    av_image_copy_plane(f->data[2], f->linesize[2], v, w, w, h);
    return lpms_ok();
}

struct lpms_raw_audio {
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *pkt;
};

lpms_result lpms_raw_audio_open(lpms_raw_audio **out, int rate, int channels, int64_t bit_rate)
{
    lpms_raw_audio *a = *out = av_mallocz(sizeof(*a));
    const AVCodec *codec = avcodec_find_encoder_by_name("aac");
    int err;

    if (!a || !(a->frame = av_frame_alloc()) || !(a->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open raw audio");
    if (!codec)
        return lpms_fail(AVERROR_ENCODER_NOT_FOUND, "find audio encoder");
    if (!(a->ctx = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    a->ctx->sample_rate = rate;
    av_channel_layout_default(&a->ctx->ch_layout, channels);
    a->ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    a->ctx->time_base = (AVRational){1, rate};
    a->ctx->bit_rate = bit_rate;
    a->ctx->thread_count = 1;
    a->ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if ((err = avcodec_open2(a->ctx, codec, NULL)) < 0)
        return lpms_fail(err, "open audio encoder");
    return lpms_ok();
}

void lpms_raw_audio_close(lpms_raw_audio **ap)
{
    if (!*ap)
        return;
    avcodec_free_context(&(*ap)->ctx);
    av_frame_free(&(*ap)->frame);
    av_packet_free(&(*ap)->pkt);
    av_freep(ap);
}

lpms_result lpms_raw_audio_params(const lpms_raw_audio *a, struct AVCodecParameters **par)
{
    int err;

    if (!(*par = avcodec_parameters_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_parameters_alloc");
    if ((err = avcodec_parameters_from_context(*par, a->ctx)) < 0)
        return lpms_fail(err, "avcodec_parameters_from_context");
    return lpms_ok();
}

int lpms_raw_audio_frame_size(const lpms_raw_audio *a)
{
    return a->ctx->frame_size;
}

static lpms_result fill(lpms_raw_audio *a, const float *interleaved, int samples)
{
    AVFrame *f = a->frame;
    int err, channels = a->ctx->ch_layout.nb_channels;

    f->format = a->ctx->sample_fmt;
    f->nb_samples = samples;
    f->sample_rate = a->ctx->sample_rate;
    if ((err = av_channel_layout_copy(&f->ch_layout, &a->ctx->ch_layout)) < 0)
        return lpms_fail(err, "av_channel_layout_copy");
    if ((err = av_frame_get_buffer(f, 0)) < 0)
        return lpms_fail(err, "av_frame_get_buffer");
    for (int c = 0; c < channels; c++) {
        float *plane = (float *)f->extended_data[c];
        for (int i = 0; i < samples; i++)
            plane[i] = interleaved[i * channels + c];
    }
    return lpms_ok();
}

lpms_result lpms_raw_audio_send(lpms_raw_audio *a, const float *interleaved, int samples, int64_t at)
{
    lpms_result r = lpms_ok();
    int err;

    if (samples > 0) {
        r = fill(a, interleaved, samples);
        a->frame->pts = at;
    }
    if (r.code >= 0 && (err = avcodec_send_frame(a->ctx, samples > 0 ? a->frame : NULL)) < 0)
        r = lpms_fail(err, "encode audio");
    av_frame_unref(a->frame);
    return r;
}

lpms_result lpms_raw_audio_receive(lpms_raw_audio *a, lpms_unit *u)
{
    AVPacket *pkt = a->pkt;
    int err;

    av_packet_unref(pkt);
    if ((err = avcodec_receive_packet(a->ctx, pkt)) < 0)
        return lpms_fail(err, "encode audio");
    u->track = 0;
    u->key = 1;
    u->pts = u->dts = pkt->pts;
    u->duration = pkt->duration;
    u->data = pkt->data;
    u->size = pkt->size;
    return lpms_ok();
}
