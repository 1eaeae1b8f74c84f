/* table.c - states in an array, each with a list of pages; the free pages in another (see table.h). */
#include "gpu/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t id, used; /* used: the turn of the last call that wanted it */
    uint32_t *pages;
    int n, cap;
    int *valid; /* [slots] */
} state;

struct vb_gpu_table {
    pthread_mutex_t lock;
    int slots, pages, n_free, n_states, cap_states;
    uint32_t *free; /* [pages] */
    state *states;
    uint64_t turn;
};

/* --- states ------------------------------------------------------------------------------------------------------ */

static state *find(const vb_gpu_table *t, uint64_t id)
{
    for (int i = 0; i < t->n_states; i++)
        if (t->states[i].id == id) return &t->states[i];
    return NULL;
}

static state *find_or_add(vb_gpu_table *t, uint64_t id)
{
    state *s = find(t, id);
    if (s != NULL) return s;
    if (t->n_states == t->cap_states) {
        int cap = t->cap_states > 0 ? 2 * t->cap_states : 16;
        state *more = realloc(t->states, (size_t)cap * sizeof *more);
        if (more == NULL) return NULL;
        t->states = more;
        t->cap_states = cap;
    }
    s = &t->states[t->n_states];
    *s = (state){.id = id, .valid = calloc((size_t)t->slots + 1, sizeof *s->valid)};
    if (s->valid == NULL) return NULL;
    t->n_states++;
    return s;
}

static void drop(vb_gpu_table *t, state *s)
{
    while (s->n > 0) t->free[t->n_free++] = s->pages[--s->n];
    free(s->pages);
    free(s->valid);
    *s = t->states[--t->n_states];
}

/* The longest unused of those that are not wanted now; 0: there is none. */
static int evict_one(vb_gpu_table *t)
{
    state *oldest = NULL;
    for (int i = 0; i < t->n_states; i++) {
        state *s = &t->states[i];
        if (s->used < t->turn && (oldest == NULL || s->used < oldest->used)) oldest = s;
    }
    if (oldest == NULL) return 0;
    drop(t, oldest);
    return 1;
}

static void drop_all(vb_gpu_table *t)
{
    while (t->n_states > 0) drop(t, &t->states[t->n_states - 1]);
}

/* --- the pool ---------------------------------------------------------------------------------------------------- */

vb_status vb_gpu_table_open(vb_gpu_table **out, int slots, vb_err *err)
{
    vb_gpu_table *t = *out = calloc(1, sizeof *t);
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d layers", slots);
    t->slots = slots;
    pthread_mutex_init(&t->lock, NULL);
    return VB_OK;
}

void vb_gpu_table_close(vb_gpu_table *t)
{
    if (t == NULL) return;
    drop_all(t);
    pthread_mutex_destroy(&t->lock);
    free(t->states);
    free(t->free);
    free(t);
}

vb_status vb_gpu_table_reset(vb_gpu_table *t, int pages, vb_err *err)
{
    uint32_t *list = malloc(((size_t)pages + 1) * sizeof *list);
    pthread_mutex_lock(&t->lock);
    drop_all(t);
    free(t->free);
    t->free = list;
    t->pages = t->n_free = list == NULL ? 0 : pages;
    for (int i = 0; i < t->pages; i++) list[i] = (uint32_t)(pages - 1 - i);
    pthread_mutex_unlock(&t->lock);
    if (list == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d pages", pages);
    return VB_OK;
}

/* --- pages of states --------------------------------------------------------------------------------------------- */

/* Room in the list for so many; 0: out of memory. */
static int widen(state *s, int pages)
{
    if (pages <= s->cap) return 1;
    int cap = pages > 2 * s->cap ? pages : 2 * s->cap;
    uint32_t *more = realloc(s->pages, (size_t)cap * sizeof *more);
    if (more == NULL) return 0;
    s->pages = more;
    s->cap = cap;
    return 1;
}

/* Marks all as wanted and counts the pages that they lack; -1: out of memory. */
static int lacking(vb_gpu_table *t, const vb_gpu_want *wants, int n)
{
    int lack = 0;
    for (int i = 0; i < n; i++) {
        state *s = find_or_add(t, wants[i].state);
        int pages = vb_gpu_pages_for(wants[i].positions);
        if (s == NULL || !widen(s, pages)) return -1;
        s->used = t->turn;
        if (pages > s->n) lack += pages - s->n;
    }
    return lack;
}

int vb_gpu_table_fit(vb_gpu_table *t, const vb_gpu_want *wants, int n, int evict)
{
    pthread_mutex_lock(&t->lock);
    t->turn++;
    int lack = lacking(t, wants, n), some = lack >= 0;
    while (some && evict && t->n_free < lack) some = evict_one(t);
    int missing = lack < 0 ? 1 : lack > t->n_free ? lack - t->n_free : 0;
    for (int i = 0; missing == 0 && i < n; i++) {
        state *s = find(t, wants[i].state);
        int pages = vb_gpu_pages_for(wants[i].positions);
        while (s->n < pages) s->pages[s->n++] = t->free[--t->n_free];
    }
    pthread_mutex_unlock(&t->lock);
    return missing;
}

void vb_gpu_table_pages(vb_gpu_table *t, uint64_t id, uint32_t *pages, int n)
{
    pthread_mutex_lock(&t->lock);
    const state *s = find(t, id);
    for (int i = 0; i < n; i++) pages[i] = s != NULL && i < s->n ? s->pages[i] : 0;
    pthread_mutex_unlock(&t->lock);
}

int vb_gpu_table_valid(vb_gpu_table *t, uint64_t id, int slot)
{
    pthread_mutex_lock(&t->lock);
    const state *s = find(t, id);
    int valid = s != NULL ? s->valid[slot] : 0;
    pthread_mutex_unlock(&t->lock);
    return valid;
}

void vb_gpu_table_fill(vb_gpu_table *t, uint64_t id, int slot, int valid)
{
    pthread_mutex_lock(&t->lock);
    state *s = find(t, id);
    if (s != NULL) s->valid[slot] = valid < s->n * VB_GPU_PAGE ? valid : s->n * VB_GPU_PAGE;
    pthread_mutex_unlock(&t->lock);
}

void vb_gpu_table_forget(vb_gpu_table *t, uint64_t id, int from)
{
    pthread_mutex_lock(&t->lock);
    state *s = find(t, id);
    if (s != NULL && from <= 0) drop(t, s);
    else if (s != NULL) {
        for (int i = 0; i < t->slots; i++)
            if (s->valid[i] > from) s->valid[i] = from;
        while (s->n > vb_gpu_pages_for(from)) t->free[t->n_free++] = s->pages[--s->n];
    }
    pthread_mutex_unlock(&t->lock);
}
