/* gemma3.c - Gemma 3 (text): norms before and after both halves, a norm on every head of q and k, five sliding-window
 * layers for each global one, each kind with its own rope.
 *
 *   h = x + norm(Wo attend(rope(norm(Wq n)), rope(norm(Wk n)), Wv n))     n = norm(x)
 *   x = h + norm(Wdown(gelu(Wgate m) * (Wup m)))                          m = norm(h)
 *
 * Files hold norm weights as 1 + w already. The period of six is written in few files; a global layer is every
 * sixth. Linear rope scaling belongs to the global layers alone.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope_global, rope_local;
} family;

static vb_val attention(const family *f, int i, vb_val n)
{
    const vb_params *h = f->h;
    vb_plan *p = f->p;
    int local = vb_is_local(h, i);
    int rope = local ? f->rope_local : f->rope_global;
    vb_heads shape = vb_heads_of(h, i);
    shape.window = local ? h->window : 0;
    vb_val q = vb_linear(p, n, "attn_q", h->heads[i] * h->dim_k);
    vb_val k = vb_linear(p, n, "attn_k", h->kv_heads[i] * h->dim_k);
    vb_val v = vb_linear(p, n, "attn_v", h->kv_heads[i] * h->dim_v);
    vb_plan_tap(p, "Vcur", v);
    q = vb_rotate(p, vb_norm_rms(p, q, "attn_q_norm", h->dim_k, h->eps), rope, h->dim_k);
    vb_plan_tap(p, "Qcur", q);
    k = vb_rotate(p, vb_norm_rms(p, k, "attn_k_norm", h->dim_k, h->eps), rope, h->dim_k);
    vb_plan_tap(p, "Kcur", k);
    return vb_linear(p, vb_attend(p, q, k, v, &shape), "attn_output", h->width);
}

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    int width = f->h->width;
    float eps = f->h->eps;
    vb_layer(p, i);
    vb_val n = vb_norm_rms(p, x, "attn_norm", width, eps);
    vb_plan_tap(p, "attn_norm", n);
    n = vb_norm_rms(p, attention(f, i, n), "post_attention_norm", width, eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "sa_out", x);
    n = vb_norm_rms(p, x, "ffn_norm", width, eps);
    vb_plan_tap(p, "ffn_norm", n);
    n = vb_norm_rms(p, vb_gated_ffn(p, n, f->h->ff[i], VB_GLU_GELU_TANH), "post_ffw_norm", width, eps);
    vb_plan_tap(p, "ffn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    /* The 27B model scales by its width, not by its head size; its 62 layers tell it, no key does. */
    if (h->attn_scale == 0.0f) {
        int n = h->layers == 62 ? h->width / h->heads[0] : h->dim_k;
        h->attn_scale = 1.0f / sqrtf((float)(n > 0 ? n : 1));
    }
    if (h->window_every == 0) h->window_every = 6;
    if (h->eps == 0.0f)
        VB_FAIL(err, VB_E_FORMAT, "gemma3.attention.layer_norm_rms_epsilon: expected a positive number, found none");
    if (h->scaling == VB_SCALING_YARN)
        VB_FAIL(err, VB_E_UNSUPPORTED, "gemma3.rope.scaling.type: expected none or linear, found yarn");
    return VB_OK;
}

static void emit(vb_plan *p, const vb_params *h)
{
    family f = {.p = p, .h = h};
    vb_rope global = {.n_rot = h->n_rot, .pairing = VB_PAIR_NEOX, .base = h->rope_base, .scaling = h->scaling,
                      .factor = h->scaling_factor, .attn_factor = 1.0};
    vb_rope local = {.n_rot = h->n_rot, .pairing = VB_PAIR_NEOX, .base = h->rope_base_local, .factor = 1.0,
                     .attn_factor = 1.0};
    f.rope_global = vb_new_rope(p, &global, NULL);
    f.rope_local = vb_new_rope(p, &local, NULL);
    vb_val x = vb_scale(p, vb_embed(p, "token_embd", h->width), sqrtf((float)h->width));
    vb_plan_tap(p, "inp_scaled", x);
    for (int i = 0; i < h->layers; i++) x = block(&f, i, x);
    vb_layer(p, -1);
    x = vb_norm_rms(p, vb_wanted(p, x), "output_norm", h->width, h->eps);
    vb_plan_tap(p, "result_norm", x);
    x = vb_linear(p, x, vb_has(p, "output") ? "output" : "token_embd", h->vocab);
    x = vb_softcap(p, x, h->final_softcap);
    vb_plan_tap(p, "result_output", x);
    vb_output(p, x);
}

const vb_arch vb_arch_gemma3 = {"gemma3", settle, emit};
