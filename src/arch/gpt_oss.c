/* gpt_oss.c - gpt-oss: experts in every layer, a window in every other, a sink for each head, biases everywhere.
 *
 *   h = x + Wo attend(rope(Wq n), rope(Wk n), Wv n; sinks)                      n = norm(x)
 *   x = h + sum over the chosen e of w_e * (Wdown_e glu(Wgate_e m, Wup_e m))    m = norm(h)
 *
 * The weights are a softmax over the chosen experts' logits alone, glu is the clamped one. Even layers see a window. The
 * norm before the experts is called post_attention_norm. Yarn rounds its range of pairs (J2): a GGUF
 * file has no key to ask for anything else.
 */
#include "arch/common.h"

#include <math.h>

static vb_val attention(vb_plan *p, const vb_params *h, int i, vb_val n)
{
    vb_heads shape = {.heads = h->heads[i], .kv_heads = h->kv_heads[i], .dim_k = h->dim_k, .dim_v = h->dim_v,
                      .window = vb_is_local(h, i) ? h->window : 0, .scale = h->attn_scale};
    vb_val q = vb_linear(p, n, "attn_q", h->heads[i] * h->dim_k);
    vb_val k = vb_linear(p, n, "attn_k", h->kv_heads[i] * h->dim_k);
    vb_val v = vb_linear(p, n, "attn_v", h->kv_heads[i] * h->dim_v);
    vb_tap(p, "Vcur", v);
    q = vb_rotate(p, q, 0, h->dim_k);
    vb_tap(p, "Qcur", q);
    k = vb_rotate(p, k, 0, h->dim_k);
    vb_tap(p, "Kcur", k);
    vb_val y = vb_attend_sinks(p, (vb_val[3]){q, k, v}, &shape, "attn_sinks");
    return vb_linear(p, y, "attn_output", h->width);
}

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x)
{
    vb_layer(p, i);
    vb_val n = vb_norm_rms(p, x, "attn_norm", h->width, h->eps);
    vb_tap(p, "attn_norm", n);
    x = vb_add(p, attention(p, h, i, n), x);
    vb_tap(p, "ffn_inp", x);
    n = vb_norm_rms(p, x, "post_attention_norm", h->width, h->eps);
    vb_tap(p, "attn_post_norm", n);
    x = vb_add(p, vb_routed_ffn(p, h, n, VB_ROUTE_CHOSEN, VB_GLU_CLAMPED), x);
    vb_tap(p, "l_out", x);
    return x;
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope rope = vb_rope_of(h, VB_PAIR_NEOX);
    vb_new_rope(p, &rope, NULL);
    vb_val x = vb_embed(p, "token_embd", h->width);
    vb_tap(p, "inp_embd", x);
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x);
    vb_layer(p, -1);
    x = vb_norm_rms(p, vb_wanted(p, x), "output_norm", h->width, h->eps);
    vb_tap(p, "result_norm", x);
    x = vb_linear(p, x, vb_has(p, "output") ? "output" : "token_embd", h->vocab);
    vb_tap(p, "result_output", x);
    vb_output(p, x);
}

static vb_status settle(vb_params *h, vb_err *err)
{
    h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    if (h->window_every == 0) h->window_every = 2;
    vb_settle_yarn(h);
    VB_TRY(vb_need_eps(h, err));
    return vb_settle_experts(h, err);
}

const vb_arch vb_arch_gpt_oss = {"gpt-oss", settle, emit};
