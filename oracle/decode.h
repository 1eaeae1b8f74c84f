/* decode.h - inside the oracle: one element of a weight block as integers and scales. decode.c tells what a weight is. */
#ifndef VB_ORACLE_DECODE_H
#define VB_ORACLE_DECODE_H
#include "oracle/oracle.h"

typedef enum { PLAIN, PLUS, MINUS } form;

typedef struct {
    form form;
    float d, m;
    int q, scale, min;
} weight;

/* Element j of the block b, a function for each format. */
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) weight vb_oracle_decode_##ID(const uint8_t *b, int j);
#include "base/quant.def"

/* Twice the value of a 4-bit float: a sign, two bits of exponent, one bit of mantissa. */
int vb_oracle_e2m1(int code);

static inline unsigned little(const uint8_t *bytes, int n)
{
    unsigned value = 0;
    for (int i = 0; i < n; i++) value |= (unsigned)bytes[i] << (8 * i);
    return value;
}

static inline float half_at(const uint8_t *bytes)
{
    return vb_oracle_from_half((uint16_t)little(bytes, 2));
}

/* Nibble j of 32 in 16 bytes: the low ones first. */
static inline int nibble(const uint8_t *bytes, int j)
{
    return j < 16 ? bytes[j] & 15 : bytes[j - 16] >> 4;
}

static inline weight plain(float d, int scale, int q)
{
    return (weight){.form = PLAIN, .d = d, .scale = scale, .q = q};
}

#endif
