/* llama.c - Llama and everything stored as it: Mistral, Mixtral, SmolLM2, Vicuna; and Granite, which adds four scales.
 *
 *   h = x + s * Wo attend(rope(Wq n), rope(Wk n), Wv n)        n = norm(x)
 *   x = h + s * Wdown(silu(Wgate m) * (Wup m))                 m = norm(h)
 *
 * Rope turns neighbouring pairs (2i, 2i+1), because the converters permute the rows of Q and K to that. Any linear
 * may have a bias. The long-context scaling of Llama 3 is in no key: it is the tensor rope_freqs. In Mixtral the last
 * line is a sum over chosen experts.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope;
    float residual; /* s above; 1 for Llama */
} family;

static vb_val attention(const family *f, int i, vb_val n)
{
    vb_heads shape = vb_heads_of(f->h, i);
    return vb_attention(f->p, f->h, vb_project(f->p, f->h, i, n), f->rope, &shape);
}

static vb_val ffn(const family *f, int i, vb_val n)
{
    if (f->h->experts > 0) return vb_routed_ffn(f->p, f->h, n, VB_ROUTE_NORMALISED, VB_GLU_SILU);
    return vb_gated_ffn(f->p, n, f->h->ff[i], VB_GLU_SILU);
}

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    vb_layer(p, i);
    vb_val n = vb_norm_rms(p, x, "attn_norm", f->h->width, f->h->eps);
    vb_plan_tap(p, "attn_norm", n);
    x = vb_add(p, vb_scale(p, attention(f, i, n), f->residual), x);
    vb_plan_tap(p, "ffn_inp", x);
    n = vb_norm_rms(p, x, "ffn_norm", f->h->width, f->h->eps);
    vb_plan_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_scale(p, ffn(f, i, n), f->residual), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void emit_with(family f, float embedding, float logits)
{
    vb_plan *p = f.p;
    const vb_params *h = f.h;
    vb_rope rope = vb_rope_of(h, VB_PAIR_NORM);
    f.rope = vb_new_rope(p, &rope, "rope_freqs");
    vb_val x = vb_scale(p, vb_embed(p, "token_embd", h->width), embedding);
    vb_plan_tap(p, "inp_embd", x);
    for (int i = 0; i < h->layers; i++) x = block(&f, i, x);
    vb_layer(p, -1);
    x = vb_norm_rms(p, vb_wanted(p, x), "output_norm", h->width, h->eps);
    vb_plan_tap(p, "result_norm", x);
    x = vb_linear(p, x, vb_has(p, "output") ? "output" : "token_embd", h->vocab);
    x = vb_scale(p, x, logits);
    vb_plan_tap(p, "result_output", x);
    vb_output(p, x);
}

static vb_status settle_llama(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    if (h->experts > 0) VB_TRY(vb_settle_experts(h, err));
    vb_settle_yarn(h);
    return vb_need_eps(h, err);
}

static void emit_llama(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .residual = 1.0f}, 1.0f, 1.0f);
}

static vb_status settle_granite(vb_params *h, vb_err *err)
{
    if (h->embedding_scale == 0.0f) h->embedding_scale = 1.0f;
    if (h->residual_scale == 0.0f) h->residual_scale = 1.0f;
    if (h->logit_scale == 0.0f) h->logit_scale = 1.0f;
    return settle_llama(h, err);
}

/* Granite divides the logits by logit_scale: one rounded reciprocal, then a product. */
static void emit_granite(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .residual = h->residual_scale},
              h->embedding_scale, 1.0f / h->logit_scale);
}

const vb_arch vb_arch_llama = {"llama", settle_llama, emit_llama};
const vb_arch vb_arch_granite = {"granite", settle_granite, emit_granite};
