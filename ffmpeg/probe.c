#include "probe.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/dict.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>

#define IO_SIZE (32 * 1024)

// What a probe may cost. The bytes come from strangers.
#define PROBE_SIZE 5000000       // bytes read to find the parameters
#define ANALYZE_DURATION 5000000 // media time read to find them, in us
#define MAX_PIXELS (36 << 20)    // of a picture that is decoded; 8192x4320 is below
#define FLV_PACKETS 4096         // read to find out which tracks an FLV has
#define MAX_PACKETS (1 << 20)    // counted

// The containers and decoders that may be used.
#define FORMATS "mpegts,mov,flv"
#define DECODERS "h264,hevc,vp8,vp9,av1,libdav1d,aac,mp3,mp3float,opus,libopus"

typedef struct source {
    const uint8_t *data;
    int64_t size, pos;
} source;

static int source_read(void *opaque, uint8_t *buf, int size)
{
    source *s = opaque;
    int64_t n = FFMIN((int64_t)size, s->size - s->pos);

    if (n <= 0)
        return AVERROR_EOF;
    memcpy(buf, s->data + s->pos, n);
    s->pos += n;
    return (int)n;
}

static int64_t source_seek(void *opaque, int64_t offset, int whence)
{
    source *s = opaque;

    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return s->size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += s->pos;
        break;
    case SEEK_END:
        offset += s->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0 || offset > s->size)
        return AVERROR(EINVAL);
    return s->pos = offset;
}

// No file may name another one.
static int refuse_open(AVFormatContext *fmt, AVIOContext **pb, const char *url, int flags, AVDictionary **opts)
{
    (void)fmt, (void)pb, (void)url, (void)flags, (void)opts;
    return AVERROR(EPERM);
}

static lpms_result open_input(AVFormatContext **fmt, AVIOContext *pb, int container)
{
    static const char *const names[] = {[LPMS_MPEGTS] = "mpegts", [LPMS_MP4] = "mov", [LPMS_FLV] = "flv"};
    const AVInputFormat *input = av_find_input_format(names[container]);
    AVDictionary *opts = NULL;
    lpms_result r = lpms_ok();
    int err;

    if (!input)
        return lpms_fail(AVERROR_DEMUXER_NOT_FOUND, "av_find_input_format");
    if (!(*fmt = avformat_alloc_context()))
        return lpms_fail(AVERROR(ENOMEM), "avformat_alloc_context");
    (*fmt)->pb = pb;
    (*fmt)->io_open = refuse_open;
    (*fmt)->max_streams = LPMS_MAX_STREAMS;
    if ((err = av_dict_set(&opts, "protocol_whitelist", "", 0)) < 0 ||
        (err = av_dict_set(&opts, "format_whitelist", FORMATS, 0)) < 0 ||
        (err = av_dict_set(&opts, "codec_whitelist", DECODERS, 0)) < 0 ||
        (err = av_dict_set_int(&opts, "probesize", PROBE_SIZE, 0)) < 0 ||
        (err = av_dict_set_int(&opts, "analyzeduration", ANALYZE_DURATION, 0)) < 0)
        r = lpms_fail(err, "av_dict_set");
    else if ((err = avformat_open_input(fmt, "", input, &opts)) < 0)
        r = lpms_fail(err, "avformat_open_input");
    av_dict_free(&opts);
    return r;
}

// The FLV demuxer learns of its tracks only while it reads: it reads until it has
// those of the file's header, and starts again.
static lpms_result find_flv_tracks(AVFormatContext *fmt, AVPacket *pkt, const source *s)
{
    unsigned want = s->size > 4 ? (s->data[4] & 1) + (s->data[4] >> 2 & 1) : 0;
    int err;

    for (int i = 0; i < FLV_PACKETS && fmt->nb_streams < want; i++) {
        if (av_read_frame(fmt, pkt) < 0)
            break;
        av_packet_unref(pkt);
    }
    if ((err = av_seek_frame(fmt, -1, 0, AVSEEK_FLAG_BYTE)) < 0)
        return lpms_fail(err, "av_seek_frame");
    return lpms_ok();
}

static lpms_result find_parameters(AVFormatContext *fmt)
{
    unsigned n = fmt->nb_streams;
    AVDictionary **opts = n ? av_calloc(n, sizeof(*opts)) : NULL;
    lpms_result r = lpms_ok();
    int err = 0;

    if (n && !opts)
        return lpms_fail(AVERROR(ENOMEM), "av_calloc");
    for (unsigned i = 0; i < n && err >= 0; i++)
        err = av_dict_set_int(&opts[i], "max_pixels", MAX_PIXELS, 0);
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
        if (out->video && (int64_t)par->width * par->height <= MAX_PIXELS)
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
    int64_t left = size + IO_SIZE;

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
    source s = {data, (int64_t)size, 0};
    AVFormatContext *fmt = NULL;
    AVIOContext *pb = NULL;
    AVPacket *pkt = av_packet_alloc();
    uint8_t *io = av_malloc(IO_SIZE);
    lpms_result r = lpms_fail(AVERROR(ENOMEM), "open probe");

    memset(info, 0, sizeof(*info));
    if (!pkt || !io || !(pb = avio_alloc_context(io, IO_SIZE, 0, &s, source_read, NULL, source_seek)))
        goto end;
    io = NULL; // pb's now
    r = open_input(&fmt, pb, container);
    if (r.code >= 0 && container == LPMS_FLV)
        r = find_flv_tracks(fmt, pkt, &s);
    if (r.code >= 0)
        r = find_parameters(fmt);
    if (r.code >= 0) {
        describe(fmt, info);
        count_packets(fmt, pkt, s.size, info);
    }
end:
    avformat_close_input(&fmt);
    if (pb)
        av_freep(&pb->buffer);
    avio_context_free(&pb);
    av_free(io);
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
