/* common.h - what several families settle and emit alike.
 *
 * Each emitting function appends a few steps in the order that most families have; a family that differs writes its own.
 */
#ifndef VB_ARCH_COMMON_H
#define VB_ARCH_COMMON_H
#include "arch/arch.h"

typedef struct {
    vb_val q, k, v;
} vb_qkv;

/* Usual settle(): scores by 1/sqrt(head size), a yarn context, one epsilon that must be there, no experts. */
vb_status vb_settle_dense(vb_params *h, vb_err *err);
/* Every rotating dimension and every kind of scaling as the file says. */
vb_rope vb_rope_of(const vb_params *h, vb_pairing pairing);
/* Yarn without the context it scales from: the model's own. */
void vb_settle_yarn(vb_params *h);
/* An error where the file gives no epsilon for its RMS norms. */
vb_status vb_need_eps(const vb_params *h, vb_err *err);
/* The same for its layer norms. */
vb_status vb_need_layer_eps(const vb_params *h, vb_err *err);
/* An error where experts, those used for a token, or their width make no sense; a width left out is feed_forward_length
 * of layer 0. */
vb_status vb_settle_experts(vb_params *h, vb_err *err);
/* As vb_settle_dense, for a model with experts. */
vb_status vb_settle_routed(vb_params *h, vb_err *err);
/* 1: layer i has the sliding window: by the file's own list, else all but each window_every-th. */
int vb_is_local(const vb_params *h, int i);
/* The sum of a token's chosen experts, as wide as x. */
vb_val vb_routed_ffn(vb_plan *p, const vb_params *h, vb_val x, vb_routing how, vb_glu act);

/* Heads of layer i without a window. */
vb_heads vb_heads_of(const vb_params *h, int i);
/* norm(x) by attn_norm, which is where layer i begins. */
vb_val vb_attn_norm(vb_plan *p, const vb_params *h, int i, vb_val x);
/* attn_q, attn_k and attn_v of n; or attn_qkv, which holds their rows in this order. */
vb_qkv vb_project(vb_plan *p, const vb_params *h, int i, vb_val n);
/* attn_q_norm and attn_k_norm on each head. */
void vb_norm_heads(vb_plan *p, const vb_params *h, vb_qkv *a);
/* Rotates q and k, unless rope is -1; attends; attn_output. */
vb_val vb_attention(vb_plan *p, const vb_params *h, vb_qkv a, int rope, const vb_heads *shape);
/* x + attention, then h + ffn(norm(h)) by ffn_norm: the pre-norm halves of a layer. */
vb_val vb_attn_added(vb_plan *p, vb_val attention, vb_val x);
vb_val vb_ffn_half(vb_plan *p, const vb_params *h, int i, vb_val x, vb_glu act);

/* The embedding's rows; then, behind all layers, output_norm and the matrix that gives the logits. */
vb_val vb_start(vb_plan *p, const vb_params *h, float scale);
vb_val vb_logits(vb_plan *p, const vb_params *h, vb_val x);
vb_val vb_layer_logits(vb_plan *p, const vb_params *h, vb_val x); /* where output_norm is a layer norm */
void vb_result(vb_plan *p, vb_val logits);

#endif
