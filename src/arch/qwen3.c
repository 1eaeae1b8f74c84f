/* qwen3.c - Qwen 3: a norm on every head of q and k in place of biases; the head size is not width / heads.
 *
 *   h = x + Wo attend(rope(norm(Wq n)), rope(norm(Wk n)), Wv n)         n = norm(x)
 *   x = h + Wdown(silu(Wgate m) * (Wup m))                              m = norm(h)
 */
#include "arch/common.h"

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX);
    int rope = vb_new_rope(p, &spec, NULL);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) {
        vb_heads shape = vb_heads_of(h, i);
        vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
        vb_norm_heads(p, h, &a);
        x = vb_attn_added(p, vb_attention(p, h, a, rope, &shape), x);
        x = vb_ffn_half(p, h, i, x, VB_GLU_SILU);
    }
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_qwen3 = {"qwen3", vb_settle_dense, emit};
