/* heap.h - pairs of symbols that wait to be merged: the smallest key first, the leftmost of equal keys. */
#ifndef VB_TEXT_HEAP_H
#define VB_TEXT_HEAP_H
#include "base/err.h"

typedef struct {
    float key; /* merge rank, or minus the score */
    int32_t left; /* symbol; its right neighbour is the other part */
    uint32_t len; /* of both together: a pair whose parts have changed is known by it */
} vb_pair;

typedef struct {
    vb_pair *items;
    size_t n, cap;
} vb_heap;

vb_status vb_heap_push(vb_heap *h, vb_pair p, vb_err *err);
int vb_heap_pop(vb_heap *h, vb_pair *out); /* 0: empty */
void vb_heap_free(vb_heap *h);

#endif
