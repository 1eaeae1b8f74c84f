/* dot_neon.h - integers inside weight blocks with NEON's dotprod: sdot adds four products of signed bytes to a 32-bit
 * lane, so nothing saturates. A bias of the weights is subtracted as bias * sum(q).
 */
#include "simd/dot.h"

VB_INLINE int8x16_t low_nibbles(uint8x16_t q) { return vreinterpretq_s8_u8(vandq_u8(q, vdupq_n_u8(15))); }
VB_INLINE int8x16_t high_nibbles(uint8x16_t q) { return vreinterpretq_s8_u8(vshrq_n_u8(q, 4)); }

/* 32 products; the lanes add up to their sum. */
VB_INLINE int32x4_t products(int8x16_t q0, int8x16_t q1, const int8_t *x)
{
    return vdotq_s32(vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(x)), q1, vld1q_s8(x + 16));
}

/* --- blocks of 32 -------------------------------------------------------------------------------------------- */

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

/* Nibbles behind their fifth bits. */
VB_INLINE int32x4_t block_fifths(const uint8_t *w, const int8_t *x)
{
    uint8x16_t q = vld1q_u8(w + 4);
    int8x16_t low = vorrq_s8(low_nibbles(q), vreinterpretq_s8_u8(fifth_bits(w)));
    int8x16_t high = vorrq_s8(high_nibbles(q), vreinterpretq_s8_u8(fifth_bits(w + 2)));
    return products(low, high, x);
}

VB_INLINE int32x4_t block_q5_0(const uint8_t *w, const int8_t *x) { return block_fifths(w + 2, x); }
VB_INLINE int32x4_t block_q5_1(const uint8_t *w, const int8_t *x) { return block_fifths(w + 4, x); }

/* Nibbles that stand for values of a book. */
VB_INLINE int32x4_t block_codes(const uint8_t *w, const int8_t *x, const int8_t book[16])
{
    int8x16_t values = vld1q_s8(book);
    uint8x16_t q = vld1q_u8(w);
    return products(vqtbl1q_s8(values, vandq_u8(q, vdupq_n_u8(15))), vqtbl1q_s8(values, vshrq_n_u8(q, 4)), x);
}

VB_INLINE int32x4_t block_iq4_nl(const uint8_t *w, const int8_t *x) { return block_codes(w + 2, x, UNEVEN); }
VB_INLINE int32x4_t block_mxfp4(const uint8_t *w, const int8_t *x) { return block_codes(w + 1, x, E2M1); }

VB_INLINE int32x4_t block_q8_0(const uint8_t *w, const int8_t *x)
{
    const int8_t *q = (const int8_t *)w + 2;
    return products(vld1q_s8(q), vld1q_s8(q + 16), x);
}

VB_INLINE v8i dot8(const uint8_t *w, int bytes, const int8_t *x, int32x4_t (*block)(const uint8_t *, const int8_t *))
{
    int32x4_t r[8];
    VB_UNROLL
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

VB_INLINE v8i dot8_q5_1(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q5_1_BYTES, a->q + 32 * b, block_q5_1);
}

VB_INLINE v8i dot8_iq4_nl(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, IQ4_NL_BYTES, a->q + 32 * b, block_iq4_nl);
}

VB_INLINE v8i dot8_mxfp4(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, MXFP4_BYTES, a->q + 32 * b, block_mxfp4);
}

VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q8_0_BYTES, a->q + 32 * b, block_q8_0);
}

/* --- blocks of 256 ------------------------------------------------------------------------------------------- */

/* Sums of products of eight pairs of 16-bit integers, in four lanes. */
VB_INLINE int32x4_t products16(int16x8_t x, int16x8_t y)
{
    return vmlal_high_s16(vmull_s16(vget_low_s16(x), vget_low_s16(y)), x, y);
}

/* Sixteen bytes, each times the sum over its 16 activations. */
VB_INLINE int32x4_t products_sum16(int8x16_t x, const int16_t *sum)
{
    int32x4_t low = products16(vmovl_s8(vget_low_s8(x)), vld1q_s16(sum));
    return vaddq_s32(low, products16(vmovl_high_s8(x), vld1q_s16(sum + 8)));
}

/* Eight scales, two a register. */
VB_INLINE void scale_pairs(int32x2_t to[4], int8x8_t scales)
{
    int16x8_t wide = vmovl_s8(scales);
    int32x4_t low = vmovl_s16(vget_low_s16(wide)), high = vmovl_high_s16(wide);
    to[0] = vget_low_s32(low);
    to[1] = vget_high_s32(low);
    to[2] = vget_low_s32(high);
    to[3] = vget_high_s32(high);
}

/* Two sub-blocks of 16, each times its scale. */
VB_INLINE int32x4_t two_of_16(int32x4_t s, const int8x16_t q[2], const int8_t *x, int32x2_t scales)
{
    const int32x4_t zero = vdupq_n_s32(0);
    s = vmlaq_lane_s32(s, vdotq_s32(zero, q[0], vld1q_s8(x)), scales, 0);
    return vmlaq_lane_s32(s, vdotq_s32(zero, q[1], vld1q_s8(x + 16)), scales, 1);
}

/* Two sub-blocks of 32: low and high nibbles of 32 bytes with a fifth bit above them, or none. */
VB_INLINE int32x4_t two_of_32(int32x4_t s, const uint8_t *w, const int8_t *x, int32x2_t scales, uint8x16_t *fifths)
{
    int8x16_t low[2], high[2];
    VB_UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t q = vld1q_u8(w + 16 * i);
        low[i] = low_nibbles(q);
        high[i] = high_nibbles(q);
        if (fifths == NULL) continue;
        uint8x16_t first = vshlq_n_u8(vandq_u8(fifths[i], vdupq_n_u8(1)), 4);
        uint8x16_t second = vshlq_n_u8(vandq_u8(fifths[i], vdupq_n_u8(2)), 3);
        low[i] = vorrq_s8(low[i], vreinterpretq_s8_u8(first));
        high[i] = vorrq_s8(high[i], vreinterpretq_s8_u8(second));
        fifths[i] = vshrq_n_u8(fifths[i], 2);
    }
    s = vmlaq_lane_s32(s, products(low[0], low[1], x), scales, 0);
    return vmlaq_lane_s32(s, products(high[0], high[1], x + 32), scales, 1);
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

/* q4_k and q5_k, which has fifth bits. */
VB_INLINE dot_parts nibbles_of_32(const uint8_t *w, const vb_act *a, int b, int nibbles, uint8x16_t *fifths)
{
    int8x16_t packed = scales_q4_k(w);
    int32x4_t s = vdupq_n_s32(0), t = s;
    int32x2_t scales[4];
    scale_pairs(scales, vget_low_s8(packed));
    VB_UNROLL
    for (int i = 0; i < 4; i += 2) {
        const int8_t *x = a->q + 256 * b + 64 * i;
        s = two_of_32(s, w + nibbles + 32 * i, x, scales[i], fifths);
        t = two_of_32(t, w + nibbles + 32 * i + 32, x + 64, scales[i + 1], fifths);
    }
    return (dot_parts){vaddq_s32(s, t), products16(vmovl_high_s8(packed), vld1q_s16(a->sum32 + 8 * b))};
}

VB_INLINE dot_parts dot1_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    return nibbles_of_32(w, a, b, Q4_K_NIBBLES, NULL);
}

VB_INLINE dot_parts dot1_q5_k(const uint8_t *w, const vb_act *a, int b)
{
    uint8x16_t fifths[2] = {vld1q_u8(w + Q5_K_FIFTHS), vld1q_u8(w + Q5_K_FIFTHS + 16)};
    return nibbles_of_32(w, a, b, Q5_K_NIBBLES, fifths);
}

/* 128 elements: pairs of bits of 32 bytes, with a third bit above them, or none. */
VB_INLINE int32x4_t pairs_of_bits(int32x4_t s, const uint8_t *w, const int8_t *x, const int32x2_t scales[4],
                                  uint8x16_t *thirds)
{
    uint8x16_t bits[2] = {vld1q_u8(w), vld1q_u8(w + 16)};
    VB_UNROLL
    for (int k = 0; k < 4; k++) {
        int8x16_t q[2];
        VB_UNROLL
        for (int i = 0; i < 2; i++) {
            uint8x16_t pair = vandq_u8(bits[i], vdupq_n_u8(3));
            bits[i] = vshrq_n_u8(bits[i], 2);
            if (thirds != NULL) {
                pair = vorrq_u8(pair, vshlq_n_u8(vandq_u8(thirds[i], vdupq_n_u8(1)), 2));
                thirds[i] = vshrq_n_u8(thirds[i], 1);
            }
            q[i] = vreinterpretq_s8_u8(pair);
        }
        s = two_of_16(s, q, x + 32 * k, scales[k]);
    }
    return s;
}

VB_INLINE int32x4_t halves_of_pairs(const uint8_t *w, const int8_t *x, int8x16_t packed, uint8x16_t *thirds)
{
    int32x2_t scales[4];
    scale_pairs(scales, vget_low_s8(packed));
    int32x4_t s = pairs_of_bits(vdupq_n_s32(0), w, x, scales, thirds);
    scale_pairs(scales, vget_high_s8(packed));
    return pairs_of_bits(s, w + 32, x + 128, scales, thirds);
}

VB_INLINE dot_parts dot1_q2_k(const uint8_t *w, const vb_act *a, int b)
{
    uint8x16_t packed = vld1q_u8(w);
    int32x4_t s = halves_of_pairs(w + Q2_K_PAIRS, a->q + 256 * b, low_nibbles(packed), NULL);
    return (dot_parts){s, products_sum16(high_nibbles(packed), a->sum16 + 16 * b)};
}

/* Sixteen scales: nibbles of eight bytes, above them pairs of bits of four. */
VB_INLINE int8x16_t scales_q3_k(const uint8_t *w)
{
    const int8x16_t by = vcombine_s8(vcreate_s8(0xfefefefe00000000), vcreate_s8(0xfafafafafcfcfcfc)); /* 0 -2 -4 -6 */
    uint32_t word;
    uint8x8_t nibbles = vld1_u8(w);
    memcpy(&word, w + 8, sizeof word);
    uint8x16_t low = vcombine_u8(vand_u8(nibbles, vdup_n_u8(15)), vshr_n_u8(nibbles, 4));
    uint8x16_t high = vshlq_u8(vreinterpretq_u8_u32(vdupq_n_u32(word)), by);
    high = vshlq_n_u8(vandq_u8(high, vdupq_n_u8(3)), 4);
    return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, high)), vdupq_n_s8(32));
}

VB_INLINE dot_parts dot1_q3_k(const uint8_t *w, const vb_act *a, int b)
{
    uint8x16_t thirds[2] = {vld1q_u8(w), vld1q_u8(w + 16)};
    int8x16_t scales = scales_q3_k(w + Q3_K_SCALES);
    int32x4_t s = halves_of_pairs(w + Q3_K_PAIRS, a->q + 256 * b, scales, thirds);
    return (dot_parts){vmlsq_n_s32(s, products_sum16(scales, a->sum16 + 16 * b), 4), vdupq_n_s32(0)};
}

/* 128 elements: nibbles of 64 bytes, above them pairs of bits of 32. */
VB_INLINE int32x4_t six_bits(int32x4_t s, const uint8_t *nibbles, const uint8_t *pairs, const int8_t *x,
                             const int32x2_t scales[4])
{
    const uint8x16_t mask = vdupq_n_u8(0x30);
    int8x16_t q[4][2];
    VB_UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t bits = vld1q_u8(pairs + 16 * i);
        uint8x16_t even = vld1q_u8(nibbles + 16 * i), odd = vld1q_u8(nibbles + 32 + 16 * i);
        q[0][i] = vorrq_s8(low_nibbles(even), vreinterpretq_s8_u8(vandq_u8(vshlq_n_u8(bits, 4), mask)));
        q[1][i] = vorrq_s8(low_nibbles(odd), vreinterpretq_s8_u8(vandq_u8(vshlq_n_u8(bits, 2), mask)));
        q[2][i] = vorrq_s8(high_nibbles(even), vreinterpretq_s8_u8(vandq_u8(bits, mask)));
        q[3][i] = vorrq_s8(high_nibbles(odd), vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(bits, 2), mask)));
    }
    VB_UNROLL
    for (int k = 0; k < 4; k++) s = two_of_16(s, q[k], x + 32 * k, scales[k]);
    return s;
}

VB_INLINE dot_parts dot1_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    int8x16_t packed = vld1q_s8((const int8_t *)w + Q6_K_SCALES);
    int32x2_t scales[4];
    scale_pairs(scales, vget_low_s8(packed));
    int32x4_t s = six_bits(vdupq_n_s32(0), w, w + Q6_K_HIGH, x, scales);
    scale_pairs(scales, vget_high_s8(packed));
    s = six_bits(s, w + 64, w + Q6_K_HIGH + 32, x + 128, scales);
    return (dot_parts){vmlsq_n_s32(s, products_sum16(packed, a->sum16 + 16 * b), 32), vdupq_n_s32(0)};
}

/* Eight scales: nibbles of four bytes at w + 4, above them pairs of bits of the two bytes at w + 2. */
VB_INLINE int8x8_t scales_iq4_xs(const uint8_t *w)
{
    const int16x8_t by = {0, -2, -4, -6, -8, -10, -12, -14};
    uint32_t word;
    memcpy(&word, w + 4, sizeof word);
    uint8x8_t nibbles = vreinterpret_u8_u32(vdup_n_u32(word));
    uint8x8_t low = vzip1_u8(vand_u8(nibbles, vdup_n_u8(15)), vshr_n_u8(nibbles, 4));
    uint8x8_t high = vmovn_u16(vshlq_u16(vdupq_n_u16(half_at(w + 2)), by));
    high = vshl_n_u8(vand_u8(high, vdup_n_u8(3)), 4);
    return vsub_s8(vreinterpret_s8_u8(vorr_u8(low, high)), vdup_n_s8(32));
}

VB_INLINE dot_parts dot1_iq4_xs(const uint8_t *w, const vb_act *a, int b)
{
    int32x4_t s = vdupq_n_s32(0), t = s;
    int32x2_t scales[4];
    scale_pairs(scales, scales_iq4_xs(w));
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        const uint8_t *nibbles = w + IQ4_XS_NIBBLES + 32 * i;
        const int8_t *x = a->q + 256 * b + 64 * i;
        s = vmlaq_lane_s32(s, block_codes(nibbles, x, UNEVEN), scales[i], 0);
        t = vmlaq_lane_s32(t, block_codes(nibbles + 16, x + 32, UNEVEN), scales[i], 1);
    }
    return (dot_parts){vaddq_s32(s, t), vdupq_n_s32(0)};
}

/* None of them is left to plain C (dot_portable.h). */
#define dot8_q4_0 dot8_q4_0
#define dot8_q4_1 dot8_q4_1
#define dot8_q5_0 dot8_q5_0
#define dot8_q5_1 dot8_q5_1
#define dot8_q8_0 dot8_q8_0
#define dot8_iq4_nl dot8_iq4_nl
#define dot8_mxfp4 dot8_mxfp4
#define dot1_q2_k dot1_q2_k
#define dot1_q3_k dot1_q3_k
#define dot1_q4_k dot1_q4_k
#define dot1_q5_k dot1_q5_k
#define dot1_q6_k dot1_q6_k
#define dot1_iq4_xs dot1_iq4_xs
#include "simd/dot_portable.h"
