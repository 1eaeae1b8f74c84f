/* heap.c - a binary heap in an array: no parent is greater than its children at 2i+1 and 2i+2. */
#include "text/heap.h"

#include <stdlib.h>

static int before(const vb_pair *a, const vb_pair *b)
{
    return a->key < b->key || (a->key == b->key && a->left < b->left);
}

vb_status vb_heap_push(vb_heap *h, vb_pair p, vb_err *err)
{
    if (h->n == h->cap) {
        size_t cap = h->cap == 0 ? 64 : h->cap * 2;
        vb_pair *items = realloc(h->items, cap * sizeof *items);
        if (items == NULL) VB_FAIL(err, VB_E_MEMORY, "tokenizer: out of memory for %zu pairs", cap);
        h->items = items;
        h->cap = cap;
    }
    size_t at = h->n++;
    for (; at > 0 && before(&p, &h->items[(at - 1) / 2]); at = (at - 1) / 2) h->items[at] = h->items[(at - 1) / 2];
    h->items[at] = p;
    return VB_OK;
}

int vb_heap_pop(vb_heap *h, vb_pair *out)
{
    if (h->n == 0) return 0;
    *out = h->items[0];
    vb_pair last = h->items[--h->n];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < h->n) {
        if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child])) child++;
        if (!before(&h->items[child], &last)) break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return 1;
}

void vb_heap_free(vb_heap *h)
{
    free(h->items);
}
