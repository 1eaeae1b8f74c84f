/* recurrent.c - steps that remember (docs/ARITHMETIC.md J3), and the small ones around them.
 *
 *   conv    tile: some channels of one token; its past are earlier rows of the batch, or the state's memory
 *   delta   tile: some columns of one head's matrix, for all tokens of all states one after the other
 *
 *           matrix of a head   key 0  [ 0 .. 63 | 64 .. 127 ]
 *                              key 1  [         |           ]     columns are values; they know nothing of each other
 *
 * What was remembered before the batch is only read (state.h): a convolution's memory becomes the last inputs of the
 * batch once all its tiles are done, a matrix is written by its first token and changed in place by the others.
 */
#include "run/cpu.h"

#include "base/canon.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 64, CHANNELS = 2048, EXP_COST = 32 };

/* --- opening ----------------------------------------------------------------------------------------------------- */

/* A file has all taps of a channel one behind the other; lanes are channels. */
static float *turn(vb_cpu *p, const vb_tensor *w)
{
    const float *from = w->data;
    float *to = vb_arena_array(&p->arena, (size_t)(w->cols * w->rows), sizeof *to);
    for (int64_t i = 0; to != NULL && i < w->cols * w->rows; i++) to[i % w->cols * w->rows + i / w->cols] = from[i];
    return to;
}

vb_status vb_cpu_memories_open(vb_cpu *p, vb_err *err)
{
    int64_t most = 0;
    if (p->plan->n_memories == 0) return VB_OK;
    p->turned = vb_arena_array(&p->arena, (size_t)p->plan->n_steps, sizeof *p->turned);
    if (p->turned == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
    for (int i = 0; i < p->plan->n_steps; i++) {
        const vb_step *s = &p->plan->steps[i];
        if (s->op != VB_OP_CONV) continue;
        p->turned[i] = turn(p, s->weight);
        if (p->turned[i] == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory for %s", s->weight->name);
        if (s->weight->rows > most) most = s->weight->rows;
    }
    p->zeros = vb_arena_array(&p->arena, (size_t)most + 1, sizeof *p->zeros);
    if (p->zeros == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
    return VB_OK;
}

/* --- slice, decay ------------------------------------------------------------------------------------------------ */

static void slice_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    const float *x = vb_cpu_value(j->p, s->in[0], r);
    float *y = vb_cpu_value(j->p, s->out, r);
    int group = s->u.slice.group, len = s->u.slice.len;
    (void)worker;
    for (int g = 0; g < vb_cpu_width(j->p, s->in[0]) / group; g++)
        memcpy(y + g * len, x + g * group + s->u.slice.from, (size_t)len * sizeof *y);
}

void vb_cpu_slice(vb_cpu *p, const vb_step *s)
{
    vb_job j = {.p = p, .s = s, .tiles = vb_cpu_rows(p, s->out)};
    vb_job_run(&j, slice_tile, (int64_t)j.tiles * vb_cpu_width(p, s->out) / 4);
}

static void decay_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    const float *rate = s->weight->data, *bias = s->bias->data;
    const float *x = vb_cpu_value(j->p, s->in[0], r), *z = vb_cpu_value(j->p, s->in[1], r);
    float *y = vb_cpu_value(j->p, s->out, r);
    int heads = vb_cpu_width(j->p, s->in[0]);
    uint32_t bad = 0;
    (void)worker;
    for (int h = 0; h < heads; h++) {
        float g = rate[h] * c_softplus(x[h] + bias[h]);
        bad |= isfinite(g) ? 0u : 1u;
        y[h] = c_exp(g);
        y[heads + h] = c_sigmoid(z[h]);
    }
    vb_cpu_note(j->p, r, bad | j->p->k->settle(y, NULL, 2 * heads));
}

void vb_cpu_decay(vb_cpu *p, const vb_step *s)
{
    vb_job j = {.p = p, .s = s, .tiles = vb_cpu_rows(p, s->out)};
    vb_job_run(&j, decay_tile, (int64_t)j.tiles * vb_cpu_width(p, s->out) * EXP_COST);
}

/* --- conv -------------------------------------------------------------------------------------------------------- */

/* The input of the token `back` before row r. */
static const float *input_before(const vb_job *j, int r, int back)
{
    const vb_row *row = &j->p->rows[r];
    int channels = vb_cpu_width(j->p, j->s->out), kept = j->s->u.conv.taps - 1;
    if (r - back >= row->first) return vb_cpu_value(j->p, j->s->in[0], r - back);
    const float *memory = vb_state_before(row->state, j->s->u.conv.memory);
    int at = kept + (r - back - row->first);
    return memory == NULL ? j->p->zeros : memory + (size_t)at * (size_t)channels;
}

static void conv_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    vb_cpu *p = j->p;
    int r = tile / j->tiles_a_row, at = tile % j->tiles_a_row * j->chunk, taps = j->s->u.conv.taps;
    int channels = vb_cpu_width(p, j->s->out), n = channels - at < j->chunk ? channels - at : j->chunk;
    const float *x[VB_MOST_TAPS];
    (void)worker;
    for (int t = 0; t < taps; t++) x[t] = input_before(j, r, taps - 1 - t) + at;
    vb_cpu_note(p, r, p->k->conv(vb_cpu_value(p, j->s->out, r) + at, x, p->turned[j->s - p->plan->steps] + at,
                                 (size_t)channels, taps, n));
}

/* What the last row of a state leaves behind. */
static void remember_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_row *row = &j->p->rows[r];
    size_t channels = (size_t)vb_cpu_width(j->p, j->s->out);
    int kept = j->s->u.conv.taps - 1;
    (void)worker;
    if (r + 1 < j->p->tokens && row[1].first == row->first) return;
    float *memory = vb_state_after(row->state, j->s->u.conv.memory);
    for (int t = 0; t < kept; t++)
        memcpy(memory + (size_t)t * channels, input_before(j, r, kept - 1 - t), channels * sizeof *memory);
}

void vb_cpu_conv(vb_cpu *p, const vb_step *s)
{
    int rows = vb_cpu_rows(p, s->out), width = vb_cpu_width(p, s->out);
    vb_job j = {.p = p, .s = s, .chunk = vb_hard_size(p->hard, CHANNELS, 16)};
    j.tiles_a_row = (width + j.chunk - 1) / j.chunk;
    j.tiles = rows * j.tiles_a_row;
    vb_job_run(&j, conv_tile, (int64_t)rows * width * s->u.conv.taps / 4);
    j.tiles = rows;
    vb_job_run(&j, remember_tile, 0);
}

/* --- delta ------------------------------------------------------------------------------------------------------- */

/* Columns at..at+n of one head for the token of row r. */
static uint32_t learn(const vb_job *j, int head, int at, int n, int r)
{
    const vb_step *s = j->s;
    const vb_row *row = &j->p->rows[r];
    int dim = s->u.delta.dim, keys = s->u.delta.key_heads, values = s->u.delta.value_heads;
    size_t first = (size_t)head * (size_t)dim * (size_t)dim + (size_t)at;
    const float *qk = vb_cpu_value(j->p, s->in[0], r) + head % keys * dim, *decay = vb_cpu_value(j->p, s->in[2], r);
    const float *before = vb_state_before(row->state, s->u.delta.memory);
    float *after = vb_state_after(row->state, s->u.delta.memory) + first;
    vb_delta d = {.from = after, .to = after, .q = qk, .k = qk + keys * dim, .rows = dim, .cols = n, .stride = dim,
                  .stays = decay[head], .learns = decay[values + head], .scale = s->u.delta.scale};
    if (row->first == r && before != NULL) d.from = before + first;
    for (int i = 0; row->first == r && before == NULL && i < dim; i++)
        memset(after + (size_t)i * (size_t)dim, 0, (size_t)n * sizeof *after);
    d.v = vb_cpu_value(j->p, s->in[1], r) + head * dim + at;
    d.out = vb_cpu_value(j->p, s->out, r) + head * dim + at;
    return j->p->k->delta(&d);
}

static void delta_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    int head = tile / j->tiles_a_row, at = tile % j->tiles_a_row * j->chunk, left = j->s->u.delta.dim - at;
    (void)worker;
    for (int r = 0; r < j->p->tokens; r++)
        vb_cpu_note(j->p, r, learn(j, head, at, left < j->chunk ? left : j->chunk, r));
}

void vb_cpu_delta(vb_cpu *p, const vb_step *s)
{
    int64_t dim = s->u.delta.dim, heads = s->u.delta.value_heads;
    vb_job j = {.p = p, .s = s, .chunk = vb_hard_size(p->hard, COLUMNS, 16)};
    j.tiles_a_row = (int)((dim + j.chunk - 1) / j.chunk);
    j.tiles = (int)heads * j.tiles_a_row;
    vb_job_run(&j, delta_tile, p->tokens * heads * dim * dim / 4);
}
