/* oracle.h - the definition of every number: slow, plain, alone.
 *
 * Two players perform a plan here. vb_oracle_player computes each value as docs/ARITHMETIC.md says, one token and one
 * step at a time; every other player must give the same bits. vb_blas_player performs the same plan in free-order
 * binary32 with OpenBLAS and the system's mathematical library: it tells how far numbers move when order is free.
 *
 * The functions between them are the single operations, for tests that compare one kernel at a time. What they store
 * has passed the guard (A5). Nothing here knows of simd/ or run/.
 */
#ifndef VB_ORACLE_ORACLE_H
#define VB_ORACLE_ORACLE_H
#include "oracle/arith.h"
#include "plan/player.h"

extern const vb_player vb_oracle_player, vb_blas_player;

/* --- weights (C) ------------------------------------------------------------------------------------------ */
float vb_oracle_element(vb_format format, const void *block, int j); /* element j of a block */
void vb_oracle_dequantize(vb_format format, const void *row, int64_t n, float *out);
/* The float term of one block against quantised activations q with scale d (C1 to C4). */
float vb_oracle_term(vb_format format, const void *block, const int8_t *q, float d);

/* --- steps ------------------------------------------------------------------------------------------------ */
/* weight rows . x (D or E1), plus bias (F32, may be NULL). VB_E_MEMORY is the only failure. */
typedef vb_status vb_oracle_multiply(float *y, const vb_tensor *weight, const vb_tensor *bias, const float *x,
                                     vb_arith arith);
vb_oracle_multiply vb_oracle_linear;
void vb_oracle_embed(float *y, const vb_tensor *table, vb_token id);
void vb_oracle_add(float *y, const float *a, const float *b, int n);
void vb_oracle_scale(float *y, const float *x, float by, int n);
typedef struct {
    int n, group; /* group divides n; the weight has `group` elements */
    float eps;
} vb_oracle_norm;
void vb_oracle_norm_rms(float *y, const float *x, const float *weight, const vb_oracle_norm *how);
/* One row of n. */
void vb_oracle_norm_layer(float *y, const float *x, const vb_step *s, int n);
/* cos and sin, n_rot/2 each, already multiplied by the magnitude and rounded (J2). */
void vb_oracle_rope_table(float *cos, float *sin, const vb_rope *rope, int position);
typedef struct {
    int n, head_dim, n_rot;
    vb_pairing pairing;
} vb_oracle_turn;
void vb_oracle_rope(float *y, const float *x, const float *cos, const float *sin, const vb_oracle_turn *how);
void vb_oracle_glu(float *y, const float *gate, const float *up, int n, vb_glu act);
/* sigmoid(gate) * x for all n */
void vb_oracle_gate(float *y, float gate, const float *x, int n);

/* --- mixtures of experts (J4) ----------------------------------------------------------------------------- */
typedef struct {
    int experts, used;
    vb_routing how;
    const float *factors; /* [experts], NULL: none */
} vb_oracle_routing;
/* y: `used` numbers of experts, then their weights. */
vb_status vb_oracle_route(float *y, const float *logits, const vb_oracle_routing *how);
typedef struct {
    const float *route;
    int parts; /* rows of x: one for all experts or one for each */
    vb_arith arith;
    vb_oracle_multiply *multiply;
} vb_oracle_chosen;
/* The rows of each chosen expert. */
vb_status vb_oracle_linear_experts(float *y, const vb_step *s, const float *x, const vb_oracle_chosen *chosen);
void vb_oracle_mix(float *y, const float *x, const float *route, int used, int n);
void vb_oracle_act(float *y, const float *x, int n, vb_curve curve);
void vb_oracle_slice(float *y, const float *x, int n, int group, int from, int len);
/* weight may be NULL in vb_oracle_norm_rms. What remembers (J3): each call is one token and changes `memory`.
 * conv: x has n channels, the weight a row of `taps` for each; the memory holds the last taps - 1 inputs, oldest first.
 * decay: heads times how much stays, then heads times how much is learnt.
 * delta: queries and keys of all key heads in qk; a head's matrix has a row of `dim` for each element of the key. */
void vb_oracle_conv(float *y, const float *x, const float *weight, float *memory, int taps, int n);
void vb_oracle_decay(float *y, const float *x, const float *z, const vb_tensor *rate, const vb_tensor *bias);
void vb_oracle_delta(float *y, const float *const in[3], float *memory, const vb_delta_heads *shape);
void vb_oracle_softcap(float *y, const float *x, float cap, int n);

/* --- keys and values (J5), attention (G) ------------------------------------------------------------------ */
size_t vb_oracle_kv_size(vb_kv kv, int64_t n); /* bytes of n floats */
/* VB_E_FORMAT if a value does not fit the type (A3). */
vb_status vb_oracle_kv_write(vb_kv kv, void *to, const float *x, int64_t n);
void vb_oracle_kv_read(vb_kv kv, const void *from, int64_t n, float *x);

/* Row p of keys holds kv_heads * dim_k elements of position p, one head after the other; values likewise. */
typedef struct {
    vb_kv kv;
    void *keys, *values;
} vb_oracle_cache;
/* Attention of the query at `position` over the rows 0..position, and over a sink for each head if `sinks` is not NULL.
 * VB_E_FORMAT: a score is not finite (G1). */
vb_status vb_oracle_attend(float *out, const float *q, const vb_oracle_cache *cache, const vb_heads *shape,
                           const float *sinks, int position);

/* --- memories (J3) ---------------------------------------------------------------------------------------- */
typedef struct {
    const vb_plan *plan;
    float **at;   /* [plan->n_memories] */
    int position; /* they are those after 0..position; -1: of an evaluation that did not end */
} vb_oracle_memories;
int vb_oracle_memories_open(vb_oracle_memories *m, const vb_plan *plan); /* 0: out of memory */
void vb_oracle_memories_close(vb_oracle_memories *m);
int vb_oracle_memories_start(const vb_oracle_memories *m, int n);
void vb_oracle_memories_copy(vb_oracle_memories *to, const vb_oracle_memories *from, int n);
/* Before tokens from `position` on; afterwards the caller says where they ended. */
vb_status vb_oracle_memories_begin(vb_oracle_memories *m, int position, vb_err *err);

/* --- choosing tokens (J6) --------------------------------------------------------------------------------- */
vb_status vb_oracle_sample(const float *logits, int n_vocab, const vb_token *past, int n_past, const vb_sampling *s,
                           vb_token *out);
float vb_oracle_logprob(const float *logits, int n_vocab, vb_token id);

#endif
