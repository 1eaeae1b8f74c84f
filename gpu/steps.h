/* steps.h - how the steps of a plan become dispatches on a tape: one function a kind of step.
 *
 *   values   rows of vb_gpu_stride(width) floats; where each value lies is the player's matter (work.h)
 *   acts     activations as integers for the matrix that comes next (docs/ARITHMETIC.md B)
 *
 * A tape is made for a bucket, the most rows it can carry; how many there are stands in the rows
 * (shaders/step.glsl).
 */
#ifndef VB_GPU_STEPS_H
#define VB_GPU_STEPS_H
#include "gpu/core.h"
#include "plan/device.h"

enum { VB_GPU_ROWS_WORDS = 4, VB_GPU_ROW_WORDS = 8, VB_GPU_MOST_ROWS = 512 };

/* A tensor on the device: windows of whole rows, each within the device's largest range. An expert's rows count as one
 * behind the other. */
typedef struct {
    int64_t first_row, rows;
    vb_gpu_range range;
} vb_gpu_window;
typedef struct {
    const vb_tensor *tensor;
    vb_gpu_window *windows; /* increasing; every one but the last has as many rows as the first, a multiple of 64 */
    int n_windows;
} vb_gpu_weight;

/* Keys and values on the device, by pages of 64 positions as attention's chunks are (G1):
 *   a slot's K: page 0: head 0: position 0 .. 63 | head 1: ... ; a position's row is its stored bytes rounded up to 4.
 * V alike. */
typedef struct {
    vb_gpu_range keys, values; /* of one slot; no buffer: the slot is not on the device */
    vb_gpu_range mirror;       /* for the host: of each row of the batch the keys of all heads, then the values */
    vb_gpu_range parts;        /* room for the sums of chunks, one for all slots; no buffer: there is none */
    uint32_t key_row, value_row; /* bytes of a row */
} vb_gpu_slot;

typedef struct {
    vb_gpu *gpu;
    const vb_plan *plan;
    vb_arith arith;
    vb_kv kv;
    vb_gpu_tape *tape;
    int bucket, wanted_bucket;
    vb_gpu_range (*value)(const void *player, vb_val v);                   /* all rows of it */
    const vb_gpu_weight *(*weight)(const void *player, const vb_tensor *t); /* a step's weight or bias */
    const vb_gpu_slot *(*slot)(const void *player, int slot);
    const void *player;
    vb_gpu_range rows, notes, ropes, acts; /* ropes: a row of rope_floats for each token */
    const int *rope_at;
    int rope_floats;
    vb_val acts_of; /* the value that `acts` holds, -1: none; and how */
    int acts_kind;
} vb_gpu_recording;

/* Whether this room has a shader for the step: its kind, formats and shape, and numbers that cannot meet subnormals where
 * the device keeps none. Attention is asked for with keys and values of f16; vb_gpu_has_attend knows of other types. */
int vb_gpu_has_step(const vb_gpu *g, const vb_plan *plan, const vb_step *s);
/* Puts the step on the tape; note: its place in `notes`. */
vb_status vb_gpu_record(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);

/* Bytes of `acts` that a row of so many columns takes. */
uint64_t vb_gpu_act_bytes(int64_t cols);
/* A dispatch with what all steps have: shader, rows, notes, c[0], c[1]; work groups in y are the rows of its bucket. */
vb_gpu_dispatch vb_gpu_dispatch_of(const vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_gpu_shader shader);
static inline uint32_t vb_gpu_stride(int width) { return ((uint32_t)width + 15u) & ~15u; }
/* 1: it reads keys and values. */
static inline int vb_gpu_attends(const vb_step *s) { return s->op == VB_OP_ATTEND || s->op == VB_OP_ATTEND_KEPT; }

/* Parts of vb_gpu_has_step and vb_gpu_record, by kind. */
/* step_linear.c: linear, linear_experts, embed */
int vb_gpu_has_linear(const vb_gpu *g, const vb_step *s);
vb_status vb_gpu_record_linear(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);
vb_status vb_gpu_record_experts(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);
vb_status vb_gpu_record_embed(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);
/* step_attend.c */
int vb_gpu_has_attend(const vb_gpu *g, const vb_plan *plan, const vb_step *s, vb_kv kv);
vb_status vb_gpu_record_attend(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);
/* Bytes of `parts` for so many rows over a pool of so many pages; 0: chunks are not shared out. */
uint64_t vb_gpu_parts_bytes(const vb_step *s, int pages, int rows);
/* step_rows.c: all others */
int vb_gpu_has_rows(const vb_plan *plan, const vb_step *s);
vb_status vb_gpu_record_rows(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err);

#endif
