/* qwen35.c - Qwen3.5, dense and with a mixture of experts: three layers that remember by a gated delta rule for each
 * layer of attention, whose output passes a gate.
 *
 *   h = x + mix(norm(x))
 *   x = h + Wdown(silu(Wgate m) * (Wup m))        m = norm(h), by the weight post_attention_norm
 *
 *   attention   mix(n) = Wo (attend(rope(norm(q)), rope(norm(k)), v) * sigmoid(gate))
 *               rows of attn_q: head by head its query, then its gate
 *   memory      q|k|v = conv(Wqkv n); q, k unit vectors; mix(n) = Wout (norm(delta(q, k, v)) * silu(Wgate n))
 *               value head h asks with query and key h modulo their number, as the converter has put them
 *
 * The mixture adds to its routed experts a shared one, times sigmoid(w . m). Norm weights are stored as 1 + w. With
 * text alone the sections of the rope have one position, so it is a plain one. Blocks that predict further tokens
 * stand behind the others and are not run.
 */
#include "arch/common.h"

#include <math.h>

typedef struct {
    vb_plan *p;
    const vb_params *h;
    int rope;
} family;

static int is_recurrent(const vb_params *h, int i)
{
    if (h->recurrent_layers != NULL) return h->recurrent_layers[i];
    return (i + 1) % h->full_every != 0;
}

static vb_val attention(const family *f, int i, vb_val n)
{
    const vb_params *h = f->h;
    vb_plan *p = f->p;
    int dim = h->dim_k;
    vb_heads shape = vb_heads_of(h, i);
    vb_qkv a;
    vb_val both = vb_linear(p, n, "attn_q", 2 * h->heads[i] * dim);
    a.k = vb_linear(p, n, "attn_k", h->kv_heads[i] * dim);
    a.v = vb_linear(p, n, "attn_v", h->kv_heads[i] * dim);
    vb_plan_tap(p, "Vcur", a.v);
    a.q = vb_slice(p, both, 2 * dim, 0, dim);
    vb_val gate = vb_slice(p, both, 2 * dim, dim, dim);
    vb_norm_heads(p, h, &a);
    a.q = vb_rotate(p, a.q, f->rope, dim);
    vb_plan_tap(p, "Qcur", a.q);
    a.k = vb_rotate(p, a.k, f->rope, dim);
    vb_plan_tap(p, "Kcur", a.k);
    vb_val y = vb_gated(p, gate, vb_attend(p, a.q, a.k, a.v, &shape), VB_GLU_SIGMOID);
    return vb_linear(p, y, "attn_output", h->width);
}

/* x / sqrt(sum of squares + 1e-6) for each head is a norm without weight, by a smaller epsilon and scale. */
static vb_val memory(const family *f, vb_val n)
{
    const vb_params *h = f->h;
    vb_plan *p = f->p;
    int dim = h->delta_dim, keys = 2 * h->delta_key_heads * dim, values = h->delta_value_heads * dim;
    float unit = 1.0f / sqrtf((float)dim);
    vb_delta_heads shape = {h->delta_key_heads, h->delta_value_heads, dim, unit};
    vb_val x = vb_linear(p, n, "attn_qkv", keys + values);
    vb_plan_tap(p, "linear_attn_qkv_mixed", x);
    vb_val z = vb_linear(p, n, "attn_gate", values);
    vb_val beta = vb_linear(p, n, "ssm_beta", h->delta_value_heads);
    vb_val alpha = vb_linear(p, n, "ssm_alpha", h->delta_value_heads);
    vb_val decay = vb_decay(p, alpha, beta, "ssm_a", "ssm_dt");
    x = vb_conv(p, x, "ssm_conv1d", h->conv_taps);
    vb_plan_tap(p, "conv_output_silu", x);
    vb_val qk = vb_slice(p, x, keys + values, 0, keys), v = vb_slice(p, x, keys + values, keys, values);
    qk = vb_scale(p, vb_norm_rms(p, qk, NULL, dim, 1e-6f / (float)dim), unit);
    x = vb_delta_rule(p, qk, v, decay, &shape);
    x = vb_gated(p, z, vb_norm_rms(p, x, "ssm_norm", dim, h->eps), VB_GLU_SILU);
    x = vb_linear(p, x, "ssm_out", h->width);
    vb_plan_tap(p, "linear_attn_out", x);
    return x;
}

static vb_val mixture(const family *f, vb_val m)
{
    vb_plan *p = f->p;
    const vb_params *h = f->h;
    vb_val routed = vb_routed_ffn(p, h, m, VB_ROUTE_NORMALISED, VB_GLU_SILU);
    vb_val gate = vb_linear(p, m, "ffn_gate_shexp", h->shared_ff), up = vb_linear(p, m, "ffn_up_shexp", h->shared_ff);
    vb_val shared = vb_linear(p, vb_gated(p, gate, up, VB_GLU_SILU), "ffn_down_shexp", h->width);
    shared = vb_gate(p, vb_linear(p, m, "ffn_gate_inp_shexp", 1), shared);
    vb_plan_tap(p, "ffn_shexp_gated", shared);
    return vb_add(p, routed, shared);
}

static vb_val block(const family *f, int i, vb_val x)
{
    vb_plan *p = f->p;
    const vb_params *h = f->h;
    vb_val n = vb_attn_norm(p, h, i, x);
    x = vb_add(p, is_recurrent(h, i) ? memory(f, n) : attention(f, i, n), x);
    vb_plan_tap(p, "attn_residual", x);
    n = vb_norm_rms(p, x, "post_attention_norm", h->width, h->eps);
    vb_plan_tap(p, "attn_post_norm", n);
    x = vb_add(p, h->experts > 0 ? mixture(f, n) : vb_gated_ffn(p, n, h->ff[i], VB_GLU_SILU), x);
    vb_plan_tap(p, "l_out", x);
    return x;
}

static vb_status delta_fits(const vb_params *h, vb_err *err)
{
    if (h->conv_taps == 0 || h->delta_dim == 0 || h->delta_key_heads == 0 || h->delta_value_heads == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s.ssm: expected conv_kernel, state_size, group_count and time_step_rank, found %d, "
                "%d, %d and %d", h->arch, h->conv_taps, h->delta_dim, h->delta_key_heads, h->delta_value_heads);
    if (h->delta_width != 0 && h->delta_width != h->delta_value_heads * h->delta_dim)
        VB_FAIL(err, VB_E_FORMAT, "%s.ssm.inner_size: expected %d heads of %d, found %d", h->arch, h->delta_value_heads,
                h->delta_dim, h->delta_width);
    if (h->recurrent_layers == NULL && h->full_every == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s.full_attention_interval: expected a number, found none", h->arch);
    return VB_OK;
}

static vb_status settle(vb_params *h, vb_err *err)
{
    h->attn_scale = 1.0f / sqrtf((float)h->dim_k);
    vb_settle_yarn(h);
    if (h->extra_layers >= h->layers)
        VB_FAIL(err, VB_E_FORMAT, "%s.nextn_predict_layers: expected fewer than %d, found %d", h->arch, h->layers,
                h->extra_layers);
    if (h->dim_v != h->dim_k)
        VB_FAIL(err, VB_E_FORMAT, "%s.attention.value_length: expected %d, found %d", h->arch, h->dim_k, h->dim_v);
    VB_TRY(vb_need_eps(h, err));
    return delta_fits(h, err);
}

static vb_status settle_dense(vb_params *h, vb_err *err)
{
    h->experts = 0;
    return settle(h, err);
}

static vb_status settle_moe(vb_params *h, vb_err *err)
{
    if (h->shared_ff == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s.expert_shared_feed_forward_length: expected a width, found none", h->arch);
    VB_TRY(vb_settle_experts(h, err));
    return settle(h, err);
}

static void emit(vb_plan *p, const vb_params *h)
{
    family f = {.p = p, .h = h};
    vb_rope rope = vb_rope_of(h, VB_PAIR_NEOX);
    f.rope = vb_new_rope(p, &rope, NULL);
    vb_val x = vb_start(p, h, 1.0f);
    for (int i = 0; i < h->layers - h->extra_layers; i++) x = block(&f, i, x);
    for (int i = h->layers - h->extra_layers; i < h->layers; i++) vb_ignore_layer(p, i);
    vb_result(p, vb_logits(p, h, x));
}

const vb_arch vb_arch_qwen35 = {"qwen35", settle_dense, emit};
const vb_arch vb_arch_qwen35moe = {"qwen35moe", settle_moe, emit};
