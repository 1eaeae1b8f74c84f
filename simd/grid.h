/* grid.h - weights without an integer rule, as integers: points of lattices, three values, 4-bit floats.
 *
 *   iq1_s    d:2 | index:32 | h:2 x 8                h: high index bits 3 x 4, scale:3, sign of the shift:1
 *   iq1_m    index:32 | h:16 | scales:2 x 4          nibbles h: high index bits:3, sign; words: 3 x 4, a nibble of d
 *   iq2_xxs  d:2 | (index:1 x 4, signs:4) x 8        signs: 7 bits x 4, scale:4
 *   iq2_xs   d:2 | words:2 x 32 | scales:8           words: index 9 bits, signs 7
 *   iq2_s    d:2 | index:32 | signs:32 | high index pairs:8 | scales:8
 *   iq3_xxs  d:2 | index:64 | signs:4 x 8            as iq2_xxs, a point for 4 elements
 *   iq3_s    d:2 | index:64 | high index bits:8 | signs:32 | scales:4
 *   tq1_0    five digits to base 3:48 | four:4 | d:2
 *   tq2_0    pairs of bits:64 | d:2
 *   nvfp4    scales:4 | nibbles:32                   16 elements a scale: 8 bytes, low nibbles first
 *
 * Every element is (d * power * scale) * q, with one scale for 16 elements and one power of two a format; all of
 * these products are exact. Points of iq1 are in eighths.
 */
#ifndef VB_SIMD_GRID_H
#define VB_SIMD_GRID_H
#include "simd/block.h"
#include "simd/grids_data.inc"

enum {
    IQ1_S_BYTES = 50, IQ1_M_BYTES = 56, IQ2_XXS_BYTES = 66, IQ2_XS_BYTES = 74, IQ2_S_BYTES = 82, IQ3_XXS_BYTES = 98,
    IQ3_S_BYTES = 110, TQ1_0_BYTES = 54, TQ2_0_BYTES = 66, NVFP4_BYTES = 36,
};

typedef struct {
    uint16_t half; /* d */
    int8_t q[256], scale[16];
} grid_parts;

VB_INLINE uint32_t word_at(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Two scales of 32 or 16 elements from a byte: 2s + 1. */
VB_INLINE void odd_nibbles(int8_t *scale, uint8_t byte, int each)
{
    for (int i = 0; i < each; i++) {
        scale[i] = (int8_t)(2 * (byte & 15) + 1);
        scale[each + i] = (int8_t)(2 * (byte >> 4) + 1);
    }
}

/* Eight bytes at once in a register: no sum below carries from one byte into the next. */
#define EIGHT(byte) ((uint64_t)(byte) * 0x0101010101010101u)

/* Eight fields of two bits to eight bytes, the lowest first. */
VB_INLINE uint64_t spread_pairs(uint64_t x)
{
    x = (x | x << 24) & 0x000000ff000000ffu;
    x = (x | x << 12) & 0x000f000f000f000fu;
    return (x | x << 6) & EIGHT(3);
}

/* Eight fields of three bits. */
VB_INLINE uint64_t spread_threes(uint64_t x)
{
    x = (x | x << 20) & 0x00000fff00000fffu;
    x = (x | x << 10) & 0x003f003f003f003fu;
    return (x | x << 5) & EIGHT(7);
}

/* Bytes 1 to 127, negated where a bit of `signs` is set. */
VB_INLINE void put_signed(int8_t *q, uint64_t x, int signs)
{
    uint64_t minus = spread_bits((uint8_t)signs) >> 4;
    x = (x ^ minus * 255) + minus;
    memcpy(q, &x, sizeof x);
}

/* The eighth sign makes their number even. */
VB_INLINE int eight_signs(int seven)
{
    return seven | __builtin_parity((unsigned)seven) << 7;
}

/* A point of iq1 in eighths, -8, 0 or 8, shifted by one of them. */
VB_INLINE void point1(int8_t *q, int index, int minus)
{
    uint64_t x = spread_pairs(iq1_grid[index]) << 3 | EIGHT(128);
    x = (x - EIGHT(7u + 2u * (unsigned)minus)) ^ EIGHT(128);
    memcpy(q, &x, sizeof x);
}

/* 8, 25 or 43 for 0, 1 or 2. */
VB_INLINE void point2(int8_t *q, int bits, int signs)
{
    uint64_t x = spread_pairs((uint64_t)bits);
    put_signed(q, EIGHT(8) + (x & EIGHT(1)) * 17 + (x >> 1 & EIGHT(1)) * 35, signs);
}

/* 4, 12, ... 52, then 62. */
VB_INLINE void point3_xxs(int8_t *q, uint64_t bits, int signs)
{
    uint64_t x = spread_threes(bits), seven = x & x >> 1 & x >> 2 & EIGHT(1);
    put_signed(q, (x << 3) + EIGHT(4) + seven * 2, signs);
}

/* 1, 3, ... 15. */
VB_INLINE void point3_s(int8_t *q, uint64_t bits, int signs)
{
    put_signed(q, spread_threes(bits) << 1 | EIGHT(1), signs);
}

VB_INLINE void unpack_iq1_s(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 8; g++) {
        int h = half_at(w + 34 + 2 * g);
        for (int k = 0; k < 4; k++)
            point1(p->q + 32 * g + 8 * k, w[2 + 4 * g + k] | (h >> (3 * k) & 7) << 8, h >> 15);
        p->scale[2 * g] = p->scale[2 * g + 1] = (int8_t)(2 * (h >> 12 & 7) + 1);
    }
}

VB_INLINE void unpack_iq1_m(const uint8_t *w, grid_parts *p)
{
    p->half = 0;
    for (int i = 0; i < 4; i++) p->half = (uint16_t)(p->half | half_at(w + 48 + 2 * i) >> 12 << (4 * i));
    for (int g = 0; g < 16; g++) {
        uint8_t h = w[32 + g];
        point1(p->q + 16 * g, w[2 * g] | (h & 7) << 8, h >> 3 & 1);
        point1(p->q + 16 * g + 8, w[2 * g + 1] | (h >> 4 & 7) << 8, h >> 7);
        p->scale[g] = (int8_t)(2 * (half_at(w + 48 + g / 4 * 2) >> (g % 4 * 3) & 7) + 1);
    }
}

VB_INLINE void unpack_iq2_xxs(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = w + 2 + 8 * g;
        uint32_t signs = word_at(index + 4);
        for (int k = 0; k < 4; k++)
            point2(p->q + 32 * g + 8 * k, iq2_xxs_grid[index[k]], eight_signs(signs >> (7 * k) & 127));
        p->scale[2 * g] = p->scale[2 * g + 1] = (int8_t)(2 * (signs >> 28) + 1);
    }
}

VB_INLINE void unpack_iq2_xs(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 32; g++) {
        int word = half_at(w + 2 + 2 * g);
        point2(p->q + 8 * g, iq2_xs_grid[word & 511], eight_signs(word >> 9));
    }
    for (int i = 0; i < 8; i++) odd_nibbles(p->scale + 2 * i, w[66 + i], 1);
}

VB_INLINE void unpack_iq2_s(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 32; g++) {
        int index = w[2 + g] | (w[66 + g / 4] >> (g % 4 * 2) & 3) << 8;
        point2(p->q + 8 * g, iq2_s_grid[index], w[34 + g]);
    }
    for (int i = 0; i < 8; i++) odd_nibbles(p->scale + 2 * i, w[74 + i], 1);
}

VB_INLINE void unpack_iq3_xxs(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 32; g++) {
        uint32_t signs = word_at(w + 66 + g / 4 * 4);
        uint64_t bits = iq3_xxs_grid[w[2 + 2 * g]] | (uint64_t)iq3_xxs_grid[w[3 + 2 * g]] << 12;
        point3_xxs(p->q + 8 * g, bits, eight_signs(signs >> (g % 4 * 7) & 127));
        p->scale[g / 2] = (int8_t)(2 * (signs >> 28) + 1);
    }
}

VB_INLINE void unpack_iq3_s(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w);
    for (int g = 0; g < 32; g++) {
        int high = w[66 + g / 4] >> (g % 4 * 2);
        uint64_t first = iq3_s_grid[w[2 + 2 * g] | (high & 1) << 8];
        uint64_t second = iq3_s_grid[w[3 + 2 * g] | (high >> 1 & 1) << 8];
        point3_s(p->q + 8 * g, first | second << 12, w[74 + g]);
    }
    for (int i = 0; i < 4; i++) odd_nibbles(p->scale + 4 * i, w[106 + i], 2);
}

/* n bytes of `digits` digits each, digit by digit: a byte is a fraction of 256, whose whole threes come off. */
VB_INLINE void unpack_digits(const uint8_t *w, int8_t *q, int n, int digits)
{
    uint8_t power = 1;
    for (int d = 0; d < digits; d++, power = (uint8_t)(power * 3))
        for (int j = 0; j < n; j++) q[n * d + j] = (int8_t)(((uint8_t)(w[j] * power) * 3 >> 8) - 1);
}

VB_INLINE void unpack_tq1_0(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w + 52);
    unpack_digits(w, p->q, 32, 5);
    unpack_digits(w + 32, p->q + 160, 16, 5);
    unpack_digits(w + 48, p->q + 240, 4, 4);
    memset(p->scale, 1, sizeof p->scale);
}

VB_INLINE void unpack_tq2_0(const uint8_t *w, grid_parts *p)
{
    p->half = half_at(w + 64);
    unpack_pairs(w, p->q, 1);
    memset(p->scale, 1, sizeof p->scale);
}

VB_INLINE void unpack_nvfp4(const uint8_t *w, int8_t q[64])
{
    for (int i = 0; i < 64; i++) {
        uint8_t byte = w[4 + i / 16 * 8 + i % 8];
        q[i] = E2M1[i % 16 < 8 ? byte & 15 : byte >> 4];
    }
}

#endif
