/* kernelbench.h - speed of single kernels, for kernelcheck --bench: best of several rounds, instruction sets
 * interleaved, processor time of this thread, so that other load on the machine disturbs little.
 *
 *   matvec      GB/s of weights, from a matrix larger than any cache ("memory") and from one that fits ("cache")
 *   matmul      GMAC/s of 2,048 rows (256, eight times) and 512 tokens, beside how many products of bytes the processor
 *               can add up at most
 *   crossover   GMAC/s of few tokens, by panels, by rows (matvec4, matvec) and with rows side by side (few): where
 *               vb_kernels.matmul_from belongs
 *   others      million values a second
 */
#ifndef VB_TESTS_KERNELBENCH_H
#define VB_TESTS_KERNELBENCH_H
#include "base/canon.h"
#include "base/fp.h"
#include "base/os.h"
#include "simd/kernels.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BENCH_COLS = 4096, BENCH_SMALL = 64, BENCH_ROUNDS = 5, BENCH_BYTES = 192 << 20, BENCH_MOST = 8,
       BENCH_TOKENS = 512 };

typedef struct {
    uint8_t *weights;
    float *x, *y, *z;
    uint8_t *act, *cache, *panel, *strips;
    float *products, *inputs; /* of many tokens */
    int tokens;
    size_t n, passes; /* rows of a matrix, how often */
    vb_format format;
    const vb_kernels *k;
} bench_input;

/* Does the work once; returns bytes or values. */
typedef double bench_work(bench_input *in);

static double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double bench_once(bench_input *in, bench_work *work)
{
    double done = 0, start = bench_seconds(), now;
    do {
        done += work(in);
        now = bench_seconds();
    } while (now - start < 0.02);
    return done / (now - start);
}

static double bench_matvec(bench_input *in)
{
    const vb_format_info *f = vb_format_of(in->format);
    size_t row = (size_t)(BENCH_COLS / f->block * f->bytes);
    vb_act a;
    vb_act_place(&a, in->act, BENCH_COLS);
    a.x = in->x;
    if (f->act != VB_ACT_F32) in->k->quantize[f->act](&a);
    for (size_t r = 0; r < in->n * in->passes; r += BENCH_SMALL) {
        vb_rows w = {in->weights + r % in->n * row, row, BENCH_SMALL};
        in->k->matvec[in->format](in->y, &w, &a);
    }
    return (double)(row * in->n * in->passes);
}

/* Four activations at once from a matrix in cache: weights count once for each. */
static double bench_matvec4(bench_input *in)
{
    const vb_format_info *f = vb_format_of(in->format);
    size_t row = (size_t)(BENCH_COLS / f->block * f->bytes);
    float *y[4] = {in->y, in->y + BENCH_SMALL, in->y + 2 * BENCH_SMALL, in->y + 3 * BENCH_SMALL};
    vb_rows w = {in->weights, row, BENCH_SMALL};
    vb_act a[4];
    for (int i = 0; i < 4; i++) {
        vb_act_place(&a[i], in->act + vb_act_bytes(BENCH_COLS) * (size_t)i, BENCH_COLS);
        a[i].x = in->x;
        in->k->quantize[f->act](&a[i]);
    }
    for (size_t i = 0; i < in->passes; i++) in->k->matvec4[in->format](y, &w, a);
    return 4.0 * (double)(row * BENCH_SMALL * in->passes);
}

typedef enum { BENCH_BY_PANELS, BENCH_BY_ROWS, BENCH_BY_FEW } bench_how;

/* `tokens` activations times 256 rows; returns multiplications. */
static double bench_tokens(bench_input *in, int tokens, bench_how how)
{
    enum { ROWS = 256 };
    const vb_format_info *f = vb_format_of(in->format);
    vb_rows w = {in->weights, (size_t)(BENCH_COLS / f->block * f->bytes), ROWS};
    vb_act a[BENCH_TOKENS];
    float *y[BENCH_TOKENS];
    for (int t = 0; t < tokens; t++) {
        y[t] = in->products + t * ROWS;
        a[t] = (vb_act){.n = BENCH_COLS, .x = in->inputs + t * BENCH_COLS};
        if (f->act == VB_ACT_F32) continue;
        vb_act_place(&a[t], in->act + vb_act_bytes(BENCH_COLS) * (size_t)t, BENCH_COLS);
        a[t].x = in->inputs + t * BENCH_COLS;
        in->k->quantize[f->act](&a[t]);
    }
    if (in->k->lay[f->act] != NULL) in->k->lay[f->act](in->strips, a, tokens);
    vb_product p = {.w = &w, .a = a, .tokens = tokens, .y = y, .panel = in->panel, .strips = in->strips};
    for (size_t i = 0; i < in->passes; i++) {
        int t = 0;
        if (how == BENCH_BY_PANELS) in->k->matmul[in->format](&p);
        if (how == BENCH_BY_FEW) in->k->few[in->format](&p);
        if (how != BENCH_BY_ROWS) continue;
        for (; in->k->matvec4[in->format] != NULL && t + 4 <= tokens; t += 4)
            in->k->matvec4[in->format](y + t, &w, a + t);
        for (; t < tokens; t++) in->k->matvec[in->format](y[t], &w, &a[t]);
    }
    return (double)ROWS * BENCH_COLS * tokens * (double)in->passes;
}

/* Most products of bytes a second: the densest instruction on registers alone. */
#define BENCH_REGISTERS(INSTRUCTION)                                                              \
    for (long i = 0; i < n; i++)                                                                  \
        __asm__ volatile(INSTRUCTION("0") INSTRUCTION("1") INSTRUCTION("2") INSTRUCTION("3")      \
                         INSTRUCTION("4") INSTRUCTION("5") INSTRUCTION("6") INSTRUCTION("7")      \
                         ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8")
#define BENCH_DPBUSD_512(R) "vpdpbusd %%zmm9, %%zmm9, %%zmm" R "\n"
#define BENCH_DPBUSD_256(R) "%{vex%} vpdpbusd %%ymm9, %%ymm9, %%ymm" R "\n"
#define BENCH_MADDUBS(R) "vpmaddubsw %%ymm9, %%ymm9, %%ymm8\nvpaddw %%ymm8, %%ymm" R ", %%ymm" R "\n"
static double bench_peak(bench_input *in)
{
    long n = 100000;
    double bytes = 0;
#if defined(__x86_64__)
    if (strcmp(in->k->isa, "avx512") == 0) {
        bytes = 64;
        BENCH_REGISTERS(BENCH_DPBUSD_512);
    } else if (strcmp(in->k->isa, "avxvnni") == 0) {
        bytes = 32;
        BENCH_REGISTERS(BENCH_DPBUSD_256);
    } else if (strcmp(in->k->isa, "avx2") == 0) {
        bytes = 32;
        BENCH_REGISTERS(BENCH_MADDUBS);
    }
#else
    (void)in;
#endif
    return 8 * bytes * (double)n;
}
#undef BENCH_REGISTERS
#undef BENCH_DPBUSD_512
#undef BENCH_DPBUSD_256
#undef BENCH_MADDUBS

/* As many rows as a small matrix has, 2048, share what the activations take before. */
static double bench_matmul(bench_input *in)
{
    in->passes = 8;
    double done = in->k->matmul[in->format] == NULL ? 0 : bench_tokens(in, BENCH_TOKENS, BENCH_BY_PANELS);
    in->passes = 1;
    return done;
}

static double bench_few_by_panels(bench_input *in)
{
    return in->k->matmul[in->format] == NULL ? 0 : bench_tokens(in, in->tokens, BENCH_BY_PANELS);
}

static double bench_few_by_rows(bench_input *in)
{
    return bench_tokens(in, in->tokens, BENCH_BY_ROWS);
}

static double bench_few_by_few(bench_input *in)
{
    if (in->k->few[in->format] == NULL || in->tokens > VB_FEW) return 0;
    return bench_tokens(in, in->tokens, BENCH_BY_FEW);
}

static double bench_dequantize(bench_input *in)
{
    in->k->dequantize[in->format](in->y, in->weights, BENCH_COLS);
    return BENCH_COLS;
}

static double bench_quantize_32(bench_input *in)
{
    vb_act a;
    vb_act_place(&a, in->act, BENCH_COLS);
    a.x = in->x;
    in->k->quantize[VB_ACT_Q32](&a);
    return BENCH_COLS;
}

static double bench_quantize_256(bench_input *in)
{
    vb_act a;
    vb_act_place(&a, in->act, BENCH_COLS);
    a.x = in->x;
    in->k->quantize[VB_ACT_Q256](&a);
    return BENCH_COLS;
}

#define BENCH_VALUES(NAME, CALL)                     \
    static double bench_##NAME(bench_input *in)      \
    {                                                \
        in->k->CALL;                                 \
        return BENCH_COLS;                           \
    }
BENCH_VALUES(add, add(in->y, in->x, in->z, BENCH_COLS))
BENCH_VALUES(norm_rms, norm_rms(in->y, in->x, in->z, BENCH_COLS, 1e-5f))
BENCH_VALUES(glu_silu, glu_silu(in->y, in->x, in->z, BENCH_COLS))
BENCH_VALUES(glu_gelu_tanh, glu_gelu_tanh(in->y, in->x, in->z, BENCH_COLS))
BENCH_VALUES(softcap, softcap(in->y, in->x, 30.0f, BENCH_COLS))
BENCH_VALUES(kv_write_f16, kv_write[VB_KV_F16](in->cache, in->x, BENCH_COLS))
#undef BENCH_VALUES

/* Four heads of 128 that share keys and values, over 1024 positions; values are elements of keys and of values read. */
static double bench_attend(bench_input *in, vb_kv kv, size_t row)
{
    enum { DIM = 128, POSITIONS = 1024, HEADS = 4 };
    vb_query queries[HEADS];
    int floats = vb_sums_floats(DIM);
    for (int i = 0; i < HEADS; i++) {
        queries[i] = (vb_query){in->x + i * DIM, 0, POSITIONS - 1, in->y + i * floats};
        vb_sums_clear(queries[i].sums, DIM);
    }
    vb_group g = {.queries = queries, .n = HEADS, .keys = in->cache, .values = in->cache + row * POSITIONS,
                  .key_stride = row, .value_stride = row, .dim_k = DIM, .dim_v = DIM, .to = POSITIONS - 1,
                  .scale = 0.088f, .work = (float *)(void *)in->act};
    in->k->attend[kv](&g);
    return 2.0 * DIM * POSITIONS;
}

static double bench_attend_f16(bench_input *in)
{
    return bench_attend(in, VB_KV_F16, 256);
}

static double bench_attend_f32(bench_input *in)
{
    return bench_attend(in, VB_KV_F32, 512);
}

static double bench_attend_q8_0(bench_input *in)
{
    return bench_attend(in, VB_KV_Q8_0, 136);
}

static int bench_tables(const char *isa, const vb_kernels *tables[BENCH_MOST])
{
    int n = 0;
    for (int i = 0; vb_kernels_at(i) != NULL && n < BENCH_MOST; i++) {
        const char *name = vb_kernels_at(i)->isa;
        if (isa != NULL && strcmp(isa, name) != 0) continue;
        if (vb_kernels_for(&tables[n], name, NULL) == VB_OK) n++;
    }
    return n;
}

/* One line: the best round of each instruction set. */
static void bench_line(bench_input *in, const char *name, bench_work *work, const char *unit, const char *isa)
{
    const vb_kernels *tables[BENCH_MOST];
    double best[BENCH_MOST] = {0};
    int n = bench_tables(isa, tables);
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (int i = 0; i < n; i++) {
            in->k = tables[i];
            double speed = bench_once(in, work);
            if (speed > best[i]) best[i] = speed;
        }
    printf("%-28s", name);
    for (int i = 0; i < n; i++) printf("  %s %8.2f", tables[i]->isa, best[i] / (unit[0] == 'G' ? 1e9 : 1e6));
    printf("  %s\n", unit);
    fflush(stdout);
}

/* Blocks of one byte value: as floats and as halves a small number, 0x11 0x11. */
static void bench_fill(bench_input *in)
{
    memset(in->weights, 0x11, BENCH_BYTES);
    for (int i = 0; i < BENCH_COLS; i++) {
        in->x[i] = (float)((i * 7919) % 4001 - 2000) * 0.001f;
        in->z[i] = in->x[BENCH_COLS - 1 - i] + 0.5f;
    }
    for (int t = 0; t < BENCH_TOKENS; t++) memcpy(in->inputs + t * BENCH_COLS, in->x, BENCH_COLS * sizeof *in->x);
    for (size_t i = 0; i < 1 << 20; i += 2) memcpy(in->cache + i, "\x11\x2e", 2);
}

static void bench_formats(bench_input *in, const char *isa, const char *filter)
{
    for (int f = 0; f < VB_FORMATS; f++) {
        const vb_format_info *info = vb_format_of((vb_format)f);
        size_t row = (size_t)(BENCH_COLS / info->block * info->bytes);
        char name[64];
        in->format = (vb_format)f;
        for (int memory = 0; memory < 4; memory++) {
            static const char *const what[] = {"matvec_%s cache", "matvec_%s memory", "dequantize_%s",
                                               "matvec4_%s cache"};
            static bench_work *const work[] = {bench_matvec, bench_matvec, bench_dequantize, bench_matvec4};
            in->passes = memory == 1 ? 1 : 16;
            in->n = memory == 1 ? BENCH_BYTES / row / BENCH_SMALL * BENCH_SMALL : BENCH_SMALL;
            snprintf(name, sizeof name, what[memory], info->name);
            for (char *c = name; *c != 0; c++) *c = (char)tolower((unsigned char)*c);
            if (filter != NULL && strstr(name, filter) == NULL) continue;
            if (memory == 3 && info->act == VB_ACT_F32) continue;
            if (memory != 2 && info->act == VB_ACT_F32 && info->block > 1) continue;
            bench_line(in, name, work[memory], memory == 2 ? "M values/s" : "GB/s", isa);
        }
    }
}

/* Many tokens, then a few in both ways, of each format that has panels. */
static void bench_products(bench_input *in, const char *isa, const char *filter)
{
    static const int few[] = {2, 4, 6, 8, 10, 12, 16, 24};
    char name[64];
    in->passes = 1;
    if (filter == NULL || strstr("matmul peak", filter) != NULL)
        bench_line(in, "matmul peak", bench_peak, "GMAC/s", isa);
    for (int f = 0; f < VB_FORMATS; f++) {
        const vb_format_info *info = vb_format_of((vb_format)f);
        if (info->act == VB_ACT_F32 && info->block > 1) continue;
        in->format = (vb_format)f;
        snprintf(name, sizeof name, "matmul_%s", info->name);
        for (char *c = name; *c != 0; c++) *c = (char)tolower((unsigned char)*c);
        if (filter == NULL || strstr(name, filter) != NULL) bench_line(in, name, bench_matmul, "GMAC/s", isa);
        for (int i = 0; i < 8 && filter != NULL && strncmp(filter, "crossover", 9) == 0; i++) {
            if (filter[9] != 0 && strcmp(filter + 10, info->name) != 0) continue;
            in->tokens = few[i];
            snprintf(name, sizeof name, "crossover %s %d panels", info->name, few[i]);
            bench_line(in, name, bench_few_by_panels, "GMAC/s", isa);
            snprintf(name, sizeof name, "crossover %s %d rows", info->name, few[i]);
            bench_line(in, name, bench_few_by_rows, "GMAC/s", isa);
            snprintf(name, sizeof name, "crossover %s %d few", info->name, few[i]);
            bench_line(in, name, bench_few_by_few, "GMAC/s", isa);
        }
    }
}

static void bench_values(bench_input *in, const char *isa, const char *filter)
{
    static const struct {
        const char *name;
        bench_work *work;
    } lines[] = {
        {"quantize_32", bench_quantize_32},
        {"quantize_256", bench_quantize_256},
        {"add", bench_add},
        {"norm_rms", bench_norm_rms},
        {"glu_silu", bench_glu_silu},
        {"glu_gelu_tanh", bench_glu_gelu_tanh},
        {"softcap", bench_softcap},
        {"kv_write_f16", bench_kv_write_f16},
        {"attend_f16", bench_attend_f16},
        {"attend_f32", bench_attend_f32},
        {"attend_q8_0", bench_attend_q8_0},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (filter == NULL || strstr(lines[i].name, filter) != NULL)
            bench_line(in, lines[i].name, lines[i].work, "M values/s", isa);
}

static int vb_bench_kernels(const char *isa, const char *filter)
{
    size_t floats = BENCH_COLS * sizeof(float);
    bench_input in = {.weights = vb_pages_reserve(BENCH_BYTES), .x = vb_pages_reserve(floats),
                      .y = vb_pages_reserve(floats), .z = vb_pages_reserve(floats),
                      .act = vb_pages_reserve(BENCH_TOKENS * vb_act_bytes(BENCH_COLS)),
                      .cache = vb_pages_reserve(1 << 20), .panel = vb_pages_reserve(vb_panel_bytes(BENCH_COLS)),
                      .strips = vb_pages_reserve((BENCH_TOKENS + 16) * vb_strip_bytes(VB_ACT_F32, BENCH_COLS)),
                      .products = vb_pages_reserve(256 * BENCH_TOKENS * sizeof(float)),
                      .inputs = vb_pages_reserve(BENCH_TOKENS * floats)};
    if (in.weights == NULL || in.x == NULL || in.y == NULL || in.z == NULL || in.act == NULL || in.cache == NULL ||
        in.panel == NULL || in.strips == NULL || in.products == NULL || in.inputs == NULL)
        return 1;
    vb_fp_enter();
    bench_fill(&in);
    bench_formats(&in, isa, filter);
    bench_products(&in, isa, filter);
    bench_values(&in, isa, filter);
    return 0;
}

#endif
