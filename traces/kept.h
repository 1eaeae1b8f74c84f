/* kept.h - the values of evaluated tokens that a trace keeps, from their computation to their records' turn.
 *
 *   computed   step by step, for each step all tokens that are evaluated together
 *   recorded   token by token, for each token step by step
 *
 * Invariant: what is kept of a token does not depend on what it was evaluated together with. Values behind the last layer
 * are computed for more tokens than their logits are wanted for, by chance of the batch: they stay only where a choice follows.
 */
#ifndef VB_TRACES_KEPT_H
#define VB_TRACES_KEPT_H
#include "traces/format.h"

typedef struct {
    const char *name;
    int layer, width;
    int passing; /* kept only while it is the last one */
    size_t at;   /* in the list's floats */
} vb_kept_value;

typedef struct {
    vb_kept_value *values;
    float *floats;
    int n, cap;
    size_t n_floats, cap_floats;
} vb_kept_list;

typedef struct {
    int taps;            /* VB_TAPS_... */
    int from;            /* position of lists[0]; those before it have their records */
    vb_kept_list *lists; /* [cap] */
    int cap;
    int failed; /* out of memory */
} vb_kept;

/* A vb_tap_fn; ud is a vb_kept. */
void vb_kept_take(void *ud, const vb_tap *tap);
/* Appends the records of position `from` and forgets it; `chosen`: a chosen token follows. */
vb_status vb_kept_put(vb_kept *kept, vb_trace_bytes *to, int chosen, const char *what, vb_err *err);
void vb_kept_free(vb_kept *kept);

#endif
