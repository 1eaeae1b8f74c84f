/* qwen2.c - Qwen 2 and 2.5: Llama's layer with biases on q, k and v, and pairs (i, i + n_rot/2).
 *
 *   h = x + Wo attend(rope(Wq n + bq), rope(Wk n + bk), Wv n + bv)      n = norm(x)
 *   x = h + Wdown(silu(Wgate m) * (Wup m))                              m = norm(h)
 *
 * The small ones compute their logits by the embedding's matrix.
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
        x = vb_attn_added(p, vb_attention(p, h, a, rope, &shape), x);
        x = vb_ffn_half(p, h, i, x, VB_GLU_SILU);
    }
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_qwen2 = {"qwen2", vb_settle_dense, emit};
