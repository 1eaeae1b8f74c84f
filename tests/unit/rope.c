/* rope.c - tables of rotary positions: the cpu player's text of docs/ARITHMETIC.md J2 beside the oracle's. */
#include "oracle/oracle.h"
#include "run/rope.h"

#include <criterion/criterion.h>
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
