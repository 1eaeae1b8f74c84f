/* chores.c - detached threads that are counted, so that the server outlives them. */
#include "serve/chores.h"

#include "base/err.h"

#include <pthread.h>
#include <stdlib.h>

struct vb_chores {
    pthread_mutex_t lock;
    pthread_cond_t less;
    int running, most, ending;
};

typedef struct {
    vb_chores *chores;
    void (*fn)(void *ud);
    void *ud;
} chore;

vb_status vb_chores_open(vb_chores **out, int most, vb_err *err)
{
    vb_chores *c = *out = calloc(1, sizeof *c);
    if (c == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->less, NULL);
    c->most = most;
    return VB_OK;
}

void vb_chores_stop(vb_chores *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->ending = 1;
    while (c->running > 0) pthread_cond_wait(&c->less, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void vb_chores_close(vb_chores *c)
{
    if (c == NULL) return;
    pthread_cond_destroy(&c->less);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void leave(vb_chores *c)
{
    pthread_mutex_lock(&c->lock);
    c->running--;
    pthread_cond_signal(&c->less);
    pthread_mutex_unlock(&c->lock);
}

static void *run(void *ud)
{
    chore c = *(chore *)ud;
    free(ud);
    c.fn(c.ud);
    leave(c.chores);
    return NULL;
}

static int begin(chore *c)
{
    pthread_attr_t detached;
    pthread_t thread;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &detached, run, c);
    pthread_attr_destroy(&detached);
    return failed == 0;
}

int vb_chores_start(vb_chores *chores, void (*fn)(void *ud), void *ud)
{
    chore *c = malloc(sizeof *c);
    if (c == NULL) return 0;
    *c = (chore){chores, fn, ud};
    pthread_mutex_lock(&chores->lock);
    int room = !chores->ending && chores->running < chores->most;
    chores->running += room;
    pthread_mutex_unlock(&chores->lock);
    if (room && begin(c)) return 1;
    if (room) leave(chores);
    free(c);
    return 0;
}

int vb_chores_ending(vb_chores *c)
{
    pthread_mutex_lock(&c->lock);
    int ending = c->ending;
    pthread_mutex_unlock(&c->lock);
    return ending;
}
