/* patience.c - against clients that say their request a byte at a time, or none at all.
 *
 *   accepted, or answered --restart--> due = now + patience --whole--> not due --answered--> ...
 *                                        | late
 *                                        v  shutdown(fd): libmicrohttpd sees the end and closes it
 *
 * A byte does not move the due time, only body that comes at a fair rate does: a client that feeds just enough to look
 * busy is dropped like one that is silent.
 *
 * A client that says no more is not waited for:
 *
 *   said its last --watch.h--> ended --all it said is read--> shutdown(fd, SHUT_RD): libmicrohttpd looks again
 *
 * libmicrohttpd is told of an edge, not of a state, and takes a read that fills less than its buffer for the last one: of
 * an end that came together with bytes it is never told. Shutting down a side that has ended already changes nothing but
 * makes an edge, which is seen if it comes behind that read. Whether the request was whole, only libmicrohttpd knows: the
 * answer's side stays open.
 *
 * Invariant: fd is open as long as its entry is in the list.
 */
#include "serve/patience.h"

#include "base/err.h"
#include "base/os.h"
#include "serve/watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { BYTES_A_SECOND = 1 << 14 };
#define SECOND INT64_C(1000000000)
#define READING_NS INT64_C(5000000) /* until it is looked again whether all is read */

struct vb_waited {
    vb_waited *next, **at;
    vb_patience *patience;
    int fd, ended;
    int64_t due; /* 0: not waited for */
};

struct vb_patience {
    int64_t ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    vb_watch *ends;
    vb_waited *first;
    int ended; /* entries that are */
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

static void ended(void *ud)
{
    vb_waited *w = ud;
    pthread_mutex_lock(&w->patience->lock);
    w->ended = 1;
    w->patience->ended++;
    pthread_cond_signal(&w->patience->change);
    pthread_mutex_unlock(&w->patience->lock);
}

static void clear_ended(vb_patience *p, vb_waited *w)
{
    p->ended -= w->ended;
    w->ended = 0;
}

static void tell_ends(vb_patience *p)
{
    char next;
    if (p->ended == 0) return;
    for (vb_waited *w = p->first; w != NULL; w = w->next) {
        if (!w->ended || recv(w->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0) continue;
        shutdown(w->fd, SHUT_RD);
        clear_ended(p, w);
    }
}

static void *loop(void *ud)
{
    vb_patience *p = ud;
    int64_t step = p->ns / 4 < SECOND ? p->ns / 4 : SECOND;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        int64_t at = now_ns() + (p->ended > 0 && step > READING_NS ? READING_NS : step);
        struct timespec t = {.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
        pthread_cond_timedwait(&p->change, &p->lock, &t);
        tell_ends(p);
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
    *w = (vb_waited){.next = p->first, .at = &p->first, .patience = p, .fd = fd, .due = now_ns() + p->ns};
    if (p->first != NULL) p->first->at = &w->next;
    p->first = w;
    pthread_mutex_unlock(&p->lock);
    vb_watch_add(p->ends, fd, ended, w);
    return w;
}

void vb_patience_remove(vb_patience *p, vb_waited *w)
{
    if (w == NULL) return;
    vb_watch_remove(p->ends, w);
    pthread_mutex_lock(&p->lock);
    clear_ended(p, w);
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
    vb_status s = vb_watch_open(&p->ends, err);
    if (s < 0) {
        free(p);
        return s;
    }
    p->ns = ns;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&p->thread, NULL, loop, p) != 0) {
        vb_watch_close(p->ends);
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
    vb_watch_close(p->ends);
    pthread_cond_destroy(&p->change);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
