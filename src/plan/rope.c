/* rope.c - ropes that depend on how long a session may become (docs/ARITHMETIC.md J2).
 *
 * A model trained for `context` tokens and then for many more has two rows of factors. Which of them counts is decided
 * once a session, by its size and never by its text: what a token gives must not change while the text grows.
 */
#include "plan/plan.h"

static int is_long(const vb_rope *rope, int context)
{
    return rope->long_factors != NULL && (double)context > rope->context;
}

vb_rope vb_rope_in(const vb_rope *rope, int context)
{
    vb_rope r = *rope;
    if (is_long(rope, context)) r.factors = rope->long_factors;
    return r;
}

int vb_plan_is_long(const vb_plan *p, int context)
{
    for (int i = 0; i < p->n_ropes; i++)
        if (is_long(&p->ropes[i], context)) return 1;
    return 0;
}
