/* merge.h - joining neighbours in order of rank: the loop that byte-level BPE and SentencePiece share.
 *
 *   symbols   h  e  l  l  o        a doubly linked row; a symbol that was joined to its left neighbour has length 0
 *   queue     (rank, left) ...     lowest rank first, then leftmost
 *
 * Joins that became impossible because a side has grown stay in the queue and are recognised by their length: a pair
 * is alive iff the lengths of its left symbol and of the one behind it still add up to the pair's. Time is
 * n log n for a word of n symbols, whatever it consists of.
 */
#ifndef VB_TEXT_MERGE_H
#define VB_TEXT_MERGE_H
#include "base/err.h"

typedef struct {
    uint32_t prev, next; /* VB_NO_SYMBOL at the ends */
    uint32_t at, len;    /* bytes of the word; len 0: joined */
    int32_t id;          /* the caller's */
} vb_symbol;
#define VB_NO_SYMBOL UINT32_MAX
enum { VB_WORD_MOST = INT32_MAX }; /* bytes of a word */

typedef struct {
    uint64_t order; /* rank << 32 | left */
    uint32_t len;
    int32_t id;
} vb_pair;

/* Whether two neighbours may become one; then its rank and id. */
typedef int (*vb_join_fn)(const void *ud, const vb_symbol *left, const vb_symbol *right, uint32_t *rank, int32_t *id);

typedef struct {
    vb_symbol *symbols;
    vb_pair *heap;
    size_t n, pairs, symbols_cap, heap_cap;
    vb_join_fn join;
    const void *ud;
} vb_merger;

void vb_merge_start(vb_merger *m); /* a new word, without symbols; memory is kept */
int vb_merge_add(vb_merger *m, uint32_t len, int32_t id); /* the next symbol of the word; 0: no memory */
int vb_merge_run(vb_merger *m); /* then symbols 0, its next, ... are the result; 0: no memory */
void vb_merge_free(vb_merger *m);

#endif
