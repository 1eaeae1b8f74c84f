/* panel_neon.h - panels of 16 rows for t_matmul.inc with NEON's dotprod: four registers of four rows, four tokens. sdot
 * takes the weights as signed bytes: those of fewer than 8 bits are not negative, those of 8 bits stay signed.
 *
 * A quad of four activations stays in one register; each product names its lane.
 */
#ifndef VB_SIMD_PANEL_NEON_H
#define VB_SIMD_PANEL_NEON_H
#include "simd/panel.h"

enum { PANEL_LANES = 8, PANEL_ROWS = 16, PANEL_VECTORS = 2, PANEL_TOKENS = 4, STRIP_LINE = 4 * PANEL_TOKENS,
       FLOAT_TOKENS = 4 };
enum { FROM_F32 = 8, FROM_Q32 = 12, FROM_Q256 = 10 }; /* estimates after AVX2's, not measured */
enum { PANEL_SIGNED_8 = 1, PANEL_SIGNS = 0 };
#define PANEL_WORDS 0

typedef v8i pi;
typedef v8f pf;

VB_INLINE pi pi_load(const void *p) { return v8i_load(p); }
VB_INLINE pi pi_sub(pi x, pi y) { return (pi){vsubq_s32(x.a, y.a), vsubq_s32(x.b, y.b)}; }
VB_INLINE pi pi_times(pi x, int by) { return (pi){vmulq_n_s32(x.a, by), vmulq_n_s32(x.b, by)}; }
VB_INLINE pf pf_zero(void) { return v8f_zero(); }
VB_INLINE pf pf_load(const void *p) { return v8f_load(p); }
VB_INLINE pf pf_of(pi x) { return v8f_of(x); }
VB_INLINE pf pf_add(pf x, pf y) { return v8f_add(x, y); }
VB_INLINE pf pf_sub(pf x, pf y) { return (pf){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b)}; }
VB_INLINE pf pf_mul(pf x, pf y) { return v8f_mul(x, y); }
VB_INLINE pf pf_times(pf x, const float *p) { return (pf){vmulq_n_f32(x.a, *p), vmulq_n_f32(x.b, *p)}; }

VB_INLINE pi pi_all(int32_t x)
{
    int32x4_t v = vdupq_n_s32(x);
    return (pi){v, v};
}

VB_INLINE pf pf_all(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (pf){v, v};
}

VB_INLINE void pf_store(float *p, pf x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
}

/* Four bytes, or two words, everywhere. */
VB_INLINE pi pi_spread(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return pi_all(x);
}

/* The products of 16-bit pairs, two a lane. */
VB_INLINE int32x4_t pair_products(int32x4_t x, int32x4_t y)
{
    int16x8_t u = vreinterpretq_s16_s32(x), v = vreinterpretq_s16_s32(y);
    return vpaddq_s32(vmull_s16(vget_low_s16(u), vget_low_s16(v)), vmull_high_s16(u, v));
}

VB_INLINE pi pi_pairs(pi sum, pi x, pi y)
{
    return (pi){vaddq_s32(sum.a, pair_products(x.a, y.a)), vaddq_s32(sum.b, pair_products(x.b, y.b))};
}

/* Four rows of four 32-bit places, turned. */
VB_INLINE void turn_4_by_4(int32x4_t r[4])
{
    int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(r[0], r[1])), ab1 = vreinterpretq_s64_s32(vtrn2q_s32(r[0], r[1]));
    int64x2_t cd0 = vreinterpretq_s64_s32(vtrn1q_s32(r[2], r[3])), cd1 = vreinterpretq_s64_s32(vtrn2q_s32(r[2], r[3]));
    r[0] = vreinterpretq_s32_s64(vtrn1q_s64(ab0, cd0));
    r[1] = vreinterpretq_s32_s64(vtrn1q_s64(ab1, cd1));
    r[2] = vreinterpretq_s32_s64(vtrn2q_s64(ab0, cd0));
    r[3] = vreinterpretq_s32_s64(vtrn2q_s64(ab1, cd1));
}

/* 32 bytes of each of 16 rows, `stride` bytes apart, to 8 quads of 16 rows; `bias` is added to every byte. */
VB_INLINE void panel_turn(uint8_t *to, const int8_t *rows, int stride, int bias)
{
    const int8x16_t more = vdupq_n_s8((int8_t)bias);
    for (int i = 0; i < 8; i++) {
        const int8_t *from = rows + i / 2 * 4 * stride + i % 2 * 16;
        uint8_t *at = to + i / 2 * 16 + i % 2 * 256;
        int32x4_t r[4];
        VB_UNROLL
        for (int k = 0; k < 4; k++) r[k] = vreinterpretq_s32_s8(vaddq_s8(vld1q_s8(from + k * stride), more));
        turn_4_by_4(r);
        VB_UNROLL
        for (int k = 0; k < 4; k++) vst1q_u8(at + 64 * k, vreinterpretq_u8_s32(r[k]));
    }
}

/* A quad of sixteen rows, w0 to w3, times that of activation T. */
#define DOT16(T)                                                                           \
    if (T < tokens) {                                                                      \
        e[2 * T].a = vdotq_laneq_s32(e[2 * T].a, w0, y, T);                                \
        e[2 * T].b = vdotq_laneq_s32(e[2 * T].b, w1, y, T);                                \
        e[2 * T + 1].a = vdotq_laneq_s32(e[2 * T + 1].a, w2, y, T);                        \
        e[2 * T + 1].b = vdotq_laneq_s32(e[2 * T + 1].b, w3, y, T);                        \
    }

/* c[2t + v] += scale[v] * (weights . activation t) over some quads of a strip; no scales: 1. */
VB_INLINE void panel_products(pi c[], const uint8_t *w, const uint8_t *x, int tokens, panel_part k)
{
    pi e[2 * PANEL_TOKENS];
    const uint8_t *scales = k.scales;
    VB_UNROLL
    for (int i = 0; i < 2 * tokens; i++) e[i] = scales == NULL ? c[i] : pi_all(0);
    for (int j = 0; j < k.quads; j++) {
        const int8_t *q = (const int8_t *)w + 64 * j;
        int8x16_t y = vreinterpretq_s8_u8(vld1q_u8(x + STRIP_LINE * j));
        int8x16_t w0 = vld1q_s8(q), w1 = vld1q_s8(q + 16), w2 = vld1q_s8(q + 32), w3 = vld1q_s8(q + 48);
        DOT16(0)
        DOT16(1)
        DOT16(2)
        DOT16(3)
    }
    VB_UNROLL
    for (int i = 0; i < 2 * tokens; i++) {
        pi s = scales == NULL ? pi_all(1) : pi_load(scales + i % 2 * 32);
        c[i] = scales == NULL ? e[i] : (pi){vmlaq_s32(c[i].a, e[i].a, s.a), vmlaq_s32(c[i].b, e[i].b, s.b)};
    }
}
#undef DOT16

#endif
