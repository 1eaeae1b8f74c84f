/* group.c - one round for the matrices of a stage.
 *
 *   tiles   0 .. of the first matrix | .. of the second | .. of the third
 */
#include "run/cpu.h"

typedef struct {
    vb_job job; /* first: tiles get a pointer to it */
    int tile_rows[VB_STAGE_STEPS], first_tile[VB_STAGE_STEPS + 1];
} group;

static void group_tile(void *ctx, int tile, int worker)
{
    const group *g = ctx;
    int i = 0;
    while (tile >= g->first_tile[i + 1]) i++;
    const vb_step *s = &g->job.s[i];
    int from = (tile - g->first_tile[i]) * g->tile_rows[i], left = (int)s->weight->rows - from;
    vb_cpu_linear_rows(g->job.p, s, i, from, left < g->tile_rows[i] ? left : g->tile_rows[i], worker);
}

void vb_cpu_group(vb_cpu *p, const vb_stage *stage)
{
    group g = {.job = {.p = p, .s = &p->plan->steps[stage->first]}};
    int64_t work = 0;
    for (int i = 0; i < stage->steps; i++) {
        const vb_step *s = &g.job.s[i];
        int rows = (int)s->weight->rows;
        vb_cpu_linear_start(p, s, i);
        g.tile_rows[i] = vb_cpu_tile_rows(p, s, i);
        g.first_tile[i + 1] = g.first_tile[i] + (rows + g.tile_rows[i] - 1) / g.tile_rows[i];
        work += (int64_t)vb_cpu_rows(p, s->out) * rows * s->weight->cols / 16;
    }
    g.job.tiles = g.first_tile[stage->steps];
    vb_job_run(&g.job, group_tile, work);
}
