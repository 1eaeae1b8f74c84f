/* steps.c - one function a kind of step: pick the kernel, cut the work into tiles.
 *
 *   linear     linear.c
 *   experts    experts.c
 *   attend     attend.c
 *   slice, conv, decay, delta   recurrent.c
 *   others     tiles of at most CHUNK elements of one row
 *
 * Small steps stay on the calling thread: waking others would take longer.
 */
#include "run/cpu.h"

#include "base/canon.h"

#include <ctype.h>
#include <string.h>

enum { CHUNK = 4096, SMALL = 8192 };

typedef struct {
    vb_job *job;
    vb_tile *tile;
    int factor, shift;
} shuffled;

static void shuffled_tile(void *ctx, int i, int worker)
{
    const shuffled *s = ctx;
    s->tile(s->job, (int)(((int64_t)i * s->factor + s->shift) % s->job->tiles), worker);
}

static int have_common_divisor(int a, int b)
{
    while (b != 0) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a != 1;
}

static void run_shuffled(vb_job *j, vb_tile *tile)
{
    vb_hard *hard = j->p->hard;
    shuffled s = {j, tile, 1 + vb_hard_below(hard, j->tiles), vb_hard_below(hard, j->tiles)};
    while (have_common_divisor(s.factor, j->tiles)) s.factor++;
    if (vb_hard_choice(hard, 1))
        vb_pool_run(j->p->pool, shuffled_tile, &s, j->tiles);
    else
        for (int i = 0; i < j->tiles; i++) shuffled_tile(&s, i, 0);
}

void vb_job_run(vb_job *j, vb_tile *tile, int64_t work)
{
    if (j->p->hard->state != 0 && j->tiles > 0)
        run_shuffled(j, tile);
    else if (work >= SMALL)
        vb_pool_run(j->p->pool, tile, j, j->tiles);
    else
        for (int i = 0; i < j->tiles; i++) tile(j, i, 0);
}

void vb_cpu_note_of(vb_cpu *p, int i, int row, uint32_t bad)
{
    int seen = atomic_load_explicit(&p->bad[i], memory_order_relaxed);
    if (bad == 0) return;
    while (row < seen && !atomic_compare_exchange_weak(&p->bad[i], &seen, row)) continue;
}

void vb_cpu_note(vb_cpu *p, int row, uint32_t bad)
{
    vb_cpu_note_of(p, 0, row, bad);
}

int vb_cpu_width(const vb_cpu *p, vb_val v)
{
    return p->plan->values[v].width;
}

/* --- element-wise steps -------------------------------------------------------------------------------------- */

typedef uint32_t act_function(float *y, const float *x, int n);

static act_function *act_kernel(const vb_cpu *p, vb_curve curve)
{
    act_function *const kernels[] = {p->k->act_silu, p->k->act_gelu_tanh, p->k->act_gelu_erf};
    return kernels[curve];
}

typedef uint32_t glu_function(float *y, const float *gate, const float *up, int n);

static glu_function *glu_kernel(const vb_cpu *p, vb_glu act)
{
    glu_function *const kernels[] = {p->k->glu_silu, p->k->glu_gelu_tanh, p->k->glu_clamped, p->k->glu_sigmoid};
    return kernels[act];
}

/* Elements from..from+n of row r. */
static uint32_t some_elements(const vb_cpu *p, const vb_step *s, int r, int from, int n)
{
    float *y = vb_cpu_value(p, s->out, r) + from;
    const float *x[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        if (s->in[i] >= 0) x[i] = vb_cpu_value(p, s->in[i], r) + from;
    if (s->op == VB_OP_SCALE) return p->k->scale(y, x[0], s->u.scale.by, n);
    if (s->op == VB_OP_ADD) return p->k->add(y, x[0], x[1], n);
    if (s->op == VB_OP_ACT) return act_kernel(p, s->u.act.curve)(y, x[0], n);
    if (s->op == VB_OP_SOFTCAP) return p->k->softcap(y, x[0], s->u.softcap.cap, n);
    return glu_kernel(p, s->u.glu.act)(y, x[0], x[1], n);
}

static void element_tile(void *ctx, int tile, int worker)
{
    const vb_job *j = ctx;
    int r = tile / j->tiles_a_row, at = tile % j->tiles_a_row * j->chunk, left = vb_cpu_width(j->p, j->s->out) - at;
    (void)worker;
    vb_cpu_note(j->p, r, some_elements(j->p, j->s, r, at, left < j->chunk ? left : j->chunk));
}

static void elements(vb_cpu *p, const vb_step *s)
{
    int rows = vb_cpu_rows(p, s->out), width = vb_cpu_width(p, s->out);
    vb_job j = {.p = p, .s = s, .chunk = vb_hard_size(p->hard, CHUNK, 16)};
    j.tiles_a_row = (width + j.chunk - 1) / j.chunk;
    j.tiles = rows * j.tiles_a_row;
    vb_job_run(&j, element_tile, (int64_t)rows * width);
}

/* --- steps by rows --------------------------------------------------------------------------------------------- */

static void embed_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_tensor *t = j->s->weight;
    const vb_row *row = &j->p->rows[r];
    int of[] = {[VB_BY_TOKEN] = row->id, [VB_BY_POSITION] = row->position, [VB_BY_FIRST] = 0};
    const uint8_t *from = (const uint8_t *)t->data + t->row_bytes * (size_t)of[j->s->u.embed.by];
    float *y = vb_cpu_value(j->p, j->s->out, r);
    (void)worker;
    j->p->k->dequantize[t->format](y, from, (int)t->cols);
    vb_cpu_note(j->p, r, j->p->k->settle(y, NULL, (int)t->cols));
}

static void wanted_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_cpu *p = j->p;
    (void)worker;
    memcpy(vb_cpu_value(p, j->s->out, r), vb_cpu_value(p, j->s->in[0], vb_cpu_row_of(p, j->s->out, r)),
           (size_t)vb_cpu_width(p, j->s->out) * sizeof(float));
}

static void norm_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    float *y = vb_cpu_value(j->p, s->out, r);
    const float *x = vb_cpu_value(j->p, s->in[0], r), *weight = s->weight != NULL ? s->weight->data : NULL;
    uint32_t bad = 0;
    (void)worker;
    for (int g = 0; g < vb_cpu_width(j->p, s->out); g += s->u.norm.group)
        bad |= j->p->k->norm_rms(y + g, x + g, weight, s->u.norm.group, s->u.norm.eps);
    vb_cpu_note(j->p, r, bad);
}

static void norm_layer_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    vb_layer_norm how = {s->weight->data, s->bias->data, s->u.norm.group, s->u.norm.eps};
    (void)worker;
    vb_cpu_note(j->p, r, j->p->k->norm_layer(vb_cpu_value(j->p, s->out, r), vb_cpu_value(j->p, s->in[0], r), &how));
}

static const float *rope_row(const vb_cpu *p, int rope, int token)
{
    return (const float *)(const void *)(p->scratch + p->at.ropes) + (size_t)token * (size_t)p->rope_floats +
           p->rope_at[rope];
}

static void rope_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    const vb_rope *rope = &j->p->plan->ropes[s->u.rope.rope];
    const float *cos = rope_row(j->p, s->u.rope.rope, vb_cpu_row_of(j->p, s->out, r));
    vb_turn turn = {cos, cos + rope->n_rot / 2, rope->n_rot, s->u.rope.head_dim};
    float *y = vb_cpu_value(j->p, s->out, r);
    const float *x = vb_cpu_value(j->p, s->in[0], r);
    uint32_t bad = 0;
    (void)worker;
    for (int h = 0; h < vb_cpu_width(j->p, s->out); h += s->u.rope.head_dim)
        bad |= (rope->pairing == VB_PAIR_NORM ? j->p->k->rope_norm : j->p->k->rope_neox)(y + h, x + h, &turn);
    vb_cpu_note(j->p, r, bad);
}

/* Gates and experts (J4). */
static void gate_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    float gate = c_sigmoid(*vb_cpu_value(j->p, s->in[0], r));
    const float *x = vb_cpu_value(j->p, s->in[1], r);
    (void)worker;
    vb_cpu_note(j->p, r, j->p->k->scale(vb_cpu_value(j->p, s->out, r), x, gate, vb_cpu_width(j->p, s->out)));
}

static void route_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    (void)worker;
    vb_cpu_route_row(j->p, j->s, r);
}

static void mix_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_step *s = j->s;
    int used = vb_cpu_width(j->p, s->in[1]) / 2, n = vb_cpu_width(j->p, s->out);
    const float *x = vb_cpu_value(j->p, s->in[0], r), *w = vb_cpu_value(j->p, s->in[1], r) + used;
    (void)worker;
    vb_cpu_note(j->p, r, j->p->k->mix(vb_cpu_value(j->p, s->out, r), x, (size_t)n, w, used, n));
}

static void by_rows(vb_cpu *p, const vb_step *s, vb_tile *tile)
{
    vb_job j = {.p = p, .s = s, .tiles = vb_cpu_rows(p, s->out)};
    vb_job_run(&j, tile, (int64_t)j.tiles * vb_cpu_width(p, s->out));
}

static void rope_table_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    const vb_row *row = &j->p->rows[r];
    int is_long = vb_plan_is_long(j->p->plan, row->state->context);
    (void)worker;
    for (int i = 0; i < j->p->plan->n_ropes; i++)
        vb_rope_row(&j->p->ropes[2 * i + is_long], row->position, (float *)(uintptr_t)rope_row(j->p, i, r));
}

void vb_cpu_ropes(vb_cpu *p)
{
    enum { COST = 32 }; /* a sine and a cosine against an addition */
    vb_job j = {.p = p, .tiles = p->tokens};
    vb_job_run(&j, rope_table_tile, (int64_t)p->tokens * p->rope_floats * COST);
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
    case VB_OP_NORM_LAYER:
        by_rows(p, s, norm_layer_tile);
        break;
    case VB_OP_ROPE:
        by_rows(p, s, rope_tile);
        break;
    case VB_OP_LINEAR:
        vb_cpu_linear(p, s);
        break;
    case VB_OP_SLICE:
        vb_cpu_slice(p, s);
        break;
    case VB_OP_CONV:
        vb_cpu_conv(p, s);
        break;
    case VB_OP_DECAY:
        vb_cpu_decay(p, s);
        break;
    case VB_OP_DELTA:
        vb_cpu_delta(p, s);
        break;
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        vb_cpu_attend(p, s);
        break;
    case VB_OP_SCALE:
    case VB_OP_ADD:
    case VB_OP_GLU:
    case VB_OP_ACT:
    case VB_OP_SOFTCAP:
        elements(p, s);
        break;
    case VB_OP_GATE:
        by_rows(p, s, gate_tile);
        break;
    case VB_OP_ROUTE:
        by_rows(p, s, route_tile);
        break;
    case VB_OP_LINEAR_EXPERTS:
        vb_cpu_experts(p, s);
        break;
    case VB_OP_MIX:
        by_rows(p, s, mix_tile);
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
    static const char *const curves[] = {"act_silu", "act_gelu_tanh", "act_gelu_erf"};
    static const char *const acts[] = {"glu_silu", "glu_gelu_tanh", "glu_clamped", "glu_sigmoid"};
    const char *name = vb_op_name(s->op);
    vb_format format = VB_FMT_NONE;
    if (s->op == VB_OP_EMBED || s->op == VB_OP_LINEAR || s->op == VB_OP_LINEAR_EXPERTS) {
        format = s->weight->format;
        name = s->op == VB_OP_EMBED ? "dequantize" : "matvec";
        if (s->op != VB_OP_EMBED && vb_cpu_act_kind(p, s) == VB_ACT_F32 && vb_format_of(format)->block > 1)
            name = "matvec_f32+dequantize";
    }
    if (s->op == VB_OP_ACT) name = curves[s->u.act.curve];
    if (s->op == VB_OP_GLU) name = acts[s->u.glu.act];
    if (s->op == VB_OP_ROPE)
        name = p->plan->ropes[s->u.rope.rope].pairing == VB_PAIR_NORM ? "rope_norm" : "rope_neox";
    join(buf, cap, name, format, p->k->isa);
}
