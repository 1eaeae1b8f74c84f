/* pool.c - the thread pool: each tile exactly once, results visible to the caller, help for a worker that is held up,
 * clean floating-point modes, no processor time while idle, quick to open. Meant to run under ThreadSanitizer too:
 * tiles write plain memory.
 */
#include "base/fp.h"
#include "run/pool.h"
#include "tests/tally.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_TILES = 1000, ROUNDS = 300 };

typedef struct {
    int times[MOST_TILES];
    int dirty; /* tiles of other threads that met wrong modes */
} sheet;

static int modes_are_clean(void)
{
    uint64_t old = vb_fp_enter();
    uint64_t clean = vb_fp_enter();
    vb_fp_leave(old);
    return (old & ~(uint64_t)0x3f) == (clean & ~(uint64_t)0x3f); /* the low bits are flags of past operations */
}

static void mark(void *ctx, int tile, int worker)
{
    sheet *s = ctx;
    s->times[tile]++;
    if (worker > 0 && !modes_are_clean()) s->dirty = 1;
}

static int run_is_right(vb_pool *p, sheet *s, int tiles)
{
    memset(s, 0, sizeof *s);
    vb_pool_run(p, mark, s, tiles);
    vb_pool_run(p, mark, s, tiles);
    for (int i = 0; i < MOST_TILES; i++)
        if (s->times[i] != (i < tiles ? 2 : 0)) return 0;
    return !s->dirty;
}

static void check_threads(int threads)
{
    static sheet s;
    vb_pool *p;
    vb_err err;
    if (vb_pool_open(&p, threads, &err) < 0) {
        failed("%d threads: %s", threads, err.text);
        return;
    }
    int right = vb_pool_threads(p) == threads;
    for (int round = 0; round < ROUNDS; round++) right &= run_is_right(p, &s, round % 7 == 0 ? MOST_TILES : round % 23);
    vb_pool_close(p);
    if (right)
        passed();
    else
        failed("%d threads: tiles were lost or repeated", threads);
}

typedef struct {
    sheet sheet;
    atomic_int over;
    atomic_int late; /* tiles begun after the long one was over */
} long_sheet;

/* One tile takes long: others must do all the rest meanwhile. */
static void hold_up(void *ctx, int tile, int worker)
{
    long_sheet *s = ctx;
    struct timespec long_time = {0, 100000000};
    if (atomic_load(&s->over)) atomic_fetch_add(&s->late, 1);
    mark(&s->sheet, tile, worker);
    if (tile != 0) return;
    nanosleep(&long_time, NULL);
    atomic_store(&s->over, 1);
}

static void check_help(int threads)
{
    static long_sheet s;
    vb_pool *p;
    if (vb_pool_open(&p, threads, NULL) < 0) exit(1);
    memset(&s, 0, sizeof s);
    vb_pool_run(p, hold_up, &s, MOST_TILES);
    vb_pool_close(p);
    if (atomic_load(&s.late) == 0)
        passed();
    else
        failed("%d threads: %d tiles waited for one that takes long", threads, atomic_load(&s.late));
}

static double seconds_used(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void check_idle(int threads)
{
    static sheet s;
    vb_pool *p;
    struct timespec rest = {1, 0};
    if (vb_pool_open(&p, threads, NULL) < 0) exit(1);
    vb_pool_run(p, mark, &s, threads);
    double before = seconds_used();
    nanosleep(&rest, NULL);
    double used = seconds_used() - before;
    vb_pool_close(p);
    if (used < 0.005)
        passed();
    else
        failed("%d idle threads used %.3f s of processor time in a second", threads, used);
}

static double my_seconds_used(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of some times of the opening thread's own: other programs may hold both cores for longer than an opening
 * takes. */
static void check_open(int threads)
{
    double best = 1.0;
    for (int i = 0; i < 20; i++) {
        vb_pool *p;
        double begin = my_seconds_used();
        if (vb_pool_open(&p, threads, NULL) < 0) exit(1);
        double took = my_seconds_used() - begin;
        if (took < best) best = took;
        vb_pool_close(p);
    }
    if (best < 0.002)
        passed();
    else
        failed("%d threads: opening took %.1f ms of processor time", threads, best * 1e3);
}

static void check_topology(void)
{
    vb_topology t;
    vb_topology_read(&t);
    if (t.cores >= 1 && t.threads >= t.cores && t.packages >= 1 && t.numa_nodes >= 1 && t.cores == vb_topology_cores())
        passed();
    else
        failed("topology: %d cores, %d threads, %d packages, %d nodes", t.cores, t.threads, t.packages, t.numa_nodes);
}

int main(void)
{
    static const int counts[] = {1, 2, 3, 5, 16};
    for (int i = 0; i < 5; i++) check_threads(counts[i]);
    for (int i = 1; i < 4; i++) check_help(counts[i]);
    for (int i = 1; i < 4; i++) check_idle(counts[i]);
    check_open(2);
    check_topology();
    return verdict();
}
