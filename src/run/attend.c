/* attend.c - first all new keys and values, then one tile for each query head of each token. */
#include "run/cpu.h"

#include <limits.h>

static void store_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    vb_cpu *p = j->p;
    const vb_slot *slot = &p->plan->slots[j->s->u.attend.slot];
    const vb_row *row = &p->rows[vb_cpu_row_of(p, j->s->out, r)];
    const float *k = vb_cpu_value(p, j->s->in[1], r), *v = vb_cpu_value(p, j->s->in[2], r);
    size_t at = (size_t)row->position;
    uint32_t bad = 0;
    (void)worker;
    for (int h = 0; h < slot->kv_heads; h++) {
        vb_head_rows to = vb_state_head(row->state, j->s->u.attend.slot, h);
        bad |= p->k->kv_write[row->state->kv](to.keys + at * to.key_stride, k + h * slot->dim_k, slot->dim_k);
        bad |= p->k->kv_write[row->state->kv](to.values + at * to.value_stride, v + h * slot->dim_v, slot->dim_v);
    }
    vb_cpu_note(p, r, bad);
}

static void attend_one(const vb_job *j, int r, int head, int worker)
{
    vb_cpu *p = j->p;
    const vb_step *s = j->s;
    const vb_row *row = &p->rows[vb_cpu_row_of(p, s->out, r)];
    int window = s->u.attend.window, position = row->position;
    vb_head_rows kv = vb_state_head(row->state, s->u.attend.slot, head / (s->u.attend.heads / s->u.attend.kv_heads));
    vb_query q = {.q = vb_cpu_value(p, s->in[0], r) + head * s->u.attend.dim_k, .keys = kv.keys, .values = kv.values,
                  .key_stride = kv.key_stride, .value_stride = kv.value_stride, .dim_k = s->u.attend.dim_k,
                  .dim_v = s->u.attend.dim_v, .last = position, .scale = s->u.attend.scale};
    q.first = window > 0 && position >= window ? position - window + 1 : 0;
    q.part = (float *)(void *)(p->scratch + p->at.workers) + (size_t)worker * (size_t)p->worker_floats;
    vb_cpu_note(p, r, p->k->attend[row->state->kv](vb_cpu_value(p, s->out, r) + head * q.dim_v, &q));
}

/* Later tokens see more: a worker's heads are spread over all tokens, so that shares cost the same. */
static void attend_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    int heads = j->s->u.attend.heads, n = vb_cpu_rows(j->p, j->s->out) * heads;
    for (int i = tile; i < n; i += j->tiles) attend_one(j, i / heads, i % heads, worker);
}

void vb_cpu_attend(vb_cpu *p, const vb_step *s)
{
    int rows = vb_cpu_rows(p, s->out);
    int64_t positions = 0;
    vb_job j = {.p = p, .s = s, .tiles = rows};
    vb_job_run(&j, store_tile, (int64_t)rows * (vb_cpu_width(p, s->in[1]) + vb_cpu_width(p, s->in[2])));
    if (atomic_load(&p->bad[0]) != INT_MAX) return;
    for (int r = 0; r < rows; r++) positions += p->rows[vb_cpu_row_of(p, s->out, r)].position + 1;
    j.tiles = vb_pool_threads(p->pool);
    vb_job_run(&j, attend_tile, positions * vb_cpu_width(p, s->in[0]) / 4);
}
