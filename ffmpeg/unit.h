// lpms_unit is one access unit of a track.

#ifndef LPMS_UNIT_H
#define LPMS_UNIT_H

#include <stdint.h>

#define LPMS_CLOCK 282240000 // ticks per second of all times in units and pictures
#define LPMS_NO_TIME INT64_MIN

typedef struct lpms_unit {
    int track;
    int key;
    int64_t dts, pts; // LPMS_NO_TIME when unknown
    int64_t duration; // 0 when unknown
    const uint8_t *data;
    int size;
} lpms_unit;

// Codes of results that are no failures.
extern const int lpms_eof;   // nothing more comes
extern const int lpms_again; // nothing more comes before something is put in

// The code of an option that a component does not have.
extern const int lpms_no_option;

#endif
