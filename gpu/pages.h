/* pages.h - keys and values on the device: a copy of what the host's states hold, by pages of 64 positions.
 *
 *   state 7   pages 4 9 2     position 130 is row 2 of page 2, in every slot
 *   state 12  pages 0
 *   free      1 3 5 6 8 ...
 *
 *   begin   pages for all positions of the batch, for which other states may give theirs up; what the host has and the
 *           device lacks is uploaded
 *   play    kv_write stores the batch's rows in their pages and, one behind the other, in the slot's mirror
 *   end     mirror -> host's states; from now on the device has these positions
 *
 * Invariant: of each state and slot the device has the positions 0 .. valid - 1 as they are in the host's memory; the
 * table (table.h) knows `valid`, and everything behind it is as good as nothing. Before a player evaluates tokens from
 * a position on, wherever it does so, it says `forget` from there on.
 */
#ifndef VB_GPU_PAGES_H
#define VB_GPU_PAGES_H
#include "gpu/steps.h"

typedef struct vb_gpu_pages vb_gpu_pages;

typedef struct {
    vb_gpu *gpu;
    const vb_plan *plan;
    const uint8_t *slots; /* [plan->n_slots] 1: a step on the device writes or reads it */
    int positions;        /* of all states together that get room at first */
    uint64_t most_bytes;  /* more room is taken when states need it, up to this; 0: as much as the device gives */
} vb_gpu_pages_opts;

/* Allocates nothing on the device before reserve or begin. */
vb_status vb_gpu_pages_open(vb_gpu_pages **out, const vb_gpu_pages_opts *opts, vb_err *err);
void vb_gpu_pages_close(vb_gpu_pages *p); /* NULL is fine */
/* Bytes of device memory for so many positions of these slots. */
uint64_t vb_gpu_pages_need(const vb_plan *plan, const uint8_t *slots, vb_kv kv, int positions);
/* Room for the positions of the options in this type, before the first batch comes. */
vb_status vb_gpu_pages_reserve(vb_gpu_pages *p, vb_kv kv, vb_err *err);

/* Before steps from..from+n for at most `bucket` rows; nothing may be in flight. VB_E_MEMORY: there is no room for
 * these states, so that the player has to do this batch itself; the device is well. */
vb_status vb_gpu_pages_begin(vb_gpu_pages *p, const vb_batch *batch, int from, int n, int bucket, vb_err *err);
/* After they were played and waited for, if nothing was noted: the batch's rows of all slots that they write. */
void vb_gpu_pages_end(vb_gpu_pages *p, const vb_batch *batch, int from, int n);
/* As vb_device_ops says; from any thread. */
void vb_gpu_pages_forget(vb_gpu_pages *p, uint64_t state_id, int from);

/* Between begin and end. Changes when a slot's ranges move (in begin): tapes made before are of no use then. */
uint32_t vb_gpu_pages_generation(const vb_gpu_pages *p);
/* For vb_gpu_recording.slot; keys.buffer is NULL for a slot that is not on the device. */
const vb_gpu_slot *vb_gpu_pages_slot(const vb_gpu_pages *p, int slot);
/* Words of the page tables of the batch. */
int vb_gpu_pages_words(const vb_batch *batch);
/* Writes them to `tables`, and to word 3 of each token's row (VB_GPU_ROW_WORDS; the first is at `rows`) where its own
 * begins, counted from `tables`. */
void vb_gpu_pages_tables(const vb_gpu_pages *p, const vb_batch *batch, uint32_t *rows, uint32_t *tables);

#endif
