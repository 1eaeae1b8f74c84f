/* block.h - weight blocks as integers, in plain C: the byte layouts that every instruction set shares.
 *
 *   q4_0  d:2 | nibbles:16                      low nibbles are elements 0-15, high ones 16-31; q = nibble - 8
 *   q4_1  d:2 | m:2 | nibbles:16                q = nibble
 *   q5_0  d:2 | fifth bits:4 | nibbles:16       q = 5 bits - 16
 *   q5_1  d:2 | m:2 | fifth bits:4 | nibbles:16 q = 5 bits
 *   q8_0  d:2 | q:32
 *   iq4_nl  d:2 | nibbles:16                    q = UNEVEN[nibble]
 *   mxfp4   e:1 | nibbles:16                    q = E2M1[nibble], scale 2^(e - 128)
 *   q2_k  scale and min nibbles:16 | pairs of bits:64 | d:2 | m:2
 *   q3_k  third bits:32 | pairs of bits:64 | scales:12 | d:2            q = 3 bits - 4
 *   q4_k  d:2 | m:2 | scales and mins:12 | nibbles:128     sub-blocks 2i, 2i+1: low, high nibbles of 32 bytes
 *   q5_k  d:2 | m:2 | scales and mins:12 | fifth bits:32 | nibbles:128
 *   q6_k  low nibbles:128 | high pairs of bits:64 | scales:16 | d:2     q = 6 bits - 32
 *   iq4_xs  d:2 | high scale bits:2 | low scale nibbles:4 | nibbles:128    8 times the nibbles of iq4_nl
 *
 * 32 bytes of pairs of bits are 128 elements, 32 a pair, the first in the low bits (also q6_k). Bit i of a byte of
 * third or fifth bits belongs to sub-block i of 32.
 *
 * Integers only: no function here computes with a float.
 */
#ifndef VB_SIMD_BLOCK_H
#define VB_SIMD_BLOCK_H
#include <stdint.h>
#include <string.h>

#define VB_INLINE static inline __attribute__((always_inline))

/* Before a loop of few rounds: all of them one after the other, so that what depends on the round is constant. */
#if defined(__clang__)
#define VB_UNROLL _Pragma("unroll")
#else
#define VB_UNROLL _Pragma("GCC unroll 8")
#endif

enum {
    Q4_0_BYTES = 18, Q4_1_BYTES = 20, Q5_0_BYTES = 22, Q8_0_BYTES = 34,
    Q5_1_BYTES = 24, IQ4_NL_BYTES = 18, MXFP4_BYTES = 17,
    Q2_K_BYTES = 84, Q2_K_PAIRS = 16, Q2_K_D = 80,
    Q3_K_BYTES = 110, Q3_K_PAIRS = 32, Q3_K_SCALES = 96, Q3_K_D = 108,
    Q4_K_BYTES = 144, Q4_K_NIBBLES = 16,
    Q5_K_BYTES = 176, Q5_K_FIFTHS = 16, Q5_K_NIBBLES = 48,
    IQ4_XS_BYTES = 136, IQ4_XS_NIBBLES = 8,
    Q6_K_BYTES = 210, Q6_K_HIGH = 128, Q6_K_SCALES = 192, Q6_K_D = 208,
};

/* Asks for memory that comes next; what is no memory does no harm. It waits in the second cache, as the first one has
 * few places for what is on its way: one core of Zen 4 reads weights up to a sixth faster so. */
VB_INLINE void fetch(const uint8_t *p, int bytes)
{
    VB_UNROLL
    for (int i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
}

/* Where the halves d and m of a block stand; m behind d, 0: none. A size tells the rule: of two formats of one size
 * both have the same. */
VB_INLINE int scale_at(int bytes)
{
    return bytes == Q6_K_BYTES ? Q6_K_D : bytes == Q3_K_BYTES ? Q3_K_D : bytes == Q2_K_BYTES ? Q2_K_D : 0;
}

VB_INLINE int min_at(int bytes)
{
    int with_min = bytes == Q4_1_BYTES || bytes == Q5_1_BYTES || bytes == Q2_K_BYTES || bytes == Q4_K_BYTES ||
                   bytes == Q5_K_BYTES;
    return with_min ? scale_at(bytes) + 2 : 0;
}

VB_INLINE uint16_t half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return h;
}

VB_INLINE void unpack_nibbles(const uint8_t *w, int8_t q[32], int bias)
{
    for (int j = 0; j < 16; j++) q[j] = (int8_t)((w[j] & 15) - bias);
    for (int j = 0; j < 16; j++) q[16 + j] = (int8_t)((w[j] >> 4) - bias);
}

VB_INLINE void unpack_q4_0(const uint8_t *w, int8_t q[32])
{
    unpack_nibbles(w + 2, q, 8);
}

VB_INLINE void unpack_q4_1(const uint8_t *w, int8_t q[32])
{
    unpack_nibbles(w + 4, q, 0);
}

typedef uint64_t uint64x2 __attribute__((vector_size(16)));

/* The eight bits of a byte to eight bytes of 0 or 16, the lowest first. */
VB_INLINE uint64_t spread_bits(uint8_t bits)
{
    uint64_t x = bits * 0x0101010101010101u & 0x8040201008040201u; /* bit i alone in byte i */
    return (x + 0x7f7f7f7f7f7f7f7fu) >> 3 & 0x1010101010101010u;
}

VB_INLINE void unpack_fifths(const uint8_t *w, int8_t q[32], int bias)
{
    int8_t fifth[32];
    for (int i = 0; i < 2; i++) {
        uint64x2 bytes = {spread_bits(w[2 * i]), spread_bits(w[1 + 2 * i])};
        memcpy(fifth + 16 * i, &bytes, sizeof bytes);
    }
    unpack_nibbles(w + 4, q, bias);
    for (int j = 0; j < 32; j++) q[j] = (int8_t)(q[j] + fifth[j]);
}

VB_INLINE void unpack_q5_0(const uint8_t *w, int8_t q[32])
{
    unpack_fifths(w + 2, q, 16);
}

VB_INLINE void unpack_q5_1(const uint8_t *w, int8_t q[32])
{
    unpack_fifths(w + 4, q, 0);
}

VB_INLINE void unpack_q8_0(const uint8_t *w, int8_t q[32])
{
    memcpy(q, w + 2, 32);
}

/* Codebooks: what a nibble stands for. */
static const int8_t UNEVEN[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const int8_t E2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}; /* doubled */

VB_INLINE void unpack_codes(const uint8_t *w, int8_t q[32], const int8_t book[16])
{
    for (int j = 0; j < 16; j++) q[j] = book[w[j] & 15];
    for (int j = 0; j < 16; j++) q[16 + j] = book[w[j] >> 4];
}

VB_INLINE void unpack_iq4_nl(const uint8_t *w, int8_t q[32])
{
    unpack_codes(w + 2, q, UNEVEN);
}

VB_INLINE void unpack_mxfp4(const uint8_t *w, int8_t q[32])
{
    unpack_codes(w + 1, q, E2M1);
}

/* 2^(e - 128) as the bits of a float. */
VB_INLINE uint32_t exponent_bits(uint8_t e)
{
    return e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
}

/* The same in dot products: below 2^-60 it counts as 0 (A5). */
VB_INLINE uint32_t guarded_exponent_bits(uint8_t e)
{
    return e < 68 ? 0 : exponent_bits(e);
}

/* Six bits each: the first four lie whole in bytes 0-7, the others have their low four bits in bytes 8-11 and their
 * high two in the top of bytes 0-7. */
VB_INLINE void unpack_scales_q4_k(const uint8_t *w, int8_t scale[8], int8_t min[8])
{
    const uint8_t *p = w + 4;
    for (int s = 0; s < 4; s++) {
        scale[s] = (int8_t)(p[s] & 63);
        min[s] = (int8_t)(p[s + 4] & 63);
        scale[s + 4] = (int8_t)((p[s + 8] & 15) | (p[s] >> 6) << 4);
        min[s + 4] = (int8_t)(p[s + 8] >> 4 | (p[s + 4] >> 6) << 4);
    }
}

VB_INLINE void unpack_q4_k(const uint8_t *w, int8_t q[256])
{
    for (int pair = 0; pair < 4; pair++)
        for (int j = 0; j < 32; j++) {
            uint8_t byte = w[Q4_K_NIBBLES + pair * 32 + j];
            q[pair * 64 + j] = (int8_t)(byte & 15);
            q[pair * 64 + 32 + j] = (int8_t)(byte >> 4);
        }
}

/* Fifth bits are those of byte j of 32, one for each sub-block. */
VB_INLINE void unpack_q5_k(const uint8_t *w, int8_t q[256])
{
    for (int pair = 0; pair < 4; pair++)
        for (int j = 0; j < 32; j++) {
            int byte = w[Q5_K_NIBBLES + pair * 32 + j], fifths = w[Q5_K_FIFTHS + j] >> (2 * pair);
            q[pair * 64 + j] = (int8_t)((byte & 15) | (fifths & 1) << 4);
            q[pair * 64 + 32 + j] = (int8_t)(byte >> 4 | (fifths >> 1 & 1) << 4);
        }
}

VB_INLINE void unpack_scales_q2_k(const uint8_t *w, int8_t scale[16], int8_t min[16])
{
    for (int s = 0; s < 16; s++) {
        scale[s] = (int8_t)(w[s] & 15);
        min[s] = (int8_t)(w[s] >> 4);
    }
}

/* 64 bytes of pairs of bits, less `bias`. */
VB_INLINE void unpack_pairs(const uint8_t *w, int8_t q[256], int bias)
{
    for (int half = 0; half < 2; half++)
        for (int k = 0; k < 4; k++)
            for (int j = 0; j < 32; j++)
                q[half * 128 + k * 32 + j] = (int8_t)((w[half * 32 + j] >> (2 * k) & 3) - bias);
}

VB_INLINE void unpack_q2_k(const uint8_t *w, int8_t q[256])
{
    unpack_pairs(w + Q2_K_PAIRS, q, 0);
}

VB_INLINE void unpack_q3_k(const uint8_t *w, int8_t q[256])
{
    unpack_pairs(w + Q3_K_PAIRS, q, 4);
    for (int s = 0; s < 8; s++)
        for (int j = 0; j < 32; j++) q[32 * s + j] = (int8_t)(q[32 * s + j] + (w[j] >> s & 1) * 4);
}

/* Six bits each, less 32: low nibbles in bytes 0-7, the first eight in the low halves; scales s, s + 4, s + 8, s + 12
 * have their high two bits in byte 8 + s. */
VB_INLINE void unpack_scales_q3_k(const uint8_t *w, int8_t scale[16])
{
    const uint8_t *p = w + Q3_K_SCALES;
    for (int s = 0; s < 16; s++)
        scale[s] = (int8_t)(((p[s & 7] >> (s < 8 ? 0 : 4) & 15) | (p[8 + (s & 3)] >> (2 * (s >> 2)) & 3) << 4) - 32);
}

VB_INLINE void unpack_iq4_xs(const uint8_t *w, int8_t q[256])
{
    for (int s = 0; s < 8; s++) unpack_codes(w + IQ4_XS_NIBBLES + 16 * s, q + 32 * s, UNEVEN);
}

VB_INLINE void unpack_scales_iq4_xs(const uint8_t *w, int8_t scale[8])
{
    int high = half_at(w + 2);
    for (int s = 0; s < 8; s++)
        scale[s] = (int8_t)(((w[4 + s / 2] >> (4 * (s & 1)) & 15) | (high >> (2 * s) & 3) << 4) - 32);
}

VB_INLINE void unpack_q6_k(const uint8_t *w, int8_t q[256])
{
    for (int half = 0; half < 2; half++)
        for (int j = 0; j < 32; j++) {
            int low0 = w[half * 64 + j], low1 = w[half * 64 + 32 + j], high = w[Q6_K_HIGH + half * 32 + j];
            int8_t *to = q + half * 128 + j;
            to[0] = (int8_t)((low0 & 15) + (high & 3) * 16 - 32);
            to[32] = (int8_t)((low1 & 15) + (high >> 2 & 3) * 16 - 32);
            to[64] = (int8_t)((low0 >> 4) + (high >> 4 & 3) * 16 - 32);
            to[96] = (int8_t)((low1 >> 4) + (high >> 6) * 16 - 32);
        }
}

#endif
