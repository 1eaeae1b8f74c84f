/* memory.c - what evaluating costs: no allocation once it is warm, and no memory beyond what the session has told.
 *
 *   memory MODEL
 *
 * Every allocation of the library passes through the wrappers below (the linker's --wrap), from all threads. Warm
 * means: a prefill, a decoded token and a batch of sessions of these sizes were evaluated before.
 */
#include "tests/tally.h"
#include "verbatim.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 256, PREFILL = 96, DECODE = 24, SESSIONS = 4, ALLOWANCE_KB = 48 << 10 };

static atomic_int allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_mmap(void *at, size_t size, int access, int flags, int fd, long offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd, long offset);

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_aligned_alloc(alignment, size);
}

void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd, long offset)
{
    atomic_fetch_add(&allocations, 1);
    return __real_mmap(at, size, access, flags, fd, offset);
}

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "memory: %s\n", why);
    exit(1);
}

static void eval(vb_session **s, int sessions, int n)
{
    static vb_token ids[CONTEXT];
    vb_work work[SESSIONS];
    vb_err err;
    for (int i = 0; i < n; i++) ids[i] = i % 50;
    for (int i = 0; i < sessions; i++) work[i] = (vb_work){.session = s[i], .ids = ids, .n = n};
    if (vb_eval(work, sessions, &err) < 0) fatal(err.text);
}

/* Allocations of everything that may be evaluated. */
static int round_of_all(vb_session **s)
{
    int before = atomic_load(&allocations);
    for (int i = 0; i < SESSIONS; i++) vb_session_rewind(s[i], 0, NULL);
    eval(s, 1, PREFILL);
    for (int i = 0; i < DECODE; i++) eval(s, 1, 1);
    eval(s, SESSIONS, 1);
    eval(s, SESSIONS, 3);
    return atomic_load(&allocations) - before;
}

/* Memory of this process that no file stands behind. */
static long anonymous_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    if (f == NULL) fatal("/proc/self/smaps_rollup: cannot open");
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Anonymous: %ld kB", &kb) == 1) break;
    fclose(f);
    return kb;
}

static void check_size(vb_session **s, const char *when)
{
    vb_stats stats;
    vb_session_stats(s[0], &stats);
    long told = (long)((SESSIONS * stats.kv_bytes + stats.scratch_bytes) >> 10), found = anonymous_kb();
    if (found >= 0 && found <= told + ALLOWANCE_KB)
        passed();
    else
        failed("%s: expected at most %ld kB told and %d, found %ld", when, told, ALLOWANCE_KB, found);
}

static void check(const char *path, int threads)
{
    vb_err err;
    vb_model *m;
    vb_session *s[SESSIONS];
    vb_model_opts o = {.threads = threads};
    vb_session_opts so = {.context = CONTEXT};
    if (vb_model_open(&m, path, &o, &err) < 0) fatal(err.text);
    for (int i = 0; i < SESSIONS; i++)
        if (vb_session_open(&s[i], m, &so, &err) < 0) fatal(err.text);
    check_size(s, "opened");
    if (round_of_all(s) == 0) failed("%d threads: no allocation was seen while memory had to grow", threads);
    int late = round_of_all(s);
    if (late == 0)
        passed();
    else
        failed("%d threads: %d allocations by evaluations that had been made before", threads, late);
    check_size(s, "evaluated");
    for (int i = 0; i < SESSIONS; i++) vb_session_close(s[i]);
    vb_model_close(m);
}

int main(int argc, char **argv)
{
    if (argc < 2) return fprintf(stderr, "usage: memory MODEL\n"), 2;
    for (int threads = 1; threads <= 3; threads++) check(argv[1], threads);
    return verdict();
}
