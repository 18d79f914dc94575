#include "muxer.h"
#include "compat.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>

#define TS_PACKET 188
#define SDT_PID 0x11
#define MAX_TRACKS 16

// Whole TS packets, so that the write callback never sees a part of one.
#define IO_SIZE (22 * TS_PACKET)

const int lpms_no_room = AVERROR(ENOBUFS);

struct lpms_muxer {
    AVFormatContext *fmt;
    AVPacket *pkt;
    AVBSFContext *annexb[MAX_TRACKS]; // set for H.264 tracks
    uint8_t *dst; // where the current call's output goes
    size_t room, size;
};

// The write callback: keeps every TS packet but those of the SDT, which carries
// the name of a television channel and would stand before the PAT.
static int keep(void *opaque, lpms_avio_byte *data, int size)
{
    lpms_muxer *m = opaque;

    for (int i = 0; i + TS_PACKET <= size; i += TS_PACKET) {
        if (((data[i + 1] & 0x1f) << 8 | data[i + 2]) == SDT_PID)
            continue;
        if (m->room - m->size < TS_PACKET)
            return lpms_no_room;
        memcpy(m->dst + m->size, data + i, TS_PACKET);
        m->size += TS_PACKET;
    }
    return size;
}

lpms_result lpms_muxer_open(lpms_muxer **out)
{
    lpms_muxer *m = av_mallocz(sizeof(*m));
    uint8_t *io;
    int err;

    *out = m;
    if (!m)
        return lpms_fail(AVERROR(ENOMEM), "open muxer");
    if (!(m->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "av_packet_alloc");
    if ((err = avformat_alloc_output_context2(&m->fmt, NULL, "mpegts", NULL)) < 0)
        return lpms_fail(err, "avformat_alloc_output_context2");
    if (!(io = av_malloc(IO_SIZE)))
        return lpms_fail(AVERROR(ENOMEM), "open muxer");
    if (!(m->fmt->pb = avio_alloc_context(io, IO_SIZE, 1, m, NULL, keep, NULL))) {
        av_free(io);
        return lpms_fail(AVERROR(ENOMEM), "avio_alloc_context");
    }
    return lpms_ok();
}

// Opens the filter that turns length-prefixed NAL units into Annex B. It is ours
// rather than the one libavformat inserts by itself, which decides by the first
// packet's bytes and keeps state from packet to packet.
static lpms_result open_annexb(AVBSFContext **bsf, const AVCodecParameters *par)
{
    const AVBitStreamFilter *f = av_bsf_get_by_name("h264_mp4toannexb");
    int err;

    if (!f)
        return lpms_fail(AVERROR_BSF_NOT_FOUND, "h264_mp4toannexb");
    if ((err = av_bsf_alloc(f, bsf)) < 0)
        return lpms_fail(err, "av_bsf_alloc");
    if ((err = avcodec_parameters_copy((*bsf)->par_in, par)) < 0)
        return lpms_fail(err, "avcodec_parameters_copy");
    if ((err = av_bsf_init(*bsf)) < 0)
        return lpms_fail(err, "av_bsf_init");
    return lpms_ok();
}

lpms_result lpms_muxer_add(lpms_muxer *m, lpms_track t, const uint8_t *extradata, int size)
{
    AVCodecParameters *par;
    AVStream *st;
    int err, index = m->fmt->nb_streams;
    lpms_result r;

    if (index >= MAX_TRACKS || size < 0)
        return lpms_fail(AVERROR(EINVAL), "add track");
    if (!(st = avformat_new_stream(m->fmt, NULL)))
        return lpms_fail(AVERROR(ENOMEM), "avformat_new_stream");
    par = st->codecpar;
    if (size > 0) {
        if (!(par->extradata = av_mallocz((size_t)size + AV_INPUT_BUFFER_PADDING_SIZE)))
            return lpms_fail(AVERROR(ENOMEM), "add track");
        memcpy(par->extradata, extradata, size);
        par->extradata_size = size;
    }
    if (t.codec == LPMS_AAC) {
        par->codec_type = AVMEDIA_TYPE_AUDIO;
        par->codec_id = AV_CODEC_ID_AAC;
        par->sample_rate = t.sample_rate;
        av_channel_layout_default(&par->ch_layout, t.channels);
        return lpms_ok();
    }
    par->codec_type = AVMEDIA_TYPE_VIDEO;
    par->codec_id = AV_CODEC_ID_H264;
    par->width = t.width;
    par->height = t.height;
    r = open_annexb(&m->annexb[index], par);
    if (r.code < 0)
        return r;
    if ((err = avcodec_parameters_copy(par, m->annexb[index]->par_out)) < 0)
        return lpms_fail(err, "avcodec_parameters_copy");
    return r;
}

lpms_result lpms_muxer_start(lpms_muxer *m)
{
    AVDictionary *opts = NULL;
    lpms_result r = lpms_ok();
    int err;

    m->fmt->flags &= ~AVFMT_FLAG_AUTO_BSF;
    // The caller's timestamps go to the wire as they are.
    m->fmt->max_delay = 0;
    m->fmt->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    if ((err = av_dict_set(&opts, "mpegts_copyts", "1", 0)) < 0 ||
        // One audio frame is one PES with its own time.
        (err = av_dict_set(&opts, "pes_payload_size", "0", 0)) < 0 ||
        // PAT and PMT at the start of a segment and at keyframes are enough.
        (err = av_dict_set(&opts, "pat_period", "86400", 0)) < 0) {
        r = lpms_fail(err, "av_dict_set");
        goto end;
    }
    if ((err = avformat_write_header(m->fmt, &opts)) < 0)
        r = lpms_fail(err, "avformat_write_header");
    else if (av_dict_count(opts) > 0)
        r = lpms_fail(AVERROR_OPTION_NOT_FOUND, "avformat_write_header");
end:
    av_dict_free(&opts);
    return r;
}

void lpms_muxer_close(lpms_muxer **mp)
{
    lpms_muxer *m = *mp;

    if (!m)
        return;
    for (int i = 0; i < MAX_TRACKS; i++)
        av_bsf_free(&m->annexb[i]);
    if (m->fmt) {
        AVIOContext *pb = m->fmt->pb;
        if (pb)
            av_freep(&pb->buffer);
        avio_context_free(&pb);
        m->fmt->pb = NULL;
        avformat_free_context(m->fmt);
    }
    av_packet_free(&m->pkt);
    av_freep(mp);
}

// Turns m->pkt into Annex B.
static lpms_result to_annexb(lpms_muxer *m, AVBSFContext *bsf)
{
    int err;

    // A flush makes the filter forget earlier packets, good or bad: every IDR
    // picture gets its SPS and PPS, also the second of two in a row.
    av_bsf_flush(bsf);
    if ((err = av_bsf_send_packet(bsf, m->pkt)) < 0)
        return lpms_fail(err, "av_bsf_send_packet");
    if ((err = av_bsf_receive_packet(bsf, m->pkt)) < 0)
        return lpms_fail(err, "av_bsf_receive_packet");
    if (m->pkt->size == 0) // only NAL units of no bytes
        return lpms_fail(AVERROR_INVALIDDATA, "av_bsf_receive_packet");
    return lpms_ok();
}

// An upper bound of the output for a packet: 4 bytes of header in 188, one PES
// header, PAT, PMT, another set of parameter sets, the last TS packet's stuffing.
static size_t ts_bound(const AVPacket *pkt, const AVStream *st)
{
    size_t n = (size_t)pkt->size + (size_t)st->codecpar->extradata_size;
    return n + n / 32 + 8 * TS_PACKET;
}

// Writes m->pkt to m->dst.
static lpms_result write_ts(lpms_muxer *m)
{
    AVIOContext *pb = m->fmt->pb;
    lpms_result r = lpms_ok();
    int err;

    if ((err = av_write_frame(m->fmt, m->pkt)) < 0)
        r = lpms_fail(err, "av_write_frame");
    // A small audio frame would wait for the next one otherwise.
    else if ((err = av_write_frame(m->fmt, NULL)) < 0)
        r = lpms_fail(err, "av_write_frame");
    avio_flush(pb);
    if (r.code >= 0 && pb->error < 0)
        r = lpms_fail(pb->error, "avio_flush");
    pb->error = 0;
    return r;
}

lpms_written lpms_muxer_write(lpms_muxer *m, lpms_packet p, const uint8_t *data, int size,
                              uint8_t *dst, size_t room)
{
    AVPacket *pkt = m->pkt;
    lpms_written w = {lpms_ok(), 0};
    size_t bound;
    int err;

    if (p.track < 0 || p.track >= (int)m->fmt->nb_streams || size <= 0) {
        w.result = lpms_fail(AVERROR_INVALIDDATA, "write packet");
        return w;
    }
    // Filters read up to AV_INPUT_BUFFER_PADDING_SIZE bytes past the end: the data
    // needs a copy that has them.
    if ((err = av_new_packet(pkt, size)) < 0) {
        w.result = lpms_fail(err, "av_new_packet");
        return w;
    }
    memcpy(pkt->data, data, size);
    pkt->dts = p.dts;
    pkt->pts = p.pts;
    pkt->duration = p.duration;
    if (p.key)
        pkt->flags |= AV_PKT_FLAG_KEY;
    if (m->annexb[p.track]) {
        w.result = to_annexb(m, m->annexb[p.track]);
        if (w.result.code < 0)
            goto end;
    }
    pkt->stream_index = p.track;
    // Asked before libavformat writes, so that a segment never ends within a packet.
    bound = ts_bound(pkt, m->fmt->streams[p.track]);
    if (bound > room) {
        w = (lpms_written){lpms_fail(lpms_no_room, "write packet"), bound};
        goto end;
    }
    m->dst = dst;
    m->room = room;
    m->size = 0;
    w.result = write_ts(m);
    w.size = m->size;
    m->dst = NULL;
    m->room = m->size = 0;
end:
    av_packet_unref(pkt);
    return w;
}

lpms_result lpms_muxer_cut(lpms_muxer *m)
{
    int err = av_opt_set(m->fmt->priv_data, "mpegts_flags", "+resend_headers", 0);

    return err < 0 ? lpms_fail(err, "resend_headers") : lpms_ok();
}
