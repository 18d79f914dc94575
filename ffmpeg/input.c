#include "input.h"
#include "compat.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavformat/avformat.h>
#include <libavutil/dict.h>
#include <libavutil/mem.h>

#define IO_SIZE (32 * 1024)

// What opening may cost. The bytes come from strangers.
#define PROBE_SIZE 5000000       // bytes read to find the parameters
#define ANALYZE_DURATION 5000000 // media time read to find them, in us
#define FLV_PACKETS 4096         // read to find out which tracks an FLV has

// The containers that may be used.
#define FORMATS "mpegts,mov,flv"

static int memory_read(void *opaque, uint8_t *buf, int size)
{
    lpms_input *in = opaque;
    int64_t n = FFMIN((int64_t)size, in->size - in->pos);

    if (n <= 0)
        return AVERROR_EOF;
    memcpy(buf, in->data + in->pos, n);
    in->pos += n;
    return (int)n;
}

static int64_t memory_seek(void *opaque, int64_t offset, int whence)
{
    lpms_input *in = opaque;

    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return in->size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += in->pos;
        break;
    case SEEK_END:
        offset += in->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0 || offset > in->size)
        return AVERROR(EINVAL);
    return in->pos = offset;
}

static int stopped(void *opaque)
{
    const lpms_input *in = opaque;

    return in->stop && __atomic_load_n(in->stop, __ATOMIC_RELAXED);
}

// A pipe may be silent for long: it is asked whether to go on ten times a second.
static int file_read(void *opaque, uint8_t *buf, int size)
{
    lpms_input *in = opaque;
    struct pollfd p = {in->fd, POLLIN, 0};
    ssize_t n;

    while ((n = poll(&p, 1, 100)) == 0 || (n < 0 && errno == EINTR))
        if (stopped(in))
            return AVERROR_EXIT;
    do
        n = read(in->fd, buf, size);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (int)n : n < 0 ? AVERROR(errno) : AVERROR_EOF;
}

static int64_t file_seek(void *opaque, int64_t offset, int whence)
{
    lpms_input *in = opaque;
    struct stat st;
    off_t pos;

    if ((whence & ~AVSEEK_FORCE) == AVSEEK_SIZE)
        return fstat(in->fd, &st) < 0 ? AVERROR(errno) : st.st_size;
    pos = lseek(in->fd, offset, whence & ~AVSEEK_FORCE);
    return pos < 0 ? AVERROR(errno) : pos;
}

// No file may name another one.
static int refuse_open(AVFormatContext *fmt, AVIOContext **pb, const char *url, int flags, AVDictionary **opts)
{
    (void)fmt, (void)pb, (void)url, (void)flags, (void)opts;
    return AVERROR(EPERM);
}

static lpms_result open_format(lpms_input *in, int container)
{
    static const char *const names[] = {[LPMS_MPEGTS] = "mpegts", [LPMS_MP4] = "mov", [LPMS_FLV] = "flv"};
    const AVInputFormat *format = NULL;
    AVDictionary *opts = NULL;
    lpms_result r = lpms_ok();
    int err;

    if (container != LPMS_ANY && !(format = av_find_input_format(names[container])))
        return lpms_fail(AVERROR_DEMUXER_NOT_FOUND, "av_find_input_format");
    if (!(in->fmt = avformat_alloc_context()))
        return lpms_fail(AVERROR(ENOMEM), "avformat_alloc_context");
    in->fmt->pb = in->pb;
    in->fmt->io_open = refuse_open;
    in->fmt->interrupt_callback = (AVIOInterruptCB){stopped, in};
    in->fmt->max_streams = LPMS_MAX_STREAMS;
    if ((err = av_dict_set(&opts, "protocol_whitelist", "", 0)) < 0 ||
        (err = av_dict_set(&opts, "format_whitelist", FORMATS, 0)) < 0 ||
        (err = av_dict_set(&opts, "codec_whitelist", LPMS_DECODERS, 0)) < 0 ||
        (err = av_dict_set_int(&opts, "probesize", PROBE_SIZE, 0)) < 0 ||
        (err = av_dict_set_int(&opts, "analyzeduration", ANALYZE_DURATION, 0)) < 0)
        r = lpms_fail(err, "av_dict_set");
    else if ((err = avformat_open_input(&in->fmt, "", format, &opts)) < 0)
        r = lpms_fail(err, "avformat_open_input");
    av_dict_free(&opts);
    return r;
}

// The FLV demuxer learns of its tracks only while it reads: it reads until it has
// those of the file's header, and starts again.
static lpms_result find_flv_tracks(lpms_input *in)
{
    unsigned want = in->data && in->size > 4 ? (in->data[4] & 1) + (in->data[4] >> 2 & 1) : 2;
    AVPacket *pkt = av_packet_alloc();
    int err;

    if (!pkt)
        return lpms_fail(AVERROR(ENOMEM), "av_packet_alloc");
    for (int i = 0; i < FLV_PACKETS && in->fmt->nb_streams < want; i++) {
        if (av_read_frame(in->fmt, pkt) < 0)
            break;
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    if ((err = av_seek_frame(in->fmt, -1, 0, AVSEEK_FLAG_BYTE)) < 0)
        return lpms_fail(err, "av_seek_frame");
    return lpms_ok();
}

lpms_result lpms_input_open(lpms_input *in, const uint8_t *data, size_t size, int fd, int container, const int *stop)
{
    uint8_t *io = av_malloc(IO_SIZE);
    lpms_result r;

    memset(in, 0, sizeof(*in));
    in->data = data;
    in->size = (int64_t)size;
    in->fd = fd;
    in->stop = stop;
    if (!io)
        return lpms_fail(AVERROR(ENOMEM), "open input");
    if (data)
        in->pb = avio_alloc_context(io, IO_SIZE, 0, in, memory_read, NULL, memory_seek);
    else
        in->pb = avio_alloc_context(io, IO_SIZE, 0, in, file_read, NULL, lseek(fd, 0, SEEK_CUR) < 0 ? NULL : file_seek);
    if (!in->pb) {
        av_free(io);
        return lpms_fail(AVERROR(ENOMEM), "avio_alloc_context");
    }
    r = open_format(in, container);
    if (r.code >= 0 && in->pb->seekable && !strcmp(in->fmt->iformat->name, "flv"))
        r = find_flv_tracks(in);
    return r;
}

void lpms_input_close(lpms_input *in)
{
    avformat_close_input(&in->fmt);
    if (in->pb)
        av_freep(&in->pb->buffer);
    avio_context_free(&in->pb);
}
