/* steps.c - one function a kind of step: pick the kernel, cut the work into tiles.
 *
 *   linear     tiles of weight rows, each against all tokens, so that weights are read from memory once a batch
 *   attend     first all new keys and values, then one tile for each query head of each token
 *   others     tiles of at most CHUNK elements of one row
 *
 * Small steps stay on the calling thread: waking others would take longer.
 */
#include "run/cpu.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

enum { CHUNK = 4096, TILE_BYTES = 32768, MOST_TILE_ROWS = 64, SMALL = 16384 };

typedef struct {
    vb_cpu *p;
    const vb_step *s;
    int tiles_a_row; /* of element-wise steps */
    int tile_rows;   /* of linear steps */
    int tiles;
} job;

static void run(job *j, vb_tile *tile, int64_t work)
{
    if (work >= SMALL)
        vb_pool_run(j->p->pool, tile, j, j->tiles);
    else
        for (int i = 0; i < j->tiles; i++) tile(j, i, 0);
}

/* A3: remembers the first row that is not finite. */
static void note(vb_cpu *p, int row, uint32_t bad)
{
    int seen = atomic_load_explicit(&p->bad, memory_order_relaxed);
    if (bad == 0) return;
    while (row < seen && !atomic_compare_exchange_weak(&p->bad, &seen, row)) continue;
}

static int width_of(const vb_cpu *p, vb_val v)
{
    return p->plan->values[v].width;
}

/* --- element-wise steps -------------------------------------------------------------------------------------- */

/* The elements of a tile: n of row r from `at` on. */
typedef struct {
    int r, at, n;
    float *y;
    const float *x[2];
} piece;

static piece piece_of(const job *j, int tile)
{
    const vb_cpu *p = j->p;
    int width = width_of(p, j->s->out), at = tile % j->tiles_a_row * CHUNK;
    piece c = {.r = tile / j->tiles_a_row, .at = at, .n = width - at < CHUNK ? width - at : CHUNK};
    c.y = vb_cpu_value(p, j->s->out, c.r) + at;
    for (int i = 0; i < 2; i++)
        if (j->s->in[i] >= 0) c.x[i] = vb_cpu_value(p, j->s->in[i], c.r) + at;
    return c;
}

static void element_tile(void *ctx, int tile, int worker)
{
    const job *j = ctx;
    const vb_step *s = j->s;
    const vb_kernels *k = j->p->k;
    piece c = piece_of(j, tile);
    uint32_t bad = 0;
    (void)worker;
    if (s->op == VB_OP_SCALE) bad = k->scale(c.y, c.x[0], s->u.scale.by, c.n);
    if (s->op == VB_OP_ADD) bad = k->add(c.y, c.x[0], c.x[1], c.n);
    if (s->op == VB_OP_SOFTCAP) bad = k->softcap(c.y, c.x[0], s->u.softcap.cap, c.n);
    if (s->op == VB_OP_GLU)
        bad = (s->u.glu.act == VB_GLU_SILU ? k->glu_silu : k->glu_gelu_tanh)(c.y, c.x[0], c.x[1], c.n);
    note(j->p, c.r, bad);
}

static void elements(vb_cpu *p, const vb_step *s)
{
    int rows = vb_cpu_rows(p, s->out), width = width_of(p, s->out);
    job j = {.p = p, .s = s, .tiles_a_row = (width + CHUNK - 1) / CHUNK};
    j.tiles = rows * j.tiles_a_row;
    run(&j, element_tile, (int64_t)rows * width);
}

/* --- steps by rows --------------------------------------------------------------------------------------------- */

static void embed_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    const vb_tensor *t = j->s->weight;
    float *y = vb_cpu_value(j->p, j->s->out, r);
    (void)worker;
    j->p->k->dequantize[t->format](y, (const uint8_t *)t->data + t->row_bytes * (size_t)j->p->rows[r].id, (int)t->cols);
    note(j->p, r, j->p->k->settle(y, NULL, (int)t->cols));
}

static void wanted_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    const vb_cpu *p = j->p;
    (void)worker;
    memcpy(vb_cpu_value(p, j->s->out, r), vb_cpu_value(p, j->s->in[0], vb_cpu_row_of(p, j->s->out, r)),
           (size_t)width_of(p, j->s->out) * sizeof(float));
}

static void norm_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    const vb_step *s = j->s;
    float *y = vb_cpu_value(j->p, s->out, r);
    const float *x = vb_cpu_value(j->p, s->in[0], r);
    uint32_t bad = 0;
    (void)worker;
    for (int g = 0; g < width_of(j->p, s->out); g += s->u.norm.group)
        bad |= j->p->k->norm_rms(y + g, x + g, s->weight->data, s->u.norm.group, s->u.norm.eps);
    note(j->p, r, bad);
}

static const float *rope_row(const vb_cpu *p, int rope, int token)
{
    return (const float *)(const void *)(p->scratch + p->at.ropes) + (size_t)token * (size_t)p->rope_floats +
           p->rope_at[rope];
}

static void rope_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    const vb_step *s = j->s;
    const vb_rope *rope = &j->p->plan->ropes[s->u.rope.rope];
    const float *cos = rope_row(j->p, s->u.rope.rope, vb_cpu_row_of(j->p, s->out, r));
    vb_turn turn = {cos, cos + rope->n_rot / 2, rope->n_rot, s->u.rope.head_dim};
    float *y = vb_cpu_value(j->p, s->out, r);
    const float *x = vb_cpu_value(j->p, s->in[0], r);
    uint32_t bad = 0;
    (void)worker;
    for (int h = 0; h < width_of(j->p, s->out); h += s->u.rope.head_dim)
        bad |= (rope->pairing == VB_PAIR_NORM ? j->p->k->rope_norm : j->p->k->rope_neox)(y + h, x + h, &turn);
    note(j->p, r, bad);
}

static void by_rows(vb_cpu *p, const vb_step *s, vb_tile *tile)
{
    job j = {.p = p, .s = s, .tiles = vb_cpu_rows(p, s->out)};
    run(&j, tile, (int64_t)j.tiles * width_of(p, s->out));
}

static void rope_table_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    (void)worker;
    for (int i = 0; i < j->p->plan->n_ropes; i++)
        vb_rope_row(&j->p->ropes[i], j->p->rows[r].position, (float *)(uintptr_t)rope_row(j->p, i, r));
}

void vb_cpu_ropes(vb_cpu *p)
{
    enum { COST = 32 }; /* a sine and a cosine against an addition */
    job j = {.p = p, .tiles = p->tokens};
    run(&j, rope_table_tile, (int64_t)p->tokens * p->rope_floats * COST);
}

/* --- linear -------------------------------------------------------------------------------------------------- */

/* What the activations of a matrix become. */
static vb_act_kind kind_of(const vb_cpu *p, const vb_step *s)
{
    return p->opts.arith == VB_ARITH_INT8 ? vb_format_of(s->weight->format)->act : VB_ACT_F32;
}

static void quantize_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
    vb_cpu *p = j->p;
    vb_act_kind kind = kind_of(p, j->s);
    size_t bytes = vb_act_bytes(p->cols[kind]);
    vb_act *a = &p->acts[kind][r];
    (void)worker;
    if (kind == VB_ACT_F32) {
        *a = (vb_act){.n = width_of(p, j->s->in[0])};
    } else {
        vb_act_place(a, p->scratch + p->at.quantized[kind] + bytes * (size_t)r, width_of(p, j->s->in[0]));
    }
    a->x = vb_cpu_value(p, j->s->in[0], r);
    if (kind != VB_ACT_F32) p->k->quantize[kind](a);
}

/* Matrices that share an input share its quantised form. */
static void prepare(vb_cpu *p, const vb_step *s, int tokens)
{
    vb_act_kind kind = kind_of(p, s);
    job j = {.p = p, .s = s, .tiles = tokens};
    if (p->act_of[kind] == s->in[0]) return;
    run(&j, quantize_tile, (int64_t)tokens * width_of(p, s->in[0]));
    p->act_of[kind] = s->in[0];
}

/* The f32 mode meets a quantised matrix: its rows become floats in the worker's own memory (C6). */
static vb_rows as_floats(const vb_cpu *p, const vb_step *s, const vb_rows *w, int worker)
{
    int cols = (int)s->weight->cols;
    float *to = (float *)(void *)(p->scratch + p->at.workers) + (size_t)worker * (size_t)p->worker_floats;
    for (int r = 0; r < w->rows; r++)
        p->k->dequantize[s->weight->format](to + (size_t)r * (size_t)cols, w->data + w->row_bytes * (size_t)r, cols);
    return (vb_rows){(const uint8_t *)to, (size_t)cols * sizeof *to, w->rows};
}

/* Rows of weights against all tokens, four at a time where there is a kernel for it. */
static void multiply(const job *j, vb_format format, const vb_rows *w, int from)
{
    vb_cpu *p = j->p;
    const vb_act *acts = p->acts[kind_of(p, j->s)];
    int tokens = vb_cpu_rows(p, j->s->out), r = 0;
    for (; p->k->matvec4[format] != NULL && r + 4 <= tokens; r += 4) {
        float *y[4];
        for (int i = 0; i < 4; i++) y[i] = vb_cpu_value(p, j->s->out, r + i) + from;
        p->k->matvec4[format](y, w, &acts[r]);
    }
    for (; r < tokens; r++) p->k->matvec[format](vb_cpu_value(p, j->s->out, r) + from, w, &acts[r]);
}

static void linear_tile(void *ctx, int tile, int worker)
{
    const job *j = ctx;
    vb_cpu *p = j->p;
    const vb_tensor *t = j->s->weight;
    int from = tile * j->tile_rows, left = (int)t->rows - from, tokens = vb_cpu_rows(p, j->s->out);
    vb_rows w = {(const uint8_t *)t->data + t->row_bytes * (size_t)from, t->row_bytes,
                 left < j->tile_rows ? left : j->tile_rows};
    vb_format format = t->format;
    vb_act_kind kind = kind_of(p, j->s);
    const float *bias = j->s->bias != NULL ? (const float *)j->s->bias->data + from : NULL;
    if (kind == VB_ACT_F32 && vb_format_of(format)->act != VB_ACT_F32) {
        w = as_floats(p, j->s, &w, worker);
        format = VB_FMT_F32;
    }
    multiply(j, format, &w, from);
    for (int r = 0; r < tokens; r++)
        note(p, r, p->k->settle(vb_cpu_value(p, j->s->out, r) + from, bias, w.rows));
}

static int tile_rows(const vb_cpu *p, const vb_step *s)
{
    if (kind_of(p, s) == VB_ACT_F32 && vb_format_of(s->weight->format)->act != VB_ACT_F32) return VB_TILE_ROWS;
    int rows = (int)(TILE_BYTES / s->weight->row_bytes) / 4 * 4;
    if (rows < 4) return 4;
    return rows < MOST_TILE_ROWS ? rows : MOST_TILE_ROWS;
}

static void linear(vb_cpu *p, const vb_step *s)
{
    int tokens = vb_cpu_rows(p, s->out), rows = (int)s->weight->rows;
    job j = {.p = p, .s = s, .tile_rows = tile_rows(p, s)};
    j.tiles = (rows + j.tile_rows - 1) / j.tile_rows;
    prepare(p, s, tokens);
    run(&j, linear_tile, (int64_t)tokens * rows * s->weight->cols / 16);
}

/* --- attention ----------------------------------------------------------------------------------------------- */

static void store_tile(void *ctx, int r, int worker)
{
    const job *j = ctx;
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
    note(p, r, bad);
}

static void attend_one(const job *j, int r, int head, int worker)
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
    note(p, r, p->k->attend[row->state->kv](vb_cpu_value(p, s->out, r) + head * q.dim_v, &q));
}

/* Later tokens see more: a worker's heads are spread over all tokens, so that shares cost the same. */
static void attend_tile(void *ctx, int tile, int worker)
{
    const job *j = ctx;
    int heads = j->s->u.attend.heads, n = vb_cpu_rows(j->p, j->s->out) * heads;
    for (int i = tile; i < n; i += j->tiles) attend_one(j, i / heads, i % heads, worker);
}

static void attend(vb_cpu *p, const vb_step *s)
{
    int rows = vb_cpu_rows(p, s->out);
    int64_t positions = 0;
    job j = {.p = p, .s = s, .tiles = rows};
    run(&j, store_tile, (int64_t)rows * (width_of(p, s->in[1]) + width_of(p, s->in[2])));
    if (atomic_load(&p->bad) != INT_MAX) return;
    for (int r = 0; r < rows; r++) positions += p->rows[vb_cpu_row_of(p, s->out, r)].position + 1;
    j.tiles = vb_pool_threads(p->pool);
    run(&j, attend_tile, positions * width_of(p, s->in[0]) / 4);
}

/* --- all ----------------------------------------------------------------------------------------------------- */

void vb_cpu_step(vb_cpu *p, const vb_step *s)
{
    switch (s->op) {
    case VB_OP_EMBED:
        by_rows(p, s, embed_tile);
        break;
    case VB_OP_WANTED:
        by_rows(p, s, wanted_tile);
        break;
    case VB_OP_NORM_RMS:
        by_rows(p, s, norm_tile);
        break;
    case VB_OP_ROPE:
        by_rows(p, s, rope_tile);
        break;
    case VB_OP_LINEAR:
        linear(p, s);
        break;
    case VB_OP_ATTEND:
        attend(p, s);
        break;
    case VB_OP_SCALE:
    case VB_OP_ADD:
    case VB_OP_GLU:
    case VB_OP_SOFTCAP:
        elements(p, s);
        break;
    case VB_OPS:
        break;
    }
}

static void join(char *buf, size_t cap, const char *kernel, vb_format format, const char *isa)
{
    char lower[16] = "";
    if (format != VB_FMT_NONE) snprintf(lower, sizeof lower, "_%s", vb_format_of(format)->name);
    for (char *c = lower; *c != 0; c++) *c = (char)tolower((unsigned char)*c);
    snprintf(buf, cap, "%s%s/%s", kernel, lower, isa);
}

void vb_cpu_kernel_name(const vb_cpu *p, const vb_step *s, char *buf, size_t cap)
{
    const char *name = vb_op_name(s->op);
    vb_format format = VB_FMT_NONE;
    if (s->op == VB_OP_EMBED || s->op == VB_OP_LINEAR) {
        format = s->weight->format;
        name = s->op == VB_OP_EMBED ? "dequantize" : "matvec";
        if (s->op == VB_OP_LINEAR && kind_of(p, s) == VB_ACT_F32 && vb_format_of(format)->act != VB_ACT_F32)
            name = "matvec_f32+dequantize";
    }
    if (s->op == VB_OP_GLU) name = s->u.glu.act == VB_GLU_SILU ? "glu_silu" : "glu_gelu_tanh";
    if (s->op == VB_OP_ROPE)
        name = p->plan->ropes[s->u.rope.rope].pairing == VB_PAIR_NORM ? "rope_norm" : "rope_neox";
    join(buf, cap, name, format, p->k->isa);
}
