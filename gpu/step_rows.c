/* step_rows.c - steps that see one row at a time: norms, turns, element-wise steps, choosing and mixing of experts.
 *
 *   elements   a thread an element: shaders add, scale, act, glu, softcap, gate, rope, slice, wanted, mix
 *   sums       a work group a row, or a group of it: norm_rms, norm_layer, route
 *
 * No result may depend on subnormals, for a device may keep none. Where a shader's head proves that only for some numbers,
 * the step is taken if it has such numbers; real models do.
 */
#include "gpu/steps.h"

#include "base/canon.h"

#include <math.h>

enum { THREADS = 64, MOST_GROUPS = 65535, MOST_EXPERTS = 1024 };

static int is_below(const vb_tensor *t, float limit)
{
    const float *x = t->data;
    for (int64_t i = 0; i < t->cols; i++)
        if (!(fabsf(x[i]) < limit)) return 0;
    return 1;
}

static int has_numbers(const vb_plan *plan, const vb_step *s)
{
    switch (s->op) {
    case VB_OP_NORM_RMS:
        return s->u.norm.eps >= 0x1p-100f && plan->values[s->out].width / s->u.norm.group <= MOST_GROUPS;
    case VB_OP_NORM_LAYER:
        return s->u.norm.eps >= 0x1p-100f && is_below(s->weight, 0x1p24f);
    case VB_OP_SCALE:
        return s->u.scale.by == 0.0f || fabsf(s->u.scale.by) >= 0x1p-126f;
    case VB_OP_SOFTCAP:
        return s->u.softcap.cap >= 0x1p-40f && s->u.softcap.cap <= 0x1p40f;
    case VB_OP_ROUTE:
        return s->u.route.experts <= MOST_EXPERTS;
    case VB_OP_ADD:
    case VB_OP_ROPE:
    case VB_OP_ACT:
    case VB_OP_GLU:
    case VB_OP_GATE:
    case VB_OP_SLICE:
    case VB_OP_WANTED:
    case VB_OP_MIX:
        return 1;
    default:
        return 0;
    }
}

int vb_gpu_has_rows(const vb_plan *plan, const vb_step *s)
{
    return plan->values[s->out].width <= MOST_GROUPS * THREADS && has_numbers(plan, s);
}

static uint32_t width_of(const vb_gpu_recording *r, vb_val v)
{
    return (uint32_t)r->plan->values[v].width;
}

/* Inputs and output are bound, and c[2] is the width. */
static vb_gpu_dispatch by_elements(const vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_gpu_shader shader)
{
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, shader);
    d.range[VB_GPU_OUT] = r->value(r->player, s->out);
    d.range[VB_GPU_A] = r->value(r->player, s->in[0]);
    if (s->in[1] >= 0) d.range[VB_GPU_B] = r->value(r->player, s->in[1]);
    d.c[2] = width_of(r, s->out);
    d.x = (d.c[2] + THREADS - 1) / THREADS;
    return d;
}

/* A tensor of one row. */
static vb_gpu_range row_of(const vb_gpu_recording *r, const vb_tensor *t)
{
    return r->weight(r->player, t)->windows[0].range;
}

static vb_gpu_dispatch norm_rms(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_NORM_RMS);
    if (s->weight != NULL) d.range[VB_GPU_W] = row_of(r, s->weight);
    d.variant[0] = s->weight != NULL;
    d.c[3] = (uint32_t)s->u.norm.group;
    d.c[4] = asu(1.0f / (float)s->u.norm.group);
    d.c[5] = asu(s->u.norm.eps);
    d.x = d.c[2] / d.c[3];
    return d;
}

static vb_gpu_dispatch norm_layer(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_NORM_LAYER);
    d.range[VB_GPU_W] = row_of(r, s->weight);
    d.range[VB_GPU_W2] = row_of(r, s->bias);
    d.c[3] = asu(1.0f / (float)d.c[2]);
    d.c[4] = asu(s->u.norm.eps);
    d.x = 1;
    return d;
}

static vb_gpu_dispatch rope(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    const vb_rope *how = &r->plan->ropes[s->u.rope.rope];
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_ROPE);
    d.range[VB_GPU_B] = r->ropes;
    d.variant[0] = how->pairing == VB_PAIR_NEOX;
    d.c[3] = (uint32_t)s->u.rope.head_dim;
    d.c[4] = (uint32_t)how->n_rot;
    d.c[5] = (uint32_t)r->rope_floats;
    d.c[6] = (uint32_t)r->rope_at[s->u.rope.rope];
    return d;
}

static vb_gpu_dispatch scale(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_SCALE);
    d.c[3] = asu(s->u.scale.by);
    return d;
}

static vb_gpu_dispatch softcap(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_SOFTCAP);
    d.c[3] = asu(s->u.softcap.cap);
    d.c[4] = asu(1.0f / s->u.softcap.cap);
    return d;
}

static vb_gpu_dispatch slice(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_SLICE);
    d.c[3] = width_of(r, s->in[0]);
    d.c[4] = (uint32_t)s->u.slice.group;
    d.c[5] = (uint32_t)s->u.slice.from;
    d.c[6] = (uint32_t)s->u.slice.len;
    return d;
}

static vb_gpu_dispatch route(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_ROUTE);
    if (s->weight != NULL) d.range[VB_GPU_W] = row_of(r, s->weight);
    d.variant[0] = s->u.route.how;
    d.variant[1] = s->weight != NULL;
    d.c[2] = (uint32_t)s->u.route.experts;
    d.c[3] = (uint32_t)s->u.route.used;
    d.x = 1;
    return d;
}

static vb_gpu_dispatch mix(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_dispatch d = by_elements(r, s, note, VB_SHADER_MIX);
    d.c[3] = width_of(r, s->in[1]) / 2;
    return d;
}

static vb_gpu_dispatch plain(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    vb_gpu_shader shader = s->op == VB_OP_ADD    ? VB_SHADER_ADD
                           : s->op == VB_OP_GATE ? VB_SHADER_GATE
                           : s->op == VB_OP_ACT  ? VB_SHADER_ACT
                           : s->op == VB_OP_GLU  ? VB_SHADER_GLU
                                                 : VB_SHADER_WANTED;
    vb_gpu_dispatch d = by_elements(r, s, note, shader);
    if (s->op == VB_OP_ACT) d.variant[0] = s->u.act.curve;
    if (s->op == VB_OP_GLU) d.variant[0] = s->u.glu.act;
    return d;
}

static vb_gpu_dispatch dispatch(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    switch (s->op) {
    case VB_OP_NORM_RMS:
        return norm_rms(r, s, note);
    case VB_OP_NORM_LAYER:
        return norm_layer(r, s, note);
    case VB_OP_ROPE:
        return rope(r, s, note);
    case VB_OP_SCALE:
        return scale(r, s, note);
    case VB_OP_SOFTCAP:
        return softcap(r, s, note);
    case VB_OP_SLICE:
        return slice(r, s, note);
    case VB_OP_ROUTE:
        return route(r, s, note);
    case VB_OP_MIX:
        return mix(r, s, note);
    default:
        return plain(r, s, note);
    }
}

vb_status vb_gpu_record_rows(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    vb_gpu_dispatch d = dispatch(r, s, note);
    return vb_gpu_tape_dispatch(r->tape, &d, err);
}
