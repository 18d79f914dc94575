#include "resize.h"

#include <math.h>
#include <string.h>

#include <libavutil/cpu.h>
#include <libavutil/mem.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES 16    // lines that are made at once
#define MAX_TAPS 64 // of a filter: a sixteenth of the size
#define PIECE 64    // samples of a line that are made at once
#define WHOLE 14    // bits of a coefficient; a filter's add up to 1<<WHOLE

// One direction: sample i is the sum of the taps samples from first[i] on.
typedef struct axis {
    int taps;
    int *first;
    int32_t *coefficients; // taps for each sample, each twice: the processor spreads 32 bits faster than 16
} axis;

// What one pass does, in the best code for the processor. Samples between the steps are
// 16 bits, and every product is rounded like the instruction for it: all code gives the
// same bits.
typedef struct steps {
    // Makes 7 bits behind the point of n bytes.
    void (*widen)(int16_t *dst, const uint8_t *src, int n);
    // Adds up n samples of each of the lines: 6 bits behind the point.
    void (*down)(int16_t *dst, const int16_t *const *lines, const int32_t *c, int taps, int n);
    // Turns n samples of each of the lanes: the lanes of a sample lie together.
    void (*turn)(int16_t *dst, const int16_t *src, ptrdiff_t stride, int n);
    // Makes bytes x to before end of each lane, 5 bits behind the point before they are rounded.
    void (*across)(uint8_t *dst, ptrdiff_t stride, int lanes, const int16_t *turned, const axis *a, int x, int end);
} steps;

struct lpms_resizer {
    int src_w, src_h, dst_w, dst_h;
    int pitch; // of wide and narrow lines
    axis down, across;
    int16_t *wide;   // the source's lines that the filter is over, in a ring
    int16_t *made;   // LANES lines between the passes
    int16_t *turned; // the same, turned, with margins of MAX_TAPS samples
    const steps *steps;
};

// The bicubic filter that libswscale has by default: B 0, C 0.6.
static double bicubic(double x)
{
    const double c = 0.6;

    x = fabs(x);
    if (x < 1)
        return ((12 - 6 * c) * x * x * x + (-18 + 6 * c) * x * x + 6) / 6;
    if (x < 2)
        return (-6 * c * x * x * x + 30 * c * x * x - 48 * c * x + 24 * c) / 6;
    return 0;
}

// Fills in the coefficients of sample i, which add up exactly.
static void make_taps(axis *a, int i, double scale)
{
    int32_t *c = a->coefficients + (size_t)i * a->taps;
    double center = (i + 0.5) * scale - 0.5, sum = 0, part = 0;
    int first = (int)floor(center - 2 * scale) + 1, done = 0;

    a->first[i] = first;
    for (int k = 0; k < a->taps; k++)
        sum += bicubic((first + k - center) / scale);
    for (int k = 0; k < a->taps; k++) {
        part += bicubic((first + k - center) / scale) / sum;
        // The rounding of one is carried to the next.
        int16_t tap = (int16_t)(lrint(part * (1 << WHOLE)) - done);
        c[k] = (int32_t)((uint16_t)tap * 0x10001u);
        done += tap;
    }
}

static int open_axis(axis *a, int src, int dst)
{
    double scale = (double)src / dst;

    a->taps = (int)ceil(4 * scale);
    if (a->taps > MAX_TAPS)
        return 0;
    a->first = av_calloc(dst, sizeof(*a->first));
    a->coefficients = av_calloc((size_t)dst * a->taps, sizeof(*a->coefficients));
    if (!a->first || !a->coefficients)
        return 0;
    for (int i = 0; i < dst; i++)
        make_taps(a, i, scale);
    return 1;
}

// The product of two fractions of 15 bits, rounded.
static inline int16_t product(int16_t a, int16_t b)
{
    return (int16_t)((a * b + (1 << 14)) >> 15);
}

static void widen_plain(int16_t *dst, const uint8_t *src, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = (int16_t)(src[x] << 7);
}

static void down_plain(int16_t *dst, const int16_t *const *lines, const int32_t *c, int taps, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = product(lines[0][x], (int16_t)c[0]);
    for (int k = 1; k < taps; k++)
        for (int x = 0; x < n; x++)
            dst[x] = (int16_t)(dst[x] + product(lines[k][x], (int16_t)c[k]));
}

static void turn_plain(int16_t *dst, const int16_t *src, ptrdiff_t stride, int n)
{
    for (int x = 0; x < n; x++)
        for (int lane = 0; lane < LANES; lane++)
            dst[x * LANES + lane] = src[lane * stride + x];
}

static void across_plain(uint8_t *dst, ptrdiff_t stride, int lanes, const int16_t *turned, const axis *a, int x, int end)
{
    for (; x < end; x++) {
        const int32_t *c = a->coefficients + (size_t)x * a->taps;
        const int16_t *s = turned + (ptrdiff_t)a->first[x] * LANES;
        int16_t sum[LANES] = {0};
        for (int k = 0; k < a->taps; k++)
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] = (int16_t)(sum[lane] + product(s[k * LANES + lane], (int16_t)c[k]));
        for (int lane = 0; lane < lanes; lane++) {
            int v = (sum[lane] + 16) >> 5;
            dst[lane * stride + x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

static const steps plain_steps = {widen_plain, down_plain, turn_plain, across_plain};

#if defined(__x86_64__)
__attribute__((target("avx2")))
static void widen_avx2(int16_t *dst, const uint8_t *src, int n)
{
    int x = 0;

    for (; x + 16 <= n; x += 16) {
        __m256i v = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(src + x)));
        _mm256_storeu_si256((__m256i *)(dst + x), _mm256_slli_epi16(v, 7));
    }
    widen_plain(dst + x, src + x, n - x);
}

// The loops over a filter's taps are unrolled for the usual lengths.
#define FOR_TAPS(taps, f)                                                                                              \
    switch (taps) {                                                                                                    \
    case 4: f(4); break;                                                                                               \
    case 5: f(5); break;                                                                                               \
    case 6: f(6); break;                                                                                               \
    case 7: f(7); break;                                                                                               \
    case 8: f(8); break;                                                                                               \
    case 9: f(9); break;                                                                                               \
    case 10: f(10); break;                                                                                             \
    case 12: f(12); break;                                                                                             \
    case 13: f(13); break;                                                                                             \
    default: f(taps);                                                                                                  \
    }

#define ALWAYS_INLINE inline __attribute__((always_inline, target("avx2")))

// Lines are longer than n by up to 31 samples, which may be anything.
static ALWAYS_INLINE void down_taps(int16_t *dst, const int16_t *const *lines, const int32_t *c, const int taps, int n)
{
    for (int x = 0; x < n; x += 32) {
        __m256i a = _mm256_setzero_si256(), b = a;
#pragma GCC unroll 16
        for (int k = 0; k < taps; k++) {
            const __m256i *line = (const __m256i *)(lines[k] + x);
            __m256i w = _mm256_set1_epi32(c[k]);
            a = _mm256_add_epi16(a, _mm256_mulhrs_epi16(_mm256_loadu_si256(line), w));
            b = _mm256_add_epi16(b, _mm256_mulhrs_epi16(_mm256_loadu_si256(line + 1), w));
        }
        _mm256_storeu_si256((__m256i *)(dst + x), a);
        _mm256_storeu_si256((__m256i *)(dst + x) + 1, b);
    }
}

__attribute__((target("avx2")))
static void down_avx2(int16_t *dst, const int16_t *const *lines, const int32_t *c, int taps, int n)
{
#define DOWN(t) down_taps(dst, lines, c, t, n)
    FOR_TAPS(taps, DOWN)
}

// Turns 8 samples of 8 lanes.
static inline void turn_8x8(int16_t *dst, const int16_t *src, ptrdiff_t stride)
{
    __m128i r[8], s[8];

    for (int i = 0; i < 8; i++)
        r[i] = _mm_loadu_si128((const __m128i *)(src + i * stride));
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm_unpacklo_epi16(r[i], r[i + 4]);
        s[2 * i + 1] = _mm_unpackhi_epi16(r[i], r[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        r[2 * i] = _mm_unpacklo_epi16(s[i], s[i + 4]);
        r[2 * i + 1] = _mm_unpackhi_epi16(s[i], s[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        _mm_storeu_si128((__m128i *)(dst + 2 * i * LANES), _mm_unpacklo_epi16(r[i], r[i + 4]));
        _mm_storeu_si128((__m128i *)(dst + (2 * i + 1) * LANES), _mm_unpackhi_epi16(r[i], r[i + 4]));
    }
}

static void turn_sse2(int16_t *dst, const int16_t *src, ptrdiff_t stride, int n)
{
    for (int x = 0; x < n; x += 8, dst += 8 * LANES, src += 8) {
        turn_8x8(dst, src, stride);
        turn_8x8(dst + 8, src + 8 * stride, stride);
    }
}

// Turns 16 samples of 16 lanes, in bytes, and stores the first lanes.
static inline void store_turned(uint8_t *dst, ptrdiff_t stride, int lanes, const __m128i v[16])
{
    __m128i r[16], s[16];

    memcpy(r, v, sizeof(r));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            s[2 * i] = _mm_unpacklo_epi8(r[i], r[i + 8]);
            s[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + 8]);
        }
        memcpy(r, s, sizeof(r));
    }
    for (int lane = 0; lane < lanes; lane++)
        _mm_storeu_si128((__m128i *)(dst + lane * stride), r[lane]);
}

// Makes 16 samples from x on of all lanes.
static ALWAYS_INLINE void across_taps(__m128i *column, const int16_t *turned, const int *first, const int32_t *c, const int taps)
{
    const __m256i half = _mm256_set1_epi16(16);

    for (int i = 0; i < 16; i++, c += taps) {
        const __m256i *s = (const __m256i *)(turned + (ptrdiff_t)first[i] * LANES);
        __m256i sum = half;
#pragma GCC unroll 16
        for (int k = 0; k < taps; k++)
            sum = _mm256_add_epi16(sum, _mm256_mulhrs_epi16(_mm256_loadu_si256(s + k), _mm256_set1_epi32(c[k])));
        sum = _mm256_srai_epi16(sum, 5);
        column[i] = _mm_packus_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    }
}

__attribute__((target("avx2")))
static void across_avx2(uint8_t *dst, ptrdiff_t stride, int lanes, const int16_t *turned, const axis *a, int x, int end)
{
    for (; x + 16 <= end; x += 16) {
        __m128i column[16];
#define ACROSS(t) across_taps(column, turned, a->first + x, a->coefficients + (size_t)x * a->taps, t)
        FOR_TAPS(a->taps, ACROSS)
        store_turned(dst + x, stride, lanes, column);
        if (end - x > 16 && end - x < 32)
            x = end - 32; // the last ones once more, rather than one by one
    }
    across_plain(dst, stride, lanes, turned, a, x, end);
}

static const steps avx2_steps = {widen_avx2, down_avx2, turn_sse2, across_avx2};
#endif

lpms_resizer *lpms_resizer_open(int src_w, int src_h, int dst_w, int dst_h)
{
    lpms_resizer *r = av_mallocz(sizeof(*r));

    if (!r)
        return NULL;
    r->src_w = src_w;
    r->src_h = src_h;
    r->dst_w = dst_w;
    r->dst_h = dst_h;
    r->pitch = (src_w + 31) / 32 * 32;
    r->steps = &plain_steps;
#if defined(__x86_64__)
    if (av_get_cpu_flags() & AV_CPU_FLAG_AVX2)
        r->steps = &avx2_steps;
#endif
    if (!open_axis(&r->down, src_h, dst_h) || !open_axis(&r->across, src_w, dst_w) ||
        !(r->wide = av_calloc(r->pitch, r->down.taps * sizeof(*r->wide))) ||
        !(r->made = av_calloc(r->pitch, LANES * sizeof(*r->made))) ||
        !(r->turned = av_calloc(r->pitch + 2 * MAX_TAPS, LANES * sizeof(*r->turned))))
        lpms_resizer_close(&r);
    return r;
}

void lpms_resizer_close(lpms_resizer **rp)
{
    lpms_resizer *r = *rp;

    if (!r)
        return;
    av_free(r->down.first);
    av_free(r->down.coefficients);
    av_free(r->across.first);
    av_free(r->across.coefficients);
    av_free(r->wide);
    av_free(r->made);
    av_free(r->turned);
    av_freep(rp);
}

void lpms_resizer_plain(lpms_resizer *r)
{
    r->steps = &plain_steps;
}

static int clamp(int x, int last)
{
    return x < 0 ? 0 : x > last ? last : x;
}

// Makes line y between the passes. have is the number of source lines that were widened.
static void make_line(lpms_resizer *r, const uint8_t *src, ptrdiff_t stride, int y, int *have)
{
    int first = r->down.first[y], taps = r->down.taps;
    const int16_t *lines[MAX_TAPS];

    for (; *have <= clamp(first + taps - 1, r->src_h - 1); ++*have)
        r->steps->widen(r->wide + (size_t)(*have % taps) * r->pitch, src + *have * stride, r->src_w);
    // Above and below, the picture goes on as it is at its edge.
    for (int k = 0; k < taps; k++)
        lines[k] = r->wide + (size_t)(clamp(first + k, r->src_h - 1) % taps) * r->pitch;
    r->steps->down(r->made + (size_t)(y % LANES) * r->pitch, lines, r->down.coefficients + (size_t)y * taps, taps, r->src_w);
}

// Makes lines from LANES lines between the passes, a piece after the other: what was turned
// is used while it is near.
static void make_across(lpms_resizer *r, uint8_t *dst, ptrdiff_t stride, int lanes)
{
    const axis *a = &r->across;
    int16_t *turned = r->turned + MAX_TAPS * LANES;
    int have = 0;

    for (int x = 0; x < r->dst_w; x += PIECE) {
        int end = x + PIECE < r->dst_w ? x + PIECE : r->dst_w;
        int need = end == r->dst_w ? r->src_w : clamp(a->first[end - 1] + a->taps, r->src_w);
        if (need > have) {
            int more = (need - have + 7) / 8 * 8;
            r->steps->turn(turned + have * LANES, r->made + have, r->pitch, more);
            have += more;
        }
        // Beside its edges the picture goes on as it is there.
        for (int i = 1; i <= MAX_TAPS && x == 0; i++)
            memcpy(turned - i * LANES, turned, LANES * sizeof(*turned));
        for (int i = 0; i < MAX_TAPS && need == r->src_w; i++)
            memcpy(turned + (r->src_w + i) * LANES, turned + (r->src_w - 1) * LANES, LANES * sizeof(*turned));
        r->steps->across(dst, stride, lanes, turned, a, x, end);
    }
}

void lpms_resizer_resize(lpms_resizer *r, const uint8_t *src, ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride)
{
    int have = 0;

    for (int y = 0; y < r->dst_h; y += LANES, dst += LANES * dst_stride) {
        int lanes = r->dst_h - y < LANES ? r->dst_h - y : LANES;
        for (int lane = 0; lane < lanes; lane++)
            make_line(r, src, src_stride, y + lane, &have);
        make_across(r, dst, dst_stride, lanes);
    }
}
