/* blas.c - the same plan in free-order binary32: OpenBLAS for products, the system's mathematical library for
 * functions, f32 keys and values whatever type was asked for.
 *
 * Nobody's bits are defined here. The player tells how much the order of sums and the quantisation of activations
 * move logits. All tokens of a part go through a step together; weights are dequantised a slice of rows at a time.
 */
#include "oracle/openblas.h"
#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 256 };

typedef struct {
    const vb_plan *plan;
    vb_play_opts opts;
    vb_openblas blas;
} player;

typedef struct {
    float *keys, *values; /* [context][kv_heads * dim] */
} cache;

typedef struct {
    const player *player;
    cache *slots;
    vb_oracle_memories memories;
    int context;
} state;

/* The tokens of one part on their way through the plan. */
typedef struct {
    const player *player;
    const vb_part *part;
    float **values; /* [plan->n_values], each [rows][width] */
} batch;

static int rows_of(const batch *b, vb_val v)
{
    return b->player->plan->values[v].wanted ? b->part->want : b->part->n;
}

static int width_of(const batch *b, vb_val v)
{
    return b->player->plan->values[v].width;
}

static int first_position(const batch *b, vb_val v)
{
    return b->part->start + b->part->n - rows_of(b, v);
}

/* --- steps ------------------------------------------------------------------------------------------------- */

static void embed(const batch *b, const vb_step *s, float *y)
{
    for (int r = 0; r < b->part->n; r++) {
        int of[] = {[VB_BY_TOKEN] = b->part->ids[r], [VB_BY_POSITION] = b->part->start + r, [VB_BY_FIRST] = 0};
        const uint8_t *row = (const uint8_t *)s->weight->data + (size_t)of[s->u.embed.by] * s->weight->row_bytes;
        vb_oracle_dequantize(s->weight->format, row, s->weight->cols, y + (size_t)r * (size_t)s->weight->cols);
    }
}

static void norm(const batch *b, const vb_step *s, float *y)
{
    const float *x = b->values[s->in[0]], *w = s->weight != NULL ? s->weight->data : NULL;
    int64_t all = (int64_t)rows_of(b, s->out) * width_of(b, s->out);
    int group = s->u.norm.group;
    for (int64_t at = 0; at < all; at += group) {
        float squares = b->player->blas.sdot(group, x + at, 1, x + at, 1);
        float r = 1.0f / sqrtf(squares / (float)group + s->u.norm.eps);
        for (int i = 0; i < group; i++) y[at + i] = x[at + i] * r * (w != NULL ? w[i] : 1.0f);
    }
}

static void norm_layer(const batch *b, const vb_step *s, float *y)
{
    const float *x = b->values[s->in[0]], *w = s->weight->data, *bias = s->bias->data;
    int n = width_of(b, s->out);
    for (int r = 0; r < rows_of(b, s->out); r++, x += n, y += n) {
        float mean = 0.0f, squares = 0.0f;
        for (int i = 0; i < n; i++) mean += x[i] / (float)n;
        for (int i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
        float root = 1.0f / sqrtf(squares / (float)n + s->u.norm.eps);
        for (int i = 0; i < n; i++) y[i] = (x[i] - mean) * root * w[i] + bias[i];
    }
}

static vb_status linear(const batch *b, const vb_step *s, float *y)
{
    const vb_tensor *w = s->weight;
    int rows = rows_of(b, s->out), cols = (int)w->cols, out = (int)w->rows;
    float *slice = malloc((size_t)SLICE * (size_t)cols * sizeof *slice);
    if (slice == NULL) return VB_E_MEMORY;
    for (int at = 0; at < out; at += SLICE) {
        int n = out - at < SLICE ? out - at : SLICE;
        for (int r = 0; r < n; r++)
            vb_oracle_dequantize(w->format, (const uint8_t *)w->data + (size_t)(at + r) * w->row_bytes, cols,
                                 slice + (size_t)r * (size_t)cols);
        b->player->blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, n, cols, 1.0f, b->values[s->in[0]], cols, slice,
                    cols, 0.0f, y + at, out);
    }
    free(slice);
    for (int r = 0; r < rows && s->bias != NULL; r++)
        b->player->blas.saxpy(out, 1.0f, s->bias->data, 1, y + (size_t)r * (size_t)out, 1);
    return VB_OK;
}

/* --- mixtures of experts --- */

static const float *row_of(const batch *b, vb_val v, int r)
{
    return b->values[v] + (size_t)r * (size_t)width_of(b, v);
}

static vb_status route(const batch *b, const vb_step *s, float *y)
{
    vb_oracle_routing how = {s->u.route.experts, s->u.route.used, s->u.route.how,
                             s->weight != NULL ? s->weight->data : NULL};
    for (int r = 0; r < rows_of(b, s->out); r++)
        VB_TRY(vb_oracle_route(y + (size_t)r * (size_t)width_of(b, s->out), row_of(b, s->in[0], r), &how));
    return VB_OK;
}

/* Row n of the expert's rows against one input. */
typedef struct {
    const float *x, *bias;
    float *y, *row; /* row: room for one of the weight, as floats */
    size_t first;   /* of the expert's rows in the weight */
} meeting;

static void meet(const batch *b, const vb_step *s, const meeting *m)
{
    const vb_tensor *w = s->weight;
    int cols = (int)w->cols;
    for (int n = 0; n < s->u.experts.rows; n++) {
        const uint8_t *row = (const uint8_t *)w->data + (m->first + (size_t)n) * w->row_bytes;
        vb_oracle_dequantize(w->format, row, cols, m->row);
        m->y[n] = b->player->blas.sdot(cols, m->row, 1, m->x, 1) + (m->bias != NULL ? m->bias[n] : 0.0f);
    }
}

static vb_status linear_experts(const batch *b, const vb_step *s, float *y)
{
    int used = s->u.experts.used, parts = b->player->plan->values[s->in[0]].parts;
    size_t cols = (size_t)s->weight->cols;
    float *row = malloc(cols * sizeof *row);
    if (row == NULL) return VB_E_MEMORY;
    for (int i = 0; i < rows_of(b, s->out) * used; i++) {
        int r = i / used, part = i % used;
        size_t e = (size_t)row_of(b, s->in[1], r)[part];
        size_t first = e * (size_t)s->u.experts.total + (size_t)s->u.experts.from;
        meeting m = {.x = row_of(b, s->in[0], r) + (parts > 1 ? (size_t)part * cols : 0),
                     .bias = s->bias != NULL ? (const float *)s->bias->data + first : NULL,
                     .y = y + (size_t)i * (size_t)s->u.experts.rows, .row = row, .first = first};
        meet(b, s, &m);
    }
    free(row);
    return VB_OK;
}

static void mix(const batch *b, const vb_step *s, float *y)
{
    int used = width_of(b, s->in[1]) / 2, n = width_of(b, s->out);
    for (int r = 0; r < rows_of(b, s->out); r++) {
        float *to = y + (size_t)r * (size_t)n;
        const float *x = row_of(b, s->in[0], r), *w = row_of(b, s->in[1], r) + used;
        memset(to, 0, (size_t)n * sizeof *to);
        for (int e = 0; e < used; e++) b->player->blas.saxpy(n, w[e], x + (size_t)e * (size_t)n, 1, to, 1);
    }
}

static void gate(const batch *b, const vb_step *s, float *y)
{
    int n = width_of(b, s->out);
    for (int r = 0; r < rows_of(b, s->out); r++) {
        float share = 1.0f / (1.0f + expf(-*row_of(b, s->in[0], r)));
        for (int i = 0; i < n; i++) y[(size_t)r * (size_t)n + (size_t)i] = share * row_of(b, s->in[1], r)[i];
    }
}

/* --- what remembers --- */

static void slice(const batch *b, const vb_step *s, float *y)
{
    int n = width_of(b, s->in[0]);
    for (int r = 0; r < rows_of(b, s->out); r++)
        vb_oracle_slice(y + (size_t)r * (size_t)width_of(b, s->out), row_of(b, s->in[0], r), n, s->u.slice.group,
                        s->u.slice.from, s->u.slice.len);
}

static void decay(const batch *b, const vb_step *s, float *y)
{
    const float *rate = s->weight->data, *bias = s->bias->data;
    int heads = (int)s->weight->cols;
    for (int i = 0; i < rows_of(b, s->out) * heads; i++) {
        int r = i / heads, h = i % heads;
        float x = row_of(b, s->in[0], r)[h] + bias[h];
        y[r * 2 * heads + h] = expf(rate[h] * (x > 20.0f ? x : log1pf(expf(x))));
        y[r * 2 * heads + heads + h] = 1.0f / (1.0f + expf(-row_of(b, s->in[1], r)[h]));
    }
}

static void remember(const batch *b, const vb_step *s, float *y)
{
    const state *st = b->part->state;
    for (int r = 0; r < rows_of(b, s->out); r++, y += width_of(b, s->out)) {
        const float *in[3] = {NULL, NULL, NULL};
        vb_delta_heads shape = {s->u.delta.key_heads, s->u.delta.value_heads, s->u.delta.dim, s->u.delta.scale};
        for (int i = 0; i < 3 && s->in[i] >= 0; i++) in[i] = row_of(b, s->in[i], r);
        if (s->op == VB_OP_CONV)
            vb_oracle_conv(y, in[0], s->weight->data, st->memories.at[s->u.conv.memory], s->u.conv.taps,
                           width_of(b, s->out));
        else
            vb_oracle_delta(y, in, st->memories.at[s->u.delta.memory], &shape);
    }
}

/* --- positions --- */

static vb_status rope(const batch *b, const vb_step *s, float *y)
{
    const state *st = b->part->state;
    vb_rope spec = vb_rope_in(&b->player->plan->ropes[s->u.rope.rope], st->context);
    vb_oracle_turn how = {width_of(b, s->out), s->u.rope.head_dim, spec.n_rot, spec.pairing};
    float *table = malloc((size_t)spec.n_rot * sizeof *table);
    if (table == NULL) return VB_E_MEMORY;
    for (int r = 0; r < rows_of(b, s->out); r++) {
        size_t at = (size_t)r * (size_t)how.n;
        vb_oracle_rope_table(table, table + spec.n_rot / 2, &spec, first_position(b, s->out) + r);
        vb_oracle_rope(y + at, b->values[s->in[0]] + at, table, table + spec.n_rot / 2, &how);
    }
    free(table);
    return VB_OK;
}

/* *most: a score before all, then the largest. */
static float softmax(float *s, int n, float *most)
{
    float sum = 0.0f;
    for (int i = 0; i < n; i++) *most = fmaxf(*most, s[i]);
    for (int i = 0; i < n; i++) {
        s[i] = expf(s[i] - *most);
        sum += s[i];
    }
    return sum;
}

/* One head of a query that sees what is up to `position`, and the KV head it looks at; scores has room for all positions. */
typedef struct {
    const float *q;
    float *out, *scores;
    int position, kv_head, head;
    const vb_openblas *blas;
} query;

static void attend_head(const vb_step *s, const cache *c, const query *h)
{
    int dk = s->u.attend.dim_k, dv = s->u.attend.dim_v, heads = s->u.attend.kv_heads, window = s->u.attend.window;
    int first = window > 0 && h->position >= window ? h->position - window + 1 : 0, n = h->position - first + 1;
    size_t row = (size_t)first * (size_t)heads + (size_t)h->kv_head;
    const float *k = c->keys + row * (size_t)dk, *v = c->values + row * (size_t)dv;
    h->blas->sgemv(CblasRowMajor, CblasNoTrans, n, dk, s->u.attend.scale, k, heads * dk, h->q, 1, 0.0f, h->scores, 1);
    float cap = s->u.attend.softcap;
    for (int i = 0; cap > 0.0f && i < n; i++) h->scores[i] = cap * tanhf(h->scores[i] / cap);
    float most = s->weight != NULL ? ((const float *)s->weight->data)[h->head] : -INFINITY, sink = most;
    float sum = softmax(h->scores, n, &most);
    if (s->weight != NULL) sum += expf(sink - most);
    h->blas->sgemv(CblasRowMajor, CblasTrans, n, dv, 1.0f / sum, v, heads * dv, h->scores, 1, 0.0f, h->out, 1);
}

static void keep(const batch *b, const vb_step *s, const cache *c)
{
    size_t k = (size_t)width_of(b, s->in[1]), v = (size_t)width_of(b, s->in[2]);
    size_t start = (size_t)first_position(b, s->out), rows = (size_t)rows_of(b, s->out);
    memcpy(c->keys + start * k, b->values[s->in[1]], rows * k * sizeof *c->keys);
    memcpy(c->values + start * v, b->values[s->in[2]], rows * v * sizeof *c->values);
}

static vb_status attend(const batch *b, const vb_step *s, float *y)
{
    const state *st = b->part->state;
    const cache *c = &st->slots[s->u.attend.slot];
    int rows = rows_of(b, s->out), start = first_position(b, s->out), shared = s->u.attend.heads / s->u.attend.kv_heads;
    float *scores = malloc((size_t)(start + rows) * sizeof *scores);
    if (scores == NULL) return VB_E_MEMORY;
    if (s->op == VB_OP_ATTEND) keep(b, s, c);
    for (int i = 0; i < rows * s->u.attend.heads; i++) {
        int row = i / s->u.attend.heads, head = i % s->u.attend.heads;
        query h = {.q = b->values[s->in[0]] + (size_t)i * (size_t)s->u.attend.dim_k,
                   .out = y + (size_t)i * (size_t)s->u.attend.dim_v,
                   .scores = scores,
                   .position = s->u.attend.whole ? start + rows - 1 : start + row,
                   .kv_head = head / shared,
                   .head = head,
                   .blas = &b->player->blas};
        attend_head(s, c, &h);
    }
    free(scores);
    return VB_OK;
}

static float activation(float x, vb_glu act)
{
    if (act == VB_GLU_SIGMOID) return 1.0f / (1.0f + expf(-x));
    if (act == VB_GLU_SILU) return x / (1.0f + expf(-x));
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

static float clamped(float gate, float up)
{
    float g = fminf(gate, 7.0f);
    return (fmaxf(fminf(up, 7.0f), -7.0f) + 1.0f) * (g / (1.0f + expf(-1.702f * g)));
}

static float gated(float gate, float up, vb_glu act)
{
    return act == VB_GLU_CLAMPED ? clamped(gate, up) : activation(gate, act) * up;
}

static float curve(float x, vb_curve curve)
{
    if (curve == VB_CURVE_GELU_ERF) return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    return activation(x, curve == VB_CURVE_SILU ? VB_GLU_SILU : VB_GLU_GELU_TANH);
}

static void elementwise(const batch *b, const vb_step *s, float *y)
{
    const float *x = b->values[s->in[0]], *z = s->in[1] >= 0 ? b->values[s->in[1]] : NULL;
    int64_t n = (int64_t)rows_of(b, s->out) * width_of(b, s->out);
    for (int64_t i = 0; i < n; i++) {
        if (s->op == VB_OP_ADD) y[i] = x[i] + z[i];
        if (s->op == VB_OP_GLU) y[i] = gated(x[i], z[i], s->u.glu.act);
        if (s->op == VB_OP_ACT) y[i] = curve(x[i], s->u.act.curve);
        if (s->op == VB_OP_SCALE) y[i] = x[i] * s->u.scale.by;
        if (s->op == VB_OP_SOFTCAP) y[i] = s->u.softcap.cap * tanhf(x[i] / s->u.softcap.cap);
    }
}

static vb_status perform(const batch *b, const vb_step *s, float *y)
{
    size_t width = (size_t)width_of(b, s->out);
    switch (s->op) {
    case VB_OP_EMBED:
        embed(b, s, y);
        return VB_OK;
    case VB_OP_WANTED:
        memcpy(y, b->values[s->in[0]] + (size_t)(b->part->n - b->part->want) * width,
               (size_t)b->part->want * width * sizeof *y);
        return VB_OK;
    case VB_OP_NORM_RMS:
        norm(b, s, y);
        return VB_OK;
    case VB_OP_NORM_LAYER:
        norm_layer(b, s, y);
        return VB_OK;
    case VB_OP_LINEAR:
        return linear(b, s, y);
    case VB_OP_ROPE:
        return rope(b, s, y);
    case VB_OP_SLICE:
        slice(b, s, y);
        return VB_OK;
    case VB_OP_DECAY:
        decay(b, s, y);
        return VB_OK;
    case VB_OP_CONV:
    case VB_OP_DELTA:
        remember(b, s, y);
        return VB_OK;
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        return attend(b, s, y);
    case VB_OP_SCALE:
    case VB_OP_ADD:
    case VB_OP_GLU:
    case VB_OP_ACT:
    case VB_OP_SOFTCAP:
        elementwise(b, s, y);
        return VB_OK;
    case VB_OP_GATE:
        gate(b, s, y);
        return VB_OK;
    case VB_OP_ROUTE:
        return route(b, s, y);
    case VB_OP_LINEAR_EXPERTS:
        return linear_experts(b, s, y);
    case VB_OP_MIX:
        mix(b, s, y);
        return VB_OK;
    case VB_OPS:
        break;
    }
    return VB_E_UNSUPPORTED;
}

static vb_status check(const batch *b, const vb_step *s, float *y, vb_err *err)
{
    const vb_value *v = &b->player->plan->values[s->out];
    for (int r = 0; r < rows_of(b, s->out); r++) {
        float *row = y + (size_t)r * (size_t)v->width;
        int position = first_position(b, s->out) + r;
        if (!vb_oracle_finite(row, v->width))
            VB_FAIL(err, VB_E_FORMAT, "step %s (layer %d) at position %d: not a finite number", vb_op_name(s->op),
                    s->layer, position);
        VB_TRY(vb_taps_show(b->part->taps, b->player->plan, s, position, row, err));
    }
    return VB_OK;
}

static vb_status play_steps(batch *b, vb_err *err)
{
    const vb_plan *plan = b->player->plan;
    for (int i = 0; i < plan->n_steps; i++) {
        const vb_step *s = &plan->steps[i];
        size_t floats = (size_t)rows_of(b, s->out) * (size_t)width_of(b, s->out);
        if (floats == 0) continue;
        float *y = b->values[s->out] = malloc(floats * sizeof *y);
        if (y == NULL || perform(b, s, y) < 0)
            VB_FAIL(err, VB_E_MEMORY, "step %s (layer %d): out of memory", vb_op_name(s->op), s->layer);
        VB_TRY(check(b, s, y, err));
        VB_TRY(vb_taps_between(b->part->taps, err));
        for (int v = 0; v < plan->n_values; v++)
            if (plan->values[v].last_use == i) {
                free(b->values[v]);
                b->values[v] = NULL;
            }
    }
    if (b->part->want > 0)
        memcpy(b->part->logits, b->values[plan->output],
               (size_t)b->part->want * (size_t)plan->out_width * sizeof(float));
    return VB_OK;
}

static vb_status eval(void *opaque, const vb_part *parts, int n, vb_err *err)
{
    const player *p = opaque;
    vb_status status = VB_OK;
    for (int i = 0; i < n && status == VB_OK; i++) {
        batch b = {p, &parts[i], calloc((size_t)p->plan->n_values, sizeof *b.values)};
        if (b.values == NULL) VB_FAIL(err, VB_E_MEMORY, "player blas: out of memory");
        vb_oracle_memories *memories = &((state *)parts[i].state)->memories;
        if (parts[i].n > 0) status = vb_oracle_memories_begin(memories, parts[i].start, err);
        if (status == VB_OK) status = play_steps(&b, err);
        if (status == VB_OK && parts[i].n > 0) memories->position = parts[i].start + parts[i].n;
        for (int v = 0; v < p->plan->n_values; v++) free(b.values[v]);
        free(b.values);
    }
    return status;
}

/* --- player and states --------------------------------------------------------------------------------------- */

static vb_status open_player(void **out, const vb_plan *plan, const vb_play_opts *opts, vb_err *err)
{
    *out = NULL;
    if (opts->isa != NULL && strcmp(opts->isa, "openblas") != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "player blas: expected instruction set openblas, found %s", opts->isa);
    player *p = malloc(sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "player blas: out of memory");
    *p = (player){.plan = plan, .opts = *opts};
    vb_status status = vb_openblas_load(&p->blas, err);
    if (status < 0) {
        free(p);
        return status;
    }
    p->blas.set_threads(opts->threads);
    *out = p;
    return VB_OK;
}

static void close_player(void *p)
{
    free(p);
}

static const char *openblas(const void *p)
{
    (void)p;
    return "openblas";
}

static const char *kernel(const void *p, const vb_step *step)
{
    return step->op == VB_OP_LINEAR || step->op == VB_OP_ATTEND || step->op == VB_OP_ATTEND_KEPT ? openblas(p) : "libm";
}

static void close_state(void *opaque)
{
    state *s = opaque;
    if (s == NULL) return;
    for (int i = 0; s->slots != NULL && i < s->player->plan->n_slots; i++) {
        free(s->slots[i].keys);
        free(s->slots[i].values);
    }
    free(s->slots);
    vb_oracle_memories_close(&s->memories);
    free(s);
}

static size_t key_width(const vb_slot *s)
{
    return (size_t)s->kv_heads * (size_t)s->dim_k;
}

static size_t value_width(const vb_slot *s)
{
    return (size_t)s->kv_heads * (size_t)s->dim_v;
}

static int fill_state(state *s)
{
    const vb_plan *plan = s->player->plan;
    s->slots = calloc((size_t)plan->n_slots + 1, sizeof *s->slots);
    if (s->slots == NULL || !vb_oracle_memories_open(&s->memories, plan)) return 0;
    for (int i = 0; i < plan->n_slots; i++) {
        s->slots[i].keys = calloc((size_t)s->context, key_width(&plan->slots[i]) * sizeof(float));
        s->slots[i].values = calloc((size_t)s->context, value_width(&plan->slots[i]) * sizeof(float));
        if (s->slots[i].keys == NULL || s->slots[i].values == NULL) return 0;
    }
    return 1;
}

static vb_status open_state(void **out, void *opaque, int context, vb_kv kv, vb_err *err)
{
    *out = NULL;
    (void)kv;
    state *s = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "player blas: out of memory");
    s->player = opaque;
    s->context = context;
    if (!fill_state(s)) {
        close_state(s);
        VB_FAIL(err, VB_E_MEMORY, "player blas: out of memory for %d positions", context);
    }
    *out = s;
    return VB_OK;
}

static vb_status copy_state(void *opaque, const void *from, int n, vb_err *err)
{
    state *to = opaque;
    const state *s = from;
    const vb_plan *plan = s->player->plan;
    if (n > to->context)
        VB_FAIL(err, VB_E_ARGUMENT, "player blas: copy of %d positions: expected a state with room, found %d positions",
                n, to->context);
    for (int i = 0; i < plan->n_slots; i++) {
        memcpy(to->slots[i].keys, s->slots[i].keys, (size_t)n * key_width(&plan->slots[i]) * sizeof(float));
        memcpy(to->slots[i].values, s->slots[i].values, (size_t)n * value_width(&plan->slots[i]) * sizeof(float));
    }
    vb_oracle_memories_copy(&to->memories, &s->memories, n);
    return VB_OK;
}

static int start_of(const void *opaque, int n)
{
    return vb_oracle_memories_start(&((const state *)opaque)->memories, n);
}

static uint64_t scratch_bytes(const void *opaque, int tokens, int wanted)
{
    const player *p = opaque;
    uint64_t bytes = 0;
    for (int v = 0; v < p->plan->n_values; v++)
        bytes += (uint64_t)(p->plan->values[v].wanted ? wanted : tokens) * (uint64_t)p->plan->values[v].width * 4;
    return bytes;
}

const vb_player vb_blas_player = {
    .name = "blas",
    .open = open_player,
    .close = close_player,
    .isa = openblas,
    .kernel = kernel,
    .state_open = open_state,
    .state_copy = copy_state,
    .state_close = close_state,
    .state_start = start_of,
    .eval = eval,
    .scratch_bytes = scratch_bytes,
};
