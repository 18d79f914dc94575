// Reading the brightness of small pictures, for signatures.

#ifndef LPMS_SIGNATURE_H
#define LPMS_SIGNATURE_H

#include "picture.h"

// Copies the width * height bytes of brightness of a picture of planes of bytes.
void lpms_picture_luma(const lpms_picture *p, uint8_t *out);

#endif
