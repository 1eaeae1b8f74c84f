/* cpu.h - the cpu player's inside: what run.c keeps for a batch and steps.c, linear.c, attend.c compute on.
 *
 *   rows       all tokens of all parts one behind the other; a wanted row is one whose logits are asked for
 *   values     one block, offset[v] * tokens floats in for value v; a row's stride is its width rounded up to 16;
 *              another block for the values of wanted rows alone
 *   output     goes straight to where the caller wants the logits
 *
 * A step is cut by rows of weights, by tokens, by heads or by elements, never inside a sum.
 */
#ifndef VB_RUN_CPU_H
#define VB_RUN_CPU_H
#include "plan/player.h"
#include "run/hard.h"
#include "run/pool.h"
#include "run/rope.h"
#include "run/state.h"
#include "simd/kernels.h"

#include <stdatomic.h>

enum { VB_TILE_ROWS = 12 }; /* weight rows dequantised at a time */

typedef struct {
    const vb_state *state;
    vb_token id;
    int position;
    int first; /* row of the first token of this state */
    int last; /* position it sees: its own, or its text's last */
    const vb_taps *taps;
} vb_row;

/* Where each kind of scratch begins, in bytes. */
typedef struct {
    size_t rows, wanted, logits, values, wanted_values, acts[VB_ACT_Q256 + 1], quantized[VB_ACT_Q256 + 1];
    size_t strips[VB_ACT_Q256 + 1];
    size_t ropes, workers, parts, outputs, experts, device_rows, chosen, total;
} vb_scratch_layout;

enum { VB_STAGE_STEPS = 3 };

/* Steps of the plan that one round of tiles may do (lower.c). */
typedef struct {
    int first, steps;
    int begins; /* 1: a section begins here, steps of one layer, or those before or behind all layers */
    int away;   /* stages of this section, if a device takes it; 0: none begins here, or it does not (away.c) */
} vb_stage;

typedef struct {
    const vb_plan *plan;
    vb_play_opts opts;
    const vb_kernels *k;
    int halves; /* vb_cpu_halves of them */
    vb_pool *pool;
    vb_arena arena;
    int64_t *offset; /* by vb_plan_layout */
    vb_room room;
    vb_stage *stages;
    int n_stages;
    vb_hard *hard;
    uint64_t chance; /* of what is verified */
    atomic_ullong states; /* how many there were */
    vb_rope_spec *ropes;       /* two for each of the plan: of short and of long sessions */
    int *rope_at, rope_floats; /* of one row of all tables */
    char (*names)[64];         /* kernel of each step */
    float **turned;            /* of each convolution, all channels of a tap one behind the other; NULL for others */
    float *zeros;              /* as many as the widest convolution has channels */
    size_t act_bytes[VB_ACT_Q256 + 1]; /* for each activation kind: most that the inputs of a matrix need a token, */
    int act_rows[VB_ACT_Q256 + 1];     /* and most inputs a token: more than one for experts; 0: no such matrix */
    size_t strip_bytes[VB_ACT_Q256 + 1]; /* of one strip at most, 0: none is laid; those of experts lie elsewhere: */
    size_t expert_strip_bytes[VB_ACT_Q256 + 1];
    int most_used, most_experts;       /* of one step: chosen for a token, and of all; 0: no experts */
    int worker_floats;
    int64_t part_floats; /* of attention in parts */

    uint8_t *scratch;
    size_t scratch_bytes;
    vb_scratch_layout at;

    /* the batch */
    int tokens, n_wanted;
    int stopped_at;  /* stage that comes next if the batch that was stopped is evaluated again; 0: none was */
    uint64_t stops;  /* how many were */
    int watched, unseen; /* 1: a row has taps; these rows were shown before */
    int pausable; /* 1: somebody wants to be asked between steps */
    uint64_t sections[2]; /* played here, and on the device */
    vb_row *rows;
    int *wanted;    /* row of each wanted row */
    float **logits; /* of each wanted row */
    float **outputs[VB_STAGE_STEPS]; /* rows of what each matrix of the stage yields */
    int by_panels[VB_STAGE_STEPS];   /* 1: that matrix meets its activations by panels (t_matmul.inc) */
    vb_act *acts[VB_ACT_Q256 + 1];
    vb_val act_of[VB_ACT_Q256 + 1]; /* the value that acts hold, -1: none */
    vb_val strips_of[VB_ACT_Q256 + 1]; /* the value that lies side by side, -1: none */
    atomic_int bad[VB_STAGE_STEPS]; /* of each step of the stage: first row that is not finite, INT_MAX: none */
} vb_cpu;

/* Room for n things in a block that ends at *at, which grows: where they begin. */
size_t vb_cpu_take(size_t *at, size_t n, size_t size);

/* One step as tiles for the pool. */
typedef struct {
    vb_cpu *p;
    const vb_step *s;
    int chunk, tiles_a_row; /* of element-wise steps */
    int tile_rows;   /* of linear steps */
    int tiles;
} vb_job;
/* work: about as many additions. Small jobs stay on the calling thread: waking others would take longer. */
void vb_job_run(vb_job *j, vb_tile *tile, int64_t work);

int vb_cpu_rows(const vb_cpu *p, vb_val v); /* how many rows the value has in this batch */
int vb_cpu_row_of(const vb_cpu *p, vb_val v, int r); /* the token of a value's row */
float *vb_cpu_value(const vb_cpu *p, vb_val v, int r);
int vb_cpu_width(const vb_cpu *p, vb_val v);
void vb_cpu_note(vb_cpu *p, int row, uint32_t bad); /* A3: remembers the first row that is not finite */
void vb_cpu_note_of(vb_cpu *p, int i, int row, uint32_t bad); /* of the stage's step i */
/* What the activations of a matrix become. */
vb_act_kind vb_cpu_act_kind(const vb_cpu *p, const vb_step *s);
/* What a step needs before the plan's first: rows of all rope tables. */
void vb_cpu_ropes(vb_cpu *p);
/* Divides the plan into stages, at most one a step, and returns their number. */
int vb_cpu_lower(const vb_plan *plan, vb_stage *stages);
/* Plays a stage of several steps in one round. */
void vb_cpu_group(vb_cpu *p, const vb_stage *stage);
/* Performs one step on all its rows. p->bad tells afterwards whether all is finite. */
void vb_cpu_step(vb_cpu *p, const vb_step *s);
void vb_cpu_linear(vb_cpu *p, const vb_step *s);
/* The input of a matrix in the form it needs, `parts` rows of it a token; kept for matrices that share it. */
void vb_cpu_quantize(vb_cpu *p, const vb_step *s, int parts);
/* Strips for so many tokens (vb_kernels.lay). */
size_t vb_cpu_strips(const vb_cpu *p, vb_act_kind kind, size_t tokens);
/* 1: so many tokens should meet the weight of s by panels. */
int vb_cpu_by_panels(vb_cpu *p, const vb_step *s, int tokens);
/* Some of its rows against all activations of q, and their strips if by panels; its panel need not be set; settled. Non-zero: a result is not finite,
 * and settling once more, without the bias, tells of which token. */
uint32_t vb_cpu_multiply(vb_cpu *p, const vb_step *s, const vb_product *q, int by_panels, int worker);
size_t vb_cpu_float_bytes(int cols); /* of a tile whose rows became floats */
/* Rows of a tile for so many matrices of so many rows, of the weight's format. */
int vb_cpu_cut_rows(const vb_cpu *p, const vb_step *s, int rows, int matrices, int panels);
void vb_cpu_experts(vb_cpu *p, const vb_step *s);
void vb_cpu_route_row(vb_cpu *p, const vb_step *s, int r);
size_t vb_cpu_expert_bytes(const vb_cpu *p, size_t tokens);
/* Matrices by parts, the i-th of a stage: what all tiles need, the input in its quantised form too; then rows
 * from..from+rows for all tokens; -> not finite, by vb_cpu_note_of(i). */
void vb_cpu_linear_start(vb_cpu *p, const vb_step *s, int i);
void vb_cpu_linear_rows(vb_cpu *p, const vb_step *s, int i, int from, int rows, int worker);
int vb_cpu_tile_rows(const vb_cpu *p, const vb_step *s, int i);
void vb_cpu_attend(vb_cpu *p, const vb_step *s);
/* Shows what a step has given to those who watch. */
vb_status vb_cpu_show(const vb_cpu *p, const vb_step *s, vb_err *err);
/* A step by itself; on VB_E_FORMAT *failed is the row that is not finite. */
vb_status vb_cpu_play_step(vb_cpu *p, const vb_step *s, int *failed, vb_err *err);
/* Finds the sections that the device takes. */
void vb_cpu_away_find(vb_cpu *p);
/* Has the device perform the section that begins at stage i, perhaps with those behind it. *done: how many stages were
 * played; 0: none, it has to be done here. */
vb_status vb_cpu_away(vb_cpu *p, int i, int *done, int *failed, vb_err *err);
/* Steps that remember, and those around them. */
vb_status vb_cpu_memories_open(vb_cpu *p, vb_err *err);
void vb_cpu_slice(vb_cpu *p, const vb_step *s);
void vb_cpu_conv(vb_cpu *p, const vb_step *s);
void vb_cpu_decay(vb_cpu *p, const vb_step *s);
void vb_cpu_delta(vb_cpu *p, const vb_step *s);
int vb_cpu_attend_floats(const vb_step *s);     /* what a worker needs */
int64_t vb_cpu_part_floats(const vb_step *s);   /* what all need together, with more than one thread */
void vb_cpu_kernel_name(const vb_cpu *p, const vb_step *s, char *buf, size_t cap);

#endif
