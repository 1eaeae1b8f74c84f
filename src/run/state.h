/* state.h - keys and values of one session at absolute positions.
 *
 *   slot, K:  head 0: [position 0][position 1]...[context - 1] | head 1: ...
 *   slot, V:  the same
 *
 * A head's rows lie one behind the other, as attention reads them. Pages cost memory once they are written.
 */
#ifndef VB_RUN_STATE_H
#define VB_RUN_STATE_H
#include "plan/player.h"

/* Where one head's rows are. */
typedef struct {
    uint8_t *keys, *values; /* of position 0 */
    size_t key_stride, value_stride;
} vb_head_rows;

typedef struct {
    const vb_plan *plan;
    int context;
    vb_kv kv;
    uint8_t *pages;
    size_t bytes;
    size_t *slots; /* where a slot's keys begin */
} vb_state;

vb_status vb_state_open(vb_state **out, const vb_plan *plan, int context, vb_kv kv, vb_err *err);
void vb_state_close(vb_state *s);
/* The first n positions. */
vb_status vb_state_copy(vb_state *to, const vb_state *from, int n, vb_err *err);
/* Positions from..from+n to and from a buffer that holds `held` of them, as vb_player says. */
void vb_state_get(const vb_state *s, int from, int n, uint8_t *buf);
void vb_state_put(vb_state *s, int from, int n, const uint8_t *buf, int held);
vb_head_rows vb_state_head(const vb_state *s, int slot, int head);

#endif
