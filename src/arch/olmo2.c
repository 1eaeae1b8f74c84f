/* olmo2.c - OLMo 2 and 3: no norms before the halves but behind them, and norms of q and k as a whole.
 *
 *   h = x + norm(Wo attend(rope(norm(Wq x)), rope(norm(Wk x)), Wv x))
 *   x = h + norm(Wdown(silu(Wgate h) * (Wup h)))
 *
 * OLMo 3 has a sliding window in three of four layers, whose rope is not scaled; no key says so but the window's.
 */
#include "arch/common.h"

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x, int rope)
{
    vb_heads shape = vb_heads_of(h, i);
    shape.window = vb_is_local(h, i) ? h->window : 0;
    vb_layer(p, i);
    vb_qkv a = vb_project(p, h, i, x);
    a.q = vb_norm_rms(p, a.q, "attn_q_norm", h->heads[i] * h->dim_k, h->eps);
    a.k = vb_norm_rms(p, a.k, "attn_k_norm", h->kv_heads[i] * h->dim_k, h->eps);
    vb_val n = vb_norm_rms(p, vb_attention(p, h, a, rope, &shape), "post_attention_norm", h->width, h->eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_attn_added(p, n, x);
    n = vb_norm_rms(p, vb_gated_ffn(p, x, h->ff[i], VB_GLU_SILU), "post_ffw_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->window_every == 0) h->window_every = 4;
    return vb_settle_dense(h, err);
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX), plain = spec;
    plain.scaling = VB_SCALING_NONE;
    plain.attn_factor = 1.0;
    int global = vb_new_rope(p, &spec, NULL);
    int local = h->window > 0 ? vb_new_rope(p, &plain, NULL) : global;
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x, vb_is_local(h, i) ? local : global);
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_olmo2 = {"olmo2", settle, emit};
