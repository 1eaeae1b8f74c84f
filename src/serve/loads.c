/* loads.c - a list of wanted models.
 *
 *   want --new--> in the list --a thread is free--> runs --> out of the list, then its waiters are told
 *        --there already--> the same number
 *
 * Invariant: a loading leaves the list after its model can be found, so that nobody who finds neither starts it twice.
 */
#include "serve/loads.h"

#include "base/err.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 2 };

typedef struct waiter {
    struct waiter *next;
    void (*over)(void *ud, const vb_err *err);
    void *ud;
} waiter;

typedef struct load {
    struct load *next;
    uint64_t number;
    char *name;
    int embeds, running;
    waiter *waiters;
} load;

struct vb_loads {
    void (*load)(void *ud, const char *name, int embeds, vb_err *err);
    void *ud;
    pthread_mutex_t lock;
    pthread_cond_t work;
    load *first;
    uint64_t numbers;
    pthread_t threads[AT_ONCE];
    int n_threads, stopping;
};

static const vb_err ending = {VB_E_FULL, "the server is ending"};

static void tell(load *l, const vb_err *err)
{
    while (l->waiters != NULL) {
        waiter *w = l->waiters;
        l->waiters = w->next;
        w->over(w->ud, err);
        free(w);
    }
    free(l->name);
    free(l);
}

/* Out of the list; under the lock. */
static void take_out(vb_loads *s, load *l)
{
    load **at = &s->first;
    while (*at != l) at = &(*at)->next;
    *at = l->next;
}

static load *next_wanted(vb_loads *s)
{
    load *l = s->first;
    while (l != NULL && l->running) l = l->next;
    return l;
}

static void *loop(void *ud)
{
    vb_loads *s = ud;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        load *l = next_wanted(s);
        vb_err err = {0};
        if (l == NULL) {
            pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        l->running = 1;
        pthread_mutex_unlock(&s->lock);
        s->load(s->ud, l->name, l->embeds, &err);
        pthread_mutex_lock(&s->lock);
        take_out(s, l);
        pthread_mutex_unlock(&s->lock);
        tell(l, err.code == VB_E_STOPPED ? &ending : err.code < 0 ? &err : NULL);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* In the order they were asked for. */
static load *new_load(vb_loads *s, const char *name, int embeds)
{
    load *l = calloc(1, sizeof *l), **last = &s->first;
    char *copy = strdup(name);
    if (l == NULL || copy == NULL) {
        free(l);
        free(copy);
        return NULL;
    }
    *l = (load){.number = ++s->numbers, .name = copy, .embeds = embeds};
    while (*last != NULL) last = &(*last)->next;
    return *last = l;
}

uint64_t vb_loads_want(vb_loads *s, const char *name, int embeds)
{
    pthread_mutex_lock(&s->lock);
    load *l = s->first;
    while (l != NULL && (strcmp(l->name, name) != 0 || l->embeds != embeds)) l = l->next;
    if (l == NULL && !s->stopping) {
        if (s->n_threads < AT_ONCE) s->n_threads += pthread_create(&s->threads[s->n_threads], NULL, loop, s) == 0;
        if (s->n_threads > 0) l = new_load(s, name, embeds);
        pthread_cond_signal(&s->work);
    }
    uint64_t number = l != NULL ? l->number : 0;
    pthread_mutex_unlock(&s->lock);
    return number;
}

int vb_loads_wait(vb_loads *s, uint64_t number, void (*over)(void *ud, const vb_err *err), void *ud)
{
    waiter *w = malloc(sizeof *w);
    if (w == NULL) return 0;
    pthread_mutex_lock(&s->lock);
    load *l = s->first;
    while (l != NULL && l->number != number) l = l->next;
    if (l != NULL) {
        *w = (waiter){l->waiters, over, ud};
        l->waiters = w;
    }
    pthread_mutex_unlock(&s->lock);
    if (l == NULL) free(w);
    return l != NULL;
}

int vb_loads_stopping(vb_loads *s)
{
    pthread_mutex_lock(&s->lock);
    int stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

vb_status vb_loads_open(vb_loads **out, void (*run)(void *ud, const char *name, int embeds, vb_err *err), void *ud,
                        vb_err *err)
{
    vb_loads *s = *out = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    s->load = run;
    s->ud = ud;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    return VB_OK;
}

void vb_loads_stop(vb_loads *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (; s->n_threads > 0; s->n_threads--) pthread_join(s->threads[s->n_threads - 1], NULL);
    pthread_mutex_lock(&s->lock);
    load *left = s->first;
    s->first = NULL;
    pthread_mutex_unlock(&s->lock);
    while (left != NULL) {
        load *l = left;
        left = l->next;
        tell(l, &ending);
    }
}

void vb_loads_close(vb_loads *s)
{
    if (s == NULL) return;
    vb_loads_stop(s);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
