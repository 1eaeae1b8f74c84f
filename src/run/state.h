/* state.h - keys and values of one session at absolute positions, and memories of a few of them.
 *
 *   slot, K:  head 0: [positions 0..15][positions 16..31]... | head 1: ...
 *   slot, V:  head 0: [position 0][position 1]...            | head 1: ...
 *
 * They lie as attention reads them (base/kv.h). Pages cost memory once they are written.
 *
 *   shelf     0: memories after 512 tokens | 1: after 500 | 2: nothing | ...
 *
 * An evaluation reads the memories of one position from their shelf and writes those of the next to another one. So
 * nothing is copied, every evaluation leaves a place where a later one may start, and one that fails destroys none.
 */
#ifndef VB_RUN_STATE_H
#define VB_RUN_STATE_H
#include "plan/player.h"

typedef struct {
    const vb_plan *plan;
    int context;
    size_t places; /* of the context (vb_key_places) */
    vb_kv kv;
    uint8_t *pages;
    size_t bytes;
    size_t *slots; /* where a slot's keys begin */
    size_t *memories, shelves, shelf_bytes; /* where a memory begins in a shelf, and the first shelf; one's size */
    int held[VB_MEMORIES_KEPT]; /* the position whose memories a shelf holds, 0: nothing */
    uint64_t stop;   /* which stopped evaluation (cpu.h) has left its values here; 0: none, or they were changed since */
    vb_device device; /* keeps copies of rows under this id; ops NULL: nobody does */
    uint64_t id;
    uint64_t rows[2]; /* as vb_player's state_rows */
    int from, to, safe; /* shelves of the evaluation, from -1: position 0; the position that may not be given up */
} vb_state;

vb_status vb_state_open(vb_state **out, const vb_plan *plan, int context, vb_kv kv, vb_err *err);
void vb_state_close(vb_state *s);
/* From this position on rows are not what a device may have copied. */
void vb_state_forget(const vb_state *s, int from);
/* The first n positions. */
vb_status vb_state_copy(vb_state *to, const vb_state *from, int n, vb_err *err);
/* Positions from..from+n to and from a buffer that holds `held` of them, as vb_player says. */
void vb_state_get(const vb_state *s, int from, int n, uint8_t *buf);
void vb_state_put(vb_state *s, int from, int n, const uint8_t *buf, int held);
/* The last position, at most n, from which evaluation can start. */
int vb_state_start(const vb_state *s, int n);
/* Whatever is evaluated from here on, memories of this position stay until the next call, or as long as they hold. */
void vb_state_keep(vb_state *s, int position);
/* Tokens from..to are evaluated between these two; what was known of later positions is forgotten. */
vb_status vb_state_begin(vb_state *s, int from, int to, vb_err *err);
void vb_state_end(vb_state *s, int to);
/* A memory as it was before the evaluation, NULL: all zeros; and as it becomes. */
const float *vb_state_before(const vb_state *s, int memory);
float *vb_state_after(const vb_state *s, int memory);
vb_head_rows vb_state_head(const vb_state *s, int slot, int head);

#endif
