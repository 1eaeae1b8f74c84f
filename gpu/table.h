/* table.h - which pages of a pool belong to which state, and how far each is filled: numbers only, no device.
 *
 *   state 7   pages 4 9 2   has 130 positions in slot 0, 64 in slot 1
 *   free      1 3 5 6 8 ...
 *
 * Invariant: every page is free or belongs to one state, and a state never has more positions than its pages hold.
 * Every function may be called by any thread.
 */
#ifndef VB_GPU_TABLE_H
#define VB_GPU_TABLE_H
#include "base/err.h"

#include <stdint.h>

enum { VB_GPU_PAGE = 64 }; /* positions */
static inline int vb_gpu_pages_for(int positions)
{
    return positions / VB_GPU_PAGE + (positions % VB_GPU_PAGE > 0);
}

typedef struct vb_gpu_table vb_gpu_table;

vb_status vb_gpu_table_open(vb_gpu_table **out, int slots, vb_err *err); /* without pages */
void vb_gpu_table_close(vb_gpu_table *t);                                /* NULL is fine */
/* All are free and no state is known. On failure the pool is empty. */
vb_status vb_gpu_table_reset(vb_gpu_table *t, int pages, vb_err *err);

typedef struct {
    uint64_t state;
    int positions;
} vb_gpu_want;
/* Pages for all of these. Where too few are free, states that are not among them give theirs up if `evict` says so, the
 * longest unused first. Returns how many are missing, 0: each has its own. */
int vb_gpu_table_fit(vb_gpu_table *t, const vb_gpu_want *wants, int n, int evict);
/* The state's first n pages; those that it does not have are 0. */
void vb_gpu_table_pages(vb_gpu_table *t, uint64_t state, uint32_t *pages, int n);
/* Positions 0 .. valid - 1 of the state are in the slot. Of a state that has been forgotten none are. */
int vb_gpu_table_valid(vb_gpu_table *t, uint64_t state, int slot);
void vb_gpu_table_fill(vb_gpu_table *t, uint64_t state, int slot, int valid);
/* Positions from there on are not what they were; 0: its pages are free again. */
void vb_gpu_table_forget(vb_gpu_table *t, uint64_t state, int from);

#endif
