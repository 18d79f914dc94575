// lpms_audio decodes one audio track and encodes it as AAC.

#ifndef LPMS_AUDIO_H
#define LPMS_AUDIO_H

#include "input.h"
#include "unit.h"

struct AVCodecParameters;

typedef struct lpms_audio lpms_audio;

// rate and channels are those to encode, 0 for those of the track. The encoder is opened
// with the first sound. With grid, its frames begin at the same times wherever in a stream
// that is: with the track's frames when they are as long as the encoder's, at
// multiples of a frame from time 0 otherwise. With lead, too, silence stands in front, and the
// first frame that comes out is the one that would if it were sound.
lpms_result lpms_audio_open(lpms_audio **a, const struct AVCodecParameters *par, int rate, int channels, int grid, int lead,
                            const char *const *options, int pairs);
void lpms_audio_close(lpms_audio **a);

// The parameters of what comes out, NULL before the first sound. A copy, to be freed by the caller.
lpms_result lpms_audio_params(const lpms_audio *a, struct AVCodecParameters **par);

// The time after all that was sent, as far as it could be decoded. LPMS_NO_TIME before the first sound.
int64_t lpms_audio_next(const lpms_audio *a);

// The option that the encoder does not have, after a failure with AVERROR_OPTION_NOT_FOUND.
const char *lpms_audio_unknown(const lpms_audio *a);

// The unit's data is copied. A unit that cannot be decoded is left out. NULL: the end, nothing
// can be sent after it.
lpms_result lpms_audio_send(lpms_audio *a, const lpms_unit *u);
// The data is good until the next call. lpms_again: another unit is needed.
lpms_result lpms_audio_receive(lpms_audio *a, lpms_unit *u);

#endif
