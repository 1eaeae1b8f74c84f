/* group.c - one round for the matrices of a stage and, tile by tile, the step behind them.
 *
 *   joint       tile 0: rows 0.. of all matrices, then the step on these rows | tile 1: the next rows | ...
 *   else        tiles of the first matrix | tiles of the second | ...
 */
#include "run/cpu.h"

typedef struct {
    vb_job job; /* first: the pool passes its address */
    const vb_stage *stage;
    int tile_rows[VB_STAGE_STEPS], first_tile[VB_STAGE_STEPS + 1];
} group;

static int least(int a, int b)
{
    return a < b ? a : b;
}

static void joint_tile(void *ctx, int tile, int worker)
{
    const group *g = ctx;
    vb_cpu *p = g->job.p;
    const vb_step *s = g->job.s, *last = &s[g->stage->matrices];
    int from = tile * g->tile_rows[0], rows = least(g->tile_rows[0], vb_cpu_width(p, last->out) - from);
    for (int i = 0; i < g->stage->matrices; i++) vb_cpu_linear_rows(p, &s[i], i, from, rows, worker);
    for (int r = 0; r < vb_cpu_rows(p, last->out); r++)
        vb_cpu_note_of(p, g->stage->matrices, r, vb_cpu_elements(p, last, r, from, rows));
}

static void side_tile(void *ctx, int tile, int worker)
{
    const group *g = ctx;
    int i = 0;
    while (tile >= g->first_tile[i + 1]) i++;
    const vb_step *s = &g->job.s[i];
    int from = (tile - g->first_tile[i]) * g->tile_rows[i];
    vb_cpu_linear_rows(g->job.p, s, i, from, least(g->tile_rows[i], (int)s->weight->rows - from), worker);
}

void vb_cpu_group(vb_cpu *p, const vb_stage *stage)
{
    const vb_step *s = &p->plan->steps[stage->first];
    group g = {.job = {.p = p, .s = s}, .stage = stage};
    int64_t work = 0;
    for (int i = 0; i < stage->matrices; i++) {
        int rows = (int)s[i].weight->rows;
        g.tile_rows[i] = vb_cpu_tile_rows(p, &s[i]);
        if (stage->joint) g.tile_rows[0] = g.tile_rows[i] = least(g.tile_rows[0], g.tile_rows[i]);
        g.first_tile[i + 1] = g.first_tile[i] + (rows + g.tile_rows[i] - 1) / g.tile_rows[i];
        work += (int64_t)vb_cpu_rows(p, s->out) * rows * s[i].weight->cols / 16;
        vb_cpu_linear_input(p, &s[i]);
    }
    g.job.tiles = g.first_tile[stage->joint ? 1 : stage->matrices];
    if (stage->joint) g.job.tiles = (vb_cpu_width(p, s->out) + g.tile_rows[0] - 1) / g.tile_rows[0];
    vb_job_run(&g.job, stage->joint ? joint_tile : side_tile, work);
}
