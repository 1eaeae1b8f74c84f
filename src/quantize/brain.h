/* brain.h - binary32 to bfloat16 and back, rounded to nearest, ties to even; exact where it can be. Halves are canon.h's. */
#ifndef VB_QUANTIZE_BRAIN_H
#define VB_QUANTIZE_BRAIN_H
#include "base/canon.h"

static inline uint16_t brain_of(float x)
{
    uint32_t bits = asu(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float of_brain(uint16_t brain)
{
    return asf((uint32_t)brain << 16);
}

#endif
