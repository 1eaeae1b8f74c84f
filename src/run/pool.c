/* pool.c - rounds of tiles that are done by whoever has time.
 *
 *   share of a worker   | round | next tile |   one word, taken from by compare-and-swap
 *
 *   caller   job, shares, round + 2, wake sleepers .. own share, then others' .. sleeps until left == 0
 *   worker              sees the round ............. own share, then others' .. left - done .. waits for the next
 *
 * Each starts with its own share, so that a thread meets the same weights and rows again, and then helps where tiles
 * are left. A worker that gets no processor holds nobody up: the others do its share, and a round does not wait for
 * those that took no tile. Waiting is a short spin, because rounds follow each other within microseconds while tokens
 * are evaluated, then sleep. After a long wait the next spin is shorter, because it was in vain; after a sleep that a
 * spin could have spared it is longer again. So where other programs want the cores, waiting costs next to nothing.
 *
 * Invariants: `round` is odd while the job and the shares are written, which happens only while left is 0. A tile is
 * taken only from a share of the round whose job was read, so a late worker can never touch a newer round's tiles.
 */
#include "run/pool.h"

#include "base/fp.h"
#include "base/os.h"
#include "run/cores.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN_LEAST_NS = 2000, SPIN_MOST_NS = 50000 };

typedef struct {
    _Alignas(64) _Atomic uint64_t next; /* round << 32 | tile */
    vb_pool *pool;
    int index;
    unsigned spin_ns; /* how long it pays to wait awake */
    pthread_t thread;
} worker;

struct vb_pool {
    int threads, started;
    int crowded;     /* more threads than cores: a spin gives its core away */
    worker *workers; /* [threads]; 0 is the caller's place */
    /* the job of the round */
    _Atomic(vb_tile *) tile;
    _Atomic(void *) ctx;
    atomic_int tiles;
    _Alignas(64) atomic_uint round; /* even: complete */
    atomic_uint sleepers;
    _Alignas(64) atomic_uint left; /* tiles not yet done */
    atomic_uint caller_sleeps;
    atomic_int stop;
};

typedef struct {
    unsigned round;
    vb_tile *tile;
    void *ctx;
    int tiles;
} job;

/* --- waiting ------------------------------------------------------------------------------------------------- */

static void pause_briefly(const vb_pool *p)
{
    if (p->crowded) {
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int changed(const atomic_uint *word, unsigned value)
{
    return atomic_load_explicit(word, memory_order_acquire) != value;
}

static int spin(worker *w, const atomic_uint *word, unsigned value, uint64_t begin)
{
    do {
        pause_briefly(w->pool);
        if (changed(word, value)) return 1;
    } while (vb_clock_ns() - begin < w->spin_ns);
    return 0;
}

/* Until *word is not `value`: awake for a while, then asleep as one of *sleepers. */
static void wait_for(worker *w, atomic_uint *word, unsigned value, atomic_uint *sleepers)
{
    if (changed(word, value)) return;
    uint64_t begin = vb_clock_ns();
    if (spin(w, word, value, begin)) return;
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == value) vb_sleep_while(word, value);
    atomic_fetch_sub(sleepers, 1);
    if (vb_clock_ns() - begin < SPIN_MOST_NS)
        w->spin_ns = SPIN_MOST_NS;
    else if (w->spin_ns > SPIN_LEAST_NS)
        w->spin_ns /= 2;
}

/* --- the worker's side --------------------------------------------------------------------------------------- */

/* A round behind `seen` that is complete, with its job. */
static job next_job(worker *w, unsigned seen)
{
    vb_pool *p = w->pool;
    for (;;) {
        unsigned round = atomic_load_explicit(&p->round, memory_order_acquire);
        if (round != seen && round % 2 == 0) {
            job j = {.round = round};
            j.tile = atomic_load_explicit(&p->tile, memory_order_acquire);
            j.ctx = atomic_load_explicit(&p->ctx, memory_order_acquire);
            j.tiles = atomic_load_explicit(&p->tiles, memory_order_acquire);
            if (atomic_load_explicit(&p->round, memory_order_acquire) == round) return j;
            continue;
        }
        wait_for(w, &p->round, round, &p->sleepers);
    }
}

static int share_end(const vb_pool *p, int tiles, int w)
{
    return (int)((int64_t)tiles * (w + 1) / p->threads);
}

/* The next tile of a share; -1: none is left, or the round is over. */
static int take(worker *from, unsigned round, int end)
{
    uint64_t at = atomic_load_explicit(&from->next, memory_order_acquire);
    while (at >> 32 == round && (int)(uint32_t)at < end)
        if (atomic_compare_exchange_weak_explicit(&from->next, &at, at + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return (int)(uint32_t)at;
    return -1;
}

static void play(vb_pool *p, const job *j, int me)
{
    unsigned done = 0;
    for (int i = 0; i < p->threads; i++) {
        int owner = (me + i) % p->threads, end = share_end(p, j->tiles, owner), tile;
        for (; (tile = take(&p->workers[owner], j->round, end)) >= 0; done++) j->tile(j->ctx, tile, me);
    }
    if (done == 0 || atomic_fetch_sub(&p->left, done) != done) return;
    if (atomic_load(&p->caller_sleeps)) vb_wake(&p->left, 1);
}

static void *work(void *opaque)
{
    worker *w = opaque;
    vb_fp_enter(); /* A1 */
    for (unsigned seen = 0;;) {
        job j = next_job(w, seen);
        if (atomic_load_explicit(&w->pool->stop, memory_order_relaxed)) return NULL;
        play(w->pool, &j, w->index);
        seen = j.round;
    }
}

/* --- the caller's side --------------------------------------------------------------------------------------- */

static void publish(vb_pool *p, const job *j)
{
    atomic_store_explicit(&p->round, j->round - 1, memory_order_relaxed);
    atomic_store_explicit(&p->tile, j->tile, memory_order_release);
    atomic_store_explicit(&p->ctx, j->ctx, memory_order_release);
    atomic_store_explicit(&p->tiles, j->tiles, memory_order_release);
    atomic_store_explicit(&p->left, (unsigned)j->tiles, memory_order_relaxed);
    for (int w = 0; w < p->threads; w++)
        atomic_store_explicit(&p->workers[w].next, (uint64_t)j->round << 32 | (uint32_t)share_end(p, j->tiles, w - 1),
                              memory_order_release);
    atomic_store(&p->round, j->round);
    if (atomic_load(&p->sleepers) > 0) vb_wake(&p->round, p->threads);
}

static void wait_for_all(vb_pool *p)
{
    unsigned left;
    while ((left = atomic_load_explicit(&p->left, memory_order_acquire)) != 0)
        wait_for(&p->workers[0], &p->left, left, &p->caller_sleeps);
}

void vb_pool_run(vb_pool *p, vb_tile *tile, void *ctx, int tiles)
{
    job j = {.tile = tile, .ctx = ctx, .tiles = tiles};
    if (p->threads == 1 || tiles < 2) {
        for (int i = 0; i < tiles; i++) tile(ctx, i, 0);
        return;
    }
    j.round = atomic_load_explicit(&p->round, memory_order_relaxed) + 2;
    publish(p, &j);
    play(p, &j, 0);
    wait_for_all(p);
}

int vb_pool_threads(const vb_pool *p)
{
    return p->threads;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

/* Worker i on core i, if there is one for each. The caller's thread belongs to the host and stays as it is. */
static void pin(vb_pool *p)
{
    vb_cpus left, core;
    if (p->crowded || !vb_cpus_allowed(&left)) return;
    for (int i = 0; i < p->threads && vb_cpus_take_core(&left, &core); i++)
        if (i > 0) pthread_setaffinity_np(p->workers[i].thread, sizeof core, core.set);
}

static vb_status start(vb_pool *p, vb_err *err)
{
    p->workers = aligned_alloc(64, (size_t)p->threads * sizeof *p->workers);
    if (p->workers == NULL) VB_FAIL(err, VB_E_MEMORY, "threads: out of memory for %d", p->threads);
    memset(p->workers, 0, (size_t)p->threads * sizeof *p->workers);
    p->crowded = p->threads > 1 && p->threads > vb_cores_allowed();
    for (int i = 0; i < p->threads; i++) {
        worker *w = &p->workers[i];
        w->pool = p;
        w->index = i;
        w->spin_ns = SPIN_MOST_NS;
        if (i == 0) continue;
        int e = pthread_create(&w->thread, NULL, work, w);
        if (e != 0) VB_FAIL(err, VB_E_MEMORY, "threads: expected %d, started %d: %s", p->threads, i, strerror(e));
        p->started = i;
    }
    if (p->threads > 1) pin(p);
    return VB_OK;
}

vb_status vb_pool_open(vb_pool **out, int threads, vb_err *err)
{
    vb_pool *p = aligned_alloc(64, sizeof *p);
    *out = NULL;
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "threads: out of memory");
    memset(p, 0, sizeof *p);
    p->threads = threads;
    vb_status s = start(p, err);
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
    if (p->workers != NULL) publish(p, &(job){.round = atomic_load(&p->round) + 2});
    for (int i = 1; i <= p->started; i++) pthread_join(p->workers[i].thread, NULL);
    free(p->workers);
    free(p);
}
