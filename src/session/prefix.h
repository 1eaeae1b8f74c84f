/* prefix.h - evaluated prefixes kept on disk, so that a restart need not evaluate them again.
 *
 * What is kept are the bits of keys and values, so an answer from a kept prefix is the answer without one. Whatever
 * does not fit exactly (another model, plan, arithmetic or KV type, a damaged file) is never used: it is not found,
 * or it is removed and made again.
 */
#ifndef VB_SESSION_PREFIX_H
#define VB_SESSION_PREFIX_H
#include "session/model.h"

typedef struct vb_prefix vb_prefix;

/* Opens directory `dir` (made if it is missing) for one model and KV type, and for sessions of `context` tokens, which
 * matters where it decides about a rope. Needs the model's SHA-256. */
vb_status vb_prefix_open(vb_prefix **out, const char *dir, const vb_model *model, vb_kv kv, int context, vb_err *err);
vb_status vb_prefix_copy(vb_prefix **out, const vb_prefix *from, vb_err *err); /* of NULL: NULL */
void vb_prefix_close(vb_prefix *p);

/* The state holds positions [0, from) of ids; puts as many more as are kept, at most n. Returns from how many it
 * can start: with memories (plan.h) that is where a kept block ends, and so must `from` be. */
int vb_prefix_load(const vb_prefix *p, void *state, int from, const vb_token *ids, int n);

/* Where the evaluation of from..n should end for once, so that what memories hold there can be kept; else n. */
int vb_prefix_edge(const vb_prefix *p, int from, int n);

/* Keeps positions [0, n) as far as they are not kept yet; the last tokens, fewer than a block, only if `tail`. A
 * failure to write is said once and ends the keeping. */
void vb_prefix_keep(vb_prefix *p, const void *state, const vb_token *ids, int n, int tail);

#endif
