/* gptneox.c - GPT-NeoX (Pythia) and StarCoder2: layer norms, rope, a feed-forward of two matrices, biases everywhere.
 *
 *   one after the other    h = x + attention(norm(x));  x = h + ffn(norm'(h))
 *   parallel               x = x + attention(norm(x)) + ffn(norm'(x))
 *
 * Rope turns pairs half a head apart, of GPT-NeoX only the leading dimensions. GPT-NeoX says in its file whether its
 * halves are parallel; its activation is the exact one, by the error function.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope;
    vb_curve curve;
} family;

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    const vb_params *h = f->h;
    vb_heads shape = vb_heads_of(h, i);
    shape.window = h->window;
    vb_layer(p, i);
    vb_val n = vb_norm_layer(p, x, "attn_norm", h->layer_eps);
    vb_plan_tap(p, "attn_norm", n);
    vb_val sum = vb_attn_added(p, vb_attention(p, h, vb_project(p, h, i, n), f->rope, &shape), x);
    n = vb_norm_layer(p, h->parallel ? x : sum, "ffn_norm", h->layer_eps);
    vb_plan_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_plain_ffn(p, n, h->ff[i], f->curve), sum);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void emit_with(family f)
{
    vb_plan *p = f.p;
    vb_rope rope = vb_rope_of(f.h, VB_PAIR_NEOX);
    f.rope = vb_new_rope(p, &rope, NULL);
    vb_val x = vb_start(p, f.h, 1.0f);
    for (int i = 0; i < f.h->layers; i++) x = block(&f, i, x);
    vb_result(p, vb_layer_logits(p, f.h, x));
}

static void emit_gptneox(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .curve = VB_CURVE_GELU_ERF});
}

static void emit_starcoder2(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .curve = VB_CURVE_GELU_TANH});
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    return vb_need_layer_eps(h, err);
}

const vb_arch vb_arch_gptneox = {"gptneox", settle, emit_gptneox};
const vb_arch vb_arch_starcoder2 = {"starcoder2", settle, emit_starcoder2};
