#include "audio.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avstring.h>
#include <libavutil/channel_layout.h>
#include <libavutil/dict.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#define FORMAT AV_SAMPLE_FMT_FLTP    // what the AAC encoder takes
#define HOLE (LPMS_CLOCK / 20)       // a smaller one is a publisher's rounding
#define LARGEST_HOLE (LPMS_CLOCK * 2LL) // that is filled with silence
#define MAX_SAMPLES (1 << 20)        // of one frame, before the encoder
#define MAX_PERIOD 4096              // samples that are put in front, to meet the grid

struct lpms_audio {
    AVCodecContext *dec, *enc;
    SwrContext *swr;
    AVAudioFifo *fifo;
    AVFrame *frame;
    AVFrame *next; // that the encoder did not take yet, or NULL
    int ending, ended; // no more units come; the encoder knows it
    AVPacket *pkt;
    AVDictionary *options;
    int rate, channels;
    int grid, lead;
    int skip; // packets that are not for the caller
    int in_rate, in_channels, in_format;
    int64_t base;  // the time of sample 0, LPMS_NO_TIME before the first
    int64_t taken; // samples put into the fifo since base
    int64_t given; // samples given to the encoder since base
};

lpms_result lpms_audio_open(lpms_audio **out, const struct AVCodecParameters *par, int rate, int channels, int grid, int lead,
                            const char *const *options, int pairs)
{
    lpms_audio *a = *out = av_mallocz(sizeof(*a));
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    int err;

    if (!a || !(a->frame = av_frame_alloc()) || !(a->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open audio");
    a->rate = rate;
    a->channels = channels;
    a->grid = grid;
    a->lead = lead;
    a->base = LPMS_NO_TIME;
    for (int i = 0; i < pairs; i++)
        if ((err = av_dict_set(&a->options, options[2 * i], options[2 * i + 1], 0)) < 0)
            return lpms_fail(err, "av_dict_set");
    if (!codec || !av_match_list(codec->name, LPMS_DECODERS, ','))
        return lpms_fail(AVERROR_DECODER_NOT_FOUND, "find audio decoder");
    if (!(a->dec = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    if ((err = avcodec_parameters_to_context(a->dec, par)) < 0)
        return lpms_fail(err, "avcodec_parameters_to_context");
    a->dec->thread_count = 1;
    a->dec->pkt_timebase = (AVRational){1, LPMS_CLOCK};
    if ((err = avcodec_open2(a->dec, codec, NULL)) < 0)
        return lpms_fail(err, "open audio decoder");
    return lpms_ok();
}

void lpms_audio_close(lpms_audio **ap)
{
    lpms_audio *a = *ap;

    if (!a)
        return;
    avcodec_free_context(&a->dec);
    avcodec_free_context(&a->enc);
    swr_free(&a->swr);
    av_audio_fifo_free(a->fifo);
    av_frame_free(&a->frame);
    av_frame_free(&a->next);
    av_packet_free(&a->pkt);
    av_dict_free(&a->options);
    av_freep(ap);
}

lpms_result lpms_audio_params(const lpms_audio *a, struct AVCodecParameters **par)
{
    int err;

    *par = NULL;
    if (!a->enc)
        return lpms_ok();
    if (!(*par = avcodec_parameters_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_parameters_alloc");
    if ((err = avcodec_parameters_from_context(*par, a->enc)) < 0)
        return lpms_fail(err, "avcodec_parameters_from_context");
    return lpms_ok();
}

int64_t lpms_audio_next(const lpms_audio *a)
{
    AVRational clock = {1, LPMS_CLOCK};

    if (a->base == LPMS_NO_TIME)
        return LPMS_NO_TIME;
    return a->base + av_rescale_q(a->taken, a->enc->time_base, clock) + swr_get_delay(a->swr, LPMS_CLOCK);
}

const char *lpms_audio_unknown(const lpms_audio *a)
{
    const AVDictionaryEntry *left = av_dict_get(a->options, "", NULL, AV_DICT_IGNORE_SUFFIX);

    return left ? left->key : "";
}

// Opens the encoder for sound like frame.
static lpms_result open_encoder(lpms_audio *a, const AVFrame *frame)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("aac");
    lpms_result r = lpms_ok();
    int err;

    if (!codec)
        return lpms_fail(AVERROR_ENCODER_NOT_FOUND, "find audio encoder");
    if (!(a->enc = avcodec_alloc_context3(codec)))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_alloc_context3");
    a->enc->sample_rate = a->rate > 0 ? a->rate : frame->sample_rate;
    if (a->channels > 0)
        av_channel_layout_default(&a->enc->ch_layout, a->channels);
    else if ((err = av_channel_layout_copy(&a->enc->ch_layout, &frame->ch_layout)) < 0)
        return lpms_fail(err, "av_channel_layout_copy");
    a->enc->sample_fmt = FORMAT;
    a->enc->time_base = (AVRational){1, a->enc->sample_rate};
    a->enc->thread_count = 1;
    if ((err = avcodec_open2(a->enc, codec, &a->options)) < 0)
        r = lpms_fail(err, "open audio encoder");
    else if (av_dict_count(a->options) > 0)
        r = lpms_fail(AVERROR_OPTION_NOT_FOUND, "open audio encoder");
    else if (!(a->fifo = av_audio_fifo_alloc(FORMAT, a->enc->ch_layout.nb_channels, a->enc->frame_size)))
        r = lpms_fail(AVERROR(ENOMEM), "av_audio_fifo_alloc");
    if (r.code < 0)
        avcodec_free_context(&a->enc);
    return r;
}

// Opens the resampler for sound like frame.
static lpms_result open_resampler(lpms_audio *a, AVFrame *frame)
{
    int err;

    if (a->swr && a->in_rate == frame->sample_rate && a->in_channels == frame->ch_layout.nb_channels &&
        a->in_format == frame->format)
        return lpms_ok();
    swr_free(&a->swr);
    if ((err = swr_alloc_set_opts2(&a->swr, &a->enc->ch_layout, FORMAT, a->enc->sample_rate, &frame->ch_layout,
                                   frame->format, frame->sample_rate, 0, NULL)) < 0)
        return lpms_fail(err, "swr_alloc_set_opts2");
    if ((err = swr_init(a->swr)) < 0)
        return lpms_fail(err, "swr_init");
    a->in_rate = frame->sample_rate;
    a->in_channels = frame->ch_layout.nb_channels;
    a->in_format = frame->format;
    return lpms_ok();
}

// Puts samples into the fifo; with in NULL, silence.
static lpms_result put(lpms_audio *a, const AVFrame *in, int samples)
{
    AVFrame *f = av_frame_alloc();
    int err, n = samples;

    if (!f)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    f->format = FORMAT;
    f->nb_samples = in ? swr_get_out_samples(a->swr, in->nb_samples) : samples;
    if (f->nb_samples <= 0 || f->nb_samples > MAX_SAMPLES) {
        av_frame_free(&f);
        return lpms_ok();
    }
    if ((err = av_channel_layout_copy(&f->ch_layout, &a->enc->ch_layout)) < 0 || (err = av_frame_get_buffer(f, 0)) < 0)
        goto end;
    if (in)
        err = n = swr_convert(a->swr, f->extended_data, f->nb_samples, (const uint8_t **)in->extended_data, in->nb_samples);
    else
        err = av_samples_set_silence(f->extended_data, 0, n, f->ch_layout.nb_channels, FORMAT);
    if (err >= 0)
        err = av_audio_fifo_write(a->fifo, (void **)f->extended_data, n);
    if (err >= 0)
        a->taken += n;
end:
    av_frame_free(&f);
    return err < 0 ? lpms_fail(err, "resample") : lpms_ok();
}

static int64_t floor_mod(int64_t n, int64_t unit)
{
    int64_t m = n % unit;

    return m < 0 ? m + unit : m;
}

// Puts silence through the resampler, as if it were sound like frame.
static lpms_result put_silence(lpms_audio *a, const AVFrame *frame, int samples)
{
    lpms_result r;
    AVFrame *f = av_frame_alloc();
    int err;

    if (!f)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    f->format = frame->format;
    f->nb_samples = samples;
    if ((err = av_channel_layout_copy(&f->ch_layout, &frame->ch_layout)) < 0 || (err = av_frame_get_buffer(f, 0)) < 0 ||
        (err = av_samples_set_silence(f->extended_data, 0, samples, f->ch_layout.nb_channels, f->format)) < 0)
        r = lpms_fail(err, "make silence");
    else
        r = put(a, f, samples);
    av_frame_free(&f);
    return r;
}

// Begins with a frame of the grid at or before pts; silence fills it up to there. The resampler
// begins where samples of both rates meet, so that what it makes does not depend on where
// that is. After a lead, what comes out is what would come out after sound.
static lpms_result align(lpms_audio *a, const AVFrame *frame, int64_t pts)
{
    AVRational clock = {1, LPMS_CLOCK}, in = {1, frame->sample_rate}, out = a->enc->time_base;
    int64_t period = in.den / av_gcd(in.den, out.den), n = av_rescale_q(pts, clock, in), size = a->enc->frame_size;
    int64_t early = 0, fill = 0;
    int own = in.den == out.den && frame->nb_samples == size; // the track's grid
    lpms_result r = lpms_ok();

    if (period > MAX_PERIOD)
        period = 1;
    if (!own)
        early = floor_mod(n, period);
    if (a->lead)
        early += (2 * av_rescale_q_rnd(size, out, in, AV_ROUND_UP) + period - 1) / period * period;
    if (early > MAX_SAMPLES)
        early = 0;
    if (own)
        a->base = pts - av_rescale_q(early, in, clock);
    else {
        int64_t first = av_rescale_q(n - early, in, out);
        fill = floor_mod(first, size);
        a->base = av_rescale_q(first - fill, out, clock);
    }
    if (fill > 0)
        r = put(a, NULL, (int)fill);
    if (r.code >= 0 && early > 0)
        r = put_silence(a, frame, (int)early);
    if (a->lead) // the encoder keeps one frame
        a->skip = FFMAX(av_audio_fifo_size(a->fifo) / (int)size - 1, 0);
    a->lead = 0;
    return r;
}

// Keeps the samples' count and the track's times together.
static lpms_result follow(lpms_audio *a, const AVFrame *frame)
{
    int64_t pts = frame->pts;
    AVRational clock = {1, LPMS_CLOCK}, sample = {1, a->enc->sample_rate};
    int64_t off;

    if (pts == AV_NOPTS_VALUE && a->base != LPMS_NO_TIME)
        return lpms_ok();
    if (pts == AV_NOPTS_VALUE)
        pts = 0;
    off = a->base == LPMS_NO_TIME ? INT64_MAX : pts - a->base - av_rescale_q(a->taken, sample, clock);
    if (off > -HOLE && off < HOLE)
        return lpms_ok();
    if (off > 0 && off < LARGEST_HOLE)
        return put(a, NULL, (int)av_rescale_q(off, clock, sample));
    // Another time altogether: what waits in the fifo is less than a frame.
    av_audio_fifo_reset(a->fifo);
    a->base = pts;
    a->taken = a->given = 0;
    return a->grid ? align(a, frame, pts) : lpms_ok();
}

// Takes the next frame from the fifo; at the end also a short one.
static lpms_result next_frame(lpms_audio *a)
{
    int err, n = FFMIN(av_audio_fifo_size(a->fifo), a->enc->frame_size);
    AVFrame *f = a->next = av_frame_alloc();

    if (!f)
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    f->format = FORMAT;
    f->nb_samples = n;
    f->sample_rate = a->enc->sample_rate;
    if ((err = av_channel_layout_copy(&f->ch_layout, &a->enc->ch_layout)) < 0 || (err = av_frame_get_buffer(f, 0)) < 0 ||
        (err = av_audio_fifo_read(a->fifo, (void **)f->extended_data, n)) < 0) {
        av_frame_free(&a->next);
        return lpms_fail(err, "encode audio");
    }
    f->pts = av_rescale_q(a->base, (AVRational){1, LPMS_CLOCK}, a->enc->time_base) + a->given;
    a->given += n;
    return lpms_ok();
}

// Gives the encoder one frame, or the end. lpms_again: there is none.
static lpms_result encode(lpms_audio *a)
{
    lpms_result r = lpms_ok();
    int err;

    if (!a->next && av_audio_fifo_size(a->fifo) >= (a->ending ? 1 : a->enc->frame_size))
        r = next_frame(a);
    if (r.code < 0)
        return r;
    if (!a->next && (!a->ending || a->ended))
        return lpms_fail(lpms_again, "encode audio");
    if ((err = avcodec_send_frame(a->enc, a->next)) < 0)
        return lpms_fail(err == AVERROR(EAGAIN) ? AVERROR_BUG : err, "encode audio");
    a->ended = !a->next;
    av_frame_free(&a->next);
    return r;
}

// Decodes what the decoder holds.
static lpms_result decode(lpms_audio *a)
{
    lpms_result r = lpms_ok();

    while (r.code >= 0 && avcodec_receive_frame(a->dec, a->frame) >= 0) {
        AVFrame *f = a->frame;

        if (f->nb_samples <= 0 || f->sample_rate <= 0 || f->ch_layout.nb_channels <= 0)
            continue;
        if (!a->enc)
            r = open_encoder(a, f);
        if (r.code >= 0)
            r = open_resampler(a, f);
        if (r.code >= 0)
            r = follow(a, f);
        if (r.code >= 0)
            r = put(a, f, f->nb_samples);
    }
    av_frame_unref(a->frame);
    return r;
}

lpms_result lpms_audio_send(lpms_audio *a, const lpms_unit *u)
{
    AVPacket *pkt = a->pkt;
    lpms_result r;
    int err;

    if (u) {
        if ((err = av_new_packet(pkt, u->size)) < 0)
            return lpms_fail(err, "av_new_packet");
        memcpy(pkt->data, u->data, u->size);
        pkt->pts = u->pts == LPMS_NO_TIME ? AV_NOPTS_VALUE : u->pts;
        pkt->dts = pkt->pts;
        (void)avcodec_send_packet(a->dec, pkt); // what is broken is left out
        av_packet_unref(pkt);
    } else
        (void)avcodec_send_packet(a->dec, NULL);
    r = decode(a);
    a->ending = !u;
    return r;
}

lpms_result lpms_audio_receive(lpms_audio *a, lpms_unit *u)
{
    AVPacket *pkt = a->pkt;
    AVRational clock = {1, LPMS_CLOCK};
    int err;

    if (!a->enc)
        return lpms_fail(lpms_again, "encode audio");
    av_packet_unref(pkt);
    while ((err = avcodec_receive_packet(a->enc, pkt)) == AVERROR(EAGAIN) || (err >= 0 && a->skip > 0)) {
        lpms_result r = lpms_ok();
        if (err >= 0)
            a->skip--;
        else
            r = encode(a);
        if (r.code < 0)
            return r;
    }
    if (err < 0)
        return lpms_fail(err == AVERROR_EOF ? lpms_again : err, "encode audio");
    u->track = 0;
    u->key = 1;
    u->pts = u->dts = av_rescale_q(pkt->pts, a->enc->time_base, clock);
    u->duration = av_rescale_q(a->enc->frame_size, a->enc->time_base, clock);
    u->data = pkt->data;
    u->size = pkt->size;
    return lpms_ok();
}
