// lpms_resizer shrinks the planes of 8 bit pictures: a bicubic filter as libswscale's, but
// down before across, so that the costly direction has fewer lines to do.

#ifndef LPMS_RESIZE_H
#define LPMS_RESIZE_H

#include <stddef.h>
#include <stdint.h>

typedef struct lpms_resizer lpms_resizer;

// For planes of src_w x src_h to dst_w x dst_h, which is not larger in any direction. NULL
// when there is no memory.
lpms_resizer *lpms_resizer_open(int src_w, int src_h, int dst_w, int dst_h);
void lpms_resizer_close(lpms_resizer **r);

void lpms_resizer_resize(lpms_resizer *r, const uint8_t *src, ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride);

// Uses portable code from now on although the processor has better; for tests.
void lpms_resizer_plain(lpms_resizer *r);

#endif
