/* steps.c - which file knows a kind of step, and what all dispatches have. */
#include "gpu/steps.h"

int vb_gpu_has_step(const vb_gpu *g, const vb_plan *plan, const vb_step *s)
{
    if (plan->whole) return 0;
    switch (s->op) {
    case VB_OP_EMBED:
    case VB_OP_LINEAR:
    case VB_OP_LINEAR_EXPERTS:
        return vb_gpu_has_linear(g, s);
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        return vb_gpu_has_attend(g, plan, s, VB_KV_F16);
    default:
        return vb_gpu_has_rows(plan, s);
    }
}

vb_status vb_gpu_record(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    switch (s->op) {
    case VB_OP_EMBED:
        return vb_gpu_record_embed(r, s, note, err);
    case VB_OP_LINEAR:
        return vb_gpu_record_linear(r, s, note, err);
    case VB_OP_LINEAR_EXPERTS:
        return vb_gpu_record_experts(r, s, note, err);
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        return vb_gpu_record_attend(r, s, note, err);
    default:
        return vb_gpu_record_rows(r, s, note, err);
    }
}

vb_gpu_dispatch vb_gpu_dispatch_of(const vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_gpu_shader shader)
{
    int wanted = r->plan->values[s->out].wanted;
    vb_gpu_dispatch d = {.shader = shader, .c = {note, (uint32_t)wanted}};
    d.range[VB_GPU_ROWS] = r->rows;
    d.range[VB_GPU_NOTES] = r->notes;
    d.y = (uint32_t)(wanted ? r->wanted_bucket : r->bucket);
    return d;
}
