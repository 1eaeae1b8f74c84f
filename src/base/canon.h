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

#define FN static inline
#define F32 float
#define U32 uint32_t
#define I32 int32_t
#define I2F(i) ((float)(i))
#define U2I(u) ((int32_t)(u))
#define I2U(i) ((uint32_t)(i))
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
