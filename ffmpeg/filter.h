// lpms_filter runs pictures through a chain of libavfilter.

#ifndef LPMS_FILTER_H
#define LPMS_FILTER_H

#include "picture.h"
#include "result.h"
#include "unit.h"

typedef struct lpms_filter lpms_filter;

// For pictures like in.
lpms_result lpms_filter_open(lpms_filter **f, const lpms_picture *in, const char *chain);
void lpms_filter_close(lpms_filter **f);

// NULL: no more pictures come; the last one is shown until end.
lpms_result lpms_filter_send(lpms_filter *f, const lpms_picture *p, int64_t pts, int64_t end);
// lpms_again: another picture is needed. lpms_eof: all were given.
lpms_result lpms_filter_receive(lpms_filter *f, lpms_picture *p);

#endif
