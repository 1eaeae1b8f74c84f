/* linear.c - matrices: tiles of weight rows, each against all tokens, so that weights are read once a batch.
 *
 * Inputs are quantised once (B); matrices that share an input share its quantised form. Many tokens are laid side by
 * side in strips at once, and exist only there; they meet a tile by panels that the worker packs in its own memory.
 */
#include "run/cpu.h"

enum {
    TILE_BYTES = 131072,
    LONG_ROW = 1024, SHORT_ROW = 256, /* columns */
    SIDE_ROWS = 32,                   /* a panel, or what few tokens meet at once, has 16 or 32 rows */
};

vb_act_kind vb_cpu_act_kind(const vb_cpu *p, const vb_step *s)
{
    return p->opts.arith == VB_ARITH_INT8 ? vb_format_of(s->weight->format)->act : VB_ACT_F32;
}

typedef struct {
    vb_job job; /* first: tiles get a pointer to it */
    int parts;
} input;

/* Input i of a matrix, of `parts` a token, in the form it needs; that form lies in `memory`. */
static void make_act(const vb_cpu *p, const vb_step *s, int i, int parts, vb_act *a, void *memory)
{
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    int cols = (int)s->weight->cols;
    if (kind == VB_ACT_F32)
        *a = (vb_act){.n = cols};
    else
        vb_act_place(a, memory, cols);
    a->x = vb_cpu_value(p, s->in[0], i / parts) + (size_t)(i % parts) * (size_t)cols;
    if (kind != VB_ACT_F32) p->k->quantize[kind](a);
}

static void quantize_tile(void *ctx, int tile, int worker)
{
    const input *in = ctx;
    const vb_cpu *p = in->job.p;
    const vb_step *s = in->job.s;
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    (void)worker;
    make_act(p, s, tile, in->parts, &p->acts[kind][tile],
             p->scratch + p->at.quantized[kind] + vb_act_bytes((int)s->weight->cols) * (size_t)tile);
}

void vb_cpu_quantize(vb_cpu *p, const vb_step *s, int parts)
{
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    int tokens = vb_cpu_rows(p, s->out);
    input in = {.job = {.p = p, .s = s, .tiles = tokens * parts}, .parts = parts};
    if (parts == 1 && p->act_of[kind] == s->in[0]) return;
    vb_job_run(&in.job, quantize_tile, (int64_t)tokens * vb_cpu_width(p, s->in[0]));
    p->act_of[kind] = parts == 1 ? s->in[0] : -1;
}

/* In f32 mode a quantised matrix is one of floats, also where it has no integer rule. */
static int becomes_floats(const vb_cpu *p, const vb_step *s)
{
    return vb_cpu_act_kind(p, s) == VB_ACT_F32 && vb_format_of(s->weight->format)->block > 1;
}

/* Summing few columns across lanes costs more than packing a panel, even for one token, and that more than blocks side by
 * side. */
int vb_cpu_by_panels(vb_cpu *p, const vb_step *s, int tokens)
{
    vb_format format = becomes_floats(p, s) ? VB_FMT_F32 : s->weight->format;
    int cols = (int)s->weight->cols, many = tokens >= p->k->matmul_from[vb_cpu_act_kind(p, s)];
    if (cols <= SHORT_ROW) many = p->k->few[format] == NULL;
    return p->k->matmul[format] != NULL && vb_hard_choice(p->hard, many);
}

size_t vb_cpu_strips(const vb_cpu *p, vb_act_kind kind, size_t tokens)
{
    size_t each = p->k->strip[kind] > 0 ? (size_t)p->k->strip[kind] : 1;
    return (tokens + each - 1) / each;
}

static uint8_t *strips_of(const vb_cpu *p, const vb_step *s)
{
    return p->scratch + p->at.strips[vb_cpu_act_kind(p, s)];
}

/* Room for a panel, or for rows that became floats and their panel, or for the activations of a strip. */
static uint8_t *worker_memory(const vb_cpu *p, int worker)
{
    return p->scratch + p->at.workers + (size_t)worker * (size_t)p->worker_floats * sizeof(float);
}

/* Activations are quantised here: nobody but their strip needs them. */
static void strip_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    const vb_cpu *p = j->p;
    vb_act_kind kind = vb_cpu_act_kind(p, j->s);
    int each = p->k->strip[kind], t = tile * each, left = vb_cpu_rows(p, j->s->out) - t, n = left < each ? left : each;
    int cols = (int)j->s->weight->cols;
    vb_act acts[VB_STRIP_MOST];
    for (int i = 0; i < n; i++)
        make_act(p, j->s, t + i, 1, &acts[i], worker_memory(p, worker) + vb_act_bytes(cols) * (size_t)i);
    p->k->lay[kind](strips_of(p, j->s) + vb_strip_bytes(kind, cols) * (size_t)t, acts, n);
}

/* The input in its quantised form, side by side; kept for matrices that share it. */
static void lay_strips(vb_cpu *p, const vb_step *s)
{
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    int tokens = vb_cpu_rows(p, s->out);
    vb_job j = {.p = p, .s = s, .tiles = (int)vb_cpu_strips(p, kind, (size_t)tokens)};
    if (p->strips_of[kind] == s->in[0]) return;
    vb_job_run(&j, strip_tile, (int64_t)tokens * vb_cpu_width(p, s->in[0]) * 3 / 2);
    p->strips_of[kind] = s->in[0];
}

void vb_cpu_linear_start(vb_cpu *p, const vb_step *s, int i)
{
    int tokens = vb_cpu_rows(p, s->out);
    p->by_panels[i] = vb_cpu_by_panels(p, s, tokens);
    for (int r = 0; r < tokens; r++) p->outputs[i][r] = vb_cpu_value(p, s->out, r);
    if (p->by_panels[i])
        lay_strips(p, s);
    else
        vb_cpu_quantize(p, s, 1);
}

size_t vb_cpu_float_bytes(int cols)
{
    return ((size_t)cols + 15) / 16 * 64 * SIDE_ROWS;
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

/* One row at a time a kernel takes eight blocks at once; rows of a few hundred columns that do not end with such a group
 * lose much of it. Bytes need no unpacking, which rows side by side would share; and unpacking in two halves costs more
 * than the loss. */
static int ends_early(const vb_cpu *p, vb_format format, int cols)
{
    return cols < LONG_ROW && cols % 256 != 0 && format != VB_FMT_Q8_0 && !p->halves;
}

/* Two tokens of long rows read a tile twice, the second time from the cache, in less time than unpacking it sideways
 * takes. */
static int worth_few(const vb_cpu *p, vb_format format, int cols, int tokens)
{
    if (tokens == 1) return cols <= SHORT_ROW || ends_early(p, format, cols);
    return tokens > 2 || cols < LONG_ROW || format == VB_FMT_Q8_0;
}

/* Up to VB_FEW tokens together; returns the first that is left. */
static int by_few(const vb_cpu *p, vb_format format, const vb_product *q)
{
    const vb_kernels *k = p->k;
    int t = 0;
    while (t < q->tokens && k->few[format] != NULL && worth_few(p, format, q->a->n, q->tokens - t)) {
        int left = q->tokens - t, most = q->a->n == 64 ? VB_FEW_SHORT : VB_FEW, n = left < most ? left : most;
        k->few[format](&(vb_product){.w = q->w, .a = q->a + t, .tokens = n, .from = q->from, .y = q->y + t});
        t += n;
    }
    return t;
}

/* Several tokens at a time where there is a kernel for it. */
static void by_rows(const vb_cpu *p, vb_format format, const vb_product *q)
{
    const vb_kernels *k = p->k;
    int t = by_few(p, format, q);
    for (; k->matvec4[format] != NULL && t + 4 <= q->tokens; t += 4) {
        float *y[4];
        for (int i = 0; i < 4; i++) y[i] = q->y[t + i] + q->from;
        k->matvec4[format](y, q->w, &q->a[t]);
    }
    for (; t < q->tokens; t++) k->matvec[format](q->y[t] + q->from, q->w, &q->a[t]);
}

uint32_t vb_cpu_multiply(vb_cpu *p, const vb_step *s, const vb_product *product, int by_panels, int worker)
{
    uint32_t bad = 0;
    vb_product q = *product;
    vb_format format = s->weight->format;
    vb_rows floats;
    if (becomes_floats(p, s)) {
        floats = as_floats(p, s, q.w, worker);
        format = VB_FMT_F32;
        q.w = &floats;
    }
    q.panel = worker_memory(p, worker) + (becomes_floats(p, s) ? vb_cpu_float_bytes((int)s->weight->cols) : 0);
    q.bad = &bad;
    if (by_panels) {
        p->k->matmul[format](&q);
        return bad;
    }
    by_rows(p, format, &q);
    for (int r = 0; r < q.tokens; r++) bad |= p->k->settle(q.y[r] + q.from, q.bias, q.w->rows);
    return bad;
}

void vb_cpu_linear_rows(vb_cpu *p, const vb_step *s, int i, int from, int rows, int worker)
{
    const vb_tensor *t = s->weight;
    vb_rows w = {(const uint8_t *)t->data + t->row_bytes * (size_t)from, t->row_bytes, rows};
    vb_act shape = {.n = (int)t->cols};
    vb_product q = {.w = &w, .a = p->by_panels[i] ? &shape : p->acts[vb_cpu_act_kind(p, s)], .from = from,
                    .tokens = vb_cpu_rows(p, s->out), .y = p->outputs[i], .strips = strips_of(p, s),
                    .bias = s->bias != NULL ? (const float *)s->bias->data + from : NULL};
    if (vb_cpu_multiply(p, s, &q, p->by_panels[i], worker) == 0) return;
    for (int r = 0; r < q.tokens; r++) vb_cpu_note_of(p, i, r, p->k->settle(q.y[r] + from, NULL, rows));
}

static void linear_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    int from = tile * j->tile_rows, left = (int)j->s->weight->rows - from;
    vb_cpu_linear_rows(j->p, j->s, 0, from, left < j->tile_rows ? left : j->tile_rows, worker);
}

/* About TILE_BYTES, so that rows stream; tiles of one size and as many for each thread, so that all end together. */
int vb_cpu_cut_rows(const vb_cpu *p, const vb_step *s, int rows, int matrices, int panels)
{
    if (becomes_floats(p, s)) return panels ? SIDE_ROWS : VB_TILE_ROWS;
    int64_t threads = vb_pool_threads(p->pool), all = (int64_t)rows * matrices;
    int64_t tiles = all * (int64_t)s->weight->row_bytes / TILE_BYTES + 1;
    tiles = (tiles + threads - 1) / threads * threads;
    int each = (int)((all + tiles - 1) / tiles), tokens = vb_cpu_rows(p, s->out);
    int unit = panels || worth_few(p, s->weight->format, (int)s->weight->cols, tokens) ? SIDE_ROWS : 4;
    if (each > rows) each = rows;
    return vb_hard_size(p->hard, (each + unit - 1) / unit * unit, 4);
}

int vb_cpu_tile_rows(const vb_cpu *p, const vb_step *s, int i)
{
    return vb_cpu_cut_rows(p, s, (int)s->weight->rows, 1, p->by_panels[i]);
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
