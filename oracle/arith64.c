/* arith64.c - binary64: sin, cos, exp and log by + - * / and rounding to integers (docs/ARITHMETIC.md F6), and the
 * random numbers of J6.
 *
 * All four reduce the argument to a small interval and sum a Taylor series from its smallest term on. Coefficients
 * are quotients of exact integers, each rounded once.
 */
#include "oracle/arith.h"

#include <math.h>

static double factorial(int n)
{
    double product = 1.0;
    for (int i = 2; i <= n; i++) product = product * i;
    return product;
}

/* sum of z^i sign^i / (first + 2i)!, i from 0 to terms - 1; sign is that of the first term, then alternating. */
static double alternating(double z, int first, int terms, double sign)
{
    double p = 0.0;
    for (int i = terms - 1; i >= 0; i--) {
        double c = 1.0 / factorial(first + 2 * i);
        if (i % 2 != 0) c = -c;
        p = p * z;
        p = p + sign * c;
    }
    return p;
}

/* x = n pi/2 + r. The first two parts of pi/2 have 26 bits, so their products with n are exact. */
static int quadrant(double x, double *r)
{
    double n = rint(x * 0x1.45f306dc9c883p-1);
    double rest = x - n * 0x1.921fb5p+0;
    rest = rest - n * 0x1.110b46p-26;
    *r = rest - n * 0x1.1a62633145c07p-54;
    return (int)((int64_t)n & 3);
}

static double small_sin(double r)
{
    double z = r * r;
    double cubic = r * z;
    return r + cubic * alternating(z, 3, 8, -1.0);
}

static double small_cos(double r)
{
    double z = r * r;
    double half = 0.5 * z;
    double w = 1.0 - half;
    double lost = (1.0 - w) - half;
    double fourth = z * z;
    return w + (lost + fourth * alternating(z, 4, 8, 1.0));
}

double vb_oracle_sin64(double x)
{
    double r;
    switch (quadrant(x, &r)) {
    case 0:
        return small_sin(r);
    case 1:
        return small_cos(r);
    case 2:
        return -small_sin(r);
    default:
        return -small_cos(r);
    }
}

double vb_oracle_cos64(double x)
{
    double r;
    switch (quadrant(x, &r)) {
    case 0:
        return small_cos(r);
    case 1:
        return -small_sin(r);
    case 2:
        return -small_cos(r);
    default:
        return small_sin(r);
    }
}

double vb_oracle_exp64(double x)
{
    double n = rint(x * 0x1.71547652b82fep+0);
    double r = x - n * 0x1.62e42fefp-1;
    r = r - n * 0x1.473de6af278edp-34;
    double p = 0.0;
    for (int k = 13; k >= 2; k--) {
        p = p * r;
        p = p + 1.0 / factorial(k);
    }
    double square = r * r;
    return ldexp(1.0 + (r + square * p), (int)n);
}

double vb_oracle_log64(double x)
{
    int k;
    double m = frexp(x, &k);
    if (m < 0x1.6a09e667f3bcdp-1) {
        m = m * 2.0;
        k = k - 1;
    }
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double z = s * s, p = 0.0;
    for (int i = 11; i >= 1; i--) {
        p = p * z;
        p = p + 2.0 / (double)(2 * i + 1);
    }
    double tail = z * p;
    double half = (0.5 * f) * f;
    double low = s * (half + tail) + (double)k * 0x1.473de6af278edp-34;
    return (double)k * 0x1.62e42fefp-1 - ((half - low) - f);
}

/* J6: ten rounds; each multiplies two words, swaps, and adds the Weyl constants to the key. */
void vb_oracle_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k[2] = {key[0], key[1]};
    for (int i = 0; i < 4; i++) out[i] = counter[i];
    for (int round = 0; round < 10; round++) {
        uint64_t first = (uint64_t)out[0] * 0xd2511f53u;
        uint64_t second = (uint64_t)out[2] * 0xcd9e8d57u;
        uint32_t next[4] = {(uint32_t)(second >> 32) ^ out[1] ^ k[0], (uint32_t)second,
                            (uint32_t)(first >> 32) ^ out[3] ^ k[1], (uint32_t)first};
        for (int i = 0; i < 4; i++) out[i] = next[i];
        k[0] += 0x9e3779b9u;
        k[1] += 0xbb67ae85u;
    }
}
