/* encode_parts.h - between the encoders: one block at a time, and the searches for its scales. */
#ifndef VB_QUANTIZE_ENCODE_PARTS_H
#define VB_QUANTIZE_ENCODE_PARTS_H
#include "base/canon.h"

/* One block. `w` is the importance of its elements (NULL: none), `power` the mean square of the row. All numbers are
 * finite and below 2^28. 0: a scale does not fit its half. */
typedef int vb_block_encoder(const float *x, const float *w, float power, uint8_t *out);
vb_block_encoder vb_encode_Q8_0, vb_encode_Q4_0, vb_encode_Q4_1, vb_encode_Q5_0, vb_encode_Q5_1, vb_encode_IQ4_NL,
    vb_encode_MXFP4, vb_encode_Q2_K, vb_encode_Q3_K, vb_encode_Q4_K, vb_encode_Q5_K, vb_encode_Q6_K, vb_encode_IQ4_XS;

/* A block brought to numbers below 2 by a power of two, so that no sum of a search overflows, and how much an error at
 * each of them counts. */
typedef struct {
    float x[256], w[256];
    float unit; /* x = what was given / unit; 0: all would become zero */
} vb_block;
/* How the importance of an element becomes its weight, and what stands for it if there is none. */
typedef enum {
    VB_WEIGH_SQUARE, /* x^2 + a quarter of the mean square of its sub-block */
    VB_WEIGH_SIZE,   /* |x| + the root of that mean square */
} vb_weighing;
typedef struct {
    int n, sub;  /* elements of the block, of a sub-block */
    vb_weighing without;
    int plainly; /* importance counts as it is; else it is multiplied by sqrt(x^2 + power) */
    float power; /* mean square of the surroundings; < 0: that of the block, times -power */
} vb_block_shape;
void vb_block_take(vb_block *b, const float *x, const float *importance, const vb_block_shape *shape);

/* Nearest integers as floats, ties to even, for |x| below 2^22. */
static inline float nearest(float x)
{
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* Not the library's: an integer code in [least, most] for any x, also a huge one. */
static inline float code_of(float x, float least, float most)
{
    float low = x < least ? least : x;
    return nearest(low > most ? most : low);
}

/* A half's two bytes; 0: it is infinite. */
static inline int put_half(uint8_t *to, float x)
{
    uint16_t half = (uint16_t)c_f2h(x);
    memcpy(to, &half, sizeof half);
    return (half & 0x7c00u) != 0x7c00u;
}

static inline float half_in(const uint8_t *from)
{
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return c_h2f(half);
}

/* Of a divisor that may be 0 or so small that its inverse is none. */
static inline float inverse(float x)
{
    float y = x != 0.0f ? 1.0f / x : 0.0f;
    return y - y == 0.0f ? y : 0.0f;
}

/* --- searches (encode_fit.c) -------------------------------------------------------------------------------------
 * x and w are n numbers each, n 16 or 32; |x| < 2, 0 <= w. What is searched are scales, candidates around the plain one;
 * with each go the nearest codes and the scale that fits these best, and the candidate that leaves the least weighted
 * square wins. Codes are not kept: they follow from the scale once it is stored. */

float vb_fit_signed(const float *x, const float *w, int n, int top); /* x ~ scale * q, q in [-top, top - 1] */
typedef struct {
    int top, steps; /* highest code; candidates above and below the plain scale */
    float step;
} vb_fit_grid;
/* x ~ scale * q - min, q in [0, top], min >= 0. */
float vb_fit_affine(const float *x, const float *w, int n, const vb_fit_grid *grid, float *min);
float vb_fit_uneven(const float *x, const float *w, int n); /* x ~ scale * (one of the sixteen uneven steps) */
/* x ~ scale * q, q in [0, top], x >= 0; n is at most 16. */
float vb_fit_positive(const float *x, const float *w, int n, int top);

extern const float vb_uneven_steps[16];
/* Which of the sixteen is nearest; halfway is the upper one. */
static inline int nearest_step(float x)
{
    int i = 0;
    for (int half = 8; half > 0; half /= 2) {
        float between = (vb_uneven_steps[i + half - 1] + vb_uneven_steps[i + half]) * 0.5f;
        i += x >= between ? half : 0;
    }
    return i;
}

#endif
