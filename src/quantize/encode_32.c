/* encode_32.c - blocks of 32: what their bytes are stands in oracle/decode.c.
 *
 * Without importance the scale comes from the block's extremes, in the order of operations of the field's reference,
 * so that the bytes are the same: of Q4_0 and Q5_0 the number farthest from zero becomes the lowest code.
 */
#include "quantize/encode_parts.h"

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

/* --- by a search ----------------------------------------------------------------------------------------------- */

/* The scale as it is stored goes to `half`; 0: it does not fit. */
static int searched_around_zero(vb_block *b, int top, uint8_t *half, uint8_t *code)
{
    int fits = put_half(half, vb_fit_signed(b->x, b->w, BLOCK, top) * b->unit);
    float by = inverse(half_in(half)) * b->unit;
    for (int j = 0; j < BLOCK; j++)
        code[j] = (uint8_t)(code_of(b->x[j] * by, (float)-top, (float)(top - 1)) + (float)top);
    return fits;
}

static int searched_from_least(vb_block *b, int top, uint8_t *halves, uint8_t *code)
{
    float min, d = vb_fit_affine(b->x, b->w, BLOCK, &(vb_fit_grid){top, 18, 0.05f}, &min);
    int fits = put_half(halves, d * b->unit) & put_half(halves + 2, -min * b->unit);
    float by = inverse(half_in(halves)), least = half_in(halves + 2);
    for (int j = 0; j < BLOCK; j++)
        code[j] = (uint8_t)code_of((b->x[j] * b->unit - least) * by, 0.0f, (float)top);
    return fits;
}

static int around_zero(const float *x, const float *w, float power, int top, uint8_t *half, uint8_t *code)
{
    if (w == NULL) return put_half(half, codes_around_zero(x, top, code));
    vb_block b;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = BLOCK, .power = power});
    return searched_around_zero(&b, top, half, code);
}

static int from_least(const float *x, const float *w, float power, int top, uint8_t *halves, uint8_t *code)
{
    vb_block b;
    if (w == NULL) {
        float least, d = codes_from_least(x, top, code, &least);
        return put_half(halves, d) & put_half(halves + 2, least);
    }
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = BLOCK, .power = power, .without = VB_WEIGH_SIZE});
    return searched_from_least(&b, top, halves, code);
}

/* --- the formats ----------------------------------------------------------------------------------------------- */

int vb_encode_Q4_0(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    int fits = around_zero(x, w, power, 8, out, code);
    put_nibbles(out + 2, code);
    return fits;
}

int vb_encode_Q5_0(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    int fits = around_zero(x, w, power, 16, out, code);
    put_fifth_bits(out + 2, code);
    put_nibbles(out + 6, code);
    return fits;
}

int vb_encode_Q4_1(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    int fits = from_least(x, w, power, 15, out, code);
    put_nibbles(out + 4, code);
    return fits;
}

int vb_encode_Q5_1(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[BLOCK];
    int fits = from_least(x, w, power, 31, out, code);
    put_fifth_bits(out + 4, code);
    put_nibbles(out + 8, code);
    return fits;
}

int vb_encode_IQ4_NL(const float *x, const float *w, float power, uint8_t *out)
{
    vb_block b;
    uint8_t code[BLOCK];
    (void)power;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = BLOCK, .power = -2.0f});
    int fits = put_half(out, vb_fit_uneven(b.x, b.w, BLOCK) * b.unit);
    float by = inverse(half_in(out)) * b.unit;
    for (int j = 0; j < BLOCK; j++) code[j] = (uint8_t)nearest_step(b.x[j] * by);
    put_nibbles(out + 2, code);
    return fits;
}

/* --- 4-bit floats ---------------------------------------------------------------------------------------------- */

/* The code whose value is nearest: of 0, 1/2, 1, 3/2, 2, 3, 4, 6 and their negatives; halfway is the smaller one. */
static uint8_t float_code(float x)
{
    float size = __builtin_fabsf(x);
    int code = (size > 0.25f) + (size > 0.75f) + (size > 1.25f) + (size > 1.75f) + (size > 2.5f) + (size > 3.5f) +
               (size > 5.0f);
    return (uint8_t)(code | (x < 0.0f && code > 0 ? 8 : 0));
}

static float codes_of_floats(const float *x, const float *w, float by, uint8_t *code)
{
    static const float value[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    float lost = 0.0f;
    for (int j = 0; j < BLOCK; j++) {
        float scaled = x[j] * by;
        code[j] = float_code(scaled);
        float rest = __builtin_fabsf(scaled) - value[code[j] & 7];
        lost += (w != NULL ? w[j] : 1.0f) * (rest * rest);
    }
    return lost / by / by;
}

/* The block's largest number has exponent 2 with the scale 2^(e - 127), or 1 with twice the scale where that loses
 * less: from 5 on, 4-bit floats are far apart or end. */
int vb_encode_MXFP4(const float *x, const float *w, float power, uint8_t *out)
{
    uint8_t code[2][BLOCK];
    (void)power;
    int e = (int)(asu(farthest(x)) >> 23 & 255) - 2;
    float near[BLOCK];
    if (e < 0) e = 0;
    float down = asf((uint32_t)(254 - e > 1 ? 254 - e : 1) << 23);
    for (int j = 0; j < BLOCK; j++) near[j] = x[j] * down;
    int doubled = codes_of_floats(near, w, 0.5f, code[1]) < codes_of_floats(near, w, 1.0f, code[0]);
    out[0] = (uint8_t)(farthest(x) == 0.0f ? 0 : e + doubled);
    put_nibbles(out + 1, code[doubled]);
    return 1;
}
