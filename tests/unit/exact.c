/* exact.c - base/exact.inc against the processor's division and square root: every mantissa, edges, and chance. */
#include "base/canon.h"
#include "base/fp.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>

/* Subnormal numbers count as zeros, given or made. */
static float flushed(float x)
{
    return (asu(x) & 0x7f800000u) == 0 ? asf(asu(x) & 0x80000000u) : x;
}

static int same(float found, float expected)
{
    return asu(found) == asu(expected) || (asu(found) == 0x7fc00000u && isnan(expected));
}

/* Just below the smallest normal number the processor rounds to the subnormal grid first, which can make it 2^-126. */
static int divides(float x, float y)
{
    float a = flushed(x), b = flushed(y);
    double quotient = (double)a / (double)b;
    float expected = fabs(quotient) < 0x1p-126 ? copysignf(0.0f, (float)quotient) : a / b;
    return same(c_div_exact(x, y), expected);
}

static int roots(float x)
{
    return same(c_sqrt_exact(x), sqrtf(flushed(x)));
}

/* Floats of one exponent field, every step-th mantissa, for which the function is not right. */
static int wrong_inverses(uint32_t field, float numerator, uint32_t step)
{
    int wrong = 0;
    for (uint32_t m = 0; m < 0x800000; m += step) wrong += !divides(numerator, asf(field << 23 | m));
    return wrong;
}

static int wrong_roots(uint32_t field, uint32_t step)
{
    int wrong = 0;
    for (uint32_t m = 0; m < 0x800000; m += step) wrong += !roots(asf(field << 23 | m));
    return wrong;
}

/* RN(1/x) (E4, F5) and RN(127/amax) (B3): the mantissa decides, the exponent moves the result. */
Test(exact, inverse_of_every_mantissa)
{
    vb_fp_enter();
    cr_assert_eq(wrong_inverses(127, 1.0f, 1), 0);
    cr_assert_eq(wrong_inverses(127, 127.0f, 1), 0);
    for (uint32_t field = 0; field < 256; field++) {
        cr_assert_eq(wrong_inverses(field, 1.0f, 9973), 0, "exponent field %u", field);
        cr_assert_eq(wrong_inverses(field, 127.0f, 9973), 0, "exponent field %u", field);
    }
}

/* Both parities of the exponent. */
Test(exact, root_of_every_mantissa)
{
    vb_fp_enter();
    cr_assert_eq(wrong_roots(127, 1), 0);
    cr_assert_eq(wrong_roots(128, 1), 0);
    for (uint32_t field = 0; field < 512; field++) cr_assert_eq(wrong_roots(field, 9973), 0, "field %u", field);
}

Test(exact, quotients_by_chance)
{
    rng r = {42};
    vb_fp_enter();
    for (int i = 0; i < 2000000; i++) {
        uint32_t x = rng_word(&r), y = rng_word(&r);
        if (i & 1) y = (x & 0x7f800000u) | (y & 0x807fffffu);
        cr_assert(divides(asf(x), asf(y)), "%08x / %08x", x, y);
    }
}

Test(exact, edges)
{
    static const uint32_t edge[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000, 0x00800001, 0x3f7fffff,
                                    0x3f800000, 0xbf800001, 0x40000000, 0x42fe0000, 0x7f000000, 0x7f7fffff, 0xff7fffff,
                                    0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0x3fffffff};
    enum { EDGES = sizeof edge / sizeof edge[0] };
    vb_fp_enter();
    for (int i = 0; i < EDGES; i++) {
        cr_assert(roots(asf(edge[i])), "sqrt(%08x)", edge[i]);
        for (int k = 0; k < EDGES; k++)
            cr_assert(divides(asf(edge[i]), asf(edge[k])), "%08x / %08x", edge[i], edge[k]);
    }
}
