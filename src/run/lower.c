/* lower.c - the plan as stages: neighbours that one round of tiles can do together.
 *
 *   q, k, v             matrices with one input         tiles of one after the other
 *   gate, up, glu       the same, and what joins them   a tile has the same rows of both
 *   out, add            a matrix and the residual       a tile has its rows of both
 *
 * A stage computes the same values by the same operations, so it changes no bit; it saves waiting for each other,
 * which for a single token of a small model takes as long as the arithmetic. Each rule below can be deleted.
 */
#include "run/cpu.h"

enum { MOST_MATRICES = VB_STAGE_STEPS - 1 };

static int reads(const vb_step *s, vb_val v)
{
    return s->in[0] == v || s->in[1] == v;
}

static int matrices_of_one_input(const vb_plan *plan, int i)
{
    int n = 0;
    while (n < MOST_MATRICES && i + n < plan->n_steps && plan->steps[i + n].op == VB_OP_LINEAR &&
           plan->steps[i + n].in[0] == plan->steps[i].in[0])
        n++;
    return n;
}

/* act(gate) * up, where gate and up are the two matrices before it. */
static int is_gated(const vb_plan *plan, int i, int matrices)
{
    const vb_step *s = &plan->steps[i], *glu = s + 2;
    return matrices == 2 && i + 2 < plan->n_steps && glu->op == VB_OP_GLU && reads(glu, s[0].out) &&
           reads(glu, s[1].out);
}

/* x + matrix, where x was known before. */
static int is_residual(const vb_plan *plan, int i, int matrices)
{
    const vb_step *s = &plan->steps[i], *add = s + 1;
    return matrices == 1 && i + 1 < plan->n_steps && add->op == VB_OP_ADD && reads(add, s->out) &&
           add->in[0] != add->in[1];
}

static vb_stage stage_at(const vb_plan *plan, int i)
{
    int n = matrices_of_one_input(plan, i);
    if (is_gated(plan, i, n) || is_residual(plan, i, n)) return (vb_stage){i, n + 1, n, 1};
    if (n > 1) return (vb_stage){i, n, n, 0};
    return (vb_stage){i, 1, 0, 0};
}

int vb_cpu_lower(const vb_plan *plan, vb_stage *stages, int *moment)
{
    int n = 0;
    for (int i = 0; i < plan->n_steps; i += stages[n++].steps) {
        stages[n] = stage_at(plan, i);
        for (int k = 0; k < stages[n].steps; k++) moment[i + k] = n;
    }
    moment[plan->n_steps] = n;
    return n;
}
