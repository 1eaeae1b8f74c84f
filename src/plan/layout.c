/* layout.c - one scratch block for the values of all tokens, one for those of wanted tokens alone, by liveness.
 *
 *   floats per token:  | v0 .... | v3 .. |  v1 ........ | v7 ..
 *
 * Values are placed in the order of their steps at the lowest offset where they overlap no value that lives at the
 * same time. A value lives from the step that defines it to the last step that reads it, both included, so no step
 * ever writes over its own input. Unit: floats per token; a player multiplies by its number of tokens.
 */
#include "plan/plan.h"

enum { ROUND = 16 };

static int64_t room(int width)
{
    return ((int64_t)width + ROUND - 1) / ROUND * ROUND;
}

static int lives_with(const vb_value *a, const vb_value *b)
{
    return a->wanted == b->wanted && a->step <= b->last_use && b->step <= a->last_use;
}

/* The lowest offset >= from at which v collides with a placed neighbour, moved behind it; -1 if v fits at `from`. */
static int64_t pushed(const vb_plan *p, const int64_t *offset, int v, int64_t from)
{
    for (int u = 0; u < v; u++) {
        if (offset[u] < 0 || !lives_with(&p->values[u], &p->values[v])) continue;
        int64_t end = offset[u] + room(p->values[u].width);
        if (from < end && offset[u] < from + room(p->values[v].width)) return end;
    }
    return -1;
}

vb_room vb_plan_layout(const vb_plan *p, int64_t *offset)
{
    vb_room total = {0, 0};
    for (int v = 0; v < p->n_values; v++) {
        offset[v] = -1;
        if (v == p->output) continue;
        int64_t at = 0, next, *most = p->values[v].wanted ? &total.wanted : &total.all;
        while ((next = pushed(p, offset, v, at)) >= 0) at = next;
        offset[v] = at;
        if (at + room(p->values[v].width) > *most) *most = at + room(p->values[v].width);
    }
    return total;
}
