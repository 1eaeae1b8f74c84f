/* build.c - the builder: each call appends one step and gives back the value it defines.
 *
 * Invariant: after the first failure (plan->err set) nothing is appended any more and every call returns -1, so an
 * emitter is straight code. Shapes are inferred here and weights are asked for with the shape they must have.
 */
#include "plan/plan.h"

#include <string.h>

static int failed(const vb_plan *p)
{
    return p->err.code != VB_OK;
}

/* Room for one more element in a growing arena array; the old array is left to the arena. */
static int grow(vb_plan *p, void **array, int n, int *cap, size_t size)
{
    if (n < *cap) return 1;
    int larger = *cap == 0 ? 64 : *cap * 2;
    void *moved = vb_arena_array(&p->arena, (size_t)larger, size);
    if (moved == NULL) {
        vb_fail(&p->err, VB_E_MEMORY, "plan: out of memory for %d elements", larger);
        return 0;
    }
    if (n > 0) memcpy(moved, *array, (size_t)n * size);
    *array = moved;
    *cap = larger;
    return 1;
}

static const vb_value *value(const vb_plan *p, vb_val v)
{
    return &p->values[v];
}

/* A step with these inputs whose value has `width`; its fields are filled by the caller through *step. */
static vb_val append(vb_plan *p, vb_op op, int width, const vb_val in[3], vb_step **step)
{
    if (failed(p)) return -1;
    if (!grow(p, (void **)&p->steps, p->n_steps, &p->cap_steps, sizeof *p->steps)) return -1;
    if (!grow(p, (void **)&p->values, p->n_values, &p->cap_values, sizeof *p->values)) return -1;
    vb_step *s = &p->steps[p->n_steps];
    memset(s, 0, sizeof *s);
    s->op = op;
    s->layer = p->layer;
    s->out = p->n_values;
    for (int i = 0; i < 3; i++) s->in[i] = in[i];
    vb_value *v = &p->values[p->n_values++];
    memset(v, 0, sizeof *v);
    v->width = width;
    v->parts = in[0] >= 0 ? p->values[in[0]].parts : 1;
    v->step = p->n_steps++;
    v->wanted = op == VB_OP_WANTED || (in[0] >= 0 && p->values[in[0]].wanted);
    *step = s;
    return s->out;
}

static vb_val append1(vb_plan *p, vb_op op, int width, vb_val x, vb_step **step)
{
    return append(p, op, width, (vb_val[3]){x, -1, -1}, step);
}

static void full_name(const vb_plan *p, char *buf, size_t cap, const char *name, const char *suffix)
{
    if (p->layer >= 0)
        snprintf(buf, cap, "blk.%d.%s%s", p->layer, name, suffix);
    else
        snprintf(buf, cap, "%s%s", name, suffix);
}

static const vb_tensor *optional(vb_plan *p, const char *name, const char *suffix, int64_t cols, int64_t rows)
{
    char full[128];
    const vb_tensor *t = NULL;
    if (failed(p)) return NULL;
    full_name(p, full, sizeof full, name, suffix);
    vb_tensors_take(p->tensors, full, cols, rows, &t, &p->err);
    return failed(p) ? NULL : t;
}

static const vb_tensor *required(vb_plan *p, const char *name, const char *suffix, int64_t cols, int64_t rows)
{
    const vb_tensor *t = optional(p, name, suffix, cols, rows);
    if (t == NULL && !failed(p)) {
        char full[128];
        full_name(p, full, sizeof full, name, suffix);
        vb_fail(&p->err, VB_E_FORMAT, "%s: tensor %s: expected %lld x %lld, found no such tensor",
                vb_gguf_path(p->tensors->g), full, (long long)cols, (long long)rows);
    }
    return t;
}

/* Norm weights and biases take part in float sums directly, so they must be stored as F32. */
static const vb_tensor *as_f32(vb_plan *p, const vb_tensor *t)
{
    if (t == NULL || failed(p) || t->format == VB_FMT_F32) return t;
    vb_fail(&p->err, VB_E_UNSUPPORTED, "%s: tensor %s: expected F32, found %s", vb_gguf_path(p->tensors->g), t->name,
            vb_format_of(t->format)->name);
    return NULL;
}

void vb_plan_start(vb_plan *p, vb_tensors *tensors, const vb_params *h)
{
    memset(p, 0, sizeof *p);
    p->tensors = tensors;
    p->layer = -1;
    p->output = -1;
    p->vocab = h->vocab;
    p->layers = h->layers;
}

void vb_layer(vb_plan *p, int layer)
{
    p->layer = layer;
}

static vb_val embed(vb_plan *p, const char *table, int width, int rows, vb_embed_by by)
{
    vb_step *s;
    const vb_tensor *t = required(p, table, ".weight", width, rows);
    vb_val out = append(p, VB_OP_EMBED, width, (vb_val[3]){-1, -1, -1}, &s);
    if (out < 0) return -1;
    s->weight = t;
    s->u.embed.by = by;
    return out;
}

vb_val vb_embed(vb_plan *p, const char *table, int width)
{
    return embed(p, table, width, p->vocab, VB_BY_TOKEN);
}

vb_val vb_embed_position(vb_plan *p, const char *table, int width, int positions)
{
    if (p->positions == 0 || positions < p->positions) p->positions = positions;
    return embed(p, table, width, positions, VB_BY_POSITION);
}

vb_val vb_embed_first(vb_plan *p, const char *table, int width)
{
    return embed(p, table, width, 0, VB_BY_FIRST);
}

vb_val vb_wanted(vb_plan *p, vb_val x)
{
    vb_step *s;
    if (failed(p)) return -1;
    return append1(p, VB_OP_WANTED, value(p, x)->width, x, &s);
}

vb_val vb_scale(vb_plan *p, vb_val x, float by)
{
    vb_step *s;
    if (failed(p)) return -1;
    if (by == 1.0f) return x;
    vb_val out = append1(p, VB_OP_SCALE, value(p, x)->width, x, &s);
    if (out >= 0) s->u.scale.by = by;
    return out;
}

vb_val vb_scale_by(vb_plan *p, vb_val x, const char *scalar)
{
    const vb_tensor *t = as_f32(p, optional(p, scalar, ".weight", 1, 1));
    if (t == NULL || failed(p)) return x;
    float by;
    memcpy(&by, t->data, sizeof by);
    if (!(by - by == 0.0f))
        vb_fail(&p->err, VB_E_FORMAT, "%s: tensor %s: expected a finite number", vb_gguf_path(p->tensors->g), t->name);
    return vb_scale(p, x, by);
}

vb_val vb_add(vb_plan *p, vb_val x, vb_val y)
{
    vb_step *s;
    if (failed(p)) return -1;
    return append(p, VB_OP_ADD, value(p, x)->width, (vb_val[3]){x, y, -1}, &s);
}

static vb_val append_norm_rms(vb_plan *p, vb_val x, const vb_tensor *weight, int group, float eps)
{
    vb_step *s;
    if (failed(p)) return -1;
    vb_val out = append1(p, VB_OP_NORM_RMS, value(p, x)->width, x, &s);
    if (out < 0) return -1;
    s->weight = weight;
    s->u.norm.group = group;
    s->u.norm.eps = eps;
    return out;
}

vb_val vb_norm_rms(vb_plan *p, vb_val x, const char *weight, int group, float eps)
{
    const vb_tensor *t = weight == NULL ? NULL : as_f32(p, required(p, weight, ".weight", group, 1));
    return append_norm_rms(p, x, t, group, eps);
}

vb_val vb_norm_rms_by(vb_plan *p, vb_val x, const char *tensor, int group, float eps)
{
    return append_norm_rms(p, x, as_f32(p, required(p, tensor, "", group, 1)), group, eps);
}

vb_val vb_norm_layer(vb_plan *p, vb_val x, const char *weight, float eps)
{
    vb_step *s;
    if (failed(p)) return -1;
    int width = value(p, x)->width;
    const vb_tensor *w = as_f32(p, required(p, weight, ".weight", width, 1));
    const vb_tensor *b = as_f32(p, required(p, weight, ".bias", width, 1));
    vb_val out = append1(p, VB_OP_NORM_LAYER, width, x, &s);
    if (out < 0) return -1;
    s->weight = w;
    s->bias = b;
    s->u.norm.group = width;
    s->u.norm.eps = eps;
    return out;
}

vb_val vb_linear(vb_plan *p, vb_val x, const char *weight, int out_width)
{
    vb_step *s;
    if (failed(p)) return -1;
    const vb_tensor *w = required(p, weight, ".weight", value(p, x)->width, out_width);
    const vb_tensor *b = as_f32(p, optional(p, weight, ".bias", out_width, 1));
    vb_val out = append1(p, VB_OP_LINEAR, out_width, x, &s);
    if (out < 0) return -1;
    s->weight = w;
    s->bias = b;
    return out;
}

/* Some elements of a vector or rows of a matrix as a tensor of their own; where they lie is part of its name. */
static const vb_tensor *view(vb_plan *p, const vb_tensor *t, int from, int n)
{
    char name[160];
    if (t == NULL || failed(p)) return NULL;
    int is_vector = t->rows == 1;
    int len = snprintf(name, sizeof name, "%s[%d..%d]", t->name, from, from + n - 1);
    vb_tensor *v = vb_arena_alloc(&p->arena, sizeof *v);
    const char *kept = v != NULL ? vb_arena_text(&p->arena, name, (size_t)len) : NULL;
    if (kept == NULL) {
        vb_fail(&p->err, VB_E_MEMORY, "plan: out of memory for a part of %s", t->name);
        return NULL;
    }
    *v = *t;
    v->name = kept;
    v->data = (const uint8_t *)t->data + (is_vector ? sizeof(float) : t->row_bytes) * (size_t)from;
    *(is_vector ? &v->cols : &v->rows) = n;
    return v;
}

vb_val vb_linear_part(vb_plan *p, vb_val x, const char *weight, int from, int rows, int total)
{
    vb_step *s;
    if (failed(p)) return -1;
    const vb_tensor *w = view(p, required(p, weight, ".weight", value(p, x)->width, total), from, rows);
    const vb_tensor *b = view(p, as_f32(p, optional(p, weight, ".bias", total, 1)), from, rows);
    vb_val out = append1(p, VB_OP_LINEAR, rows, x, &s);
    if (out < 0) return -1;
    s->weight = w;
    s->bias = b;
    return out;
}

void vb_ignore(vb_plan *p, const char *weight)
{
    char full[128];
    full_name(p, full, sizeof full, weight, ".weight");
    const vb_gguf_tensor *t = vb_gguf_tensor_find(p->tensors->g, full);
    if (t != NULL) p->tensors->used[t - vb_gguf_tensor_at(p->tensors->g, 0)] = 1;
}

int vb_has(const vb_plan *p, const char *weight)
{
    char full[128];
    full_name(p, full, sizeof full, weight, ".weight");
    return vb_gguf_tensor_find(p->tensors->g, full) != NULL;
}

int vb_new_rope(vb_plan *p, const vb_rope *spec, const char *factors)
{
    if (failed(p)) return -1;
    if (!grow(p, (void **)&p->ropes, p->n_ropes, &p->cap_ropes, sizeof *p->ropes)) return -1;
    p->ropes[p->n_ropes] = *spec;
    if (factors != NULL) {
        const vb_tensor *t = as_f32(p, optional(p, factors, ".weight", spec->n_rot / 2, 1));
        p->ropes[p->n_ropes].factors = t;
    }
    if (spec->scaling == VB_SCALING_LONGROPE && spec->long_factors == NULL && !failed(p))
        vb_fail(&p->err, VB_E_FORMAT, "%s: rope scaling longrope: expected tensors rope_factors_short and _long, found "
                "none", vb_gguf_path(p->tensors->g));
    return p->n_ropes++;
}

int vb_new_long_rope(vb_plan *p, const vb_rope *spec)
{
    vb_rope r = *spec;
    r.long_factors = as_f32(p, optional(p, "rope_factors_long", ".weight", spec->n_rot / 2, 1));
    return vb_new_rope(p, &r, "rope_factors_short");
}

vb_val vb_rotate(vb_plan *p, vb_val x, int rope, int head_dim)
{
    vb_step *s;
    if (failed(p)) return -1;
    vb_val out = append1(p, VB_OP_ROPE, value(p, x)->width, x, &s);
    if (out < 0) return -1;
    s->u.rope.rope = rope;
    s->u.rope.head_dim = head_dim;
    return out;
}

vb_val vb_slice(vb_plan *p, vb_val x, int group, int from, int len)
{
    vb_step *s;
    if (failed(p)) return -1;
    vb_val out = append1(p, VB_OP_SLICE, group > 0 ? value(p, x)->width / group * len : 0, x, &s);
    if (out < 0) return -1;
    s->u.slice.group = group;
    s->u.slice.from = from;
    s->u.slice.len = len;
    return out;
}

/* --- what remembers -------------------------------------------------------------------------------------------- */

static int new_memory(vb_plan *p, int64_t floats)
{
    if (failed(p)) return -1;
    if (!grow(p, (void **)&p->memories, p->n_memories, &p->cap_memories, sizeof *p->memories)) return -1;
    p->memories[p->n_memories] = (vb_memory){p->layer, floats};
    return p->n_memories++;
}

vb_val vb_conv(vb_plan *p, vb_val x, const char *weight, int taps)
{
    vb_step *s;
    if (failed(p)) return -1;
    int width = value(p, x)->width;
    const vb_tensor *t = as_f32(p, required(p, weight, ".weight", taps, width));
    int memory = new_memory(p, (int64_t)(taps - 1) * width);
    vb_val out = append1(p, VB_OP_CONV, width, x, &s);
    if (out < 0) return -1;
    s->weight = t;
    s->u.conv.memory = memory;
    s->u.conv.taps = taps;
    return out;
}

vb_val vb_decay(vb_plan *p, vb_val x, vb_val y, const char *rate, const char *bias)
{
    vb_step *s;
    if (failed(p)) return -1;
    int heads = value(p, x)->width;
    const vb_tensor *t = as_f32(p, required(p, rate, "", heads, 1));
    const vb_tensor *b = as_f32(p, required(p, bias, ".bias", heads, 1));
    vb_val out = append(p, VB_OP_DECAY, 2 * heads, (vb_val[3]){x, y, -1}, &s);
    if (out < 0) return -1;
    s->weight = t;
    s->bias = b;
    return out;
}

vb_val vb_delta_rule(vb_plan *p, vb_val qk, vb_val v, vb_val decay, const vb_delta_heads *shape)
{
    vb_step *s;
    if (failed(p)) return -1;
    int memory = new_memory(p, (int64_t)shape->value_heads * shape->dim * shape->dim);
    vb_val out = append(p, VB_OP_DELTA, shape->value_heads * shape->dim, (vb_val[3]){qk, v, decay}, &s);
    if (out < 0) return -1;
    s->u.delta.memory = memory;
    s->u.delta.key_heads = shape->key_heads;
    s->u.delta.value_heads = shape->value_heads;
    s->u.delta.dim = shape->dim;
    s->u.delta.scale = shape->scale;
    return out;
}

void vb_ignore_layer(vb_plan *p, int layer)
{
    char prefix[32];
    int len = snprintf(prefix, sizeof prefix, "blk.%d.", layer);
    for (int64_t i = 0; i < p->tensors->n; i++)
        if (strncmp(p->tensors->all[i].name, prefix, (size_t)len) == 0) p->tensors->used[i] = 1;
}

static vb_val append_attend(vb_plan *p, vb_op op, const vb_val in[3], int slot, const vb_heads *shape)
{
    vb_step *s;
    vb_val out = append(p, op, shape->heads * shape->dim_v, in, &s);
    if (out < 0) return -1;
    s->u.attend.slot = slot;
    s->u.attend.heads = shape->heads;
    s->u.attend.kv_heads = shape->kv_heads;
    s->u.attend.dim_k = shape->dim_k;
    s->u.attend.dim_v = shape->dim_v;
    s->u.attend.window = shape->window;
    s->u.attend.scale = shape->scale;
    s->u.attend.softcap = shape->softcap;
    s->u.attend.whole = shape->whole;
    p->whole |= shape->whole;
    return out;
}

vb_val vb_attend(vb_plan *p, vb_val q, vb_val k, vb_val v, const vb_heads *shape)
{
    if (failed(p)) return -1;
    if (!grow(p, (void **)&p->slots, p->n_slots, &p->cap_slots, sizeof *p->slots)) return -1;
    p->slots[p->n_slots] = (vb_slot){p->layer, shape->kv_heads, shape->dim_k, shape->dim_v};
    return append_attend(p, VB_OP_ATTEND, (vb_val[3]){q, k, v}, p->n_slots++, shape);
}

vb_val vb_attend_kept(vb_plan *p, vb_val q, vb_val kept, const vb_heads *shape)
{
    if (failed(p)) return -1;
    const vb_step *owner = &p->steps[value(p, kept)->step];
    return append_attend(p, VB_OP_ATTEND_KEPT, (vb_val[3]){q, -1, -1}, owner->u.attend.slot, shape);
}

vb_val vb_attend_sinks(vb_plan *p, const vb_val qkv[3], const vb_heads *shape, const char *sinks)
{
    const vb_tensor *t = as_f32(p, required(p, sinks, ".weight", shape->heads, 1));
    vb_val out = vb_attend(p, qkv[0], qkv[1], qkv[2], shape);
    if (out >= 0) p->steps[value(p, out)->step].weight = t;
    return out;
}

vb_val vb_gated(vb_plan *p, vb_val gate, vb_val up, vb_glu act)
{
    vb_step *s;
    if (failed(p)) return -1;
    vb_val out = append(p, VB_OP_GLU, value(p, gate)->width, (vb_val[3]){gate, up, -1}, &s);
    if (out >= 0) s->u.glu.act = act;
    return out;
}

vb_val vb_gated_ffn(vb_plan *p, vb_val x, int ff, vb_glu act)
{
    if (failed(p)) return -1;
    int width = value(p, x)->width;
    vb_val gate = vb_linear(p, x, "ffn_gate", ff);
    vb_val up = vb_linear(p, x, "ffn_up", ff);
    return vb_linear(p, vb_gated(p, gate, up, act), "ffn_down", width);
}

vb_val vb_gate(vb_plan *p, vb_val gate, vb_val x)
{
    vb_step *s;
    if (failed(p)) return -1;
    return append(p, VB_OP_GATE, value(p, x)->width, (vb_val[3]){gate, x, -1}, &s);
}

/* --- mixtures of experts --------------------------------------------------------------------------------------- */

vb_val vb_route(vb_plan *p, vb_val logits, int used, vb_routing how, const char *factors)
{
    vb_step *s;
    if (failed(p)) return -1;
    int experts = value(p, logits)->width;
    const vb_tensor *t = factors != NULL ? as_f32(p, optional(p, factors, "", experts, 1)) : NULL;
    vb_val out = append1(p, VB_OP_ROUTE, 2 * used, logits, &s);
    if (out < 0) return -1;
    s->weight = t;
    s->u.route.experts = experts;
    s->u.route.used = used;
    s->u.route.how = how;
    return out;
}

/* The step that chose the experts, NULL and an error if there is none. */
static const vb_step *routing(vb_plan *p, vb_val route)
{
    if (failed(p)) return NULL;
    const vb_step *s = &p->steps[value(p, route)->step];
    if (s->op == VB_OP_ROUTE && s->u.route.used > 0) return s;
    vb_fail(&p->err, VB_E_FORMAT, "plan: layer %d: expected chosen experts, found a value of step %s", p->layer,
            vb_op_name(s->op));
    return NULL;
}

vb_val vb_linear_experts(vb_plan *p, vb_val x, vb_val route, const char *weight, vb_expert_rows rows)
{
    vb_step *s;
    const vb_step *chosen = routing(p, route);
    if (chosen == NULL) return -1;
    int experts = chosen->u.route.experts, used = chosen->u.route.used, width = 0;
    const vb_tensor *w = required(p, weight, ".weight", value(p, x)->width / value(p, x)->parts,
                                  (int64_t)experts * rows.total);
    const vb_tensor *b = as_f32(p, optional(p, weight, ".bias", rows.total, experts));
    if (!failed(p) && w->experts != experts)
        vb_fail(&p->err, VB_E_FORMAT, "%s: tensor %s: expected %d experts, found %lld", vb_gguf_path(p->tensors->g),
                w->name, experts, (long long)w->experts);
    if (!failed(p) && __builtin_mul_overflow(used, rows.rows, &width))
        vb_fail(&p->err, VB_E_FORMAT, "plan: layer %d: %d experts of %d rows are too many", p->layer, used, rows.rows);
    if (failed(p)) return -1;
    vb_val out = append(p, VB_OP_LINEAR_EXPERTS, width, (vb_val[3]){x, route, -1}, &s);
    if (out < 0) return -1;
    p->values[out].parts = used;
    s->weight = w;
    s->bias = b;
    s->u.experts.experts = experts;
    s->u.experts.used = used;
    s->u.experts.rows = rows.rows;
    s->u.experts.from = rows.from;
    s->u.experts.total = rows.total;
    return out;
}

vb_val vb_mix(vb_plan *p, vb_val x, vb_val route)
{
    vb_step *s;
    const vb_step *chosen = routing(p, route);
    if (chosen == NULL) return -1;
    vb_val out = append(p, VB_OP_MIX, value(p, x)->width / chosen->u.route.used, (vb_val[3]){x, route, -1}, &s);
    if (out >= 0) p->values[out].parts = 1;
    return out;
}

vb_val vb_experts_ffn(vb_plan *p, vb_val x, vb_val route, int ff, vb_glu act)
{
    if (failed(p)) return -1;
    int width = value(p, x)->width;
    vb_val gate = vb_linear_experts(p, x, route, "ffn_gate_exps", (vb_expert_rows){ff, 0, ff});
    vb_val up = vb_linear_experts(p, x, route, "ffn_up_exps", (vb_expert_rows){ff, 0, ff});
    vb_val down = vb_linear_experts(p, vb_gated(p, gate, up, act), route, "ffn_down_exps",
                                    (vb_expert_rows){width, 0, width});
    return vb_mix(p, down, route);
}

vb_val vb_activate(vb_plan *p, vb_val x, vb_curve curve)
{
    vb_step *s;
    if (failed(p)) return -1;
    vb_val out = append1(p, VB_OP_ACT, value(p, x)->width, x, &s);
    if (out >= 0) s->u.act.curve = curve;
    return out;
}

vb_val vb_plain_ffn(vb_plan *p, vb_val x, int ff, vb_curve curve)
{
    if (failed(p)) return -1;
    int width = value(p, x)->width;
    return vb_linear(p, vb_activate(p, vb_linear(p, x, "ffn_up", ff), curve), "ffn_down", width);
}

vb_val vb_softcap(vb_plan *p, vb_val x, float cap)
{
    vb_step *s;
    if (failed(p)) return -1;
    if (cap == 0.0f) return x;
    vb_val out = append1(p, VB_OP_SOFTCAP, value(p, x)->width, x, &s);
    if (out >= 0) s->u.softcap.cap = cap;
    return out;
}

void vb_plan_tap(vb_plan *p, const char *name, vb_val x)
{
    if (!failed(p)) p->values[x].tap = name;
}

void vb_output(vb_plan *p, vb_val logits)
{
    if (failed(p)) return;
    p->output = logits;
    p->out_width = p->vocab;
}

void vb_output_embeddings(vb_plan *p, vb_val x)
{
    if (failed(p)) return;
    p->output = x;
    p->out_width = value(p, x)->width;
    p->embeds = 1;
}

void vb_plan_end_at_norm(vb_plan *p)
{
    vb_val norm = p->n_values - 1;
    if (failed(p) || p->embeds) return;
    while (norm >= 0 && (value(p, norm)->tap == NULL || strcmp(value(p, norm)->tap, "result_norm") != 0)) norm--;
    if (norm < 0) {
        vb_fail(&p->err, VB_E_UNSUPPORTED, "plan: embeddings: expected a final norm, found none");
        return;
    }
    p->n_steps = value(p, norm)->step + 1;
    p->n_values = norm + 1;
    vb_output_embeddings(p, norm);
}

void vb_plan_free(vb_plan *p)
{
    vb_arena_free(&p->arena);
    memset(p, 0, sizeof *p);
}
