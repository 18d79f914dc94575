// lpms_decoder decodes the units of one video track.

#ifndef LPMS_DECODE_H
#define LPMS_DECODE_H

#include "input.h"
#include "picture.h"
#include "unit.h"

struct AVCodecParameters;

typedef struct lpms_decoder lpms_decoder;

// With hw 1, NVDEC on the device (NULL: the first) decodes, and pictures are brought back.
lpms_result lpms_decoder_open(lpms_decoder **d, const struct AVCodecParameters *par, int threads, int hw, const char *device);
void lpms_decoder_close(lpms_decoder **d);

// The unit's data is copied. NULL: no more units come before lpms_decoder_reset.
lpms_result lpms_decoder_send(lpms_decoder *d, const lpms_unit *u);
// lpms_again: another unit is needed. lpms_eof: all pictures were given.
lpms_result lpms_decoder_receive(lpms_decoder *d, lpms_picture *p);
// Forgets everything, so that units from a keyframe on can be sent.
void lpms_decoder_reset(lpms_decoder *d);

#endif
