/* smollm3.c - SmolLM 3: Llama's layer, in every fourth of which nothing rotates.
 *
 *   h = x + Wo attend(rope(Wq n), rope(Wk n), Wv n)        n = norm(x); layers 3, 7, 11, ... without rope
 *   x = h + Wdown(silu(Wgate m) * (Wup m))                 m = norm(h)
 */
#include "arch/common.h"

enum { STILL_EVERY = 4 }; /* no key says so */

static void emit(vb_plan *p, const vb_params *h)
{
    vb_rope spec = vb_rope_of(h, VB_PAIR_NORM);
    int rope = vb_new_rope(p, &spec, NULL);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers; i++) {
        vb_heads shape = vb_heads_of(h, i);
        vb_qkv a = vb_project(p, h, i, vb_attn_norm(p, h, i, x));
        int turns = (i + 1) % STILL_EVERY != 0;
        x = vb_attn_added(p, vb_attention(p, h, a, turns ? rope : -1, &shape), x);
        x = vb_ffn_half(p, h, i, x, VB_GLU_SILU);
    }
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_smollm3 = {"smollm3", vb_settle_dense, emit};
