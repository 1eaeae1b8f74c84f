/* half.h - binary32 to halves and back, rounded to nearest, ties to even; exact where it can be. */
#ifndef VB_QUANTIZE_HALF_H
#define VB_QUANTIZE_HALF_H
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Infinity where it overflows. Below 2^-14 the grid of halves is that of floats near 0.5: an addition rounds. */
static inline uint16_t half_of(float x)
{
    uint32_t all = bits_of(x), bits = all & 0x7fffffffu, sign = all >> 16 & 0x8000u;
    uint32_t normal = (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13;
    uint32_t tiny = bits_of(float_of(bits) + 0.5f) - 0x3f000000u;
    uint32_t half = bits >= 0x477ff000u ? 0x7c00u : bits < 0x38800000u ? tiny : normal;
    return (uint16_t)(sign | (bits > 0x7f800000u ? 0x7e00u : half));
}

/* The exponent moves by a multiplication with 2^112, which is exact and lifts subnormals too. */
static inline float of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, bits = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t value = bits_of(float_of(bits) * 0x1p112f);
    return float_of(sign | (bits >= 0x0f800000u ? bits | 0x7f800000u : value));
}

static inline uint16_t brain_of(float x)
{
    uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float of_brain(uint16_t brain)
{
    return float_of((uint32_t)brain << 16);
}

#endif
