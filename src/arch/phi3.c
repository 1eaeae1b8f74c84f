/* phi3.c - Phi 3, 3.5 and 4: q, k and v in one matrix, gate and up in another; a window in every layer, if any.
 *
 *   h = x + Wo attend(rope(Wqkv n))                  n = norm(x), Wqkv = q rows, k rows, v rows
 *   x = h + Wdown(silu(Wgate m) * (Wup m))           m = norm(h), ffn_up = gate rows, up rows
 *
 * Those made for 128K tokens have two rows of rope factors; which one counts is the session's size (J2).
 */
#include "arch/common.h"

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x, int rope)
{
    int ff = h->ff[i];
    vb_heads shape = vb_heads_of(h, i);
    shape.window = h->window;
    x = vb_attn_added(p, vb_attention(p, h, vb_project(p, h, i, vb_attn_norm(p, h, i, x)), rope, &shape), x);
    vb_val n = vb_norm_rms(p, x, "ffn_norm", h->width, h->eps);
    vb_plan_tap(p, "ffn_norm", n);
    vb_val gate = vb_linear_part(p, n, "ffn_up", 0, ff, 2 * ff);
    vb_val up = vb_linear_part(p, n, "ffn_up", ff, ff, 2 * ff);
    x = vb_add(p, vb_linear(p, vb_gated(p, gate, up, VB_GLU_SILU), "ffn_down", h->width), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->scaling_context == 0.0) h->scaling_context = (double)h->context;
    return vb_settle_dense(h, err);
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX);
    int rope = vb_new_long_rope(p, &spec);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x, rope);
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_phi3 = {"phi3", settle, emit};
