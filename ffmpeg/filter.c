#include "filter.h"
#include "compat.h"

#include <string.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/mem.h>

struct lpms_filter {
    AVFilterGraph *graph;
    AVFilterContext *src, *sink;
    AVFrame *frame;
    int width, height, pix_fmt; // of what goes in
};

static lpms_result open_source(lpms_filter *f, const lpms_picture *in)
{
    AVBufferSrcParameters *par = av_buffersrc_parameters_alloc();
    int err;

    if (!par)
        return lpms_fail(AVERROR(ENOMEM), "av_buffersrc_parameters_alloc");
    par->format = in->pix_fmt;
    par->time_base = (AVRational){1, LPMS_CLOCK};
    par->width = in->width;
    par->height = in->height;
    par->sample_aspect_ratio = (AVRational){in->sar_num, in->sar_den};
#if LIBAVFILTER_VERSION_MAJOR >= 10
    par->color_space = in->space;
    par->color_range = in->range;
#endif
    if (!(f->src = avfilter_graph_alloc_filter(f->graph, avfilter_get_by_name("buffer"), "in"))) {
        av_free(par);
        return lpms_fail(AVERROR(ENOMEM), "open filter source");
    }
    err = av_buffersrc_parameters_set(f->src, par);
    av_free(par);
    if (err < 0 || (err = avfilter_init_str(f->src, NULL)) < 0)
        return lpms_fail(err, "open filter source");
    return lpms_ok();
}

static lpms_result parse(lpms_filter *f, const char *chain)
{
    AVFilterInOut *in = avfilter_inout_alloc(), *out = avfilter_inout_alloc();
    lpms_result r = lpms_fail(AVERROR(ENOMEM), "open filters");
    int err;

    if (in && out && (in->name = av_strdup("out")) && (out->name = av_strdup("in"))) {
        in->filter_ctx = f->sink;
        out->filter_ctx = f->src;
        err = avfilter_graph_parse_ptr(f->graph, chain, &in, &out, NULL);
        if (err >= 0)
            err = avfilter_graph_config(f->graph, NULL);
        r = err < 0 ? lpms_fail(err, "open filters") : lpms_ok();
    }
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    return r;
}

lpms_result lpms_filter_open(lpms_filter **out, const lpms_picture *in, const char *chain)
{
    lpms_filter *f = *out = av_mallocz(sizeof(*f));
    lpms_result r;
    int err;

    if (!f || !(f->frame = av_frame_alloc()) || !(f->graph = avfilter_graph_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "open filters");
    f->graph->nb_threads = 1;
    f->width = in->width;
    f->height = in->height;
    f->pix_fmt = in->pix_fmt;
    r = open_source(f, in);
    if (r.code < 0)
        return r;
    if ((err = avfilter_graph_create_filter(&f->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, f->graph)) < 0)
        return lpms_fail(err, "open filter sink");
    return parse(f, chain);
}

void lpms_filter_close(lpms_filter **fp)
{
    if (!*fp)
        return;
    avfilter_graph_free(&(*fp)->graph);
    av_frame_free(&(*fp)->frame);
    av_freep(fp);
}

lpms_result lpms_filter_send(lpms_filter *f, const lpms_picture *p, int64_t pts, int64_t end)
{
    int err;

    if (!p) {
        // On FFmpeg 5.1 a NULL frame would make some filters lose the last picture.
        err = av_buffersrc_close(f->src, end, AV_BUFFERSRC_FLAG_PUSH);
        return err < 0 ? lpms_fail(err, "av_buffersrc_close") : lpms_ok();
    }
    // The filters would read past the end of a smaller one.
    if (p->width != f->width || p->height != f->height || p->pix_fmt != f->pix_fmt)
        return lpms_fail(AVERROR(EINVAL), "filter another picture");
    if ((err = av_frame_ref(f->frame, p->frame)) < 0)
        return lpms_fail(err, "av_frame_ref");
    f->frame->pts = pts;
    err = av_buffersrc_add_frame(f->src, f->frame);
    av_frame_unref(f->frame);
    return err < 0 ? lpms_fail(err, "av_buffersrc_add_frame") : lpms_ok();
}

lpms_result lpms_filter_receive(lpms_filter *f, lpms_picture *p)
{
    AVRational unit = av_buffersink_get_time_base(f->sink);
    int err;

    memset(p, 0, sizeof(*p));
    if (!(p->frame = av_frame_alloc()))
        return lpms_fail(AVERROR(ENOMEM), "av_frame_alloc");
    if ((err = av_buffersink_get_frame(f->sink, p->frame)) < 0) {
        av_frame_free(&p->frame);
        return lpms_fail(err, "av_buffersink_get_frame");
    }
    av_frame_remove_side_data(p->frame, AV_FRAME_DATA_DISPLAYMATRIX); // it is done
    lpms_picture_describe(p);
    if (p->pts != LPMS_NO_TIME)
        p->pts = av_rescale_q(p->pts, unit, (AVRational){1, LPMS_CLOCK});
    return lpms_ok();
}
