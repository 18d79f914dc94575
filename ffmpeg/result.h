// What every shim function reports: the libav code and the call it came from.

#ifndef LPMS_RESULT_H
#define LPMS_RESULT_H

typedef struct lpms_result {
    int code;          // 0, or a negative AVERROR
    const char *where; // static string; set when code is negative
} lpms_result;

static inline lpms_result lpms_ok(void)
{
    return (lpms_result){0, 0};
}

static inline lpms_result lpms_fail(int code, const char *where)
{
    return (lpms_result){code, where};
}

#endif
