/* merge.c - the row of symbols and the binary heap of possible joins. */
#include "text/merge.h"

#include <stdlib.h>

/* The array with room for element n; NULL: no memory, the array is as it was. */
static void *grown(void *array, size_t *cap, size_t n, size_t size)
{
    if (n < *cap) return array;
    size_t wanted = 2 * n + 64;
    array = realloc(array, wanted * size);
    if (array != NULL) *cap = wanted;
    return array;
}

void vb_merge_start(vb_merger *m)
{
    m->n = m->pairs = 0;
}

int vb_merge_add(vb_merger *m, uint32_t len, int32_t id)
{
    vb_symbol *symbols = grown(m->symbols, &m->symbols_cap, m->n, sizeof *symbols);
    if (symbols == NULL) return 0;
    m->symbols = symbols;
    vb_symbol *s = &symbols[m->n];
    *s = (vb_symbol){VB_NO_SYMBOL, VB_NO_SYMBOL, 0, len, id};
    if (m->n > 0) {
        s->prev = (uint32_t)m->n - 1;
        s->at = s[-1].at + s[-1].len;
        s[-1].next = (uint32_t)m->n;
    }
    m->n++;
    return 1;
}

void vb_merge_free(vb_merger *m)
{
    free(m->symbols);
    free(m->heap);
    *m = (vb_merger){0};
}

/* --- the heap ------------------------------------------------------------------------------------------- */

static void sift_up(vb_pair *heap, size_t i)
{
    vb_pair p = heap[i];
    for (; i > 0 && p.order < heap[(i - 1) / 2].order; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = p;
}

static void sift_down(vb_pair *heap, size_t n, size_t i)
{
    vb_pair p = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1].order < heap[child].order) child++;
        if (p.order <= heap[child].order) break;
        heap[i] = heap[child];
    }
    heap[i] = p;
}

static vb_pair pop(vb_merger *m)
{
    vb_pair top = m->heap[0];
    m->heap[0] = m->heap[--m->pairs];
    if (m->pairs > 0) sift_down(m->heap, m->pairs, 0);
    return top;
}

/* Appends the pair (left, its neighbour), if they may join, without restoring the heap. */
static int append(vb_merger *m, uint32_t left)
{
    const vb_symbol *l = &m->symbols[left], *r;
    uint32_t rank;
    int32_t id;
    if (l->next == VB_NO_SYMBOL) return 1;
    r = &m->symbols[l->next];
    if (!m->join(m->ud, l, r, &rank, &id)) return 1;
    vb_pair *heap = grown(m->heap, &m->heap_cap, m->pairs, sizeof *heap);
    if (heap == NULL) return 0;
    m->heap = heap;
    m->heap[m->pairs++] = (vb_pair){(uint64_t)rank << 32 | left, l->len + r->len, id};
    return 1;
}

static int push(vb_merger *m, uint32_t left)
{
    size_t before = m->pairs;
    if (left == VB_NO_SYMBOL) return 1;
    if (!append(m, left)) return 0;
    if (m->pairs > before) sift_up(m->heap, before);
    return 1;
}

/* --- the loop ------------------------------------------------------------------------------------------- */

static int join(vb_merger *m, const vb_pair *p)
{
    uint32_t left = (uint32_t)p->order;
    vb_symbol *l = &m->symbols[left], *r;
    if (l->len == 0 || l->next == VB_NO_SYMBOL) return 1;
    r = &m->symbols[l->next];
    if (l->len + r->len != p->len) return 1;
    l->len = p->len;
    l->id = p->id;
    l->next = r->next;
    r->len = 0;
    if (l->next != VB_NO_SYMBOL) m->symbols[l->next].prev = left;
    return push(m, l->prev) && push(m, left);
}

int vb_merge_run(vb_merger *m)
{
    for (size_t i = 0; i + 1 < m->n; i++)
        if (!append(m, (uint32_t)i)) return 0;
    for (size_t i = m->pairs / 2; i-- > 0;) sift_down(m->heap, m->pairs, i);
    while (m->pairs > 0) {
        vb_pair p = pop(m);
        if (!join(m, &p)) return 0;
    }
    return 1;
}
