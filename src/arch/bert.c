/* bert.c - encoders: BERT, and Nomic's BERT, which rotates positions and gates its feed-forward.
 *
 *   x = norm(E[token] + T[0] + P[position])       Nomic: no P
 *   h = norm(x + Wo attend(Wq x, Wk x, Wv x))     Nomic: q and k rotated
 *   x = norm(h + Wdown gelu(Wup h))               Nomic: Wdown(silu(Wgate h) * (Wup h))
 *
 * Every token sees the whole text, so a text is evaluated in one piece. There is no head: the last layer's rows are the
 * output. All tokens are of type 0, as of a single text.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope; /* -1: positions are in a table */
} family;

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    const vb_params *h = f->h;
    vb_heads shape = vb_heads_of(h, i);
    shape.whole = 1;
    vb_layer(p, i);
    vb_val sum = vb_attn_added(p, vb_attention(p, h, vb_project(p, h, i, x), f->rope, &shape), x);
    x = vb_norm_layer(p, sum, "attn_output_norm", h->layer_eps);
    vb_plan_tap(p, "attn_out_norm", x);
    vb_val ffn = f->rope < 0 ? vb_plain_ffn(p, x, h->ff[i], VB_CURVE_GELU_ERF) : vb_gated_ffn(p, x, h->ff[i], VB_GLU_SILU);
    x = vb_norm_layer(p, vb_add(p, ffn, x), "layer_output_norm", h->layer_eps);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static void emit_with(family f)
{
    vb_plan *p = f.p;
    const vb_params *h = f.h;
    vb_val x = vb_embed(p, "token_embd", h->width);
    if (vb_has(p, "token_types")) x = vb_add(p, x, vb_embed_first(p, "token_types", h->width));
    if (f.rope < 0) x = vb_add(p, x, vb_embed_position(p, "position_embd", h->width, h->context));
    vb_plan_tap(p, "inp_embd", x);
    x = vb_norm_layer(p, x, "token_embd_norm", h->layer_eps);
    vb_plan_tap(p, "inp_norm", x);
    for (int i = 0; i < h->layers; i++) x = block(&f, i, x);
    vb_layer(p, -1);
    x = vb_wanted(p, x);
    vb_plan_tap(p, "result_embd", x);
    vb_output_embeddings(p, x);
}

static void emit_bert(vb_plan *p, const vb_params *h)
{
    emit_with((family){p, h, -1});
}

static void emit_nomic(vb_plan *p, const vb_params *h)
{
    vb_rope rope = vb_rope_of(h, VB_PAIR_NEOX);
    emit_with((family){p, h, vb_new_rope(p, &rope, NULL)});
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->causal)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s.attention.causal: expected false, found true or no such key", h->arch);
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    return vb_need_layer_eps(h, err);
}

const vb_arch vb_arch_bert = {"bert", settle, emit_bert};
const vb_arch vb_arch_nomic_bert = {"nomic-bert", settle, emit_nomic};
