/* gpt_oss.c - gpt-oss: experts in every layer, a window in every other, a sink for each head, biases everywhere.
 *
 *   h = x + Wo attend(rope(Wq n), rope(Wk n), Wv n; sinks)                      n = norm(x)
 *   x = h + sum over the chosen e of w_e * (Wdown_e glu(Wgate_e m, Wup_e m))    m = norm(h)
 *
 * The weights are a softmax over the chosen experts' logits alone, glu is the clamped one. Even layers see a window. The
 * norm before the experts is called post_attention_norm. Yarn rounds its range of pairs (J2): a GGUF file has no key to
 * ask for anything else.
 */
#include "arch/common.h"

static vb_val attention(vb_plan *p, const vb_params *h, int i, vb_qkv a)
{
    vb_heads shape = vb_heads_of(h, i);
    shape.window = vb_is_local(h, i) ? h->window : 0;
    a.q = vb_rotate(p, a.q, 0, h->dim_k);
    vb_plan_tap(p, "Qcur", a.q);
    a.k = vb_rotate(p, a.k, 0, h->dim_k);
    vb_plan_tap(p, "Kcur", a.k);
    vb_val y = vb_attend_sinks(p, (vb_val[3]){a.q, a.k, a.v}, &shape, "attn_sinks");
    return vb_linear(p, y, "attn_output", h->width);
}

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x)
{
    vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
    x = vb_attn_added(p, attention(p, h, i, a), x);
    vb_val n = vb_norm_rms(p, x, "post_attention_norm", h->width, h->eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_add(p, vb_routed_ffn(p, h, n, VB_ROUTE_CHOSEN, VB_GLU_CLAMPED), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope rope = vb_rope_of(h, VB_PAIR_NEOX);
    vb_new_rope(p, &rope, NULL);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x);
    vb_result(p, vb_logits(p, h, x));
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->window_every == 0) h->window_every = 2;
    return vb_settle_routed(h, err);
}

const vb_arch vb_arch_gpt_oss = {"gpt-oss", settle, emit};
