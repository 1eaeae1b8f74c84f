/* qwen3moe.c - Qwen3 with a mixture of experts (Qwen3-30B-A3B and relatives), and OLMoE, which is built like it.
 *
 *   h = x + Wo attend(rope(norm(Wq n)), rope(norm(Wk n)), Wv n)      n = norm(x)
 *   x = h + sum over the chosen e of w_e * Wdown_e(silu(Wgate_e m) * (Wup_e m))      m = norm(h)
 *
 * Qwen3 norms each head of q and k and divides the weights by their sum; OLMoE norms q and k as a whole, keeps the
 * weights as shares of all experts.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope, whole; /* whole: q and k are normed over all their heads at once */
    vb_routing how;
} family;

static vb_val normed(const family *f, vb_val x, const char *name, int heads)
{
    int width = heads * f->h->dim_k;
    x = vb_norm_rms(f->p, x, name, f->whole ? width : f->h->dim_k, f->h->eps);
    return vb_rotate(f->p, x, f->rope, f->h->dim_k);
}

static vb_val attention(const family *f, int i, vb_val n)
{
    const vb_params *h = f->h;
    vb_plan *p = f->p;
    vb_heads shape = {.heads = h->heads[i], .kv_heads = h->kv_heads[i], .dim_k = h->dim_k, .dim_v = h->dim_v,
                      .scale = h->attn_scale};
    vb_val q = vb_linear(p, n, "attn_q", h->heads[i] * h->dim_k);
    vb_val k = vb_linear(p, n, "attn_k", h->kv_heads[i] * h->dim_k);
    vb_val v = vb_linear(p, n, "attn_v", h->kv_heads[i] * h->dim_v);
    vb_tap(p, "Vcur", v);
    q = normed(f, q, "attn_q_norm", h->heads[i]);
    vb_tap(p, "Qcur", q);
    k = normed(f, k, "attn_k_norm", h->kv_heads[i]);
    vb_tap(p, "Kcur", k);
    return vb_linear(p, vb_attend(p, q, k, v, &shape), "attn_output", h->width);
}

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    vb_layer(p, i);
    vb_val n = vb_norm_rms(p, x, "attn_norm", f->h->width, f->h->eps);
    vb_tap(p, "attn_norm", n);
    x = vb_add(p, attention(f, i, n), x);
    vb_tap(p, "ffn_inp", x);
    n = vb_norm_rms(p, x, "ffn_norm", f->h->width, f->h->eps);
    vb_tap(p, "ffn_norm", n);
    x = vb_add(p, vb_routed_ffn(p, f->h, n, f->how, VB_GLU_SILU), x);
    vb_tap(p, "l_out", x);
    return x;
}

static void emit_with(family f)
{
    vb_plan *p = f.p;
    const vb_params *h = f.h;
    vb_rope rope = vb_rope_of(h, VB_PAIR_NEOX);
    f.rope = vb_new_rope(p, &rope, NULL);
    vb_val x = vb_embed(p, "token_embd", h->width);
    vb_tap(p, "inp_embd", x);
    for (int i = 0; i < h->layers; i++) x = block(&f, i, x);
    vb_layer(p, -1);
    x = vb_norm_rms(p, vb_wanted(p, x), "output_norm", h->width, h->eps);
    vb_tap(p, "result_norm", x);
    x = vb_linear(p, x, vb_has(p, "output") ? "output" : "token_embd", h->vocab);
    vb_tap(p, "result_output", x);
    vb_output(p, x);
}

static vb_status settle(vb_params *h, vb_err *err)
{
    h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    VB_TRY(vb_need_eps(h, err));
    return vb_settle_experts(h, err);
}

static void emit_qwen3moe(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .how = VB_ROUTE_NORMALISED});
}

static void emit_olmoe(vb_plan *p, const vb_params *h)
{
    emit_with((family){.p = p, .h = h, .whole = 1, .how = VB_ROUTE_SHARES});
}

const vb_arch vb_arch_qwen3moe = {"qwen3moe", settle, emit_qwen3moe};
const vb_arch vb_arch_olmoe = {"olmoe", settle, emit_olmoe};
