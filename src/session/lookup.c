/* lookup.c - an index over the n-grams of one row of tokens (see lookup.h).
 *
 *   row        the cat sat on the mat . the cat sat |
 *                          ^ 3                      ^ 10 = n         n-grams by the position behind them
 *   head       hash of an n-gram -> the latest position behind one with that hash
 *   before     position -> the position before it in the same chain:  10 -> 3 -> 0, the end
 *
 * Two such indices, for long and for short n-grams. The row's own end heads its chain, so that looking up hashes
 * nothing: it walks back a bounded number of steps and compares tokens, which sorts out strangers of the same hash.
 * Positions enter in ascending order; leaving in descending order undoes exactly that, so a row that is rewound needs
 * no new index.
 */
#include "session/lookup.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

enum { ORDERS = 2, STEPS = 24 };
static const int order_of[ORDERS] = {4, 2};

struct vb_lookup {
    int n, context;
    uint32_t mask;
    vb_token *ids;           /* [context] */
    int32_t *head[ORDERS];   /* [mask + 1]; 0: none */
    int32_t *before[ORDERS]; /* [context + 1] */
    void *pages;
    size_t bytes;
};

static size_t heads(int context)
{
    size_t n = 1024;
    while (n < (size_t)context) n *= 2;
    return n;
}

uint64_t vb_lookup_bytes(int context)
{
    return ((uint64_t)heads(context) * ORDERS + ((uint64_t)context + 1) * (ORDERS + 1)) * sizeof(int32_t);
}

vb_lookup *vb_lookup_open(int context)
{
    vb_lookup *l = calloc(1, sizeof *l);
    if (l == NULL) return NULL;
    size_t n = heads(context), row = (size_t)context + 1;
    l->context = context;
    l->mask = (uint32_t)(n - 1);
    l->bytes = (size_t)vb_lookup_bytes(context);
    l->pages = vb_pages_reserve(l->bytes);
    if (l->pages == NULL) {
        free(l);
        return NULL;
    }
    int32_t *at = l->pages;
    for (int i = 0; i < ORDERS; i++, at += n + row) {
        l->head[i] = at;
        l->before[i] = at + n;
    }
    l->ids = at;
    return l;
}

void vb_lookup_close(vb_lookup *l)
{
    if (l == NULL) return;
    vb_pages_release(l->pages, l->bytes);
    free(l);
}

/* Of the `order` tokens before position n. */
static uint32_t hash(const vb_lookup *l, int n, int order)
{
    uint32_t h = 0;
    for (int i = n - order; i < n; i++) h = (h ^ (uint32_t)l->ids[i]) * 0x9e3779b1u;
    return (h ^ h >> 15) & l->mask;
}

static void enter(vb_lookup *l, vb_token id)
{
    l->ids[l->n++] = id;
    for (int i = 0; i < ORDERS; i++) {
        if (l->n < order_of[i]) continue;
        int32_t *head = &l->head[i][hash(l, l->n, order_of[i])];
        l->before[i][l->n] = *head;
        *head = l->n;
    }
}

static void leave(vb_lookup *l)
{
    for (int i = 0; i < ORDERS; i++)
        if (l->n >= order_of[i]) l->head[i][hash(l, l->n, order_of[i])] = l->before[i][l->n];
    l->n--;
}

void vb_lookup_follow(vb_lookup *l, const vb_token *ids, int n)
{
    int same = 0;
    while (same < l->n && same < n && l->ids[same] == ids[same]) same++;
    while (l->n > same) leave(l);
    vb_lookup_grow(l, ids, n);
}

void vb_lookup_grow(vb_lookup *l, const vb_token *ids, int n)
{
    while (l->n < n) enter(l, ids[l->n]);
}

/* How many tokens before position `at` are those before the row's end. */
static int agreement(const vb_lookup *l, int at)
{
    int k = 0;
    while (k < at && k < VB_LOOKUP_LONGEST && l->ids[at - 1 - k] == l->ids[l->n - 1 - k]) k++;
    return k;
}

/* The position with the longest agreement, the latest of equals; 0: none that agrees in a whole n-gram. */
static int find(const vb_lookup *l, int order, int *match)
{
    int best = 0;
    *match = order_of[order] - 1;
    if (l->n < order_of[order]) return 0;
    int at = l->before[order][l->n];
    for (int i = 0; i < STEPS && at > 0 && *match < VB_LOOKUP_LONGEST; i++) {
        int k = agreement(l, at);
        if (k > *match) {
            best = at;
            *match = k;
        }
        at = l->before[order][at];
    }
    return best;
}

/* Behind the row's end its own repetition goes on: a proposal may read what it proposed. */
int vb_lookup_propose(const vb_lookup *l, vb_token *out, int cap, int *match)
{
    int at = 0;
    for (int i = 0; i < ORDERS && at == 0; i++) at = find(l, i, match);
    if (at == 0) return 0;
    for (int i = 0; i < cap; i++) out[i] = at + i < l->n ? l->ids[at + i] : out[at + i - l->n];
    return cap;
}
