/* canon64.h - sin, cos, exp and log in binary64 by + - * / and bit operations alone (docs/ARITHMETIC.md F6): the
 * system's mathematical library differs between systems, these do not.
 *
 *   reduce to a small interval with constants split so that the first products are exact -> Taylor series (Horner,
 *   coefficients rounded to nearest) -> put together in the order written here, every operation rounded once
 *
 * Domains: sin and cos |x| < 2^27; exp |x| <= 700; log positive normal numbers. Largest errors seen: sin and cos
 * 1.4 ulp where the result is above 2^-20, 1.2e-16 everywhere; exp 0.93 ulp; log 0.76 ulp.
 */
#ifndef VB_BASE_CANON64_H
#define VB_BASE_CANON64_H
#include <stdint.h>
#include <string.h>

static inline uint64_t asu64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double asd(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* c[0] + x (c[1] + x (c[2] + ...)), innermost first. */
static inline double c64_horner(const uint64_t *c, int n, double x)
{
    double p = asd(c[n - 1]);
    for (int i = n - 2; i >= 0; i--) p = p * x + asd(c[i]);
    return p;
}

/* x = n pi/2 + *rest, |*rest| < pi/4 and a little; returns n modulo 4. */
static inline int c64_quadrant(double x, double *rest)
{
    double shift = asd(0x4338000000000000u); /* 1.5 * 2^52 */
    double t = x * asd(0x3fe45f306dc9c883u) + shift; /* 2/pi */
    double n = t - shift;
    double r = x - n * asd(0x3ff921fb50000000u); /* pi/2 in 26 + 26 + 53 bits */
    r = r - n * asd(0x3e5110b460000000u);
    *rest = r - n * asd(0x3c91a62633145c07u);
    return (int)(asu64(t) & 3);
}

static inline double c64_sin_small(double r)
{
    static const uint64_t c[8] = {0xbfc5555555555555u, 0x3f81111111111111u, 0xbf2a01a01a01a01au, 0x3ec71de3a556c734u,
                                  0xbe5ae64567f544e4u, 0x3de6124613a86d09u, 0xbd6ae7f3e733b81fu, 0x3ce952c77030ad4au};
    double z = r * r;
    return r + (r * z) * c64_horner(c, 8, z);
}

static inline double c64_cos_small(double r)
{
    static const uint64_t c[8] = {0x3fa5555555555555u, 0xbf56c16c16c16c17u, 0x3efa01a01a01a01au, 0xbe927e4fb7789f5cu,
                                  0x3e21eed8eff8d898u, 0xbda93974a8c07c9du, 0x3d2ae7f3e733b81fu, 0xbca6827863b97d97u};
    double z = r * r;
    double half = 0.5 * z;
    double w = 1.0 - half;
    double lost = (1.0 - w) - half;
    return w + (lost + (z * z) * c64_horner(c, 8, z));
}

static inline double c64_sin(double x)
{
    double r;
    int q = c64_quadrant(x, &r);
    double y = (q & 1) != 0 ? c64_cos_small(r) : c64_sin_small(r);
    return (q & 2) != 0 ? -y : y;
}

static inline double c64_cos(double x)
{
    double r;
    int q = c64_quadrant(x, &r);
    double y = (q & 1) != 0 ? c64_sin_small(r) : c64_cos_small(r);
    return q == 1 || q == 2 ? -y : y;
}

static inline double c64_exp(double x)
{
    static const uint64_t c[12] = {0x3fe0000000000000u, 0x3fc5555555555555u, 0x3fa5555555555555u, 0x3f81111111111111u,
                                   0x3f56c16c16c16c17u, 0x3f2a01a01a01a01au, 0x3efa01a01a01a01au, 0x3ec71de3a556c734u,
                                   0x3e927e4fb7789f5cu, 0x3e5ae64567f544e4u, 0x3e21eed8eff8d898u, 0x3de6124613a86d09u};
    double shift = asd(0x4338000000000000u);
    double t = x * asd(0x3ff71547652b82feu) + shift; /* log2(e) */
    double n = t - shift;
    double r = x - n * asd(0x3fe62e42fef00000u); /* ln 2 in 33 + 53 bits */
    r = r - n * asd(0x3dd473de6af278edu);
    double p = (r * r) * c64_horner(c, 12, r);
    p = 1.0 + (r + p);
    uint64_t power = (asu64(t) + 1023) << 52; /* 2^n: the low bits of t are n */
    return p * asd(power);
}

static inline double c64_log(double x)
{
    static const uint64_t c[11] = {0x3fe5555555555555u, 0x3fd999999999999au, 0x3fd2492492492492u, 0x3fcc71c71c71c71cu,
                                   0x3fc745d1745d1746u, 0x3fc3b13b13b13b14u, 0x3fc1111111111111u, 0x3fbe1e1e1e1e1e1eu,
                                   0x3fbaf286bca1af28u, 0x3fb8618618618618u, 0x3fb642c8590b2164u};
    uint64_t b = asu64(x) - 0x3fe6a09e667f3bcdu; /* above sqrt(1/2) */
    int k = (int)(b >> 52);                      /* 12 bits, signed */
    if (k > 2047) k = k - 4096;
    double m = asd((b & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu); /* in [sqrt(1/2), sqrt(2)) */
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double tail = z * c64_horner(c, 11, z);
    double half = (0.5 * f) * f;
    double low = s * (half + tail) + (double)k * asd(0x3dd473de6af278edu);
    return (double)k * asd(0x3fe62e42fef00000u) - ((half - low) - f);
}

#endif
