/* arith.c - binary32: guard, half precision, elementary functions, ordered sums, activation quantisation.
 *
 * Read it beside docs/ARITHMETIC.md: each function is the rule it names, one operation of the rule a statement.
 * Constants are hexadecimal literals of exactly representable numbers.
 */
#include "oracle/arith.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A5 */
float vb_oracle_guard(float x)
{
    return fabsf(x) < 0x1p-60f ? 0.0f : x;
}

/* A3 */
int vb_oracle_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

/* sign 1, exponent 5, fraction 10 */
float vb_oracle_from_half(uint16_t half)
{
    int sign = half >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
    float x;
    if (exponent == 31)
        x = fraction != 0 ? float_of(0x7f800000u | (uint32_t)fraction << 13) : INFINITY;
    else if (exponent == 0)
        x = ldexpf((float)fraction, -24);
    else
        x = ldexpf((float)(1024 + fraction), exponent - 25);
    return sign ? -x : x;
}

/* The spacing of halves around |x| is 2^(e-10), at least 2^-24; rint rounds the count of them to even. */
uint16_t vb_oracle_to_half(float x)
{
    uint16_t sign = signbit(x) ? 0x8000u : 0;
    float a = fabsf(x);
    int exponent;
    if (isnan(x)) return (uint16_t)(sign | 0x7e00u);
    if (a >= 65520.0f) return (uint16_t)(sign | 0x7c00u);
    if (a < 0x1p-14f) return (uint16_t)(sign | (int)rintf(ldexpf(a, 24)));
    frexpf(a, &exponent); /* a = 0.1xxx * 2^exponent */
    int units = (int)rintf(ldexpf(a, 11 - exponent));
    return (uint16_t)(sign | (((exponent + 13) << 10) + units));
}

/* B4 */
int vb_oracle_round(float x)
{
    return (int)rintf(x);
}

/* F2 */
float vb_oracle_recip(float b)
{
    float r = float_of(0x7ef311c7u - bits_of(b));
    for (int i = 0; i < 3; i++) {
        float t = b * r;
        float e = 2.0f - t;
        r = r * e;
    }
    float t = b * r;
    float e = 1.0f - t;
    float correction = r * e;
    return r + correction;
}

/* c[0] x^(n-1) + ... + c[n-1] by Horner's rule, product and sum rounded on their own. */
static float horner(const float *c, int n, float x)
{
    float p = c[0];
    for (int i = 1; i < n; i++) {
        p = p * x;
        p = p + c[i];
    }
    return p;
}

/* F1 */
float vb_oracle_exp(float x)
{
    static const float c[6] = {0x1.a0d2cep-13f, 0x1.6e879cp-10f, 0x1.11121p-7f,
                               0x1.555382p-5f,  0x1.555554p-3f,  0x1p-1f};
    if (x < -40.0f) return 0.0f;
    if (x > 60.0f) x = 60.0f;
    float n = rintf(x * 0x1.715476p+0f);
    float high = n * 0x1.63p-1f;
    float low = n * -0x1.bd0106p-13f;
    float r = x - high;
    r = r - low;
    float p = horner(c, 6, r);
    float square = r * r;
    p = p * square;
    p = p + r;
    p = p + 1.0f;
    return ldexpf(p, (int)n);
}

/* F3 */
float vb_oracle_sigmoid(float x)
{
    return vb_oracle_recip(1.0f + vb_oracle_exp(-x));
}

float vb_oracle_silu(float x)
{
    return x < -60.0f ? 0.0f : x * vb_oracle_sigmoid(x);
}

float vb_oracle_gelu_tanh(float x)
{
    if (x < -60.0f) return 0.0f;
    float cubic = ((0x1.6e4e26p-5f * x) * x) * x;
    float z = 0x1.988454p-1f * (x + cubic);
    return x * vb_oracle_sigmoid(2.0f * z);
}

float vb_oracle_tanh(float x)
{
    if (fabsf(x) < 0x1p-6f) {
        float square = x * x;
        float p = 0x1.111112p-3f * square;
        p = p - 0x1.555556p-2f;
        p = p * square;
        return p * x + x;
    }
    return 2.0f * vb_oracle_sigmoid(2.0f * x) - 1.0f;
}

/* F4 */
float vb_oracle_log(float x)
{
    static const float c[9] = {0x1.204376p-4f, -0x1.d7a37p-4f,  0x1.de4a34p-4f, -0x1.fcba9ep-4f, 0x1.23d37ep-3f,
                               -0x1.555cap-3f, 0x1.999d58p-3f, -0x1.fffff8p-3f, 0x1.555554p-2f};
    int k;
    float m = frexpf(x, &k); /* in [1/2, 1) */
    if (m < 0x1.6a09e6p-1f) {
        m = m * 2.0f;
        k = k - 1;
    }
    float f = m - 1.0f, n = (float)k;
    float square = f * f;
    float p = horner(c, 9, f);
    p = p * f;
    p = p * square;
    p = p + n * -0x1.bd0106p-13f;
    p = p - 0.5f * square;
    p = p + f;
    return p + n * 0x1.63p-1f;
}

float vb_oracle_softplus(float x)
{
    return x > 20.0f ? x : vb_oracle_log(vb_oracle_exp(x) + 1.0f);
}

/* F4 */
float vb_oracle_erf(float x)
{
    static const float inner[7] = {0x1.6bdf52p-14f, -0x1.ae7f94p-11f, 0x1.553abap-8f, -0x1.b819a6p-6f,
                                   0x1.ce2e84p-4f,  -0x1.812744p-2f,  0x1.06eba8p-3f};
    static const float outer[8] = {0x1.571e62p-16f, -0x1.bfd48ap-12f, 0x1.0f08b4p-8f, -0x1.9a0b82p-6f,
                                   0x1.baf004p-4f,  0x1.4456a2p-1f,   0x1.2123d8p+0f, -0x1.53cb5p-13f};
    float a = fabsf(x);
    if (a < 0.875f) {
        float p = horner(inner, 7, x * x);
        return p * x + x;
    }
    float y = a < 4.0f ? 1.0f - vb_oracle_exp(-horner(outer, 8, a)) : 1.0f;
    return x < 0.0f ? -y : y;
}

float vb_oracle_gelu_erf(float x)
{
    return (0.5f * x) * (1.0f + vb_oracle_erf(x * 0x1.6a09e6p-1f));
}

/* The end of E1: lanes 0..7 take 8..15, 0..3 take 4..7, and so on. */
float vb_oracle_tree(const float lane[16])
{
    float sum[16];
    memcpy(sum, lane, sizeof sum);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sum[i] = sum[i] + sum[i + half];
    return sum[0];
}

/* E1, E2 */
float vb_oracle_dot(const float *x, const float *y, int64_t n)
{
    float lane[16] = {0};
    for (int64_t i = 0; i < n; i++) {
        float product = x[i] * y[i];
        lane[i % 16] = lane[i % 16] + product;
    }
    return vb_oracle_tree(lane);
}

/* B1 to B4 */
void vb_oracle_quantize(const float *x, int64_t n, int block, int8_t *q, float *d)
{
    for (int64_t b = 0; b < n / block; b++) {
        const float *from = x + b * block;
        float amax = 0.0f;
        for (int i = 0; i < block; i++)
            if (fabsf(from[i]) > amax) amax = fabsf(from[i]);
        int zero = amax < 0x1p-60f;
        float inverse = zero ? 0.0f : 127.0f / amax;
        d[b] = zero ? 0.0f : amax * 0x1.020408p-7f;
        for (int i = 0; i < block; i++) q[b * block + i] = (int8_t)vb_oracle_round(from[i] * inverse);
    }
}
