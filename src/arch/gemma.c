/* gemma.c - Gemma (1): Llama's layer with GELU, pairs (i, i + n_rot/2) and an embedding times sqrt(width).
 *
 *   h = x + Wo attend(rope(Wq n), rope(Wk n), Wv n)        n = norm(x)
 *   x = h + Wdown(gelu(Wgate m) * (Wup m))                 m = norm(h)
 *
 * Files hold norm weights as 1 + w already. The logits come by the embedding's matrix.
 */
#include "arch/common.h"

#include <math.h>

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NEOX);
    int rope = vb_new_rope(p, &spec, NULL);
    vb_val x = vb_start(p, h, sqrtf((float)h->width));
    for (int i = 0; i < h->layers; i++) {
        vb_heads shape = vb_heads_of(h, i);
        vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
        x = vb_attn_added(p, vb_attention(p, h, a, rope, &shape), x);
        x = vb_ffn_half(p, h, i, x, VB_GLU_GELU_TANH);
    }
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_gemma = {"gemma", vb_settle_dense, emit};
