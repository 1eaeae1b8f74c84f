/* plan.h - the score: a model as a list of steps that any player can perform.
 *
 *   file -> tensors, params -> arch/<family>.c calls the builder below -> plan -> run | oracle
 *
 * A value is one row of floats per token. A step reads values defined before it and defines one. State (the KV
 * cache) is declared by the step that owns it. Nothing here knows of threads, memory or instruction sets.
 *
 * Building never has to be checked step by step: the first failure is kept in plan->err, later calls do nothing,
 * and vb_plan_finish returns it. Weight names are relative to the current layer ("attn_q" is blk.<i>.attn_q).
 */
#ifndef VB_PLAN_PLAN_H
#define VB_PLAN_PLAN_H
#include "base/arena.h"
#include "model/params.h"
#include "model/tensors.h"

typedef int vb_val; /* index of a value; -1: none */

typedef enum {
#define VB_OP(ID, text, inputs, meaning) VB_OP_##ID,
#include "base/ops.def"
    VB_OPS
} vb_op;

typedef enum { VB_PAIR_NORM, VB_PAIR_NEOX } vb_pairing; /* pairs (2i, 2i+1) or (i, i + n_rot/2) */
typedef enum { VB_GLU_SILU, VB_GLU_GELU_TANH, VB_GLU_CLAMPED, VB_GLU_SIGMOID } vb_glu;

/* What the weights of a token's experts are (J4): shares of a softmax over all experts, the same divided by their sum,
 * or a softmax over the chosen experts alone. */
typedef enum { VB_ROUTE_SHARES, VB_ROUTE_NORMALISED, VB_ROUTE_CHOSEN } vb_routing;
typedef enum { VB_CURVE_SILU, VB_CURVE_GELU_TANH, VB_CURVE_GELU_ERF } vb_curve; /* of act */
/* Which row of the table an embed step takes for a token. */
typedef enum { VB_BY_TOKEN, VB_BY_POSITION, VB_BY_FIRST } vb_embed_by;

/* Angle of pair i at position p (docs/ARITHMETIC.md J2); each player computes it with its own routines. */
typedef struct {
    int n_rot;
    vb_pairing pairing;
    double base;
    vb_scaling scaling;
    double factor, context, attn_factor, beta_fast, beta_slow;
    const vb_tensor *factors;      /* F32 [n_rot/2]: the angle is divided by it; NULL: none */
    const vb_tensor *long_factors; /* instead of them, in sessions of more than `context` tokens; NULL: none */
} vb_rope;

/* Keys and values of one layer at absolute positions. */
typedef struct {
    int layer, kv_heads, dim_k, dim_v;
} vb_slot;

/* What a step knows of all past tokens in one place, as floats whatever the KV type: the last inputs of a convolution,
 * the matrices of a delta rule. Each token changes it, so it belongs to one position and cannot be cut at another. */
typedef struct {
    int layer;
    int64_t floats;
} vb_memory;
enum { VB_MOST_TAPS = 16 }; /* of a convolution; at least 2 */

typedef struct {
    vb_op op;
    int layer; /* -1: outside of the layers */
    vb_val out, in[3];
    const vb_tensor *weight, *bias; /* bias is F32; both NULL where a step has none */
    union {
        struct {
            vb_embed_by by;
        } embed;
        struct {
            float by;
        } scale;
        struct {
            int group; /* elements normed together; the weight, if any, has as many. norm_layer: the whole row */
            float eps;
        } norm;
        struct {
            int rope; /* index into plan->ropes */
            int head_dim;
        } rope;
        struct {
            int slot, heads, kv_heads, dim_k, dim_v;
            int window; /* query i sees key j iff 0 <= i-j < window; 0: all of the past */
            float scale, softcap; /* softcap 0: none */
            int whole; /* 1: a query sees every position of its text */
        } attend;
        struct {
            int group, from, len; /* elements from..from+len of every group */
        } slice;
        struct {
            int memory, taps; /* the weight has rows of as many: the last is for the token itself */
        } conv;
        struct {
            int memory, key_heads, value_heads, dim; /* value head h asks with query and key h modulo key_heads */
            float scale;
        } delta;
        struct {
            vb_glu act;
        } glu;
        struct {
            vb_curve curve;
        } act;
        struct {
            float cap;
        } softcap;
        struct {
            int experts, used; /* of all, those chosen for a token; the value is used numbers, then used weights */
            vb_routing how;    /* the weight of the step, if any: F32 [experts], a factor for each expert's weight */
        } route;
        struct {
            int experts, used;
            int rows, from, total; /* of an expert's `total` rows those from `from` on */
        } experts;
    } u;
} vb_step;

typedef struct {
    int width;       /* floats a token */
    int parts;       /* rows of that width put together: one for each chosen expert, else 1 */
    int wanted;      /* 1: only for the tokens whose logits are asked for */
    int step;        /* that defines it */
    int last_use;    /* last step that reads it, n_steps for the output */
    const char *tap; /* llama.cpp's callback name, NULL: none */
} vb_value;

typedef struct {
    vb_step *steps;
    vb_value *values;
    vb_rope *ropes;
    vb_slot *slots;
    vb_memory *memories;
    int n_steps, n_values, n_ropes, n_slots, n_memories;
    vb_val output; /* logits, or the embeddings of tokens */
    int vocab, layers;
    int out_width; /* of the output: the vocabulary, or that of an embedding */
    int embeds;    /* 1: the output is no logits */
    int whole;     /* 1: some step sees what follows a token, so that texts are evaluated only as a whole */
    int positions; /* rows of the tables that are read by position: the longest text; 0: no such table */
    uint8_t digest[32]; /* SHA-256 of steps, shapes, constants and formats */
    /* while building */
    vb_arena arena;
    vb_tensors *tensors;
    int layer, cap_steps, cap_values, cap_ropes, cap_slots, cap_memories;
    vb_err err;
} vb_plan;

/* --- the builder, for arch/ ---------------------------------------------------------------------------- */
void vb_plan_start(vb_plan *p, vb_tensors *tensors, const vb_params *h);
void vb_layer(vb_plan *p, int layer); /* -1: names are global again */
vb_val vb_embed(vb_plan *p, const char *table, int width);
vb_val vb_embed_position(vb_plan *p, const char *table, int width, int positions); /* a row for each position */
vb_val vb_embed_first(vb_plan *p, const char *table, int width); /* row 0 for every token */
vb_val vb_wanted(vb_plan *p, vb_val x);
vb_val vb_scale(vb_plan *p, vb_val x, float by); /* by 1 adds no step */
vb_val vb_scale_by(vb_plan *p, vb_val x, const char *scalar); /* by the one number of an optional tensor */
vb_val vb_add(vb_plan *p, vb_val x, vb_val y);
/* Weight and bias as wide as x. */
vb_val vb_norm_layer(vb_plan *p, vb_val x, const char *weight, float eps);
vb_val vb_norm_rms(vb_plan *p, vb_val x, const char *weight, int group, float eps); /* weight NULL: none */
vb_val vb_slice(vb_plan *p, vb_val x, int group, int from, int len);
/* out: the number of rows the weight must have; "<weight>.bias" is added if the file has it. */
vb_val vb_linear(vb_plan *p, vb_val x, const char *weight, int out);
/* By rows from..from+rows of a weight that holds several matrices, `total` rows in all; of its bias likewise. */
vb_val vb_linear_part(vb_plan *p, vb_val x, const char *weight, int from, int rows, int total);
void vb_ignore(vb_plan *p, const char *weight); /* may be in this layer and is not used */
/* The weight by its full name within the layer. */
vb_val vb_norm_rms_by(vb_plan *p, vb_val x, const char *tensor, int group, float eps);
int vb_has(const vb_plan *p, const char *weight); /* 1: the file has "<weight>.weight" in this layer */
int vb_new_rope(vb_plan *p, const vb_rope *spec, const char *factors); /* factors: optional tensor, may be NULL */
/* By rope_factors_short or rope_factors_long, where the file has them. */
int vb_new_long_rope(vb_plan *p, const vb_rope *spec);
vb_val vb_rotate(vb_plan *p, vb_val x, int rope, int head_dim);
/* A shape without slot: the step gets a slot of its own. */
typedef struct {
    int heads, kv_heads, dim_k, dim_v, window;
    float scale, softcap;
    int whole;
} vb_heads;
vb_val vb_attend(vb_plan *p, vb_val q, vb_val k, vb_val v, const vb_heads *shape);
/* Over the keys and values of the step that gave `kept`. */
vb_val vb_attend_kept(vb_plan *p, vb_val q, vb_val kept, const vb_heads *shape);
/* With one more logit for each head, F32 [heads], that joins the softmax and has no value. */
vb_val vb_attend_sinks(vb_plan *p, const vb_val qkv[3], const vb_heads *shape, const char *sinks);
/* silu of a causal depthwise convolution of `taps` tokens. */
vb_val vb_conv(vb_plan *p, vb_val x, const char *weight, int taps);
/* exp(rate * softplus(x + bias)) of every head, then sigmoid(y) of every head. Rate: full name; bias: "<bias>.bias". */
vb_val vb_decay(vb_plan *p, vb_val x, vb_val y, const char *rate, const char *bias);
/* qk: all queries, then all keys, of key_heads; v and the value: value_heads; decay: by vb_decay. */
typedef struct {
    int key_heads, value_heads, dim;
    float scale;
} vb_delta_heads;
vb_val vb_delta_rule(vb_plan *p, vb_val qk, vb_val v, vb_val decay, const vb_delta_heads *shape);
/* Tensors of a block that the file has and nobody runs. */
void vb_ignore_layer(vb_plan *p, int layer);
vb_val vb_gated(vb_plan *p, vb_val gate, vb_val up, vb_glu act);
/* ffn_down(act(ffn_gate x) * (ffn_up x)), as wide as x. */
vb_val vb_gated_ffn(vb_plan *p, vb_val x, int ff, vb_glu act);
vb_val vb_activate(vb_plan *p, vb_val x, vb_curve curve);
/* ffn_down(act(ffn_up x)), as wide as x. */
vb_val vb_plain_ffn(vb_plan *p, vb_val x, int ff, vb_curve curve);
vb_val vb_softcap(vb_plan *p, vb_val x, float cap); /* cap 0 adds no step */
vb_val vb_gate(vb_plan *p, vb_val gate, vb_val x); /* sigmoid(gate) * x; gate is one value a token */
/* --- mixtures of experts */
/* Chooses `used` of as many experts as there are logits. factors: full name of an optional tensor, may be NULL. */
vb_val vb_route(vb_plan *p, vb_val logits, int used, vb_routing how, const char *factors);
/* Each chosen expert's rows [from, from + rows) of `total`; x is one row for all of them, or a row for each. */
typedef struct {
    int rows, from, total;
} vb_expert_rows;
vb_val vb_linear_experts(vb_plan *p, vb_val x, vb_val route, const char *weight, vb_expert_rows rows);
vb_val vb_mix(vb_plan *p, vb_val x, vb_val route);
/* Mixed ffn_down_exps(act(ffn_gate_exps x) * (ffn_up_exps x)), as wide as x. */
vb_val vb_experts_ffn(vb_plan *p, vb_val x, vb_val route, int ff, vb_glu act);
void vb_plan_tap(vb_plan *p, const char *name, vb_val x);
void vb_output(vb_plan *p, vb_val logits);
void vb_output_embeddings(vb_plan *p, vb_val x);
/* Makes of a finished emission a plan that ends at the final norm: its rows are the output, what follows is left out. */
void vb_plan_end_at_norm(vb_plan *p);
vb_status vb_plan_digest(vb_plan *p, vb_err *err);
/* Verifies, computes last uses and the digest. */
vb_status vb_plan_finish(vb_plan *p, vb_err *err);
void vb_plan_free(vb_plan *p);

/* --- for everybody --------------------------------------------------------------------------------------- */
const char *vb_op_name(vb_op op);
/* The rope as it is in a session of `context` tokens: `factors` are those that count there. */
vb_rope vb_rope_in(const vb_rope *rope, int context);
int vb_plan_is_long(const vb_plan *p, int context); /* 1: a rope has its long factors there */
int vb_op_inputs(vb_op op);
vb_status vb_plan_verify(const vb_plan *p, vb_err *err);
/* One line a step; kernel_name (may be NULL) tells the kernel a player takes for it. */
typedef const char *(*vb_kernel_name)(const void *player, const vb_step *step);
vb_status vb_plan_print(const vb_plan *p, FILE *to, int json, vb_kernel_name kernel, const void *player, vb_err *err);

/* Scratch layout by liveness: offset[v] in floats per token for every value but the output (-1 there); values that
 * live at the same time never overlap. Values of wanted tokens alone have a room of their own. Offsets and rooms, in
 * floats per token, are multiples of 16. */
typedef struct {
    int64_t all, wanted;
} vb_room;
vb_room vb_plan_layout(const vb_plan *p, int64_t *offset);

#endif
