// lpms_thumbnail makes a small JPEG of a picture.

#ifndef LPMS_THUMBNAIL_H
#define LPMS_THUMBNAIL_H

#include "picture.h"
#include "result.h"

struct AVPacket;

// The picture in the given size, of even sides, with square pixels. jpeg is the
// receiver's, who calls lpms_thumbnail_free also after a failure.
lpms_result lpms_thumbnail_make(const lpms_picture *in, int width, int height, struct AVPacket **jpeg);
void lpms_thumbnail_free(struct AVPacket **jpeg);

#endif
