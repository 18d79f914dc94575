#include "demux.h"
#include "compat.h"
#include "picture.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>

const int lpms_eof = AVERROR_EOF;
const int lpms_again = AVERROR(EAGAIN);
const int lpms_no_option = AVERROR_OPTION_NOT_FOUND;

struct lpms_demuxer {
    lpms_input in;
    AVPacket *pkt;
};

lpms_result lpms_demuxer_open(lpms_demuxer **out, const uint8_t *data, size_t size, int fd, int container, const int *stop)
{
    lpms_demuxer *d = *out = av_mallocz(sizeof(*d));
    lpms_result r;

    if (!d || !(d->pkt = av_packet_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open demuxer");
    r = lpms_input_open(&d->in, data, size, fd, container, stop);
    if (r.code >= 0)
        d->in.fmt->correct_ts_overflow = 0; // whoever knows the segment before does it better
    return r;
}

int lpms_demuxer_wraps(const lpms_demuxer *d)
{
    return !strcmp(d->in.fmt->iformat->name, "mpegts");
}

void lpms_demuxer_close(lpms_demuxer **dp)
{
    if (!*dp)
        return;
    lpms_input_close(&(*dp)->in);
    av_packet_free(&(*dp)->pkt);
    av_freep(dp);
}

int lpms_demuxer_tracks(const lpms_demuxer *d)
{
    return FFMIN((int)d->in.fmt->nb_streams, LPMS_MAX_STREAMS);
}

lpms_demux_track lpms_demuxer_track(const lpms_demuxer *d, int index)
{
    const AVStream *st = d->in.fmt->streams[index];
    lpms_demux_track t = {0};

    t.video = st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(st->disposition & AV_DISPOSITION_ATTACHED_PIC);
    t.audio = st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    t.rotation = lpms_rotation(lpms_stream_display_matrix(st));
    t.fps_num = st->avg_frame_rate.num;
    t.fps_den = st->avg_frame_rate.den;
    t.sar_num = st->sample_aspect_ratio.num;
    t.sar_den = st->sample_aspect_ratio.den;
    return t;
}

lpms_result lpms_demuxer_params(const lpms_demuxer *d, int index, struct AVCodecParameters **par)
{
    int err;

    if (!(*par = avcodec_parameters_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "avcodec_parameters_alloc");
    if ((err = avcodec_parameters_copy(*par, d->in.fmt->streams[index]->codecpar)) < 0)
        return lpms_fail(err, "avcodec_parameters_copy");
    return lpms_ok();
}

static int64_t to_clock(int64_t t, AVRational unit)
{
    if (t == AV_NOPTS_VALUE)
        return LPMS_NO_TIME;
    return av_rescale_q(t, unit, (AVRational){1, LPMS_CLOCK});
}

lpms_result lpms_demuxer_next(lpms_demuxer *d, lpms_unit *u)
{
    AVPacket *pkt = d->pkt;
    AVRational unit;
    int err;

    do {
        av_packet_unref(pkt);
        if ((err = av_read_frame(d->in.fmt, pkt)) < 0)
            return lpms_fail(err, "av_read_frame");
    } while (pkt->size <= 0 || pkt->stream_index >= LPMS_MAX_STREAMS);
    unit = d->in.fmt->streams[pkt->stream_index]->time_base;
    u->track = pkt->stream_index;
    u->key = !!(pkt->flags & AV_PKT_FLAG_KEY);
    u->pts = to_clock(pkt->pts, unit);
    u->dts = to_clock(pkt->dts, unit);
    u->duration = pkt->duration > 0 ? to_clock(pkt->duration, unit) : 0;
    u->data = pkt->data;
    u->size = pkt->size;
    return lpms_ok();
}
