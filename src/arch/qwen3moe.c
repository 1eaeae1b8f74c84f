/* qwen3moe.c - Qwen3 with a mixture of experts (Qwen3-30B-A3B and relatives), and OLMoE, which is built like it.
 *
 *   h = x + Wo attend(rope(norm(Wq n)), rope(norm(Wk n)), Wv n)                      n = norm(x)
 *   x = h + sum over the chosen e of w_e * Wdown_e(silu(Wgate_e m) * (Wup_e m))      m = norm(h)
 *
 * Qwen3 norms each head of q and k and divides the weights by their sum; OLMoE norms q and k as a whole and keeps the
 * weights as shares of all experts.
 */
#include "arch/common.h"

static vb_val ffn_half(vb_plan *p, const vb_params *h, vb_val x, vb_routing how)
{
    vb_val n = vb_norm_rms(p, x, "ffn_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_routed_ffn(p, h, n, how, VB_GLU_SILU), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void norm_whole(vb_plan *p, const vb_params *h, int i, vb_qkv *a)
{
    a->q = vb_norm_rms(p, a->q, "attn_q_norm", h->heads[i] * h->dim_k, h->eps);
    a->k = vb_norm_rms(p, a->k, "attn_k_norm", h->kv_heads[i] * h->dim_k, h->eps);
}

static void emit_with(vb_plan *p, const vb_params *h, int whole, vb_routing how)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX);
    int rope = vb_new_rope(p, &spec, NULL);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) {
        vb_heads shape = vb_heads_of(h, i);
        vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
        if (whole)
            norm_whole(p, h, i, &a);
        else
            vb_norm_heads(p, h, &a);
        x = vb_attn_added(p, vb_attention(p, h, a, rope, &shape), x);
        x = ffn_half(p, h, x, how);
    }
    vb_result(p, vb_logits(p, h, x));
}

static void emit_qwen3moe(vb_plan *p, const vb_params *h)
{
    emit_with(p, h, 0, VB_ROUTE_NORMALISED);
}

static void emit_olmoe(vb_plan *p, const vb_params *h)
{
    emit_with(p, h, 1, VB_ROUTE_SHARES);
}

const vb_arch vb_arch_qwen3moe = {"qwen3moe", vb_settle_routed, emit_qwen3moe};
const vb_arch vb_arch_olmoe = {"olmoe", vb_settle_routed, emit_olmoe};
