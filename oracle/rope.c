/* rope.c - the angles of rotary positions (docs/ARITHMETIC.md J2), all in binary64 and rounded once at the end.
 *
 *   frequency of pair i: base^(-2i/n_rot) -> divided by its factor -> scaled (linear, yarn)
 *   table entry:         RN32(cos64(position * frequency) * magnitude), the same with sin64
 */
#include "oracle/oracle.h"

#include <math.h>

/* The pair whose wave turns `turns` times in the original context, as a real number. */
static double pair_of_turns(const vb_rope *r, double turns)
{
    double waves = r->context / (turns * 0x1.921fb54442d18p+2); /* 2 pi */
    return ((double)r->n_rot * vb_oracle_log64(waves)) / (2.0 * vb_oracle_log64(r->base));
}

/* Yarn: fast pairs keep their frequency, slow ones are divided by the factor, those between are mixed. */
static double yarn(const vb_rope *r, int i, double f)
{
    double low = floor(pair_of_turns(r, r->beta_fast));
    double high = ceil(pair_of_turns(r, r->beta_slow));
    double last = (double)(r->n_rot - 1);
    low = low > 0.0 ? low : 0.0;
    high = high < last ? high : last;
    double width = high - low > 0.001 ? high - low : 0.001;
    double slow = ((double)i - low) / width;
    slow = slow > 0.0 ? slow : 0.0;
    slow = slow < 1.0 ? slow : 1.0;
    double fast = 1.0 - slow;
    return (f / r->factor) * slow + f * fast;
}

static double frequency(const vb_rope *r, int i)
{
    double exponent = (double)(2 * i) / (double)r->n_rot;
    double f = vb_oracle_exp64(-(exponent * vb_oracle_log64(r->base)));
    if (r->factors != NULL) f = f / (double)((const float *)r->factors->data)[i];
    if (r->scaling == VB_SCALING_LINEAR) f = f / r->factor;
    if (r->scaling == VB_SCALING_YARN) f = yarn(r, i, f);
    return f;
}

static double magnitude(const vb_rope *r)
{
    if (r->scaling != VB_SCALING_YARN || !(r->factor > 1.0)) return r->attn_factor;
    return r->attn_factor * (0.1 * vb_oracle_log64(r->factor) + 1.0);
}

void vb_oracle_rope_table(float *cos, float *sin, const vb_rope *rope, int position)
{
    double m = magnitude(rope);
    for (int i = 0; i < rope->n_rot / 2; i++) {
        double angle = (double)position * frequency(rope, i);
        cos[i] = vb_oracle_guard((float)(vb_oracle_cos64(angle) * m));
        sin[i] = vb_oracle_guard((float)(vb_oracle_sin64(angle) * m));
    }
}
