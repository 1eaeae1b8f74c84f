/* gpt2.c - GPT-2, and GPT-Neo (TinyStories): layer norms, learned positions, a feed-forward of two matrices, biases.
 *
 *   x = E[token] + P[position]
 *   h = x + Wo attend(Wq n, Wk n, Wv n)      n = norm(x)
 *   x = h + Wdown gelu(Wup m)                m = norm(h)
 *
 * GPT-2 keeps q, k and v in one matrix. GPT-Neo has no biases there, does not scale the scores, and every layer that
 * sliding_window_pattern names sees a window. The head is the table of embeddings.
 */
#include "arch/common.h"

#include <math.h>

static vb_val block(vb_plan *p, const vb_params *h, int i, vb_val x)
{
    vb_heads shape = vb_heads_of(h, i);
    if (h->window_layers != NULL && h->window_layers[i]) shape.window = h->window;
    vb_layer(p, i);
    vb_val n = vb_norm_layer(p, x, "attn_norm", h->layer_eps);
    vb_plan_tap(p, "attn_norm", n);
    x = vb_attn_added(p, vb_attention(p, h, vb_project(p, h, i, n), -1, &shape), x);
    n = vb_norm_layer(p, x, "ffn_norm", h->layer_eps);
    vb_plan_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_plain_ffn(p, n, h->ff[i], VB_CURVE_GELU_TANH), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void emit(vb_plan *p, const vb_params *h)
{
    vb_val x = vb_embed(p, "token_embd", h->width);
    x = vb_add(p, x, vb_embed_position(p, "position_embd", h->width, h->context));
    vb_plan_tap(p, "inp_embd", x);
    for (int i = 0; i < h->layers; i++) x = block(p, h, i, x);
    vb_result(p, vb_layer_logits(p, h, x));
}

static vb_status settle_gpt2(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    return vb_need_layer_eps(h, err);
}

static vb_status settle_gptneo(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f;
    return vb_need_layer_eps(h, err);
}

const vb_arch vb_arch_gpt2 = {"gpt2", settle_gpt2, emit};
const vb_arch vb_arch_gptneo = {"gptneo", settle_gptneo, emit};
