/* lookup.h - what followed the last time: proposals from the row of tokens itself, no model needed.
 *
 * Text repeats: names, quoted prompts, edited code, lists of like objects. The index finds the place in the row whose
 * past agrees longest with the row's end and proposes what stood behind it.
 */
#ifndef VB_SESSION_LOOKUP_H
#define VB_SESSION_LOOKUP_H
#include "base/err.h"

enum { VB_LOOKUP_LONGEST = 32 }; /* longer agreement is not measured */

typedef struct vb_lookup vb_lookup;

/* For rows of at most `context` tokens; memory is reserved here and touched as the row grows. NULL: no memory. */
vb_lookup *vb_lookup_open(int context);
void vb_lookup_close(vb_lookup *l);
uint64_t vb_lookup_bytes(int context); /* at most */

/* The row is now ids[0..n): what differs is forgotten, what is new is added. */
void vb_lookup_follow(vb_lookup *l, const vb_token *ids, int n);
/* The same when the row has only grown since. */
void vb_lookup_grow(vb_lookup *l, const vb_token *ids, int n);
/* Writes up to `cap` tokens that may come next. Returns how many; *match gets how many tokens before them agree. */
int vb_lookup_propose(const vb_lookup *l, vb_token *out, int cap, int *match);

#endif
