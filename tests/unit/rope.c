/* rope.c - tables of rotary positions: the cpu player's text of docs/ARITHMETIC.md J2 beside the oracle's. */
#include "oracle/oracle.h"
#include "run/rope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const int positions[] = {0, 1, 2, 7, 63, 1000, 4095, 8192, 131071, 1 << 20, (1 << 26) - 1};

static void compare(const vb_rope *r)
{
    double frequency[128];
    float expected[256], found[256];
    vb_rope_spec spec;
    vb_rope_prepare(&spec, r, frequency);
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        vb_oracle_rope_table(expected, expected + r->n_rot / 2, r, positions[i]);
        vb_rope_row(&spec, positions[i], found);
        cr_assert(memcmp(expected, found, (size_t)r->n_rot * sizeof *found) == 0,
                  "n_rot %d, base %g, scaling %d by %g, position %d", r->n_rot, r->base, (int)r->scaling, r->factor,
                  positions[i]);
    }
}

Test(rope, rows_are_the_oracles)
{
    static const int sizes[] = {2, 16, 20, 64, 96, 128, 256};
    static const double bases[] = {10000.0, 500000.0, 1000000.0, 150000.5}, factors[] = {1.0, 2.0, 4.0, 40.0, 8.25};
    static const vb_scaling scalings[] = {VB_SCALING_NONE, VB_SCALING_LINEAR, VB_SCALING_YARN};
    for (int n = 0; n < 7; n++)
        for (int b = 0; b < 4; b++)
            for (int f = 0; f < 5; f++)
                for (int s = 0; s < 3; s++) {
                    vb_rope r = {.n_rot = sizes[n], .base = bases[b], .scaling = scalings[s], .factor = factors[f],
                                 .context = f % 2 == 0 ? 4096.0 : 32768.0, .attn_factor = f == 3 ? 0.75 : 1.0,
                                 .beta_fast = 32.0, .beta_slow = 1.0};
                    compare(&r);
                }
}

Test(rope, frequencies_may_be_divided_by_factors)
{
    float divisor[32];
    for (int i = 0; i < 32; i++) divisor[i] = 1.0f + (float)i * 0.37f;
    vb_tensor t = {.name = "rope_freqs", .format = VB_FMT_F32, .cols = 32, .rows = 1, .data = divisor};
    vb_rope r = {.n_rot = 64, .base = 500000.0, .factor = 1.0, .attn_factor = 1.0, .factors = &t};
    compare(&r);
    r.scaling = VB_SCALING_LINEAR;
    r.factor = 8.0;
    compare(&r);
}

/* Yarn in the terms of wavelengths and by the system's mathematical library: a pair that turns beta_fast times or more
 * within the context keeps its angle, one that turns beta_slow times or less is divided, a straight line over the pairs'
 * numbers between them. */
static double yarn_angle(const vb_rope *r, int i, int position)
{
    double plain = pow(r->base, -2.0 * i / r->n_rot), ends[2];
    for (int k = 0; k < 2; k++) {
        double wavelength = r->context / (k == 0 ? r->beta_fast : r->beta_slow);
        ends[k] = r->n_rot / 2.0 * (log(wavelength) - log(2.0 * acos(-1.0))) / log(r->base);
    }
    double low = fmax(floor(ends[0]), 0.0), high = fmin(ceil(ends[1]), r->n_rot - 1.0);
    double keep = 1.0 - fmin(fmax((i - low) / fmax(high - low, 0.001), 0.0), 1.0);
    return position * (plain * keep + plain / r->factor * (1.0 - keep));
}

Test(rope, yarn_is_what_wavelengths_say)
{
    static const double factors[] = {1.0, 4.0, 32.0};
    double frequency[64];
    float row[128];
    for (int f = 0; f < 3; f++)
        for (int n = 16; n <= 128; n *= 2) {
            vb_rope r = {.n_rot = n, .base = n == 64 ? 10000.0 : 1000000.0, .scaling = VB_SCALING_YARN, .factor = factors[f],
                         .context = 4096.0, .attn_factor = 1.0, .beta_fast = 32.0, .beta_slow = 1.0};
            vb_rope_spec spec;
            vb_rope_prepare(&spec, &r, frequency);
            for (int position = 0; position < 140000; position += 13999) {
                vb_rope_row(&spec, position, row);
                for (int i = 0; i < n / 2; i++) {
                    double angle = yarn_angle(&r, i, position), m = 0.1 * log(r.factor) + 1.0;
                    cr_assert_float_eq((double)row[i], m * cos(angle), 1e-6, "pair %d of %d at %d", i, n / 2, position);
                    cr_assert_float_eq((double)row[n / 2 + i], m * sin(angle), 1e-6);
                }
            }
        }
}

Test(rope, long_factors_count_in_long_sessions)
{
    float few[8], many[8];
    for (int i = 0; i < 8; i++) {
        few[i] = 1.0f + (float)i * 0.01f;
        many[i] = 2.0f + (float)i;
    }
    vb_tensor s = {.format = VB_FMT_F32, .cols = 8, .rows = 1, .data = few}, l = s;
    l.data = many;
    vb_rope r = {.n_rot = 16, .base = 10000.0, .factor = 1.0, .attn_factor = 1.25, .context = 4096.0, .factors = &s,
                 .long_factors = &l};
    vb_plan plan = {.ropes = &r, .n_ropes = 1};
    cr_assert(vb_rope_in(&r, 4096).factors == &s && vb_rope_in(&r, 4097).factors == &l);
    cr_assert(!vb_plan_is_long(&plan, 4096) && vb_plan_is_long(&plan, 4097));
    for (int k = 0; k < 2; k++) {
        vb_rope in = vb_rope_in(&r, k == 0 ? 1 : 5000);
        compare(&in);
    }
    r.long_factors = NULL;
    cr_assert(vb_rope_in(&r, 1 << 20).factors == &s && !vb_plan_is_long(&plan, 1 << 20));
}
