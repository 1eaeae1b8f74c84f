/* linear.c - matrices: tiles of weight rows, each against all tokens, so that weights are read once a batch.
 *
 * Inputs are quantised once (B); matrices that share an input share its quantised form. Many tokens meet a tile by
 * panels that the worker packs in its own memory.
 */
#include "run/cpu.h"

enum { TILE_BYTES = 131072, PANEL_ROWS = 32 }; /* a panel has 16 or 32 rows */

vb_act_kind vb_cpu_act_kind(const vb_cpu *p, const vb_step *s)
{
    return p->opts.arith == VB_ARITH_INT8 ? vb_format_of(s->weight->format)->act : VB_ACT_F32;
}

static void quantize_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    vb_cpu *p = j->p;
    vb_act_kind kind = vb_cpu_act_kind(p, j->s);
    size_t bytes = vb_act_bytes(p->cols[kind]);
    vb_act *a = &p->acts[kind][r];
    (void)worker;
    if (kind == VB_ACT_F32) {
        *a = (vb_act){.n = vb_cpu_width(p, j->s->in[0])};
    } else {
        vb_act_place(a, p->scratch + p->at.quantized[kind] + bytes * (size_t)r, vb_cpu_width(p, j->s->in[0]));
    }
    a->x = vb_cpu_value(p, j->s->in[0], r);
    if (kind != VB_ACT_F32) p->k->quantize[kind](a);
}

static void prepare_input(vb_cpu *p, const vb_step *s)
{
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    int tokens = vb_cpu_rows(p, s->out);
    vb_job j = {.p = p, .s = s, .tiles = tokens};
    if (p->act_of[kind] == s->in[0]) return;
    vb_job_run(&j, quantize_tile, (int64_t)tokens * vb_cpu_width(p, s->in[0]));
    p->act_of[kind] = s->in[0];
}

/* In f32 mode a quantised matrix is one of floats, also where it has no integer rule. */
static int becomes_floats(const vb_cpu *p, const vb_step *s)
{
    return vb_cpu_act_kind(p, s) == VB_ACT_F32 && vb_format_of(s->weight->format)->block > 1;
}

void vb_cpu_linear_start(vb_cpu *p, const vb_step *s, int i)
{
    vb_format format = becomes_floats(p, s) ? VB_FMT_F32 : s->weight->format;
    int tokens = vb_cpu_rows(p, s->out), many = tokens >= p->k->matmul_from[vb_cpu_act_kind(p, s)];
    p->by_panels[i] = p->k->matmul[format] != NULL && vb_hard_choice(p->hard, many);
    for (int r = 0; p->by_panels[i] && r < tokens; r++) p->outputs[i][r] = vb_cpu_value(p, s->out, r);
    prepare_input(p, s);
}

/* Room for a panel, or for rows that became floats, which need none. */
static uint8_t *worker_memory(const vb_cpu *p, int worker)
{
    return p->scratch + p->at.workers + (size_t)worker * (size_t)p->worker_floats * sizeof(float);
}

/* A quantised matrix in f32 mode, or of a format without an integer rule: its rows become floats in the worker's own
 * memory (C6). */
static vb_rows as_floats(const vb_cpu *p, const vb_step *s, const vb_rows *w, int worker)
{
    int cols = (int)s->weight->cols;
    float *to = (float *)(void *)worker_memory(p, worker);
    for (int r = 0; r < w->rows; r++)
        p->k->dequantize[s->weight->format](to + (size_t)r * (size_t)cols, w->data + w->row_bytes * (size_t)r, cols);
    return (vb_rows){(const uint8_t *)to, (size_t)cols * sizeof *to, w->rows};
}

/* Rows of weights against all tokens, four at a time where there is a kernel for it. */
static void multiply(const vb_job *j, vb_format format, const vb_rows *w, int from)
{
    vb_cpu *p = j->p;
    const vb_act *acts = p->acts[vb_cpu_act_kind(p, j->s)];
    int tokens = vb_cpu_rows(p, j->s->out), r = 0;
    for (; p->k->matvec4[format] != NULL && r + 4 <= tokens; r += 4) {
        float *y[4];
        for (int i = 0; i < 4; i++) y[i] = vb_cpu_value(p, j->s->out, r + i) + from;
        p->k->matvec4[format](y, w, &acts[r]);
    }
    for (; r < tokens; r++) p->k->matvec[format](vb_cpu_value(p, j->s->out, r) + from, w, &acts[r]);
}

void vb_cpu_linear_rows(vb_cpu *p, const vb_step *s, int i, int from, int rows, int worker)
{
    vb_job j = {.p = p, .s = s};
    const vb_tensor *t = s->weight;
    int tokens = vb_cpu_rows(p, s->out);
    vb_rows w = {(const uint8_t *)t->data + t->row_bytes * (size_t)from, t->row_bytes, rows};
    vb_format format = t->format;
    const float *bias = s->bias != NULL ? (const float *)s->bias->data + from : NULL;
    if (becomes_floats(p, s)) {
        w = as_floats(p, s, &w, worker);
        format = VB_FMT_F32;
    }
    if (p->by_panels[i]) {
        const vb_act *acts = p->acts[vb_cpu_act_kind(p, s)];
        vb_product product = {&w, acts, tokens, from, p->outputs[i], worker_memory(p, worker)};
        p->k->matmul[format](&product);
    } else {
        multiply(&j, format, &w, from);
    }
    for (int r = 0; r < tokens; r++)
        vb_cpu_note_of(p, i, r, p->k->settle(vb_cpu_value(p, s->out, r) + from, bias, rows));
}

static void linear_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    int from = tile * j->tile_rows, left = (int)j->s->weight->rows - from;
    vb_cpu_linear_rows(j->p, j->s, 0, from, left < j->tile_rows ? left : j->tile_rows, worker);
}

/* About TILE_BYTES, so that rows stream; tiles of one size and as many for each thread, so that all end together. */
int vb_cpu_tile_rows(const vb_cpu *p, const vb_step *s, int i)
{
    const vb_tensor *t = s->weight;
    if (becomes_floats(p, s)) return VB_TILE_ROWS;
    int64_t threads = vb_pool_threads(p->pool), tiles = (int64_t)t->rows * (int64_t)t->row_bytes / TILE_BYTES + 1;
    tiles = (tiles + threads - 1) / threads * threads;
    int rows = (int)((t->rows + tiles - 1) / tiles), unit = p->by_panels[i] ? PANEL_ROWS : 4;
    return vb_hard_size(p->hard, (rows + unit - 1) / unit * unit, 4);
}

void vb_cpu_linear(vb_cpu *p, const vb_step *s)
{
    int rows = (int)s->weight->rows;
    vb_job j = {.p = p, .s = s};
    vb_cpu_linear_start(p, s, 0);
    j.tile_rows = vb_cpu_tile_rows(p, s, 0);
    j.tiles = (rows + j.tile_rows - 1) / j.tile_rows;
    vb_job_run(&j, linear_tile, (int64_t)vb_cpu_rows(p, s->out) * rows * s->weight->cols / 16);
}
