/* patience.c - against clients that say their request a byte at a time, or none at all.
 *
 *   accepted, or answered --restart--> due = now + patience --whole--> not due --answered--> ...
 *                                        | late
 *                                        v  shutdown(fd): libmicrohttpd sees the end and closes it
 *
 * A byte does not move the due time, only body that comes at a fair rate does: a client that feeds just enough to look
 * busy is dropped like one that is silent. Invariant: fd is open as long as its entry is in the list.
 */
#include "serve/patience.h"

#include "base/err.h"
#include "base/os.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { BYTES_A_SECOND = 1 << 14 };
#define SECOND INT64_C(1000000000)

struct vb_waited {
    vb_waited *next, **at;
    int fd;
    int64_t due; /* 0: not waited for */
};

struct vb_patience {
    int64_t ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    vb_waited *first;
    int stop;
};

static int64_t now_ns(void)
{
    return (int64_t)vb_clock_ns();
}

static void drop_late(vb_patience *p)
{
    int64_t now = now_ns();
    for (vb_waited *w = p->first; w != NULL; w = w->next) {
        if (w->due == 0 || w->due > now) continue;
        shutdown(w->fd, SHUT_RDWR);
        w->due = 0;
    }
}

static void *loop(void *ud)
{
    vb_patience *p = ud;
    int64_t step = p->ns / 4 < SECOND ? p->ns / 4 : SECOND;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        int64_t at = now_ns() + step;
        struct timespec t = {.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
        pthread_cond_timedwait(&p->change, &p->lock, &t);
        drop_late(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

vb_waited *vb_patience_add(vb_patience *p, int fd)
{
    vb_waited *w = malloc(sizeof *w);
    if (w == NULL) return NULL;
    pthread_mutex_lock(&p->lock);
    *w = (vb_waited){.next = p->first, .at = &p->first, .fd = fd, .due = now_ns() + p->ns};
    if (p->first != NULL) p->first->at = &w->next;
    p->first = w;
    pthread_mutex_unlock(&p->lock);
    return w;
}

void vb_patience_remove(vb_patience *p, vb_waited *w)
{
    if (w == NULL) return;
    pthread_mutex_lock(&p->lock);
    *w->at = w->next;
    if (w->next != NULL) w->next->at = w->at;
    pthread_mutex_unlock(&p->lock);
    free(w);
}

static void set_due(vb_patience *p, vb_waited *w, int64_t due)
{
    if (w == NULL) return;
    pthread_mutex_lock(&p->lock);
    w->due = due;
    pthread_mutex_unlock(&p->lock);
}

void vb_patience_restart(vb_patience *p, vb_waited *w)
{
    set_due(p, w, now_ns() + p->ns);
}

void vb_patience_end(vb_patience *p, vb_waited *w)
{
    set_due(p, w, 0);
}

void vb_patience_fed(vb_patience *p, vb_waited *w, size_t bytes)
{
    if (w == NULL) return;
    pthread_mutex_lock(&p->lock);
    if (w->due > 0) w->due += (int64_t)bytes * (SECOND / BYTES_A_SECOND);
    pthread_mutex_unlock(&p->lock);
}

vb_status vb_patience_open(vb_patience **out, int64_t ns, vb_err *err)
{
    pthread_condattr_t monotonic;
    vb_patience *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    p->ns = ns;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&p->thread, NULL, loop, p) != 0) {
        free(p);
        VB_FAIL(err, VB_E_MEMORY, "serve: expected a thread, found none to be had");
    }
    *out = p;
    return VB_OK;
}

void vb_patience_close(vb_patience *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_signal(&p->change);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->change);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
