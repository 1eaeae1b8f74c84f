/* gemma4.c - Gemma 4 (text), in its four shapes: E2B and E4B, 31B, and 26B-A4B with a mixture of experts.
 *
 *   h = x + norm(Wo attend(rope(norm(Wq n)), rope(norm(Wk n)), norm(Wv n)))    n = norm(x), scores not scaled
 *   y = h + norm(Wdown(gelu(Wgate m) * (Wup m)))                               m = norm(h)
 *   z = y + norm(Wproj(gelu(Winp y) * e))                                      e: the token's embedding in this layer
 *   x = z * c                                                                  c: a number of the layer
 *
 * Sliding-window layers have heads and a rope of their own. Where a layer has no Wv, v is what k was before its norm.
 * The last layers have neither Wk nor Wv and attend to what the last layer of their kind before them has kept. The
 * line with e belongs to E2B and E4B, the mixture (router, experts beside the dense half) to 26B-A4B.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope[2];      /* of global layers, of local ones */
    vb_val kept[2];   /* the last attention of each kind that has keys and values of its own */
    vb_val per_layer; /* all layers' embeddings of a token; -1: none */
} family;

/* --- attention --------------------------------------------------------------------------------------------------- */

static vb_heads heads_of(const vb_params *h, int i)
{
    vb_heads shape = vb_heads_of(h, i);
    if (!vb_is_local(h, i)) return shape;
    shape.dim_k = h->dim_k_local;
    shape.dim_v = h->dim_v_local;
    shape.window = h->window;
    return shape;
}

static vb_val attend_own(family *f, int i, vb_val n, vb_val q)
{
    vb_plan *p = f->p;
    vb_heads s = heads_of(f->h, i);
    int local = vb_is_local(f->h, i);
    vb_val k = vb_linear(p, n, "attn_k", s.kv_heads * s.dim_k);
    vb_val v = vb_has(p, "attn_v") ? vb_linear(p, n, "attn_v", s.kv_heads * s.dim_v) : k;
    k = vb_rotate(p, vb_norm_rms(p, k, "attn_k_norm", s.dim_k, f->h->eps), f->rope[local], s.dim_k);
    vb_plan_tap(p, "Kcur_pos", k);
    v = vb_norm_rms(p, v, NULL, s.dim_v, f->h->eps);
    vb_plan_tap(p, "Vcur_normed", v);
    return f->kept[local] = vb_attend(p, q, k, v, &s);
}

static vb_val attend_kept(family *f, int i, vb_val q)
{
    static const char *const spare[] = {"attn_k", "attn_v", "attn_k_norm"}; /* that older files have */
    vb_heads s = heads_of(f->h, i);
    for (int k = 0; k < 3; k++) vb_ignore(f->p, spare[k]);
    return vb_attend_kept(f->p, q, f->kept[vb_is_local(f->h, i)], &s);
}

static vb_val attention(family *f, int i, vb_val n)
{
    vb_plan *p = f->p;
    vb_heads s = heads_of(f->h, i);
    vb_val q = vb_linear(p, n, "attn_q", s.heads * s.dim_k);
    q = vb_rotate(p, vb_norm_rms(p, q, "attn_q_norm", s.dim_k, f->h->eps), f->rope[vb_is_local(f->h, i)], s.dim_k);
    vb_plan_tap(p, "Qcur_pos", q);
    vb_val y = i < f->h->layers - f->h->shared_layers ? attend_own(f, i, n, q) : attend_kept(f, i, q);
    return vb_linear(p, y, "attn_output", f->h->width);
}

/* --- the other half ------------------------------------------------------------------------------------------------ */

/* The router sees h by a norm of its own, the experts by another. */
static vb_val experts(const family *f, vb_val x)
{
    vb_plan *p = f->p;
    int width = f->h->width, ff = f->h->expert_ff, fused = vb_has(p, "ffn_gate_up_exps");
    vb_val r = vb_scale(p, vb_norm_rms_by(p, x, "ffn_gate_inp.scale", width, f->h->eps), 1.0f / sqrtf((float)width));
    vb_val logits = vb_linear(p, r, "ffn_gate_inp", f->h->experts);
    vb_plan_tap(p, "ffn_moe_logits", logits);
    vb_val route = vb_route(p, logits, f->h->experts_used, VB_ROUTE_NORMALISED, "ffn_down_exps.scale");
    vb_val n = vb_norm_rms(p, x, "pre_ffw_norm_2", width, f->h->eps);
    vb_plan_tap(p, "ffn_norm_2", n);
    if (!fused) return vb_experts_ffn(p, n, route, ff, VB_GLU_GELU_TANH);
    vb_val gate = vb_linear_experts(p, n, route, "ffn_gate_up_exps", (vb_expert_rows){ff, 0, 2 * ff});
    vb_val up = vb_linear_experts(p, n, route, "ffn_gate_up_exps", (vb_expert_rows){ff, ff, 2 * ff});
    vb_val down = vb_linear_experts(p, vb_gated(p, gate, up, VB_GLU_GELU_TANH), route, "ffn_down_exps",
                                    (vb_expert_rows){width, 0, width});
    return vb_mix(p, down, route);
}

static vb_val ffn(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    int width = f->h->width;
    float eps = f->h->eps;
    vb_val n = vb_norm_rms(p, x, "ffn_norm", width, eps);
    vb_val y = vb_gated_ffn(p, n, f->h->ff[i], VB_GLU_GELU_TANH);
    if (f->h->experts > 0) {
        y = vb_norm_rms(p, y, "post_ffw_norm_1", width, eps);
        vb_val routed = vb_norm_rms(p, experts(f, x), "post_ffw_norm_2", width, eps);
        y = vb_add(p, y, routed);
    }
    y = vb_norm_rms(p, y, "post_ffw_norm", width, eps);
    vb_plan_tap(p, "ffn_post_norm", y);
    return vb_add(p, x, y);
}

/* --- embeddings of the layers ------------------------------------------------------------------------------------- */

/* Once a token: its row of the table, and what its first embedding says, together. */
static vb_val per_layer_inputs(vb_plan *p, const vb_params *h, vb_val x)
{
    int one = h->per_layer_width, all = one * h->layers;
    if (one == 0) return -1;
    vb_val own = vb_scale(p, vb_embed(p, "per_layer_token_embd", all), sqrtf((float)one));
    vb_val said = vb_scale(p, vb_linear(p, x, "per_layer_model_proj", all), 1.0f / sqrtf((float)h->width));
    said = vb_norm_rms(p, said, "per_layer_proj_norm", one, h->eps);
    vb_val both = vb_scale(p, vb_add(p, said, own), 1.0f / sqrtf(2.0f));
    vb_plan_tap(p, "inp_per_layer", both);
    return both;
}

static vb_val per_layer(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    int one = f->h->per_layer_width;
    if (one == 0) return x;
    vb_val e = vb_slice(p, f->per_layer, one * f->h->layers, one * i, one);
    vb_val y = vb_gated(p, vb_linear(p, x, "inp_gate", one), e, VB_GLU_GELU_TANH);
    y = vb_norm_rms(p, vb_linear(p, y, "proj", f->h->width), "post_norm", f->h->width, f->h->eps);
    vb_plan_tap(p, "per_layer_embd_out", y);
    return vb_add(p, x, y);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static vb_val block(family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    vb_val n = attention(f, i, vb_attn_norm(p, f->h, i, x));
    n = vb_norm_rms(p, n, "post_attention_norm", f->h->width, f->h->eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_add(p, n, x);
    vb_plan_tap(p, "attn_out", x);
    x = per_layer(f, i, ffn(f, i, x));
    x = vb_scale_by(p, x, "layer_output_scale");
    vb_plan_tap(p, "l_out", x);
    return x;
}

/* Each of the last layers finds one of its kind that keeps what it attends to. */
static vb_status settle_shared(const vb_params *h, vb_err *err)
{
    int own = h->layers - h->shared_layers, found[2] = {0, 0};
    if (own < 1)
        VB_FAIL(err, VB_E_FORMAT, "gemma4.attention.shared_kv_layers: expected fewer than %d, found %d", h->layers,
                h->shared_layers);
    for (int i = 0; i < h->layers; i++) {
        int local = vb_is_local(h, i);
        if (i < own) found[local] = 1;
        if (!found[local])
            VB_FAIL(err, VB_E_FORMAT, "gemma4.attention.shared_kv_layers: layer %d: expected a %s layer before the last "
                    "%d, found none", i, local ? "sliding-window" : "global", h->shared_layers);
    }
    return VB_OK;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    if (h->attn_scale == 0.0f) h->attn_scale = 1.0f;
    if (h->dim_k_local == 0) h->dim_k_local = h->dim_k;
    if (h->dim_v_local == 0) h->dim_v_local = h->dim_k_local;
    if (h->n_rot_local == 0) h->n_rot_local = h->dim_k_local;
    if (h->n_rot_local % 2 != 0 || h->n_rot_local > h->dim_k_local)
        VB_FAIL(err, VB_E_FORMAT, "gemma4.rope.dimension_count_swa: expected an even number up to the head size %d, found "
                "%d", h->dim_k_local, h->n_rot_local);
    if (h->window > 0 && h->window_layers == NULL && h->window_every == 0)
        VB_FAIL(err, VB_E_FORMAT, "gemma4.attention.sliding_window_pattern: expected one value a layer, found none");
    if (h->experts > 0) VB_TRY(vb_settle_experts(h, err));
    vb_settle_yarn(h);
    VB_TRY(settle_shared(h, err));
    return vb_need_eps(h, err);
}

static void emit(vb_plan *p, const vb_params *h)
{
    family f = {.p = p, .h = h};
    vb_rope global = vb_rope_of(h, VB_PAIR_NEOX);
    vb_rope local = {.n_rot = h->n_rot_local, .pairing = VB_PAIR_NEOX, .base = h->rope_base_local, .factor = 1.0,
                     .attn_factor = 1.0};
    f.rope[0] = vb_new_rope(p, &global, "rope_freqs");
    f.rope[1] = vb_new_rope(p, &local, NULL);
    vb_val x = vb_start(p, h, sqrtf((float)h->width));
    f.per_layer = per_layer_inputs(p, h, x);
    for (int i = 0; i < h->layers; i++) x = block(&f, i, x);
    vb_result(p, vb_softcap(p, vb_logits(p, h, x), h->final_softcap));
}

const vb_arch vb_arch_gemma4 = {"gemma4", settle, emit};
