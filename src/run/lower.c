/* lower.c - the plan as stages: neighbours that one round of tiles can do together.
 *
 *   q, k, v     matrices with one input     tiles of the first, of the second, of the third
 *   gate, up    the same
 *
 * A stage computes the same values by the same operations, so it changes no bit; it spares waiting for each other,
 * which for a single token of a small model takes as long as a small matrix. Joining gate, up and what multiplies
 * them tile by tile was measured and lost: a thread reads one long stream of weights faster than two in turns.
 * Residual sums in the tiles of the matrix before them gained nothing.
 */
#include "run/cpu.h"

static int matrices_of_one_input(const vb_plan *plan, int i)
{
    int n = 0;
    while (n < VB_STAGE_STEPS && i + n < plan->n_steps && plan->steps[i + n].op == VB_OP_LINEAR &&
           plan->steps[i + n].in[0] == plan->steps[i].in[0] && plan->steps[i + n].layer == plan->steps[i].layer)
        n++;
    return n;
}

int vb_cpu_lower(const vb_plan *plan, vb_stage *stages)
{
    int n = 0;
    for (int i = 0; i < plan->n_steps; i += stages[n++].steps) {
        int matrices = matrices_of_one_input(plan, i);
        int first = i == 0 || plan->steps[i].layer != plan->steps[i - 1].layer;
        stages[n] = (vb_stage){.first = i, .steps = matrices > 1 ? matrices : 1, .begins = first};
    }
    return n;
}
