/* encode_parts.h - between the encoders: one block at a time, and the searches for its scales. */
#ifndef VB_CONVERT_ENCODE_PARTS_H
#define VB_CONVERT_ENCODE_PARTS_H
#include "convert/half.h"

/* One block. `w` is the importance of its elements (NULL: none), `power` the mean square of the row. All numbers are
 * finite and below 2^28. 0: a scale does not fit its half. */
typedef int vb_block_encoder(const float *x, const float *w, float power, uint8_t *out);
vb_block_encoder vb_encode_Q8_0, vb_encode_Q4_0, vb_encode_Q4_1, vb_encode_Q5_0, vb_encode_Q5_1;

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
    uint16_t half = half_of(x);
    memcpy(to, &half, sizeof half);
    return (half & 0x7c00u) != 0x7c00u;
}

static inline float half_in(const uint8_t *from)
{
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return of_half(half);
}

/* Of a divisor that may be 0 or so small that its inverse is none. */
static inline float inverse(float x)
{
    float y = x != 0.0f ? 1.0f / x : 0.0f;
    return y - y == 0.0f ? y : 0.0f;
}

/* --- searches (encode_fit.c) -------------------------------------------------------------------------------------
 * x and w are `n` numbers each, n a multiple of 16, at most 32; |x| < 2, w >= 0. What is searched are scales: the
 * integer codes follow from them. */

/* x ~ scale * q, q in [-top, top - 1]. */
float vb_fit_signed(const float *x, const float *w, int n, int top);
/* x ~ scale * q - min, q in [0, top], min >= 0; `steps` candidates on each side of the plain scale. */
typedef struct {
    int top, steps;
    float step;
} vb_fit_grid;
float vb_fit_affine(const float *x, const float *w, int n, const vb_fit_grid *grid, float *min);
/* x ~ scale * (one of the sixteen uneven steps). */
float vb_fit_uneven(const float *x, const float *w, int n);
int vb_nearest_step(float x); /* which of the sixteen steps */
float vb_step_value(int code);
/* x ~ scale * code, code in [0, top]; x >= 0, n at most 16. */
float vb_fit_positive(const float *x, const float *w, int n, int top, uint8_t *code);

#endif
