/* common.c - what several families settle and emit alike. */
#include "arch/common.h"

vb_rope vb_rope_of(const vb_params *h, vb_pairing pairing)
{
    return (vb_rope){.n_rot = h->n_rot, .pairing = pairing, .base = h->rope_base, .scaling = h->scaling,
                     .factor = h->scaling_factor, .context = h->scaling_context, .attn_factor = h->attn_factor,
                     .beta_fast = h->beta_fast, .beta_slow = h->beta_slow};
}

void vb_settle_yarn(vb_params *h)
{
    if (h->scaling == VB_SCALING_YARN && h->scaling_context == 0.0) h->scaling_context = (double)h->context;
}

vb_status vb_need_eps(const vb_params *h, vb_err *err)
{
    if (h->eps > 0.0f) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s.attention.layer_norm_rms_epsilon: expected a positive number, found none", h->arch);
}

vb_status vb_settle_experts(vb_params *h, vb_err *err)
{
    if (h->experts < 1)
        VB_FAIL(err, VB_E_FORMAT, "%s.expert_count: expected at least 1, found %d", h->arch, h->experts);
    if (h->experts_used < 1 || h->experts_used > h->experts)
        VB_FAIL(err, VB_E_FORMAT, "%s.expert_used_count: expected 1 to %d, found %d", h->arch, h->experts,
                h->experts_used);
    if (h->expert_ff == 0 && h->ff != NULL) h->expert_ff = h->ff[0];
    if (h->expert_ff == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s.expert_feed_forward_length: expected a width, found none", h->arch);
    return VB_OK;
}

vb_val vb_routed_ffn(vb_plan *p, const vb_params *h, vb_val x, vb_routing how)
{
    vb_val logits = vb_linear(p, x, "ffn_gate_inp", h->experts);
    vb_tap(p, "ffn_moe_logits", logits);
    vb_val route = vb_route(p, logits, h->experts_used, how, NULL);
    vb_val y = vb_experts_ffn(p, x, route, h->expert_ff, VB_GLU_SILU);
    vb_tap(p, "ffn_moe_out", y);
    return y;
}
