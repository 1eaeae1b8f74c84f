/* layout.c - one scratch block for all values, by liveness.
 *
 *   floats per token:  | v0 .... | v3 .. |  v1 ........ | v7 ..
 *
 * Values are placed in the order of their steps at the lowest offset where they overlap no value that lives at the
 * same time. A value lives from the step that defines it to the last step that reads it, both included, so no step
 * ever writes over its own input, and steps that a player interleaves, played at one moment, not over each other's.
 * Unit: floats per token; a player multiplies by its number of tokens.
 */
#include "plan/plan.h"

enum { ROUND = 16 };

static int64_t room(int width)
{
    return ((int64_t)width + ROUND - 1) / ROUND * ROUND;
}

static int when(const int *moment, int step)
{
    return moment == NULL ? step : moment[step];
}

static int lives_with(const vb_value *a, const vb_value *b, const int *moment)
{
    return when(moment, a->step) <= when(moment, b->last_use) && when(moment, b->step) <= when(moment, a->last_use);
}

/* The lowest offset >= from at which v collides with a placed neighbour, moved behind it; -1 if v fits at `from`. */
static int64_t pushed(const vb_plan *p, const int *moment, const int64_t *offset, int v, int64_t from)
{
    for (int u = 0; u < v; u++) {
        if (offset[u] < 0 || !lives_with(&p->values[u], &p->values[v], moment)) continue;
        int64_t end = offset[u] + room(p->values[u].width);
        if (from < end && offset[u] < from + room(p->values[v].width)) return end;
    }
    return -1;
}

int64_t vb_plan_layout(const vb_plan *p, const int *moment, int64_t *offset)
{
    int64_t total = 0;
    for (int v = 0; v < p->n_values; v++) {
        offset[v] = -1;
        if (v == p->output) continue;
        int64_t at = 0, next;
        while ((next = pushed(p, moment, offset, v, at)) >= 0) at = next;
        offset[v] = at;
        if (at + room(p->values[v].width) > total) total = at + room(p->values[v].width);
    }
    return total;
}
