// Raw pictures and sound on their way to an encoder.

#ifndef LPMS_RAWENCODE_H
#define LPMS_RAWENCODE_H

#include <stdint.h>

#include "result.h"
#include "unit.h"

struct AVCodecParameters;
struct AVFrame;

// A frame of 8-bit 4:2:0, to be freed by the caller as a picture is.
lpms_result lpms_raw_frame_open(struct AVFrame **f, int width, int height);
// Copies tightly packed planes into the frame; the chroma planes are half as wide and high,
// rounded up.
lpms_result lpms_raw_frame_fill(struct AVFrame *f, const uint8_t *y, const uint8_t *u, const uint8_t *v);

// lpms_raw_audio encodes samples as AAC-LC.
typedef struct lpms_raw_audio lpms_raw_audio;

lpms_result lpms_raw_audio_open(lpms_raw_audio **a, int rate, int channels, int64_t bit_rate);
void lpms_raw_audio_close(lpms_raw_audio **a);
// A copy, to be freed by the caller.
lpms_result lpms_raw_audio_params(const lpms_raw_audio *a, struct AVCodecParameters **par);
// How many samples of each channel a full frame has.
int lpms_raw_audio_frame_size(const lpms_raw_audio *a);
// One frame of interleaved samples, which are copied; only the last may be a short one. at is
// the number of its first sample. With samples 0: no more frames come.
lpms_result lpms_raw_audio_send(lpms_raw_audio *a, const float *interleaved, int samples, int64_t at);
// Times and duration are in samples; the data is good until the next call. lpms_again: another
// frame is needed. lpms_eof: all units were given.
lpms_result lpms_raw_audio_receive(lpms_raw_audio *a, lpms_unit *u);

#endif
