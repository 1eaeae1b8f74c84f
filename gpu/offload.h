/* offload.h - an opened device with weights, pages and work area: what stands behind vb_device (plan/device.h).
 *
 *   a batch   in pieces of at most 512 rows: values up -> tapes -> values down; keys and values by pages.h
 *   a tape    in: head and values to their places | steps, as many as are worth a submission | out; or all of that
 *
 * Nothing is written to the host's values before all pieces have been played, so a batch that fails has changed nothing.
 */
#ifndef VB_GPU_OFFLOAD_H
#define VB_GPU_OFFLOAD_H
#include "gpu/pages.h"
#include "gpu/weights.h"
#include "gpu/work.h"

enum { VB_GPU_TAPE_IN = 1, VB_GPU_TAPE_STEPS = 2, VB_GPU_TAPE_OUT = 4 };

/* What a tape is made for: a sum of these kinds, steps from..from+n in a batch of this shape and KV type. */
typedef struct {
    int kinds;
    int from, n;
    vb_gpu_shape shape;
    vb_kv kv;
} vb_gpu_tape_key;

typedef struct {
    vb_gpu_tape_key key;
    vb_gpu_tape *tape;
    uint64_t work, used; /* used: the newest has the largest number */
} vb_gpu_kept_tape;

/* Values that cross, and where they begin behind the head or the notes. */
typedef struct {
    vb_val *of;
    uint64_t *at;
    int n;
    uint64_t bytes;
} vb_gpu_crossing;

typedef struct {
    vb_gpu *gpu;
    const vb_plan *plan;
    vb_arith arith;
    uint8_t *takes; /* [n_steps] */
    vb_gpu_weights *weights;
    vb_gpu_pages *pages;
    vb_gpu_work work;
    vb_gpu_crossing in, out; /* of the steps that are performed now */
    uint8_t *marks;          /* [n_values] */
    int *wanted;             /* [VB_GPU_MOST_ROWS] of a piece */
    const int *rope_at;      /* the player's */
    int tables;              /* words of page tables that tapes have room for */
    uint32_t generation;     /* of the pages that tapes know */
    vb_gpu_kept_tape *tapes;
    int n_tapes;
    uint64_t clock;
    uint8_t *kept; /* results of a batch's earlier pieces */
    uint64_t kept_bytes;
    char about[320];
    int said, said_kv; /* 1: it has been said that there is no room; that such keys and values are not taken */
} vb_gpu_offload;

/* g becomes the offload's, on failure too. It takes no step yet. */
vb_status vb_gpu_offload_open(vb_gpu_offload **out, vb_gpu *g, const vb_plan *plan, vb_arith arith, vb_err *err);
void vb_gpu_offload_close(void *offload);
extern const vb_device_ops vb_gpu_offload_ops;

/* tapes.c */
vb_status vb_gpu_tapes_play(vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_err *err);
void vb_gpu_tapes_drop(vb_gpu_offload *o); /* all of them */
/* Steps that a tape takes from a range of n. */
int vb_gpu_tapes_reach(const vb_gpu_offload *o, int from, int n, vb_gpu_shape shape);

#endif
