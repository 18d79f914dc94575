#include "encode.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavutil/avstring.h>
#include <libavutil/dict.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>

struct lpms_encoder {
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *pkt;
    AVBSFContext *tick; // brings the clock of a keyframe's parameter sets to fps, or NULL
};

int lpms_encoder_exists(const char *name)
{
    return avcodec_find_encoder_by_name(name) != NULL;
}

// A fine grid makes the clock in the SPS a fine one too, and players that go by it would
// see hundreds of frames a second.
static int open_tick(lpms_encoder *e, const lpms_encoder_config *c)
{
    const AVBitStreamFilter *f = NULL;
    int err;

    if (c->grid == 1)
        return 0;
    if (e->ctx->codec_id == AV_CODEC_ID_H264)
        f = av_bsf_get_by_name("h264_metadata");
    if (!f)
        return 0;
    if ((err = av_bsf_alloc(f, &e->tick)) < 0 ||
        (err = avcodec_parameters_from_context(e->tick->par_in, e->ctx)) < 0 ||
        (err = av_opt_set_q(e->tick->priv_data, "tick_rate", (AVRational){2 * c->fps_num, c->fps_den}, 0)) < 0)
        return err;
    return av_bsf_init(e->tick);
}

static void configure(AVCodecContext *ctx, const lpms_encoder_config *c)
{
    ctx->width = c->width;
    ctx->height = c->height;
    ctx->pix_fmt = c->pix_fmt;
    ctx->time_base = (AVRational){c->fps_den, c->fps_num * c->grid};
    ctx->framerate = (AVRational){c->fps_num, c->fps_den};
    ctx->thread_count = c->threads;
    ctx->bit_rate = c->bit_rate;
    ctx->rc_max_rate = c->max_rate;
    ctx->rc_buffer_size = (int)FFMIN(c->buffer, INT_MAX);
    if (c->gop >= 0)
        ctx->gop_size = c->gop;
    if (c->b_frames >= 0)
        ctx->max_b_frames = c->b_frames;
    ctx->sample_aspect_ratio = (AVRational){c->sar_num, c->sar_den};
    ctx->color_range = c->range;
    ctx->colorspace = c->space;
    ctx->color_primaries = c->primaries;
    ctx->color_trc = c->transfer;
}

lpms_result lpms_encoder_open(lpms_encoder **out, const lpms_encoder_config *c, const char *const *options, int pairs,
                              char *unknown, int unknown_size)
{
    lpms_encoder *e = *out = av_mallocz(sizeof(*e));
    const AVCodec *codec = avcodec_find_encoder_by_name(c->name);
    AVDictionary *opts = NULL;
    const AVDictionaryEntry *left;
    lpms_result r = lpms_ok();
    int err = 0;

    if (!e || !(e->frame = av_frame_alloc()) || !(e->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open encoder");
    if (!codec)
        return lpms_fail(AVERROR_ENCODER_NOT_FOUND, "find encoder");
    if (!(e->ctx = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    configure(e->ctx, c);
    for (int i = 0; i < pairs && err >= 0; i++)
        err = av_dict_set(&opts, options[2 * i], options[2 * i + 1], 0);
    if (err < 0)
        r = lpms_fail(err, "av_dict_set");
    else if ((err = avcodec_open2(e->ctx, codec, &opts)) < 0)
        r = lpms_fail(err, "open encoder");
    else if ((left = av_dict_get(opts, "", NULL, AV_DICT_IGNORE_SUFFIX))) {
        av_strlcpy(unknown, left->key, unknown_size);
        r = lpms_fail(AVERROR_OPTION_NOT_FOUND, "open encoder");
    } else if ((err = open_tick(e, c)) < 0)
        r = lpms_fail(err, "h264_metadata");
    av_dict_free(&opts);
    return r;
}

void lpms_encoder_close(lpms_encoder **ep)
{
    if (!*ep)
        return;
    avcodec_free_context(&(*ep)->ctx);
    av_frame_free(&(*ep)->frame);
    av_packet_free(&(*ep)->pkt);
    av_bsf_free(&(*ep)->tick);
    av_freep(ep);
}

int lpms_encoder_delay(const lpms_encoder *e)
{
    return e->ctx->has_b_frames;
}

lpms_result lpms_encoder_params(const lpms_encoder *e, struct AVCodecParameters **par)
{
    int err;

    if (!(*par = avcodec_parameters_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_parameters_alloc");
    if ((err = avcodec_parameters_from_context(*par, e->ctx)) < 0)
        return lpms_fail(err, "avcodec_parameters_from_context");
    return lpms_ok();
}

lpms_result lpms_encoder_send(lpms_encoder *e, const struct AVFrame *frame, int64_t n, int type)
{
    static const enum AVPictureType types[] = {
        [LPMS_TYPE_ANY] = AV_PICTURE_TYPE_NONE, [LPMS_TYPE_KEY] = AV_PICTURE_TYPE_I, [LPMS_TYPE_P] = AV_PICTURE_TYPE_P};
    int err;

    if (!frame) {
        err = avcodec_send_frame(e->ctx, NULL);
        return err < 0 ? lpms_fail(err, "avcodec_send_frame") : lpms_ok();
    }
    if ((err = av_frame_ref(e->frame, frame)) < 0)
        return lpms_fail(err, "av_frame_ref");
    e->frame->pts = n;
    e->frame->pict_type = types[type];
    err = avcodec_send_frame(e->ctx, e->frame);
    av_frame_unref(e->frame);
    return err < 0 ? lpms_fail(err, "avcodec_send_frame") : lpms_ok();
}

lpms_result lpms_encoder_receive(lpms_encoder *e, lpms_unit *u)
{
    AVPacket *pkt = e->pkt;
    int err;

    av_packet_unref(pkt);
    if ((err = avcodec_receive_packet(e->ctx, pkt)) < 0)
        return lpms_fail(err, "avcodec_receive_packet");
    if (e->tick && pkt->flags & AV_PKT_FLAG_KEY) {
        if ((err = av_bsf_send_packet(e->tick, pkt)) < 0)
            return lpms_fail(err, "av_bsf_send_packet");
        if ((err = av_bsf_receive_packet(e->tick, pkt)) < 0)
            return lpms_fail(err, "av_bsf_receive_packet");
    }
    u->track = 0;
    u->key = !!(pkt->flags & AV_PKT_FLAG_KEY);
    u->pts = pkt->pts;
    u->dts = pkt->dts;
    u->duration = 0;
    u->data = pkt->data;
    u->size = pkt->size;
    return lpms_ok();
}
