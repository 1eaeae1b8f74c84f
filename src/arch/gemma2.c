/* gemma2.c - Gemma 2: norms before and after both halves, a sliding window in every other layer, scores and logits
 * under a soft cap.
 *
 *   h = x + norm(Wo attend(rope(Wq n), rope(Wk n), Wv n))      n = norm(x), scores c * tanh(s / c)
 *   x = h + norm(Wdown(gelu(Wgate m) * (Wup m)))               m = norm(h)
 *
 * The window belongs to layers 0, 2, 4, ...; no key says so. Files hold norm weights as 1 + w already.
 */
#include "arch/common.h"

#include <math.h>

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x, int rope)
{
    vb_heads shape = vb_heads_of(h, i);
    shape.window = vb_is_local(h, i) ? h->window : 0;
    shape.softcap = h->attn_softcap;
    vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
    vb_val n = vb_norm_rms(p, vb_attention(p, h, a, rope, &shape), "post_attention_norm", h->width, h->eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "sa_out", x);
    n = vb_norm_rms(p, x, "ffn_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_norm", n);
    n = vb_norm_rms(p, vb_gated_ffn(p, n, h->ff[i], VB_GLU_GELU_TANH), "post_ffw_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    /* The 27B model scales by its width, not by its head size; its 46 layers tell it, no key does. */
    if (h->attn_scale == 0.0f && h->layers == 46) h->attn_scale = 1.0f / sqrtf((float)h->width / (float)h->heads[0]);
    if (h->window_every == 0) h->window_every = 2;
    return vb_settle_dense(h, err);
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX);
    int rope = vb_new_rope(p, &spec, NULL);
    vb_val x = vb_start(p, h, sqrtf((float)h->width));
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x, rope);
    vb_result(p, vb_softcap(p, vb_logits(p, h, x), h->final_softcap));
}

const vb_arch vb_arch_gemma2 = {"gemma2", settle, emit};
