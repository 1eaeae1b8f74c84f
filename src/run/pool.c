/* pool.c - workers that wait for a round, do their share of its tiles, and report.
 *
 *   caller    publish tiles, round + 1 ......... own share ......... left == 0?
 *   worker            sees the round, its share, left - 1 ..... waits for the next
 *
 * Waiting begins with a short spin, because rounds follow each other within microseconds while tokens are evaluated;
 * then it sleeps on a condition variable and burns nothing. With more threads than cores a spin gives its core away.
 *
 * Invariant: tile, ctx and tiles are written only while left is 0; `round` publishes them, `left` gives them back.
 */
#include "run/pool.h"

#include "base/fp.h"
#include "run/topology.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SPINS = 2000, YIELDS = 50 };

typedef struct {
    vb_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct vb_pool {
    int threads, started;
    int pinned; /* each worker has a core of its own */
    worker *workers; /* [threads]; 0 is the caller's place */
    vb_tile *tile;
    void *ctx;
    int tiles;
    atomic_uint round;
    atomic_int left, stop;
    pthread_mutex_t lock;
    pthread_cond_t go, done;
};

static int spins(const vb_pool *p)
{
    return p->pinned ? SPINS : YIELDS;
}

static void pause_briefly(const vb_pool *p)
{
    if (!p->pinned) {
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void share(vb_pool *p, int w)
{
    int from = (int)((int64_t)p->tiles * w / p->threads), to = (int)((int64_t)p->tiles * (w + 1) / p->threads);
    for (int i = from; i < to; i++) p->tile(p->ctx, i, w);
}

static void wait_for_round(vb_pool *p, unsigned seen)
{
    for (int i = 0; i < spins(p); i++) {
        if (atomic_load_explicit(&p->round, memory_order_acquire) != seen) return;
        pause_briefly(p);
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->round, memory_order_acquire) == seen) pthread_cond_wait(&p->go, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *opaque)
{
    worker *w = opaque;
    vb_pool *p = w->pool;
    vb_fp_enter(); /* A1 */
    for (unsigned seen = 0;; seen++) {
        wait_for_round(p, seen);
        if (atomic_load_explicit(&p->stop, memory_order_relaxed)) return NULL;
        share(p, w->index);
        if (atomic_fetch_sub_explicit(&p->left, 1, memory_order_acq_rel) > 1) continue;
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

static void publish(vb_pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->round, 1, memory_order_release);
    pthread_cond_broadcast(&p->go);
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_all(vb_pool *p)
{
    for (int i = 0; i < spins(p); i++) {
        if (atomic_load_explicit(&p->left, memory_order_acquire) == 0) return;
        pause_briefly(p);
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->left, memory_order_acquire) != 0) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void vb_pool_run(vb_pool *p, vb_tile *tile, void *ctx, int tiles)
{
    p->tile = tile;
    p->ctx = ctx;
    p->tiles = tiles;
    if (p->threads > 1) {
        atomic_store_explicit(&p->left, p->threads - 1, memory_order_relaxed);
        publish(p);
    }
    share(p, 0);
    if (p->threads > 1) wait_for_all(p);
}

int vb_pool_threads(const vb_pool *p)
{
    return p->threads;
}

/* Worker i on core i, if there is one for each. The caller's thread belongs to the host and stays as it is. */
static vb_status start(vb_pool *p, hwloc_topology_t t, hwloc_const_bitmap_t mask, vb_err *err)
{
    hwloc_bitmap_t core = hwloc_bitmap_alloc();
    p->pinned = t != NULL && core != NULL && vb_topology_core(t, mask, p->threads - 1, core);
    vb_status s = VB_OK;
    for (int i = 1; i < p->threads && s == VB_OK; i++) {
        p->workers[i] = (worker){.pool = p, .index = i};
        int e = pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]);
        if (e != 0)
            s = vb_fail(err, VB_E_MEMORY, "threads: expected %d, started %d: %s", p->threads, i, strerror(e));
        else
            p->started = i;
        if (e == 0 && p->pinned && vb_topology_core(t, mask, i, core))
            hwloc_set_thread_cpubind(t, p->workers[i].thread, core, 0);
    }
    hwloc_bitmap_free(core);
    return s;
}

static vb_status start_all(vb_pool *p, vb_err *err)
{
    hwloc_bitmap_t mask;
    p->workers = calloc((size_t)p->threads, sizeof *p->workers);
    if (p->workers == NULL) VB_FAIL(err, VB_E_MEMORY, "threads: out of memory for %d", p->threads);
    if (p->threads == 1) return VB_OK;
    hwloc_topology_t t = vb_topology_open(&mask);
    vb_status s = start(p, t, mask, err);
    vb_topology_close(t, mask);
    return s;
}

vb_status vb_pool_open(vb_pool **out, int threads, vb_err *err)
{
    vb_pool *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "threads: out of memory");
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->go, NULL);
    pthread_cond_init(&p->done, NULL);
    vb_status s = start_all(p, err);
    if (s < 0) {
        vb_pool_close(p);
        return s;
    }
    *out = p;
    return VB_OK;
}

void vb_pool_close(vb_pool *p)
{
    if (p == NULL) return;
    atomic_store_explicit(&p->stop, 1, memory_order_relaxed);
    publish(p);
    for (int i = 1; i <= p->started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->go);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}
