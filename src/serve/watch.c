/* watch.c - an epoll set of sockets that are only watched for a hang-up.
 *
 * Entries are found by serial number, not by address: an event may still be on its way when its entry is removed.
 * Invariant: a callback runs under the lock, so removing waits for it.
 */
#include "serve/watch.h"

#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 64 };

typedef struct entry {
    struct entry *next;
    uint64_t serial;
    int fd;
    void (*hung_up)(void *ud);
    void *ud;
} entry;

struct vb_watch {
    int epoll, stop; /* stop: an eventfd */
    pthread_t thread;
    pthread_mutex_t lock;
    entry *entries;
    uint64_t serials;
};

static entry **find(vb_watch *w, uint64_t serial)
{
    entry **at = &w->entries;
    while (*at != NULL && (*at)->serial != serial) at = &(*at)->next;
    return at;
}

static void take_out(vb_watch *w, entry **at)
{
    entry *e = *at;
    *at = e->next;
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, e->fd, NULL);
    free(e);
}

static void tell(vb_watch *w, uint64_t serial)
{
    pthread_mutex_lock(&w->lock);
    entry **at = find(w, serial), *e = *at;
    if (e != NULL) {
        e->hung_up(e->ud);
        take_out(w, at);
    }
    pthread_mutex_unlock(&w->lock);
}

static void *loop(void *ud)
{
    vb_watch *w = ud;
    for (;;) {
        struct epoll_event events[BATCH];
        int n = epoll_wait(w->epoll, events, BATCH, -1);
        if (n < 0 && errno != EINTR) return NULL;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == 0) return NULL;
            tell(w, events[i].data.u64);
        }
    }
}

void vb_watch_add(vb_watch *w, int fd, void (*hung_up)(void *ud), void *ud)
{
    entry *e = malloc(sizeof *e);
    if (e == NULL) return; /* then a hang-up is noticed when something is sent */
    pthread_mutex_lock(&w->lock);
    *e = (entry){.next = w->entries, .serial = ++w->serials, .fd = fd, .hung_up = hung_up, .ud = ud};
    w->entries = e;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = e->serial};
    epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event);
    pthread_mutex_unlock(&w->lock);
}

void vb_watch_remove(vb_watch *w, void *ud)
{
    pthread_mutex_lock(&w->lock);
    entry **at = &w->entries;
    while (*at != NULL && (*at)->ud != ud) at = &(*at)->next;
    if (*at != NULL) take_out(w, at);
    pthread_mutex_unlock(&w->lock);
}

vb_status vb_watch_open(vb_watch **out, vb_err *err)
{
    vb_watch *w = calloc(1, sizeof *w);
    *out = NULL;
    if (w == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->stop = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&w->lock, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (w->epoll < 0 || w->stop < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &event) != 0 ||
        pthread_create(&w->thread, NULL, loop, w) != 0) {
        if (w->epoll >= 0) close(w->epoll);
        if (w->stop >= 0) close(w->stop);
        free(w);
        VB_FAIL(err, VB_E_IO, "serve: expected a thread and an epoll set, found: %s", strerror(errno));
    }
    *out = w;
    return VB_OK;
}

void vb_watch_close(vb_watch *w)
{
    uint64_t one = 1;
    if (w == NULL) return;
    if (write(w->stop, &one, sizeof one) == sizeof one) pthread_join(w->thread, NULL);
    while (w->entries != NULL) take_out(w, &w->entries);
    close(w->epoll);
    close(w->stop);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
