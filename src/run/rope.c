/* rope.c - angles in binary64 by base/canon64.h, rounded once to binary32 at the end (docs/ARITHMETIC.md J2). */
#include "run/rope.h"

#include "base/canon.h"
#include "base/canon64.h"

#include <math.h>

/* The pair, as a real number, whose wave turns `turns` times within the original context. */
static double yarn_pair(const vb_rope *r, double turns)
{
    double waves = r->context / (turns * asd(0x401921fb54442d18u)); /* 2 pi */
    return ((double)r->n_rot * c64_log(waves)) / (2.0 * c64_log(r->base));
}

/* 0 for pairs that keep their frequency, 1 for those divided by the factor, a ramp between. */
static double yarn_ramp(const vb_rope *r, int i)
{
    double low = floor(yarn_pair(r, r->beta_fast));
    double high = ceil(yarn_pair(r, r->beta_slow));
    double last = (double)(r->n_rot - 1);
    if (low < 0.0) low = 0.0;
    if (high > last) high = last;
    double width = high - low;
    if (!(width > 0.001)) width = 0.001;
    double slow = ((double)i - low) / width;
    if (!(slow > 0.0)) return 0.0;
    return slow < 1.0 ? slow : 1.0;
}

static double frequency(const vb_rope *r, int i)
{
    double exponent = (double)(2 * i) / (double)r->n_rot;
    double f = c64_exp(-(exponent * c64_log(r->base)));
    if (r->factors != NULL) f = f / (double)((const float *)r->factors->data)[i];
    if (r->scaling == VB_SCALING_LINEAR) f = f / r->factor;
    if (r->scaling == VB_SCALING_YARN) {
        double slow = yarn_ramp(r, i);
        f = (f / r->factor) * slow + f * (1.0 - slow);
    }
    return f;
}

void vb_rope_prepare(vb_rope_spec *spec, const vb_rope *rope, double *room)
{
    spec->pairs = rope->n_rot / 2;
    spec->frequency = room;
    for (int i = 0; i < rope->n_rot / 2; i++) room[i] = frequency(rope, i);
    spec->magnitude = rope->attn_factor;
    if (rope->scaling == VB_SCALING_YARN && rope->factor > 1.0)
        spec->magnitude = rope->attn_factor * (0.1 * c64_log(rope->factor) + 1.0);
}

void vb_rope_row(const vb_rope_spec *spec, int position, float *row)
{
    int pairs = spec->pairs;
    for (int i = 0; i < pairs; i++) {
        double angle = (double)position * spec->frequency[i];
        row[i] = c_guard((float)(c64_cos(angle) * spec->magnitude));
        row[pairs + i] = c_guard((float)(c64_sin(angle) * spec->magnitude));
    }
}
