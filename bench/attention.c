/* attention.c - attention of one new token over long contexts, beside the read bandwidth measured in the same run.
 *
 *   attention [--isa NAME] [--threads N] [--kv f16|f32|q8_0] [--positions N]
 *
 * GB/s are bytes of keys and values seen, each once, over processor time. Layers follow each other until more than any
 * cache holds has been read. Bandwidth and attention take turns; each line shows the medians and the median of the
 * ratios.
 */
#include "base/fp.h"
#include "base/kv.h"
#include "base/os.h"
#include "run/cpu.h"
#include "run/hard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, TOUCHED = 256 << 20, MOST_LAYERS = 512, MOST_POSITIONS = 65536 };

typedef struct {
    const char *name;
    int heads, kv_heads, dim;
} shape;

typedef struct {
    vb_cpu cpu;
    vb_plan plan;
    vb_hard hard;
    vb_slot slots[MOST_LAYERS];
    vb_step steps[MOST_LAYERS];
    vb_value values[4]; /* q, k, v, out */
    int64_t offset[4];
    uint8_t *memory; /* what bandwidth is measured on */
    _Atomic uint64_t sum;
    int layers;
} bench;

static void check(vb_status s, const vb_err *err)
{
    if (s >= 0) return;
    fprintf(stderr, "attention: %s\n", err->text);
    exit(1);
}

/* Processor time of one thread, where all are busy: other programs on the machine disturb it little. */
static uint64_t now(const bench *b)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) / (uint64_t)vb_pool_threads(b->cpu.pool);
}

/* --- bandwidth --------------------------------------------------------------------------------------------------- */

enum { TILE = 1 << 20, AHEAD = 4096 };

/* A line a step from each of so many streams, asked for a page ahead. */
static void read_streams(bench *b, int tile, size_t streams)
{
    const uint8_t *from = b->memory + (size_t)tile * TILE;
    uint64_t sum[8] = {0}, all = 0;
    for (size_t i = 0; i < TILE / streams; i += 64)
        for (size_t k = 0; k < streams; k++) {
            const uint8_t *at = from + k * (TILE / streams) + i;
            const uint64_t *x = (const uint64_t *)(const void *)at;
            __builtin_prefetch(at + AHEAD);
            for (int j = 0; j < 8; j++) sum[j] += x[j];
        }
    for (int j = 0; j < 8; j++) all += sum[j];
    atomic_fetch_add_explicit(&b->sum, all, memory_order_relaxed);
}

static void read_one(void *ctx, int tile, int worker)
{
    (void)worker;
    read_streams(ctx, tile, 1);
}

static void read_four(void *ctx, int tile, int worker)
{
    (void)worker;
    read_streams(ctx, tile, 4);
}

/* GB/s; the best of a few passes in two patterns, since anything else on the machine only slows them down. */
static double bandwidth(bench *b)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        uint64_t start = now(b), n;
        vb_pool_run(b->cpu.pool, i % 2 == 0 ? read_one : read_four, b, TOUCHED / TILE);
        n = now(b) - start;
        if (n < best) best = n;
    }
    return (double)TOUCHED / (double)best;
}

/* --- attention --------------------------------------------------------------------------------------------------- */

/* One token that has a query, a key and a value in scratch. */
static void place(bench *b, const shape *s)
{
    vb_cpu *p = &b->cpu;
    int widths[4] = {s->heads * s->dim, s->kv_heads * s->dim, s->kv_heads * s->dim, s->heads * s->dim};
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        b->values[i] = (vb_value){.width = widths[i]};
        b->offset[i] = (int64_t)at;
        at += (size_t)(widths[i] + 15) / 16 * 16;
    }
    for (int i = 0; i < b->layers; i++) {
        b->slots[i] = (vb_slot){.layer = i, .kv_heads = s->kv_heads, .dim_k = s->dim, .dim_v = s->dim};
        b->steps[i] = (vb_step){.op = VB_OP_ATTEND, .layer = i, .out = 3, .in = {0, 1, 2}, .u.attend = {
            .slot = i, .heads = s->heads, .kv_heads = s->kv_heads, .dim_k = s->dim, .dim_v = s->dim, .scale = 0.088f}};
    }
    b->plan = (vb_plan){.steps = b->steps, .values = b->values, .slots = b->slots, .n_steps = b->layers,
                        .n_values = 4, .n_slots = b->layers, .output = -1};
    p->plan = &b->plan;
    p->offset = b->offset;
    p->hard = &b->hard;
    p->tokens = 1;
    p->worker_floats = vb_cpu_attend_floats(&b->steps[0]);
    p->part_floats = vb_cpu_part_floats(&b->steps[0]);
    p->at.workers = at * sizeof(float);
    p->at.parts = p->at.workers + (size_t)vb_pool_threads(p->pool) * (size_t)p->worker_floats * sizeof(float);
    p->scratch_bytes = p->at.parts + (size_t)p->part_floats * sizeof(float);
    p->scratch = vb_pages_reserve(p->scratch_bytes);
    if (p->scratch == NULL) check(VB_E_MEMORY, &(vb_err){.text = "out of memory"});
    for (size_t i = 0; i < at; i++) ((float *)(void *)p->scratch)[i] = (float)(i * 7919 % 4001) * 0.0005f - 1.0f;
}

/* Keys and values of all positions: copies of one. */
static void fill(bench *b, const vb_state *state, int positions, const shape *s)
{
    const float *x = vb_cpu_value(&b->cpu, 0, 0);
    for (int layer = 0; layer < b->layers; layer++)
        for (int h = 0; h < s->kv_heads; h++) {
            vb_head_rows to = vb_state_head(state, layer, h);
            b->cpu.k->kv_write[state->kv](to.values, x, s->dim);
            for (int i = 0; i < positions; i++)
                memmove(to.values + (size_t)i * to.value_stride, to.values, to.value_stride);
            vb_keys_put(to.keys, 0, positions, to.values, 0, to.key_stride, state->kv);
        }
}

static double attention(bench *b, size_t bytes)
{
    uint64_t start = now(b);
    for (int i = 0; i < b->layers; i++) {
        atomic_store(&b->cpu.bad[0], INT32_MAX);
        vb_cpu_attend(&b->cpu, &b->steps[i]);
    }
    return (double)bytes * b->layers / (double)(now(b) - start);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x)
{
    qsort(x, ROUNDS, sizeof *x, ascending);
    return x[ROUNDS / 2];
}

static void line(bench *b, const shape *s, vb_kv kv, int positions)
{
    static const char *const kinds[] = {[VB_KV_F16] = "f16", [VB_KV_F32] = "f32", [VB_KV_Q8_0] = "q8_0"};
    double read[ROUNDS], attend[ROUNDS], ratio[ROUNDS];
    vb_err err;
    vb_state *state;
    b->layers = 1;
    place(b, s);
    size_t bytes = vb_kv_bytes(&b->plan, positions, kv);
    vb_pages_release(b->cpu.scratch, b->cpu.scratch_bytes);
    b->layers = (int)((TOUCHED + bytes - 1) / bytes) < MOST_LAYERS ? (int)((TOUCHED + bytes - 1) / bytes) : MOST_LAYERS;
    place(b, s);
    check(vb_state_open(&state, &b->plan, positions, kv, &err), &err);
    vb_row row = {.state = state, .position = positions - 1, .last = positions - 1};
    b->cpu.rows = &row;
    fill(b, state, positions, s);
    attention(b, bytes);
    for (int i = 0; i < ROUNDS; i++) {
        read[i] = bandwidth(b);
        attend[i] = attention(b, bytes);
        ratio[i] = attend[i] / read[i];
    }
    printf("%-6s %-5s %d thread%s  %5d positions  %6.2f GB/s  reading %6.2f  %3.0f %%\n", s->name, kinds[kv],
           vb_pool_threads(b->cpu.pool), vb_pool_threads(b->cpu.pool) > 1 ? "s" : " ", positions, median(attend),
           median(read), 100.0 * median(ratio));
    fflush(stdout);
    vb_state_close(state);
    vb_pages_release(b->cpu.scratch, b->cpu.scratch_bytes);
}

static void table(bench *b, int kv, int positions)
{
    static const shape shapes[] = {{"gqa64", 32, 8, 64}, {"gqa128", 32, 8, 128}, {"mqa64", 4, 1, 64},
                                   {"mqa128", 4, 1, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int n = 1024; n <= MOST_POSITIONS; n *= n == 8192 ? 4 : n == 1024 ? 8 : 2)
            if (positions == 0 || positions == n) line(b, &shapes[i], (vb_kv)kv, n);
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    static bench b;
    vb_err err;
    const char *threads = option(argc, argv, "--threads"), *kv = option(argc, argv, "--kv");
    const char *positions = option(argc, argv, "--positions");
    int n = threads != NULL ? atoi(threads) : vb_topology_cores();
    int kind = kv == NULL || strcmp(kv, "f16") == 0 ? VB_KV_F16 : strcmp(kv, "f32") == 0 ? VB_KV_F32 : VB_KV_Q8_0;
    check(vb_kernels_for(&b.cpu.k, option(argc, argv, "--isa"), &err), &err);
    check(vb_pool_open(&b.cpu.pool, n, &err), &err);
    vb_fp_enter();
    b.memory = vb_pages_reserve(TOUCHED);
    if (b.memory == NULL) check(VB_E_MEMORY, &(vb_err){.text = "out of memory"});
    memset(b.memory, 1, TOUCHED);
    table(&b, kind, positions != NULL ? atoi(positions) : 0);
    vb_pool_close(b.cpu.pool);
    vb_pages_release(b.memory, TOUCHED);
    return 0;
}
