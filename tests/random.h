/* random.h - the same pseudo-random inputs everywhere: xorshift64, floats by integers only. */
#ifndef VB_TESTS_RANDOM_H
#define VB_TESTS_RANDOM_H
#include "base/quant.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t state;
} rng;

static inline uint32_t rng_word(rng *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return (uint32_t)(r->state >> 16);
}

/* Multiples of 2^-23 in [-1, 1). */
static inline float rng_float(rng *r)
{
    return (float)((int)(rng_word(r) >> 8) - 0x800000) * 0x1p-23f;
}

static inline void rng_floats(rng *r, float *x, int n, float scale)
{
    for (int i = 0; i < n; i++) x[i] = rng_float(r) * scale;
}

/* Where the halves of a block stand that scale it: byte offsets, -1 none; of
 * IQ1_M the word with the upper bits of its half. */
static inline void rng_scales_of(vb_format format, int at[2])
{
    static const int first[VB_FORMATS] = {[VB_FMT_Q2_K] = 80,  [VB_FMT_Q3_K] = 108, [VB_FMT_Q6_K] = 208,
                                          [VB_FMT_IQ1_M] = 54, [VB_FMT_TQ1_0] = 52, [VB_FMT_TQ2_0] = 64};
    static const int second[VB_FORMATS] = {[VB_FMT_Q4_1] = 2, [VB_FMT_Q5_1] = 2, [VB_FMT_Q2_K] = 82,
                                           [VB_FMT_Q4_K] = 2, [VB_FMT_Q5_K] = 2};
    at[0] = format == VB_FMT_NVFP4 ? -1 : first[format];
    at[1] = second[format] > 0 ? second[format] : -1;
}

/* n random blocks: any bits, but scales (or values) are halves or floats below 2 in size, so all are finite. */
static inline void rng_blocks(rng *r, vb_format format, uint8_t *to, int64_t n)
{
    const vb_format_info *f = vb_format_of(format);
    int at[2];
    rng_scales_of(format, at);
    for (int64_t b = 0; b < n; b++, to += f->bytes) {
        for (int i = 0; i < f->bytes; i++) to[i] = (uint8_t)rng_word(r);
        if (format == VB_FMT_F32 || format == VB_FMT_BF16)
            to[f->bytes - 1] &= 0xbf; /* |x| < 2 */
        else if (format == VB_FMT_MXFP4)
            to[0] = (uint8_t)(to[0] / 2); /* an exponent */
        else
            for (int i = 0; i < 2; i++)
                if (at[i] >= 0) to[at[i] + 1] &= 0xbf;
    }
}

/* A row-major matrix of random blocks; NULL if memory is out. */
static inline uint8_t *rng_matrix(rng *r, vb_format format, int64_t cols, int64_t rows)
{
    const vb_format_info *f = vb_format_of(format);
    int64_t blocks = cols / f->block * rows;
    uint8_t *data = malloc((size_t)(blocks * f->bytes));
    if (data != NULL) rng_blocks(r, format, data, blocks);
    return data;
}

#endif
