/* work.h - device memory that a batch needs while it is computed, and how values cross to it and back.
 *
 *   values   of all rows, by vb_plan_layout; of wanted rows; the plan's output
 *   acts     activations as integers (steps.h)
 *   head     what is new in a batch: notes, all ones | rows (shaders/step.glsl) | ropes
 *   up       the head as the host writes it, then the values that come in     \  one behind the other, each at a
 *   down     notes, then the values that go out                               /  multiple of 256
 *
 * All is laid out for a bucket of rows and one of wanted rows, powers of two, so that tapes can be played again.
 */
#ifndef VB_GPU_WORK_H
#define VB_GPU_WORK_H
#include "gpu/steps.h"

/* A batch's shape: buckets, and words of page tables. */
typedef struct {
    int rows, wanted, tables;
} vb_gpu_shape;

typedef struct {
    vb_gpu *gpu;
    const vb_plan *plan;
    int64_t *offset; /* by vb_plan_layout */
    vb_room room;
    int rope_floats;
    uint64_t act_bytes; /* a row */
    int most_rows, most_wanted; /* that one piece of a batch may have */
    vb_gpu_buffer values, wanted_values, output, acts, head, up, down;
} vb_gpu_work;

/* takes: [n_steps] 1: the step is the device's. */
vb_status vb_gpu_work_open(vb_gpu_work *w, vb_gpu *g, const vb_plan *plan, const uint8_t *takes, vb_err *err);
void vb_gpu_work_close(vb_gpu_work *w); /* zeroed is fine */
uint64_t vb_gpu_work_need(const vb_gpu_work *w, vb_gpu_shape shape); /* bytes, but for values that cross */
/* Room for a batch of this shape that brings and gives so many bytes of values. *moved is set if buffers are others now, so
 * that tapes which know them are of no use. */
vb_status vb_gpu_work_reserve(vb_gpu_work *w, vb_gpu_shape shape, const uint64_t crossing[2], int *moved, vb_err *err);

int vb_gpu_bucket(int n); /* the least power of two that is not below n; of 0: 0 */
uint64_t vb_gpu_placed(uint64_t bytes); /* rounded up to 256 */
/* The rows that a value has in this shape, and their bytes. */
uint64_t vb_gpu_work_bytes(const vb_gpu_work *w, vb_val v, vb_gpu_shape shape);
vb_gpu_range vb_gpu_work_value(const vb_gpu_work *w, vb_val v, vb_gpu_shape shape);
/* Where parts of the head begin, in the head and in `up`. */
typedef struct {
    uint64_t rows, ropes, end;
} vb_gpu_head;
vb_gpu_head vb_gpu_work_head(const vb_gpu_work *w, vb_gpu_shape shape);

#endif
