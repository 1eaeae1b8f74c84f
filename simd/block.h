/* block.h - weight blocks as integers, in plain C: the byte layouts that every instruction set shares.
 *
 *   q4_0  d:2 | nibbles:16                      low nibbles are elements 0-15, high ones 16-31; q = nibble - 8
 *   q4_1  d:2 | m:2 | nibbles:16                q = nibble
 *   q5_0  d:2 | fifth bits:4 | nibbles:16       q = 5 bits - 16
 *   q8_0  d:2 | q:32
 *   q4_k  d:2 | m:2 | scales and mins:12 | nibbles:128     sub-blocks 2i, 2i+1: low, high nibbles of 32 bytes
 *   q6_k  low nibbles:128 | high pairs of bits:64 | scales:16 | d:2     q = 6 bits - 32
 *
 * Integers only: no function here touches a float.
 */
#ifndef VB_SIMD_BLOCK_H
#define VB_SIMD_BLOCK_H
#include <stdint.h>
#include <string.h>

#define VB_INLINE static inline __attribute__((always_inline))

enum {
    Q4_0_BYTES = 18, Q4_1_BYTES = 20, Q5_0_BYTES = 22, Q8_0_BYTES = 34,
    Q4_K_BYTES = 144, Q4_K_NIBBLES = 16,
    Q6_K_BYTES = 210, Q6_K_HIGH = 128, Q6_K_SCALES = 192, Q6_K_D = 208,
};

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

VB_INLINE void unpack_q5_0(const uint8_t *w, int8_t q[32])
{
    int8_t fifth[32];
    for (int i = 0; i < 2; i++) {
        uint64x2 bytes = {spread_bits(w[2 + 2 * i]), spread_bits(w[3 + 2 * i])};
        memcpy(fifth + 16 * i, &bytes, sizeof bytes);
    }
    unpack_nibbles(w + 6, q, 16);
    for (int j = 0; j < 32; j++) q[j] = (int8_t)(q[j] + fifth[j]);
}

VB_INLINE void unpack_q8_0(const uint8_t *w, int8_t q[32])
{
    memcpy(q, w + 2, 32);
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
