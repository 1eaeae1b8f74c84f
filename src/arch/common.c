/* common.c - what several families settle and emit alike. */
#include "arch/common.h"

#include <math.h>

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

vb_status vb_settle_dense(vb_params *h, vb_err *err)
{
    if (h->experts > 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s.expert_count: expected a dense model, found %d experts", h->arch,
                h->experts);
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    return vb_need_eps(h, err);
}

vb_status vb_need_layer_eps(const vb_params *h, vb_err *err)
{
    if (h->layer_eps > 0.0f) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s.attention.layer_norm_epsilon: expected a positive number, found none", h->arch);
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

vb_status vb_settle_routed(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    VB_TRY(vb_need_eps(h, err));
    return vb_settle_experts(h, err);
}

int vb_is_local(const vb_params *h, int i)
{
    if (h->window == 0) return 0;
    if (h->window_layers != NULL) return h->window_layers[i];
    return h->window_every > 0 && (i + 1) % h->window_every != 0;
}

vb_val vb_routed_ffn(vb_plan *p, const vb_params *h, vb_val x, vb_routing how, vb_glu act)
{
    vb_val logits = vb_linear(p, x, "ffn_gate_inp", h->experts);
    vb_plan_tap(p, "ffn_moe_logits", logits);
    vb_val route = vb_route(p, logits, h->experts_used, how, NULL);
    vb_plan_tap(p, "ffn_moe_topk", route);
    vb_val y = vb_experts_ffn(p, x, route, h->expert_ff, act);
    vb_plan_tap(p, "ffn_moe_out", y);
    return y;
}

vb_heads vb_heads_of(const vb_params *h, int i)
{
    return (vb_heads){.heads = h->heads[i], .kv_heads = h->kv_heads[i], .dim_k = h->dim_k, .dim_v = h->dim_v,
                      .scale = h->attn_scale};
}

vb_val vb_attn_norm(vb_plan *p, const vb_params *h, int i, vb_val x)
{
    vb_layer(p, i);
    vb_val n = vb_norm_rms(p, x, "attn_norm", h->width, h->eps);
    vb_plan_tap(p, "attn_norm", n);
    return n;
}

vb_qkv vb_project(vb_plan *p, const vb_params *h, int i, vb_val n)
{
    int q = h->heads[i] * h->dim_k, k = h->kv_heads[i] * h->dim_k, v = h->kv_heads[i] * h->dim_v;
    int fused = vb_has(p, "attn_qkv"), all = q + k + v;
    vb_qkv a;
    a.q = fused ? vb_linear_part(p, n, "attn_qkv", 0, q, all) : vb_linear(p, n, "attn_q", q);
    a.k = fused ? vb_linear_part(p, n, "attn_qkv", q, k, all) : vb_linear(p, n, "attn_k", k);
    a.v = fused ? vb_linear_part(p, n, "attn_qkv", q + k, v, all) : vb_linear(p, n, "attn_v", v);
    vb_plan_tap(p, "Vcur", a.v);
    return a;
}

void vb_norm_heads(vb_plan *p, const vb_params *h, vb_qkv *a)
{
    a->q = vb_norm_rms(p, a->q, "attn_q_norm", h->dim_k, h->eps);
    a->k = vb_norm_rms(p, a->k, "attn_k_norm", h->dim_k, h->eps);
}

vb_val vb_attention(vb_plan *p, const vb_params *h, vb_qkv a, int rope, const vb_heads *shape)
{
    if (rope >= 0) a.q = vb_rotate(p, a.q, rope, shape->dim_k);
    vb_plan_tap(p, "Qcur", a.q);
    if (rope >= 0) a.k = vb_rotate(p, a.k, rope, shape->dim_k);
    vb_plan_tap(p, "Kcur", a.k);
    return vb_linear(p, vb_attend(p, a.q, a.k, a.v, shape), "attn_output", h->width);
}

vb_val vb_attn_added(vb_plan *p, vb_val attention, vb_val x)
{
    x = vb_add(p, attention, x);
    vb_plan_tap(p, "ffn_inp", x);
    return x;
}

vb_val vb_ffn_half(vb_plan *p, const vb_params *h, int i, vb_val x, vb_glu act)
{
    vb_val n = vb_norm_rms(p, x, "ffn_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_gated_ffn(p, n, h->ff[i], act), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

vb_val vb_start(vb_plan *p, const vb_params *h, float scale)
{
    vb_val x = vb_scale(p, vb_embed(p, "token_embd", h->width), scale);
    vb_plan_tap(p, scale == 1.0f ? "inp_embd" : "inp_scaled", x);
    return x;
}

static vb_val head(vb_plan *p, const vb_params *h, vb_val x)
{
    vb_plan_tap(p, "result_norm", x);
    return vb_linear(p, x, vb_has(p, "output") ? "output" : "token_embd", h->vocab);
}

vb_val vb_logits(vb_plan *p, const vb_params *h, vb_val x)
{
    vb_layer(p, -1);
    x = vb_norm_rms(p, vb_wanted(p, x), "output_norm", h->width, h->eps);
    return head(p, h, x);
}

vb_val vb_layer_logits(vb_plan *p, const vb_params *h, vb_val x)
{
    vb_layer(p, -1);
    return head(p, h, vb_norm_layer(p, vb_wanted(p, x), "output_norm", h->layer_eps));
}

void vb_result(vb_plan *p, vb_val logits)
{
    vb_plan_tap(p, "result_output", logits);
    vb_output(p, logits);
}
