#include "probe.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/dict.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>

// What a probe may cost. The bytes come from strangers.
#define MAX_PACKETS (1 << 20) // counted

static lpms_result find_parameters(AVFormatContext *fmt)
{
    unsigned n = fmt->nb_streams;
    AVDictionary **opts = n ? av_calloc(n, sizeof(*opts)) : NULL;
    lpms_result r = lpms_ok();
    int err = 0;

    if (n && !opts)
        return lpms_fail(AVERROR(ENOMEM), "av_calloc");
    for (unsigned i = 0; i < n && err >= 0; i++)
        err = av_dict_set_int(&opts[i], "max_pixels", LPMS_MAX_PIXELS, 0);
    // Tracks that appear later would be decoded without the limit: there are none.
    fmt->max_streams = (int)n;
    if (err < 0)
        r = lpms_fail(err, "av_dict_set");
    else if ((err = avformat_find_stream_info(fmt, opts)) < 0)
        r = lpms_fail(err, "avformat_find_stream_info");
    for (unsigned i = 0; i < n; i++)
        av_dict_free(&opts[i]);
    av_free(opts);
    return r;
}

static int64_t ns(int64_t t, AVRational unit)
{
    int64_t n = t == AV_NOPTS_VALUE ? t : av_rescale_q(t, unit, (AVRational){1, 1000000000});
    return n == AV_NOPTS_VALUE ? 0 : n; // also what does not fit
}

static void describe(const AVFormatContext *fmt, lpms_info *info)
{
    info->format = fmt->iformat->name;
    info->start = ns(fmt->start_time, AV_TIME_BASE_Q);
    info->duration = ns(fmt->duration, AV_TIME_BASE_Q);
    info->bit_rate = fmt->bit_rate;
    info->streams = FFMIN((int)fmt->nb_streams, LPMS_MAX_STREAMS);
    for (int i = 0; i < info->streams; i++) {
        const AVStream *st = fmt->streams[i];
        const AVCodecParameters *par = st->codecpar;
        lpms_stream_info *out = &info->stream[i];
        AVRational fps = st->avg_frame_rate.num > 0 && st->avg_frame_rate.den > 0 ? st->avg_frame_rate : st->r_frame_rate;

        out->video = par->codec_type == AVMEDIA_TYPE_VIDEO && !(st->disposition & AV_DISPOSITION_ATTACHED_PIC);
        out->audio = par->codec_type == AVMEDIA_TYPE_AUDIO;
        out->codec = avcodec_get_name(par->codec_id);
        out->start = ns(st->start_time, st->time_base);
        out->duration = ns(st->duration, st->time_base);
        out->bit_rate = par->bit_rate;
        out->width = par->width;
        out->height = par->height;
        out->pix_fmt = AV_PIX_FMT_NONE;
        if (out->video && (int64_t)par->width * par->height <= LPMS_MAX_PIXELS)
            out->pix_fmt = par->format;
        if (out->pix_fmt != AV_PIX_FMT_NONE) { // the rate would be a guess otherwise
            out->fps_num = fps.num;
            out->fps_den = fps.den;
        }
        out->sample_rate = par->sample_rate;
        out->channels = par->ch_layout.nb_channels;
    }
}

// Counts the packets of every track. Tables of a file can name the same bytes over
// and over: it stops when more was read than the file has.
static void count_packets(AVFormatContext *fmt, AVPacket *pkt, int64_t size, lpms_info *info)
{
    int64_t left = size + (1 << 15);

    for (int i = 0; i < MAX_PACKETS && left > 0; i++) {
        if (av_read_frame(fmt, pkt) < 0)
            break;
        left -= pkt->size;
        if (pkt->stream_index < info->streams && pkt->size > 0) {
            lpms_stream_info *out = &info->stream[pkt->stream_index];
            if (out->packets++ == 0)
                out->first_key = !!(pkt->flags & AV_PKT_FLAG_KEY);
        }
        av_packet_unref(pkt);
    }
}

lpms_result lpms_probe(const uint8_t *data, size_t size, int container, lpms_info *info)
{
    lpms_input in;
    AVPacket *pkt = av_packet_alloc();
    lpms_result r = lpms_input_open(&in, data, size, -1, container, NULL);

    memset(info, 0, sizeof(*info));
    if (!pkt && r.code >= 0)
        r = lpms_fail(AVERROR(ENOMEM), "av_packet_alloc");
    if (r.code >= 0)
        r = find_parameters(in.fmt);
    if (r.code >= 0) {
        describe(in.fmt, info);
        count_packets(in.fmt, pkt, in.size, info);
    }
    lpms_input_close(&in);
    av_packet_free(&pkt);
    return r;
}

int lpms_pix_fmt_describe(int pix_fmt, int *depth, int *log2_chroma_w, int *log2_chroma_h)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(pix_fmt);

    if (!d || d->nb_components < 3 || d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_HWACCEL))
        return 0;
    *depth = d->comp[0].depth;
    *log2_chroma_w = d->log2_chroma_w;
    *log2_chroma_h = d->log2_chroma_h;
    return 1;
}
