/* encode_256.c - blocks of 256 in sub-blocks: what their bytes are stands in oracle/decode.c.
 *
 *   1. each sub-block gets its scale (and its least number), searched alone           vb_fit_*
 *   2. the scales become small integers times one scale of the block                  vb_fit_positive, vb_fit_signed
 *   3. each number gets the code that is nearest with what was stored
 */
#include "quantize/encode_parts.h"

enum { BLOCK = 256, ROUNDS = 2 };

/* --- bits ------------------------------------------------------------------------------------------------------ */

/* The low two bits of each: 32 bytes hold 128 elements, the first 32 of them in the low bits. */
static void put_two_bits(uint8_t *to, const uint8_t *code, int shift)
{
    for (int j = 0; j < BLOCK / 4; j++) {
        const uint8_t *c = code + j / 32 * 128 + j % 32;
        int bits = (c[0] >> shift & 3) | (c[32] >> shift & 3) << 2 | (c[64] >> shift & 3) << 4 |
                   (c[96] >> shift & 3) << 6;
        to[j] = (uint8_t)bits;
    }
}

/* Bit `shift` of element j + 32 i becomes bit i of byte j. */
static void put_high_bits(uint8_t *to, const uint8_t *code, int shift)
{
    for (int j = 0; j < 32; j++) {
        int bits = 0;
        for (int i = 0; i < 8; i++) bits |= (code[32 * i + j] >> shift & 1) << i;
        to[j] = (uint8_t)bits;
    }
}

/* Of `run` and `run` more elements, the first are low nibbles. */
static void put_nibbles(uint8_t *to, const uint8_t *code, int run)
{
    for (int j = 0; j < BLOCK / 2; j++) {
        const uint8_t *c = code + j / run * 2 * run + j % run;
        to[j] = (uint8_t)((c[0] & 15) | (c[run] & 15) << 4);
    }
}

/* Eight scales and mins of 6 bits: the first four whole, of the others the high two bits above those. */
static void put_packed(uint8_t *to, const uint8_t *scale, const uint8_t *min)
{
    for (int s = 0; s < 4; s++) {
        to[s] = (uint8_t)(scale[s] | scale[s + 4] >> 4 << 6);
        to[s + 4] = (uint8_t)(min[s] | min[s + 4] >> 4 << 6);
        to[s + 8] = (uint8_t)((scale[s + 4] & 15) | (min[s + 4] & 15) << 4);
    }
}

/* Sixteen scales of 6 bits: low nibbles in 8 bytes, high two bits in 4, every fourth scale in one. */
static void put_packed_16(uint8_t *to, const uint8_t *scale)
{
    memset(to + 8, 0, 4);
    for (int s = 0; s < 8; s++) to[s] = (uint8_t)((scale[s] & 15) | (scale[s + 8] & 15) << 4);
    for (int s = 0; s < 16; s++) to[8 + s % 4] |= (uint8_t)(scale[s] >> 4 << (s / 4 * 2));
}

static float sum_of(const float *w, int n)
{
    float sum = 0.0f;
    for (int i = 0; i < n; i++) sum += w[i];
    return sum;
}

/* What a scale is once it was a half. */
static float as_stored(float scale, float unit)
{
    return c_h2f((uint16_t)c_f2h(scale * unit)) * inverse(unit);
}

/* --- the block's own scales ------------------------------------------------------------------------------------ */

/* x ~ d * u - m * v: u is scale times code, v the min, both integers. The best d and m, left alone if there are none. */
static void best_scales(const vb_block *b, const float *u, const float *v, float *d, float *m)
{
    float uu[8] = {0}, uv[8] = {0}, vv[8] = {0}, ux[8] = {0}, vx[8] = {0};
    for (int j = 0; j < BLOCK; j += 8)
        for (int k = 0; k < 8; k++) {
            float wu = b->w[j + k] * u[j + k], wv = b->w[j + k] * v[j + k];
            uu[k] += wu * u[j + k];
            uv[k] += wu * v[j + k];
            vv[k] += wv * v[j + k];
            ux[k] += wu * b->x[j + k];
            vx[k] += wv * b->x[j + k];
        }
    float a = sum_of(uu, 8), c = sum_of(uv, 8), e = sum_of(vv, 8), p = sum_of(ux, 8), q = sum_of(vx, 8);
    float det = a * e - c * c;
    if (e <= 0.0f && a > 0.0f) {
        *d = p / a;
    } else if (det > 0.001f * (a * e)) {
        *d = (p * e - q * c) / det;
        *m = (p * c - q * a) / det;
    }
}

static float rest_of(const vb_block *b, const float *u, const float *v, float d, float m)
{
    float rest[8] = {0};
    for (int j = 0; j < BLOCK; j += 8)
        for (int k = 0; k < 8; k++) {
            float r = (d * u[j + k] - m * v[j + k]) - b->x[j + k];
            rest[k] += b->w[j + k] * (r * r);
        }
    return sum_of(rest, 8);
}

/* --- with a least number --------------------------------------------------------------------------------------- */

typedef struct {
    int sub, top, scale_top; /* elements of a sub-block, highest code of an element and of a scale */
} affine;

typedef struct {
    uint8_t scale[16], min[16], code[BLOCK];
    uint8_t halves[4];
    float u[BLOCK], v[BLOCK];
} affine_codes;

/* d and m become halves, each element its nearest code; what is left, < 0: a half overflows. */
static float codes_from_least(const vb_block *b, const affine *a, affine_codes *c, float d, float m)
{
    int fits = put_half(c->halves, d * b->unit) & put_half(c->halves + 2, m * b->unit);
    d = half_in(c->halves) * inverse(b->unit);
    m = half_in(c->halves + 2) * inverse(b->unit);
    for (int s = 0; s < BLOCK / a->sub; s++) {
        float scale = (float)c->scale[s], by = inverse(d * scale), least = m * (float)c->min[s];
        for (int j = s * a->sub; j < (s + 1) * a->sub; j++) {
            float q = code_of((b->x[j] + least) * by, 0.0f, (float)a->top);
            c->code[j] = (uint8_t)q;
            c->u[j] = scale * q;
            c->v[j] = (float)c->min[s];
        }
    }
    return fits ? rest_of(b, c->u, c->v, d, m) : -1.0f;
}

/* Scales and codes in turn, as long as that leaves less. */
static int settle_affine(const vb_block *b, const affine *a, affine_codes *c, float d, float m)
{
    float rest = codes_from_least(b, a, c, d, m);
    for (int round = 0; round < ROUNDS && rest > 0.0f; round++) {
        affine_codes next = *c;
        best_scales(b, c->u, c->v, &d, &m);
        float left = codes_from_least(b, a, &next, d, m < 0.0f ? 0.0f : m);
        if (left < 0.0f || left >= rest) break;
        rest = left;
        *c = next;
    }
    return rest >= 0.0f;
}

static int encode_affine(const float *x, const float *w, const affine *a, affine_codes *out)
{
    vb_block b;
    vb_fit_grid grid = {a->top, w != NULL ? 18 : 10, w != NULL ? 0.05f : 0.1f};
    int subs = BLOCK / a->sub;
    float scale[16], min[16], weight[16], power = a->sub == 16 ? -1.0f : -2.0f;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = a->sub, .without = VB_WEIGH_SIZE, .power = power});
    for (int s = 0; s < subs; s++) {
        scale[s] = vb_fit_affine(b.x + s * a->sub, b.w + s * a->sub, a->sub, &grid, &min[s]);
        weight[s] = sum_of(b.w + s * a->sub, a->sub);
    }
    float d = as_stored(vb_fit_positive(scale, weight, subs, a->scale_top), b.unit), top = (float)a->scale_top;
    float m = as_stored(vb_fit_positive(min, weight, subs, a->scale_top), b.unit);
    for (int s = 0; s < subs; s++) {
        out->scale[s] = (uint8_t)code_of(scale[s] * inverse(d), 0.0f, top);
        out->min[s] = (uint8_t)code_of(min[s] * inverse(m), 0.0f, top);
    }
    return settle_affine(&b, a, out, d, m);
}

int vb_encode_Q2_K(const float *x, const float *w, float power, uint8_t *out)
{
    affine_codes c;
    (void)power;
    int fits = encode_affine(x, w, &(affine){16, 3, 15}, &c);
    for (int s = 0; s < 16; s++) out[s] = (uint8_t)(c.scale[s] | c.min[s] << 4);
    put_two_bits(out + 16, c.code, 0);
    memcpy(out + 80, c.halves, 4);
    return fits;
}

int vb_encode_Q4_K(const float *x, const float *w, float power, uint8_t *out)
{
    affine_codes c;
    (void)power;
    int fits = encode_affine(x, w, &(affine){32, 15, 63}, &c);
    memcpy(out, c.halves, 4);
    put_packed(out + 4, c.scale, c.min);
    put_nibbles(out + 16, c.code, 32);
    return fits;
}

int vb_encode_Q5_K(const float *x, const float *w, float power, uint8_t *out)
{
    affine_codes c;
    (void)power;
    int fits = encode_affine(x, w, &(affine){32, 31, 63}, &c);
    memcpy(out, c.halves, 4);
    put_packed(out + 4, c.scale, c.min);
    put_high_bits(out + 16, c.code, 4);
    put_nibbles(out + 48, c.code, 32);
    return fits;
}

/* --- around zero ----------------------------------------------------------------------------------------------- */

typedef struct {
    int top, scale_top;
    int scale[16];
    uint8_t code[BLOCK], half[2];
    float u[BLOCK];
} signed_codes;

/* As codes_from_least, for sixteen sub-blocks of codes from -top on; in `code` they count from 0. */
static float codes_around_zero(const vb_block *b, signed_codes *c, float d)
{
    int fits = put_half(c->half, d * b->unit);
    d = half_in(c->half) * inverse(b->unit);
    for (int j = 0; j < BLOCK; j++) {
        float scale = (float)c->scale[j / 16], top = (float)c->top;
        float q = code_of(b->x[j] * inverse(d * scale), -top, top - 1.0f);
        c->code[j] = (uint8_t)(q + top);
        c->u[j] = scale * q;
    }
    return fits ? rest_of(b, c->u, c->u, d, 0.0f) : -1.0f;
}

static int settle_signed(const vb_block *b, signed_codes *c, float d)
{
    static const float none[BLOCK];
    float rest = codes_around_zero(b, c, d), m = 0.0f;
    for (int round = 0; round < ROUNDS && rest > 0.0f; round++) {
        signed_codes next = *c;
        best_scales(b, c->u, none, &d, &m);
        float left = codes_around_zero(b, &next, d);
        if (left < 0.0f || left >= rest) break;
        rest = left;
        *c = next;
    }
    return rest >= 0.0f;
}

/* Scales of sub-blocks as codes in [-scale_top, scale_top - 1], then the elements. */
static int encode_signed(const vb_block *b, const float *scale, const float *weight, signed_codes *c)
{
    float d = as_stored(vb_fit_signed(scale, weight, 16, c->scale_top), b->unit), top = (float)c->scale_top;
    for (int s = 0; s < 16; s++) c->scale[s] = (int)code_of(scale[s] * inverse(d), -top, top - 1.0f);
    return settle_signed(b, c, d);
}

static void fit_sixteen(const vb_block *b, int top, float *scale, float *weight)
{
    for (int s = 0; s < 16; s++) {
        scale[s] = vb_fit_signed(b->x + 16 * s, b->w + 16 * s, 16, top);
        weight[s] = sum_of(b->w + 16 * s, 16);
    }
}

int vb_encode_Q3_K(const float *x, const float *w, float power, uint8_t *out)
{
    vb_block b;
    float scale[16], weight[16];
    signed_codes c = {.top = 4, .scale_top = 32};
    uint8_t packed[16];
    (void)power;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = 16, .power = -2.0f});
    fit_sixteen(&b, 4, scale, weight);
    int fits = encode_signed(&b, scale, weight, &c);
    for (int s = 0; s < 16; s++) packed[s] = (uint8_t)(c.scale[s] + 32);
    put_high_bits(out, c.code, 2);
    put_two_bits(out + 32, c.code, 0);
    put_packed_16(out + 96, packed);
    memcpy(out + 108, c.half, 2);
    return fits;
}

int vb_encode_Q6_K(const float *x, const float *w, float power, uint8_t *out)
{
    vb_block b;
    float scale[16], weight[16];
    signed_codes c = {.top = 32, .scale_top = 128};
    (void)power;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = 16, .plainly = 1});
    fit_sixteen(&b, 32, scale, weight);
    int fits = encode_signed(&b, scale, weight, &c);
    put_nibbles(out, c.code, 64);
    put_two_bits(out + 128, c.code, 4);
    for (int s = 0; s < 16; s++) out[192 + s] = (uint8_t)c.scale[s];
    memcpy(out + 208, c.half, 2);
    return fits;
}

/* --- uneven steps ---------------------------------------------------------------------------------------------- */

int vb_encode_IQ4_XS(const float *x, const float *w, float power, uint8_t *out)
{
    vb_block b;
    float scale[16] = {0}, weight[16] = {0};
    int sc[8], high = 0;
    uint8_t code[BLOCK];
    (void)power;
    vb_block_take(&b, x, w, &(vb_block_shape){.n = BLOCK, .sub = 32, .power = -2.0f});
    for (int s = 0; s < 8; s++) {
        scale[s] = vb_fit_uneven(b.x + 32 * s, b.w + 32 * s, 32);
        weight[s] = sum_of(b.w + 32 * s, 32);
    }
    float d = vb_fit_signed(scale, weight, 16, 32) * b.unit;
    int fits = put_half(out, d);
    for (int s = 0; s < 8; s++) sc[s] = (int)code_of(scale[s] * b.unit * inverse(half_in(out)), -32.0f, 31.0f);
    for (int j = 0; j < BLOCK; j++) {
        float by = inverse(half_in(out) * (float)sc[j / 32]) * b.unit;
        code[j] = (uint8_t)nearest_step(b.x[j] * by);
    }
    for (int s = 0; s < 8; s++) high |= (sc[s] + 32) >> 4 << (2 * s);
    for (int s = 0; s < 4; s++)
        out[4 + s] = (uint8_t)(((sc[2 * s] + 32) & 15) | ((sc[2 * s + 1] + 32) & 15) << 4);
    out[2] = (uint8_t)high;
    out[3] = (uint8_t)(high >> 8);
    put_nibbles(out + 8, code, 16);
    return fits;
}
