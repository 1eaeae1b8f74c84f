/* kernels.h - the hot loops as tables of functions, one table for each instruction set.
 *
 *   per instruction set   vec_<isa>.h   vectors of 16, 8 and 4 lanes, one-line functions
 *                         dot_<isa>.h   integers inside a weight block: any order, exact
 *                         few_<isa>.h   the same of rows side by side, panel_<isa>.h of packed ones
 *   once for all          t_*.inc       the drivers: every order of float operations (docs/ARITHMETIC.md)
 *   together              isa_<isa>.c   includes all of them and fills `vb_kernels_<isa>`
 *
 * All tables give the same bits. A kernel that stores values of a step passes them through the guard (A5) and returns
 * non-zero if one of them is not finite (A3). No kernel allocates; buffers need no alignment, and nothing is read
 * behind the end of what was passed.
 */
#ifndef VB_SIMD_KERNELS_H
#define VB_SIMD_KERNELS_H
#include "base/err.h"
#include "base/kv.h"
#include "base/quant.h"

/* Some rows of a weight matrix, in the layout of the file. */
typedef struct {
    const uint8_t *data;
    size_t row_bytes;
    int rows;
} vb_rows;

/* One token's input of a matrix: n floats and, where a kernel asks for it, their quantised form (B). Memory comes
 * from vb_act_place; what lies behind the last block is zero up to a multiple of 16 blocks of 32. */
typedef struct {
    int n;
    const float *x;
    int8_t *q;      /* [n] */
    int8_t *pairs;  /* Q32, x86: q of every fourth of 8 (AVX2) or 16 (AVX-512) blocks side by side, as 4-bit weights
                       are unpacked: v 0-15, v+4 0-15, ..., v 16-31, v+4 16-31, ... for v of 0 to 3.
                       Q256, AVX-512: of each four of 32 columns the first, the third, the second, the fourth */
    float *d;       /* [n / 32] or [n / 256] */
    int32_t *sum;   /* Q32: sum of q over each block; Q256: unused */
    int16_t *sum16; /* Q256: over each 16 */
    int16_t *sum32; /* Q256: over each 32 */
} vb_act;
size_t vb_act_bytes(int n); /* a multiple of 64 */
void vb_act_place(vb_act *a, void *memory, int n);

/* A layer norm over n elements. */
typedef struct {
    const float *weight, *bias;
    int n;
    float eps;
} vb_layer_norm;

/* One head: n_rot/2 cosines and sines; the elements behind n_rot are copied. */
typedef struct {
    const float *cos, *sin;
    int n_rot, head_dim;
} vb_turn;

/* Attention goes by chunks of positions on an absolute grid (G1), for up to VB_GROUP queries at a time. */
enum { VB_CHUNK = 64, VB_GROUP = 64 };

/* One query head of one token; it sees the positions first..last. */
typedef struct {
    const float *q;
    int first, last;
    float *sums; /* [vb_sums_floats] of the chunks so far: m, l, nothing up to VB_SUMS_O, o */
} vb_query;
enum { VB_SUMS_M = 0, VB_SUMS_L = 1, VB_SUMS_O = 16 };
int vb_sums_floats(int dim_v); /* a multiple of 16 */
void vb_sums_clear(float *sums, int dim_v);

/* Queries that share one key and value head, against the positions from..to. Keys and values lie as base/kv.h says: a
 * value `value_stride` bytes behind the one before, a tile of keys VB_KEYS times `key_stride`; keys that share a tile
 * with those that are seen may be read. From query to query, first and last do not decrease. */
typedef struct {
    const vb_query *queries;
    int n; /* <= VB_GROUP */
    const uint8_t *keys, *values; /* from position 0 on */
    size_t key_stride, value_stride;
    int dim_k, dim_v, from, to;
    float scale, softcap; /* softcap 0: none */
    float *work; /* [vb_group_floats] */
    size_t apart; /* 0: all chunks join `sums`; else each has its own, this many floats behind those of the one before */
} vb_group;
int vb_group_floats(int n, int dim_k); /* a multiple of 16 */

/* One token whose heads have four elements, and keys and values of their own, which it sees at positions first..last.
 * They lie, and may be read, as those of a group. */
typedef struct {
    const float *q;  /* [heads][4] */
    float *y;        /* [heads][4]: the sums over their weights */
    const uint8_t *keys, *values; /* of the first head, position 0 */
    size_t head_bytes;            /* from a head's keys or values to the next one's */
    int heads;                    /* a multiple of 4 */
    int first, last;
    float scale;
} vb_fours;

/* Weight rows times many tokens. Results go to y[t][from], y[t][from + 1], ... for each token t. */
typedef struct {
    const vb_rows *w;
    const vb_act *a; /* [tokens]; matmul: its n alone, of one, for the rest is in strips */
    int tokens, from;
    float *const *y; /* [tokens] */
    uint8_t *panel;  /* vb_panel_bytes(a->n), to work in */
    const uint8_t *strips; /* matmul: the same by vb_kernels.lay, strip behind strip */
    /* matmul: where to tell what settle tells, together for all; the results are settled then. NULL: they are not. */
    uint32_t *bad;
    const float *bias; /* of the rows, only to settle; NULL: none */
} vb_product;
size_t vb_panel_bytes(int n); /* enough for every instruction set and format; a multiple of 64 */
size_t vb_strip_bytes(vb_act_kind kind, int n); /* of one activation in a strip */
enum { VB_STRIP_MOST = 8 };
enum { VB_FEW = 16, VB_FEW_SHORT = 64 }; /* tokens that vb_kernels.few takes at most; of rows of 64 columns without gaps */

/* The delta rule of one head for one token (J3), some columns of its matrix: rows by elements of the key. */
typedef struct {
    const float *from; /* the matrix before the token, may be `to` */
    float *to;
    const float *q, *k, *v; /* q, k: [rows]; v: [cols] */
    float *out;             /* [cols] */
    int rows, cols, stride;
    float stays, learns, scale;
} vb_delta;

enum { VB_KV_KINDS = VB_KV_Q8_0 + 1 };

typedef struct {
    const char *isa;
    /* y[r] = row r . x: C and D on the quantised input where the format has one, else E1. Neither bias nor guard. */
    void (*matvec[VB_FORMATS])(float *y, const vb_rows *w, const vb_act *a);
    /* The same for four activations of one length; NULL for formats whose matvec is not quantised (E1). */
    void (*matvec4[VB_FORMATS])(float *const y[4], const vb_rows *w, const vb_act a[4]);
    /* The same for many, by panels packed on the fly; NULL where a table has none: matvec and matvec4 do it then. */
    void (*matmul[VB_FORMATS])(const vb_product *p);
    /* The same for 1 to VB_FEW, which needs no panel; NULL where a table has none: as above. */
    void (*few[VB_FORMATS])(const vb_product *p);
    /* Lays n activations side by side for matmul, in strips of so many: the last takes as much room as a full one. */
    void (*lay[VB_ACT_Q256 + 1])(uint8_t *to, const vb_act *a, int n);
    int strip[VB_ACT_Q256 + 1]; /* by their kind, at most VB_STRIP_MOST */
    /* From how many activations on matmul is the faster one, by their kind. */
    int matmul_from[VB_ACT_Q256 + 1];
    void (*dequantize[VB_FORMATS])(float *y, const void *row, int n); /* C6, not guarded */
    void (*quantize[VB_ACT_Q256 + 1])(vb_act *a);                     /* B; NULL for VB_ACT_F32 */
    uint32_t (*settle)(float *y, const float *bias, int n);           /* y = guard(y + bias); bias may be NULL */
    /* E4, one group; weight may be NULL */
    uint32_t (*norm_rms)(float *y, const float *x, const float *weight, int n, float eps);
    uint32_t (*norm_layer)(float *y, const float *x, const vb_layer_norm *how); /* J1; y and x apart */
    uint32_t (*rope_norm)(float *y, const float *x, const vb_turn *t);
    uint32_t (*rope_neox)(float *y, const float *x, const vb_turn *t);
    uint32_t (*add)(float *y, const float *a, const float *b, int n);
    uint32_t (*scale)(float *y, const float *x, float by, int n);
    uint32_t (*glu_silu)(float *y, const float *gate, const float *up, int n);
    uint32_t (*glu_gelu_tanh)(float *y, const float *gate, const float *up, int n);
    /* min(gate, 7) * sigmoid(1.702 of it), times up within -7..7 plus 1 */
    uint32_t (*glu_clamped)(float *y, const float *gate, const float *up, int n);
    uint32_t (*act_silu)(float *y, const float *x, int n);
    uint32_t (*act_gelu_tanh)(float *y, const float *x, int n);
    uint32_t (*act_gelu_erf)(float *y, const float *x, int n);
    uint32_t (*glu_sigmoid)(float *y, const float *gate, const float *up, int n);
    /* J3: silu of the sum over t of w[t * stride + ..] * x[t][..], in increasing t */
    uint32_t (*conv)(float *y, const float *const *x, const float *w, size_t stride, int taps, int n);
    uint32_t (*delta)(const vb_delta *d);
    uint32_t (*softcap)(float *y, const float *x, float cap, int n);
    /* J4: sum over i of w[i] * x[i * stride + ..], in increasing i */
    uint32_t (*mix)(float *y, const float *x, size_t stride, const float *w, int used, int n);
    uint32_t (*kv_write[VB_KV_KINDS])(void *to, const float *x, int n); /* J5; non-zero: does not fit the type */
    /* G: the chunks of from..to join the sums of each query. Bit i of the result: a score of query i is not finite. */
    uint64_t (*attend[VB_KV_KINDS])(const vb_group *g);
    /* G2: the sums of n chunks, `apart` floats from those of one to the next one's */
    void (*attend_join)(float *sums, const float *parts, size_t apart, int n, int dim_v);
    /* G of such heads; non-zero: a score or a result is not finite. NULL: rows of this kind have no four elements. */
    uint32_t (*attend_fours[VB_KV_KINDS])(const vb_fours *g);
} vb_kernels;

/* The table called `isa`; NULL: the best of this machine. The environment variable VERBATIM_CPU names the highest
 * one that may be used. VB_E_UNSUPPORTED: this machine, build or VERBATIM_CPU excludes it. */
vb_status vb_kernels_for(const vb_kernels **out, const char *isa, vb_err *err);

/* Tables of this build from the slowest to the fastest; NULL behind the last. They may need more than this machine
 * has: vb_kernels_for tells. */
const vb_kernels *vb_kernels_at(int i);

#endif
