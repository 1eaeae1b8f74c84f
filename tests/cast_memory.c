/* cast_memory.c - what a cast costs: what vb_cast_bytes says is never exceeded, and no step allocates anything.
 *
 *   cast_memory MODEL
 *
 * Every allocation of the library passes through the wrappers below (the linker's --wrap), from all threads.
 */
#include "tests/tally.h"
#include "verbatim_dialogue.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 48, STEPS = 400000 };

static atomic_int allocations;
static atomic_llong live, most;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *old);
void *__real_mmap(void *at, size_t size, int access, int flags, int fd, long offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *old);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd, long offset);
int __wrap_munmap(void *at, size_t size);

static void count(long long bytes)
{
    long long now = atomic_fetch_add(&live, bytes) + bytes, highest = atomic_load(&most);
    while (now > highest && !atomic_compare_exchange_weak(&most, &highest, now)) continue;
}

static void *counted(void *made)
{
    atomic_fetch_add(&allocations, 1);
    if (made != NULL) count((long long)malloc_usable_size(made));
    return made;
}

void *__wrap_malloc(size_t size)
{
    return counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (old != NULL) count(-(long long)malloc_usable_size(old));
    return counted(__real_realloc(old, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *old)
{
    if (old != NULL) count(-(long long)malloc_usable_size(old));
    __real_free(old);
}

void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd, long offset)
{
    atomic_fetch_add(&allocations, 1);
    if (fd < 0) count((long long)size);
    return __real_mmap(at, size, access, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t size)
{
    count(-(long long)size);
    return __real_munmap(at, size);
}

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "cast_memory: %s\n", why);
    exit(1);
}

static const char *const banned[] = {"blood", "war"};
static const vb_persona personas[] = {
    {.name = "man", .prompt = "A man was asked \"${text}\". He smiled and said, \"", .sampling = {.temperature = 0.9f, .top_k = 40},
     .banned = banned, .n_banned = 2, .max_tokens = 20},
    {.name = "line", .prompt = "${place}: ${text}", .sampling = {.temperature = 1, .top_p = 0.9f, .top_k = 100, .repeat = 1.1f},
     .stop = VB_STOP_REGEX, .regex = "^(.{5,}?)[, ]", .max_tokens = 16},
    {.name = "all", .prompt = "${text}", .sampling = {.temperature = 1, .typical = 0.9f, .top_p = 0.9f, .presence = 0.1f},
     .stop = VB_STOP_LENGTH, .max_tokens = 3},
};
static const vb_fact facts[] = {{"place", "In the tower"}};

/* Requests lines of all personas and steps until all are there. Returns the allocations of the steps. */
static int speak(vb_cast *c, uint64_t tick, int64_t slice_ns)
{
    vb_err err;
    vb_line line;
    for (int i = 0; i < LINES; i++) {
        vb_line_request q = {.key = {1, (uint64_t)i, tick, 0}, .persona = personas[i % 3].name, .text = "Where is it?"};
        if (vb_cast_request(c, &q, &err) < 0) fatal(err.text);
    }
    int before = atomic_load(&allocations), left = LINES;
    for (int i = 0; left > 0 && i < STEPS; i++) {
        left = vb_cast_step(c, 0, slice_ns == 0 ? 0 : vb_cast_now() + slice_ns, &err);
        if (left < 0) fatal(err.text);
    }
    int during = atomic_load(&allocations) - before, n = 0;
    if (left > 0) failed("steps of %lld ns: %d lines are not finished", (long long)slice_ns, left);
    while (vb_cast_collect(c, &line)) n += line.failed == 0;
    if (n != LINES) failed("expected %d lines, found %d", LINES, n);
    return during;
}

static void check(vb_model *m, int speakers)
{
    vb_err err = {0};
    vb_cast *c;
    vb_cast_opts o = {.personas = personas, .n_personas = 3, .facts = facts, .n_facts = 1, .speakers = speakers,
                      .waiting = LINES, .context = 96};
    long long told = (long long)vb_cast_bytes(m, &o, &err), before = atomic_load(&live);
    if (told == 0) fatal(err.text);
    atomic_store(&most, before);
    if (vb_cast_open(&c, m, &o, &err) < 0) fatal(err.text);
    int during = speak(c, 1, 0) + speak(c, 2, 50000) + speak(c, 3, 1);
    long long found = atomic_load(&most) - before;
    if (during == 0) passed();
    else failed("%d speakers: expected steps that allocate nothing, found %d allocations", speakers, during);
    if (found <= told && found > told / 3) passed();
    else failed("%d speakers: expected at most %lld bytes as told and a third at least, found %lld", speakers, told, found);
    vb_cast_close(c);
    long long left = atomic_load(&live) - before, kept = (long long)vb_eval_bytes(m, speakers + 128, speakers) + (64 << 10);
    if (left <= kept) passed();
    else failed("%d speakers: expected at most the model's %lld bytes after closing, found %lld", speakers, kept, left);
}

int main(int argc, char **argv)
{
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.threads = 1};
    if (argc < 2) return fprintf(stderr, "usage: cast_memory MODEL\n"), 2;
    for (int speakers = 1; speakers <= 33; speakers += 16) {
        if (vb_model_open(&m, argv[1], &o, &err) < 0) fatal(err.text);
        check(m, speakers);
        vb_model_close(m);
    }
    return verdict();
}
