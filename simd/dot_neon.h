/* dot_neon.h - integers inside weight blocks with NEON's dotprod: sdot adds four products of signed bytes to a 32-bit
 * lane, so nothing saturates. A bias of the weights is subtracted as bias * sum(q).
 */

VB_INLINE int8x16_t low_nibbles(uint8x16_t q) { return vreinterpretq_s8_u8(vandq_u8(q, vdupq_n_u8(15))); }
VB_INLINE int8x16_t high_nibbles(uint8x16_t q) { return vreinterpretq_s8_u8(vshrq_n_u8(q, 4)); }

/* 32 products; the lanes add up to their sum. */
VB_INLINE int32x4_t products(int8x16_t q0, int8x16_t q1, const int8_t *x)
{
    return vdotq_s32(vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(x)), q1, vld1q_s8(x + 16));
}

VB_INLINE int32x4_t block_q4_0(const uint8_t *w, const int8_t *x)
{
    uint8x16_t q = vld1q_u8(w + 2);
    return products(low_nibbles(q), high_nibbles(q), x);
}

VB_INLINE int32x4_t block_q4_1(const uint8_t *w, const int8_t *x)
{
    uint8x16_t q = vld1q_u8(w + 4);
    return products(low_nibbles(q), high_nibbles(q), x);
}

/* 16 bits to 16 bytes of 0 or 16. */
VB_INLINE uint8x16_t fifth_bits(const uint8_t *p)
{
    const uint8x8_t bit = vcreate_u8(0x8040201008040201);
    uint8x16_t bits = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    return vandq_u8(vtstq_u8(bits, vcombine_u8(bit, bit)), vdupq_n_u8(16));
}

VB_INLINE int32x4_t block_q5_0(const uint8_t *w, const int8_t *x)
{
    uint8x16_t q = vld1q_u8(w + 6);
    int8x16_t low = vorrq_s8(low_nibbles(q), vreinterpretq_s8_u8(fifth_bits(w + 2)));
    int8x16_t high = vorrq_s8(high_nibbles(q), vreinterpretq_s8_u8(fifth_bits(w + 4)));
    return products(low, high, x);
}

VB_INLINE int32x4_t block_q8_0(const uint8_t *w, const int8_t *x)
{
    const int8_t *q = (const int8_t *)w + 2;
    return products(vld1q_s8(q), vld1q_s8(q + 16), x);
}

VB_INLINE v8i dot8(const uint8_t *w, int bytes, const int8_t *x, int32x4_t (*block)(const uint8_t *, const int8_t *))
{
    int32x4_t r[8];
    for (int i = 0; i < 8; i++) r[i] = block(w + bytes * i, x + 32 * i);
    return (v8i){v4i_sums(r), v4i_sums(r + 4)};
}

/* sum - bias * sum(q) */
VB_INLINE v8i biased(v8i sum, int32_t bias, const int32_t *q)
{
    return (v8i){vmlsq_n_s32(sum.a, vld1q_s32(q), bias), vmlsq_n_s32(sum.b, vld1q_s32(q + 4), bias)};
}

VB_INLINE v8i dot8_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    return biased(dot8(w, Q4_0_BYTES, a->q + 32 * b, block_q4_0), 8, a->sum + b);
}

VB_INLINE v8i dot8_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q4_1_BYTES, a->q + 32 * b, block_q4_1);
}

VB_INLINE v8i dot8_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    return biased(dot8(w, Q5_0_BYTES, a->q + 32 * b, block_q5_0), 16, a->sum + b);
}

VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q8_0_BYTES, a->q + 32 * b, block_q8_0);
}

/* Eight scales, then eight mins. Words 0 and 1 of the twelve bytes hold six bits each and, on top, the upper bits of
 * the rest; word 2 has the low nibbles of the rest. */
VB_INLINE int8x16_t scales_q4_k(const uint8_t *w)
{
    uint32_t p[3];
    memcpy(p, w + 4, sizeof p);
    uint32_t scales = (p[2] & 0x0f0f0f0fu) | (p[0] >> 2 & 0x30303030u);
    uint32_t mins = (p[2] >> 4 & 0x0f0f0f0fu) | (p[1] >> 2 & 0x30303030u);
    uint64_t low = (uint64_t)scales << 32 | (p[0] & 0x3f3f3f3fu), high = (uint64_t)mins << 32 | (p[1] & 0x3f3f3f3fu);
    return vcombine_s8(vcreate_s8(low), vcreate_s8(high));
}

/* Sums of products of eight pairs of 16-bit integers, in four lanes. */
VB_INLINE int32x4_t products16(int16x8_t x, int16x8_t y)
{
    return vmlal_high_s16(vmull_s16(vget_low_s16(x), vget_low_s16(y)), x, y);
}

/* Two sub-blocks: low and high nibbles of 32 bytes, each times its scale. */
VB_INLINE int32x4_t pair_q4_k(int32x4_t s, const uint8_t *w, const int8_t *x, int32x2_t scales)
{
    uint8x16_t q0 = vld1q_u8(w), q1 = vld1q_u8(w + 16);
    s = vmlaq_lane_s32(s, products(low_nibbles(q0), low_nibbles(q1), x), scales, 0);
    return vmlaq_lane_s32(s, products(high_nibbles(q0), high_nibbles(q1), x + 32), scales, 1);
}

VB_INLINE dot_parts dot1_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    const uint8_t *n = w + Q4_K_NIBBLES;
    int8x16_t packed = scales_q4_k(w);
    int16x8_t scales = vmovl_s8(vget_low_s8(packed));
    int32x4_t first = vmovl_s16(vget_low_s16(scales)), last = vmovl_high_s16(scales);
    int32x4_t s = pair_q4_k(vdupq_n_s32(0), n, x, vget_low_s32(first));
    int32x4_t t = pair_q4_k(vdupq_n_s32(0), n + 32, x + 64, vget_high_s32(first));
    s = pair_q4_k(s, n + 64, x + 128, vget_low_s32(last));
    t = pair_q4_k(t, n + 96, x + 192, vget_high_s32(last));
    return (dot_parts){vaddq_s32(s, t), products16(vmovl_high_s8(packed), vld1q_s16(a->sum32 + 8 * b))};
}

/* A half block: elements 32k to 32k + 31 are two sub-blocks, whose scales are lanes 2k and 2k + 1 of eight. */
VB_INLINE int32x4_t quarter_q6_k(int32x4_t s, const uint8_t *nibbles, const uint8x16_t high[2], const int8_t *x,
                                 const int32x2_t scales[4], int k)
{
    const int32x4_t zero = vdupq_n_s32(0);
    int8x16_t q[2];
    for (int i = 0; i < 2; i++) {
        uint8x16_t low = vld1q_u8(nibbles + 32 * (k & 1) + 16 * i), bits = high[i];
        bits = k == 0 ? vshlq_n_u8(bits, 4) : k == 1 ? vshlq_n_u8(bits, 2) : k == 2 ? bits : vshrq_n_u8(bits, 2);
        bits = vandq_u8(bits, vdupq_n_u8(0x30));
        q[i] = vorrq_s8(k < 2 ? low_nibbles(low) : high_nibbles(low), vreinterpretq_s8_u8(bits));
    }
    s = vmlaq_lane_s32(s, vdotq_s32(zero, q[0], vld1q_s8(x + 32 * k)), scales[k], 0);
    return vmlaq_lane_s32(s, vdotq_s32(zero, q[1], vld1q_s8(x + 32 * k + 16)), scales[k], 1);
}

VB_INLINE dot_parts dot1_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    int8x16_t packed = vld1q_s8((const int8_t *)w + Q6_K_SCALES);
    int16x8_t scale16[2] = {vmovl_s8(vget_low_s8(packed)), vmovl_high_s8(packed)};
    int32x4_t s = vdupq_n_s32(0), t = s;
    int32x4_t bias = vaddq_s32(products16(scale16[0], vld1q_s16(a->sum16 + 16 * b)),
                               products16(scale16[1], vld1q_s16(a->sum16 + 16 * b + 8)));
    for (int half = 0; half < 2; half++) {
        const int8_t *x = a->q + 256 * b + 128 * half;
        const uint8_t *nibbles = w + 64 * half, *bits = w + Q6_K_HIGH + 32 * half;
        uint8x16_t high[2] = {vld1q_u8(bits), vld1q_u8(bits + 16)};
        int32x4_t first = vmovl_s16(vget_low_s16(scale16[half])), last = vmovl_high_s16(scale16[half]);
        int32x2_t scales[4] = {vget_low_s32(first), vget_high_s32(first), vget_low_s32(last), vget_high_s32(last)};
        s = quarter_q6_k(s, nibbles, high, x, scales, 0);
        t = quarter_q6_k(t, nibbles, high, x, scales, 1);
        s = quarter_q6_k(s, nibbles, high, x, scales, 2);
        t = quarter_q6_k(t, nibbles, high, x, scales, 3);
    }
    return (dot_parts){vmlsq_n_s32(vaddq_s32(s, t), bias, 32), vdupq_n_s32(0)};
}

/* What is better here than in plain C (dot_portable.h). */
#define dot8_q4_0 dot8_q4_0
#define dot8_q4_1 dot8_q4_1
#define dot8_q5_0 dot8_q5_0
#define dot8_q8_0 dot8_q8_0
#define dot1_q4_k dot1_q4_k
#define dot1_q6_k dot1_q6_k
#include "simd/dot_portable.h"
