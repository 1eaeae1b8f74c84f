/* rope.h - cosines and sines of rotary positions (docs/ARITHMETIC.md J2). */
#ifndef VB_RUN_ROPE_H
#define VB_RUN_ROPE_H
#include "plan/plan.h"

/* A vb_rope with what does not depend on the position. */
typedef struct {
    int pairs;
    double *frequency; /* [pairs] */
    double magnitude;
} vb_rope_spec;

/* frequency has room for rope->n_rot / 2 numbers. */
void vb_rope_prepare(vb_rope_spec *spec, const vb_rope *rope, double *frequency);
/* n_rot/2 cosines, then n_rot/2 sines. */
void vb_rope_row(const vb_rope_spec *spec, int position, float *row);

#endif
