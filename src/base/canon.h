/* canon.h - base/canon.inc and base/exact.inc as C: static inline functions on float. */
#ifndef VB_BASE_CANON_H
#define VB_BASE_CANON_H
#include <stdint.h>
#include <string.h>

static inline uint32_t asu(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float asf(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#include "base/words.inc"
#include "base/canon.inc"
#include "base/exact.inc"
#undef FN
#undef F32
#undef U32
#undef I32
#undef I2F
#undef U2I
#undef I2U

#endif
