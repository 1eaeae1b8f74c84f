/* encode_32.c - blocks of 32: what their bytes are stands in oracle/decode.c.
 *
 * Without importance the scale comes from the block's extremes, in the order of operations of the field's reference,
 * so that the bytes are the same: of Q4_0 and Q5_0 the number farthest from zero becomes the lowest code.
 */
#include "convert/encode_parts.h"

enum { BLOCK = 32 };

/* --- bits ------------------------------------------------------------------------------------------------------ */

static void put_nibbles(uint8_t *to, const uint8_t *code)
{
    for (int j = 0; j < BLOCK / 2; j++) to[j] = (uint8_t)((code[j] & 15) | (code[j + BLOCK / 2] & 15) << 4);
}

static void put_fifth_bits(uint8_t *to, const uint8_t *code)
{
    uint32_t bits = 0;
    for (int j = 0; j < BLOCK; j++) bits |= (uint32_t)(code[j] >> 4 & 1) << j;
    memcpy(to, &bits, sizeof bits);
}

/* --- by the extremes ------------------------------------------------------------------------------------------- */

static float farthest(const float *x)
{
    float far = 0.0f, at = 0.0f;
    for (int j = 0; j < BLOCK; j++) {
        float size = __builtin_fabsf(x[j]);
        if (far < size) at = x[j];
        far = far < size ? size : far;
    }
    return at;
}

/* Half away from zero; the difference to the truncated number is exact. */
static int8_t rounded(float x)
{
    int whole = (int)x;
    float rest = x - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

int vb_encode_Q8_0(const float *x, const float *w, float power, uint8_t *out)
{
    float d = __builtin_fabsf(farthest(x)) / 127.0f, by = inverse(d);
    (void)w, (void)power;
    for (int j = 0; j < BLOCK; j++) out[2 + j] = (uint8_t)rounded(x[j] * by);
    return put_half(out, d);
}

/* Truncated after half a step was added. */
static uint8_t floor_code(float x, int top)
{
    int code = (int)x;
    return (uint8_t)(code > top ? top : code);
}

static float codes_around_zero(const float *x, int top, uint8_t *code)
{
    float d = farthest(x) / (float)-top, by = inverse(d);
    for (int j = 0; j < BLOCK; j++) code[j] = floor_code(x[j] * by + ((float)top + 0.5f), 2 * top - 1);
    return d;
}

static float codes_from_least(const float *x, int top, uint8_t *code, float *least)
{
    float low = x[0], high = x[0];
    for (int j = 1; j < BLOCK; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
    }
    float d = (high - low) / (float)top, by = inverse(d);
    for (int j = 0; j < BLOCK; j++) code[j] = floor_code((x[j] - low) * by + 0.5f, top);
    *least = low;
    return d;
}

/* --- the four old formats -------------------------------------------------------------------------------------- */

int vb_encode_Q4_0(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    (void)w, (void)power;
    float d = codes_around_zero(x, 8, code);
    put_nibbles(out + 2, code);
    return put_half(out, d);
}

int vb_encode_Q5_0(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    (void)w, (void)power;
    float d = codes_around_zero(x, 16, code);
    put_fifth_bits(out + 2, code);
    put_nibbles(out + 6, code);
    return put_half(out, d);
}

int vb_encode_Q4_1(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    float least, d = codes_from_least(x, 15, code, &least);
    (void)w, (void)power;
    put_nibbles(out + 4, code);
    return put_half(out, d) & put_half(out + 2, least);
}

int vb_encode_Q5_1(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    float least, d = codes_from_least(x, 31, code, &least);
    (void)w, (void)power;
    put_fifth_bits(out + 4, code);
    put_nibbles(out + 8, code);
    return put_half(out, d) & put_half(out + 2, least);
}
