/* crew.c - a queue, and as many threads as it has needed so far.
 *
 *   give --nobody idle, fewer than `most`--> one more thread
 *        --else--> queue --first come, first served--> an idle thread
 *
 * Invariant: what was given is done, by somebody, before vb_crew_stop returns.
 */
#include "serve/crew.h"

#include "base/err.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct task {
    struct task *next;
    void (*fn)(void *ud, void *what);
    void *ud, *what;
} task;

struct vb_crew {
    pthread_mutex_t lock;
    pthread_cond_t work;
    task *first, **last;
    int most, threads, idle, waiting, ending;
    pthread_t thread[];
};

static task *take(vb_crew *c)
{
    task *t = c->first;
    c->first = t->next;
    if (c->first == NULL) c->last = &c->first;
    c->waiting--;
    return t;
}

static void *loop(void *ud)
{
    vb_crew *c = ud;
    pthread_mutex_lock(&c->lock);
    while (c->first != NULL || !c->ending) {
        if (c->first == NULL) {
            c->idle++;
            pthread_cond_wait(&c->work, &c->lock);
            c->idle--;
            continue;
        }
        task *t = take(c);
        pthread_mutex_unlock(&c->lock);
        t->fn(t->ud, t->what);
        free(t);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int vb_crew_give(vb_crew *c, void (*fn)(void *ud, void *what), void *ud, void *what)
{
    task *t = malloc(sizeof *t);
    if (t == NULL) return 0;
    *t = (task){.fn = fn, .ud = ud, .what = what};
    pthread_mutex_lock(&c->lock);
    if (!c->ending && c->waiting >= c->idle && c->threads < c->most)
        c->threads += pthread_create(&c->thread[c->threads], NULL, loop, c) == 0;
    int taken = !c->ending && c->threads > 0;
    if (taken) {
        *c->last = t;
        c->last = &t->next;
        c->waiting++;
        pthread_cond_signal(&c->work);
    }
    pthread_mutex_unlock(&c->lock);
    if (!taken) free(t);
    return taken;
}

vb_status vb_crew_open(vb_crew **out, int most, vb_err *err)
{
    vb_crew *c = *out = calloc(1, sizeof *c + (size_t)most * sizeof c->thread[0]);
    if (c == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    c->most = most;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    return VB_OK;
}

void vb_crew_stop(vb_crew *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->ending = 1;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->threads; i++) pthread_join(c->thread[i], NULL);
}

void vb_crew_close(vb_crew *c)
{
    if (c == NULL) return;
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
