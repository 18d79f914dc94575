#include "container.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/dict.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>

#define TS_PACKET 188
#define SDT_PID 0x11
#define MAX_TRACKS 64

// Whole TS packets, so that the write callback never sees a part of one.
#define IO_SIZE (174 * TS_PACKET)

// A buffer that is larger is not kept when its bytes were taken.
#define KEEP_SIZE (1 << 20)

struct lpms_container {
    AVFormatContext *fmt;
    AVPacket *pkt;
    uint8_t *data; // what was written and not taken
    size_t size, room, limit;
    size_t at;     // where the next bytes go; below size after a seek back
    int64_t taken; // bytes before data
    int failed;    // what was written is not complete
    int started;

    // Transport streams of packets of 188 bytes.
    int ts, hide_sdt, pmt_pid;
    uint8_t sdt[8 * TS_PACKET]; // of the first table, until the PMT is written
    int sdt_size;
};

static lpms_result parse(AVCodecParameters *par, AVCodecContext *ctx, AVCodecParserContext *parser, AVPacket *pkt)
{
    uint8_t *out;
    int err, size;

    if ((err = avcodec_parameters_to_context(ctx, par)) < 0)
        return lpms_fail(err, "avcodec_parameters_to_context");
    parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    err = av_parser_parse2(parser, ctx, &out, &size, pkt->data, pkt->size, AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
    if (err < 0)
        return lpms_fail(err, "av_parser_parse2");
    if (parser->width > 0 && parser->height > 0) {
        par->width = parser->width;
        par->height = parser->height;
    }
    if (parser->format >= 0)
        par->format = parser->format;
    return lpms_ok();
}

lpms_result lpms_params_learn(AVCodecParameters *par, const uint8_t *data, int size)
{
    AVCodecParserContext *parser = av_parser_init(par->codec_id);
    AVCodecContext *ctx = avcodec_alloc_context3(NULL);
    AVPacket *pkt = av_packet_alloc(); // parsers need padding
    lpms_result r = lpms_fail(AVERROR(ENOMEM), "av_parser_init");

    if (parser && ctx && pkt && size > 0 && av_new_packet(pkt, size) >= 0) {
        memcpy(pkt->data, data, size);
        r = parse(par, ctx, parser, pkt);
    }
    av_packet_free(&pkt);
    avcodec_free_context(&ctx);
    if (parser)
        av_parser_close(parser);
    return r;
}

static int reserve(lpms_container *c, size_t n)
{
    size_t need = c->at + n, room = FFMAX(c->room, IO_SIZE);
    uint8_t *data;

    if (need <= c->room)
        return 0;
    if (n > c->limit || c->at > c->limit - n)
        return AVERROR(ENOBUFS);
    while (room < need)
        room *= 2;
    if (!(data = av_realloc(c->data, room)))
        return AVERROR(ENOMEM);
    c->data = data;
    c->room = room;
    return 0;
}

static int append(lpms_container *c, const uint8_t *data, size_t n)
{
    int err = reserve(c, n);

    if (err < 0)
        return c->failed = err;
    memcpy(c->data + c->at, data, n);
    c->at += n;
    c->size = FFMAX(c->size, c->at);
    return 0;
}

// Keeps a TS packet of the SDT for later or for good; 0 when it is another's.
static int hold_sdt(lpms_container *c, const uint8_t *data, int pid)
{
    if (pid != SDT_PID)
        return 0;
    if (!c->hide_sdt && c->sdt_size + TS_PACKET <= (int)sizeof(c->sdt)) {
        memcpy(c->sdt + c->sdt_size, data, TS_PACKET);
        c->sdt_size += TS_PACKET;
    }
    return 1;
}

// The write callback of transport streams: PAT and PMT come first in a segment, and before
// the SDT, which libavformat writes in front of them.
static int write_ts(lpms_container *c, const uint8_t *data, int size)
{
    int err = 0;

    for (int i = 0; i + TS_PACKET <= size && err >= 0; i += TS_PACKET) {
        int pid = (data[i + 1] & 0x1f) << 8 | data[i + 2];
        if (hold_sdt(c, data + i, pid))
            continue;
        if (c->sdt_size && pid != 0 && pid != c->pmt_pid) {
            err = append(c, c->sdt, c->sdt_size);
            c->sdt_size = 0;
        }
        if (err >= 0)
            err = append(c, data + i, TS_PACKET);
    }
    return err;
}

static int write_bytes(void *opaque, lpms_avio_byte *data, int size)
{
    lpms_container *c = opaque;
    int err = c->ts ? write_ts(c, data, size) : append(c, data, size);

    return err < 0 ? err : size;
}

// Goes back within what was not taken: libavformat fills in the sizes of boxes that are
// larger than its own buffer, and the tables of files that are not fragmented.
static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    lpms_container *c = opaque;

    if (whence & AVSEEK_SIZE)
        return c->taken + (int64_t)c->size;
    if ((whence & ~AVSEEK_FORCE) != SEEK_SET)
        return AVERROR(EINVAL);
    if (offset < c->taken || offset > c->taken + (int64_t)c->size)
        return c->failed = AVERROR(EINVAL); // the muxer does not look
    c->at = (size_t)(offset - c->taken);
    return offset;
}

lpms_result lpms_container_open(lpms_container **out, const char *muxer, size_t limit)
{
    lpms_container *c = av_mallocz(sizeof(*c));
    int err;

    *out = c;
    if (!c)
        return lpms_fail(AVERROR(ENOMEM), "open container");
    c->limit = limit;
    if (!(c->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "av_packet_alloc");
    if ((err = avformat_alloc_output_context2(&c->fmt, NULL, muxer, NULL)) < 0)
        return lpms_fail(err, "avformat_alloc_output_context2");
    // The caller's times and data go into the file as they are.
    c->fmt->flags &= ~AVFMT_FLAG_AUTO_BSF;
    c->fmt->max_delay = 0;
    c->fmt->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    return lpms_ok();
}

void lpms_container_close(lpms_container **cp)
{
    lpms_container *c = *cp;

    if (!c)
        return;
    if (c->fmt) {
        AVIOContext *pb = c->fmt->pb;
        if (pb)
            av_freep(&pb->buffer);
        avio_context_free(&pb);
        c->fmt->pb = NULL;
        avformat_free_context(c->fmt);
    }
    av_packet_free(&c->pkt);
    av_free(c->data);
    av_freep(cp);
}

lpms_result lpms_container_option(lpms_container *c, const char *name, const char *value)
{
    int err = AVERROR_OPTION_NOT_FOUND;

    if (c->fmt->oformat->priv_class)
        err = av_opt_set(c->fmt->priv_data, name, value, 0);
    if (err == AVERROR_OPTION_NOT_FOUND)
        err = av_opt_set(c->fmt, name, value, 0);
    return err < 0 ? lpms_fail(err, "av_opt_set") : lpms_ok();
}

lpms_result lpms_container_metadata(lpms_container *c, const char *key, const char *value)
{
    int err = av_dict_set(&c->fmt->metadata, key, value, 0);

    return err < 0 ? lpms_fail(err, "av_dict_set") : lpms_ok();
}

static lpms_result replace_extradata(AVCodecParameters *par, const uint8_t *extradata, int size)
{
    av_freep(&par->extradata);
    par->extradata_size = 0;
    if (size <= 0)
        return lpms_ok();
    if (!(par->extradata = av_mallocz((size_t)size + AV_INPUT_BUFFER_PADDING_SIZE)))
        return lpms_fail(AVERROR(ENOMEM), "add track");
    memcpy(par->extradata, extradata, size);
    par->extradata_size = size;
    return lpms_ok();
}

lpms_result lpms_container_add(lpms_container *c, const AVCodecParameters *par,
                               const uint8_t *extradata, int size, uint32_t tag, int scale)
{
    AVStream *st;
    int err;

    if (c->fmt->nb_streams >= MAX_TRACKS)
        return lpms_fail(AVERROR(EINVAL), "add track");
    if (!(st = avformat_new_stream(c->fmt, NULL)))
        return lpms_fail(AVERROR(ENOMEM), "avformat_new_stream");
    if ((err = avcodec_parameters_copy(st->codecpar, par)) < 0)
        return lpms_fail(err, "avcodec_parameters_copy");
    st->codecpar->codec_tag = tag; // the one there is another container's
    st->sample_aspect_ratio = par->sample_aspect_ratio;
    if (scale > 0)
        st->time_base = (AVRational){1, scale};
    return replace_extradata(st->codecpar, extradata, size);
}

// Gives the muxer its way out. Not before the options are set, so that the search for an
// option does not come here.
static lpms_result open_io(lpms_container *c, int seekable)
{
    uint8_t *io = av_malloc(IO_SIZE);

    if (!io)
        return lpms_fail(AVERROR(ENOMEM), "open container");
    c->fmt->pb = avio_alloc_context(io, IO_SIZE, 1, c, NULL, write_bytes, seekable ? seek_bytes : NULL);
    if (!c->fmt->pb) {
        av_free(io);
        return lpms_fail(AVERROR(ENOMEM), "avio_alloc_context");
    }
    return lpms_ok();
}

lpms_result lpms_container_start(lpms_container *c, int hide_sdt)
{
    int64_t m2ts = 0, pmt = 0;
    int err, ts = !strcmp(c->fmt->oformat->name, "mpegts");
    lpms_result r = open_io(c, !ts);

    if (r.code < 0)
        return r;
    if (ts) {
        av_opt_get_int(c->fmt->priv_data, "mpegts_m2ts_mode", 0, &m2ts);
        av_opt_get_int(c->fmt->priv_data, "mpegts_pmt_start_pid", 0, &pmt);
        c->ts = m2ts <= 0; // packets of 192 bytes otherwise
        c->hide_sdt = hide_sdt;
        c->pmt_pid = (int)pmt;
    }
    if ((err = avformat_write_header(c->fmt, NULL)) < 0)
        return lpms_fail(err, "avformat_write_header");
    c->started = 1;
    return lpms_ok();
}

lpms_time_base lpms_container_time_base(const lpms_container *c, int track)
{
    lpms_time_base tb = {0, 1};

    if (track >= 0 && track < (int)c->fmt->nb_streams) {
        tb.num = c->fmt->streams[track]->time_base.num;
        tb.den = c->fmt->streams[track]->time_base.den;
    }
    return tb;
}

// Brings what libavformat still holds to the buffer.
static lpms_result flush(lpms_container *c, int err, const char *where)
{
    AVIOContext *pb = c->fmt->pb;

    avio_flush(pb);
    if (c->failed >= 0 && pb->error < 0)
        c->failed = pb->error;
    if (c->failed < 0)
        err = c->failed; // also when the muxer did not look
    return err < 0 ? lpms_fail(err, where) : lpms_ok();
}

lpms_result lpms_container_write(lpms_container *c, lpms_sample s, const uint8_t *data, int size)
{
    AVPacket *pkt = c->pkt;
    int err;

    if (!c->started || c->failed < 0 || s.track < 0 || s.track >= (int)c->fmt->nb_streams || size <= 0)
        return lpms_fail(c->failed < 0 ? c->failed : AVERROR(EINVAL), "write unit");
    // The muxers' parsers read up to AV_INPUT_BUFFER_PADDING_SIZE bytes past the end: the
    // data needs a copy that has them.
    if ((err = av_new_packet(pkt, size)) < 0)
        return lpms_fail(err, "av_new_packet");
    memcpy(pkt->data, data, size);
    pkt->stream_index = s.track;
    pkt->dts = s.dts;
    pkt->pts = s.pts;
    pkt->duration = s.duration;
    if (s.key)
        pkt->flags |= AV_PKT_FLAG_KEY;
    err = av_write_frame(c->fmt, pkt);
    av_packet_unref(pkt);
    // A small audio frame would wait for the next one otherwise.
    if (err >= 0 && c->ts)
        err = av_write_frame(c->fmt, NULL);
    return flush(c, err, "av_write_frame");
}

lpms_result lpms_container_break(lpms_container *c)
{
    int err = av_opt_set(c->fmt->priv_data, "movflags", "+frag_discont", 0);

    return err < 0 ? lpms_fail(err, "frag_discont") : lpms_ok();
}

lpms_result lpms_container_finish(lpms_container *c)
{
    if (!c->started || c->failed < 0)
        return lpms_fail(c->failed < 0 ? c->failed : AVERROR(EINVAL), "finish container");
    c->started = 0;
    return flush(c, av_write_trailer(c->fmt), "av_write_trailer");
}

lpms_bytes lpms_container_bytes(const lpms_container *c)
{
    return (lpms_bytes){c->data, c->size};
}

void lpms_container_taken(lpms_container *c)
{
    c->taken += (int64_t)c->size;
    c->at = c->size = 0;
    if (c->room > KEEP_SIZE) {
        av_freep(&c->data);
        c->room = 0;
    }
}
