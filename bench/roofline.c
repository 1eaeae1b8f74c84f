/* roofline.c - what this machine can do at most: bytes read a second, integer products a second; one line of JSON.
 *
 *   roofline [--threads N] [--file MODEL] [--mib N]
 *
 * Reading: each thread reads its share of the bytes from end to end as kernels do, four streams at a time, prefetching
 * 4 KiB ahead; the best of some passes, by wall clock. "mapped" are the pages of MODEL, as the engine reads weights,
 * "anonymous" memory of its own. Both are larger than the last cache (1 GiB, or --mib).
 *
 * Products: the densest instruction of each set on registers alone, in GMAC/s: vpdpbusd of 512 and 256 bits, vpmaddubsw
 * with vpaddw (what AVX2 has), sdot.
 */
#include "base/os.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_THREADS = 64, PASSES = 5, STREAMS = 4, AHEAD = 4096 };

typedef struct {
    void (*run)(const uint8_t *from, size_t n);
    const uint8_t *from;
    size_t n;
} work;

static void *perform(void *opaque)
{
    const work *w = opaque;
    w->run(w->from, w->n);
    return NULL;
}

/* Seconds until all threads have done their share of n bytes (or each its n rounds, if from is NULL). */
static double together(work w, int threads)
{
    pthread_t t[MOST_THREADS];
    work part[MOST_THREADS];
    size_t share = w.from != NULL ? w.n / (size_t)threads / 4096 * 4096 : w.n;
    uint64_t begin = vb_clock_ns();
    for (int i = 0; i < threads; i++) {
        part[i] = (work){w.run, w.from != NULL ? w.from + share * (size_t)i : NULL, share};
        if (i + 1 < threads && pthread_create(&t[i], NULL, perform, &part[i]) != 0) exit(1);
    }
    perform(&part[threads - 1]);
    for (int i = 0; i + 1 < threads; i++) pthread_join(t[i], NULL);
    return (double)(vb_clock_ns() - begin) * 1e-9;
}

/* --- reading -------------------------------------------------------------------------------------------------- */

/* Sums that nobody needs; the empty asm keeps them. */
#define READ(NAME, VECTOR, ATTRIBUTE)                                                             \
    ATTRIBUTE static void NAME(const uint8_t *from, size_t n)                                     \
    {                                                                                             \
        VECTOR sum[STREAMS] = {0};                                                                \
        size_t quarter = n / STREAMS / sizeof(VECTOR) * sizeof(VECTOR);                           \
        for (size_t i = 0; i < quarter; i += sizeof(VECTOR)) {                                    \
            for (int s = 0; s < STREAMS; s++) {                                                   \
                const uint8_t *at = from + (size_t)s * quarter + i;                               \
                __builtin_prefetch(at + AHEAD);                                                   \
                sum[s] += *(const VECTOR *)(const void *)at;                                      \
            }                                                                                     \
        }                                                                                         \
        for (int s = 0; s < STREAMS; s++) __asm__ volatile("" ::"m"(sum[s]));                     \
    }

typedef uint64_t v2 __attribute__((vector_size(16), aligned(1)));
READ(read_16, v2, )
#if defined(__x86_64__)
typedef uint64_t v4 __attribute__((vector_size(32), aligned(1)));
typedef uint64_t v8 __attribute__((vector_size(64), aligned(1)));
READ(read_32, v4, __attribute__((target("avx2"))))
READ(read_64, v8, __attribute__((target("avx512f"))))
#endif

static double bandwidth(const uint8_t *from, size_t n, int threads)
{
    work w = {read_16, from, n};
    double best = 1e30;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) w.run = read_32;
    if (__builtin_cpu_supports("avx512f")) w.run = read_64;
#endif
    for (int i = 0; i < PASSES; i++) {
        double took = together(w, threads);
        if (took < best) best = took;
    }
    return (double)n / best * 1e-9;
}

static double anonymous(size_t n, int threads)
{
    uint8_t *pages = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return 0.0;
    memset(pages, 1, n);
    double speed = bandwidth(pages, n, threads);
    munmap(pages, n);
    return speed;
}

static double mapped(const char *path, int threads)
{
    vb_map map;
    vb_err err;
    if (path == NULL) return 0.0;
    if (vb_map_open(&map, path, &err) < 0) {
        fprintf(stderr, "roofline: %s\n", err.text);
        exit(1);
    }
    double speed = bandwidth(map.data, (size_t)map.size, threads);
    vb_map_close(&map);
    return speed;
}

/* --- products ------------------------------------------------------------------------------------------------- */

/* Twelve chains hide the latency of one. */
#define CHAINS(NAME, VECTOR, ATTRIBUTE, ASM)                                             \
    ATTRIBUTE static void NAME(const uint8_t *from, size_t rounds)                       \
    {                                                                                    \
        VECTOR x = {1}, y = {2}, t = {0}, c0 = t, c1 = t, c2 = t, c3 = t, c4 = t, c5 = t; \
        VECTOR c6 = t, c7 = t, c8 = t, c9 = t, c10 = t, c11 = t;                         \
        (void)from;                                                                      \
        for (size_t i = 0; i < rounds; i++) {                                            \
            ASM(c0) ASM(c1) ASM(c2) ASM(c3) ASM(c4) ASM(c5)                              \
            ASM(c6) ASM(c7) ASM(c8) ASM(c9) ASM(c10) ASM(c11)                            \
        }                                                                                \
        (void)t;                                                                         \
    }
enum { N_CHAINS = 12, ROUNDS = 4000000 };

static double products(void (*run)(const uint8_t *, size_t), int bytes, int threads)
{
    double best = 1e30;
    for (int i = 0; i < 3; i++) {
        double took = together((work){run, NULL, ROUNDS}, threads);
        if (took < best) best = took;
    }
    return (double)ROUNDS * N_CHAINS * bytes * threads / best * 1e-9;
}

#if defined(__x86_64__)
typedef int32_t i8x __attribute__((vector_size(32)));
typedef int32_t i16x __attribute__((vector_size(64)));
#define DPBUSD(c) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(x), "v"(y));
#define DPBUSD_VEX(c) __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(c) : "x"(x), "x"(y));
#define MADDUBS(c) __asm__ volatile("vpmaddubsw %2, %3, %1\n\tvpaddw %1, %0, %0" : "+x"(c), "=&x"(t) : "x"(x), "x"(y));
CHAINS(dpbusd_512, i16x, __attribute__((target("avx512f,avx512vnni"))), DPBUSD)
CHAINS(dpbusd_vex, i8x, __attribute__((target("avx2"))), DPBUSD_VEX)
CHAINS(maddubs, i8x, __attribute__((target("avx2"))), MADDUBS)

static int has_avx_vnni(void)
{
    unsigned a = 7, b, c = 1, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return __builtin_cpu_supports("avx2") && (a >> 4 & 1) != 0;
}

static void print_products(int threads)
{
    if (__builtin_cpu_supports("avx512vnni")) printf(", \"vpdpbusd512\": %.1f", products(dpbusd_512, 64, threads));
    if (has_avx_vnni()) printf(", \"vpdpbusd256\": %.1f", products(dpbusd_vex, 32, threads));
    if (__builtin_cpu_supports("avx2")) printf(", \"vpmaddubsw256\": %.1f", products(maddubs, 32, threads));
}
#else
typedef int32_t i4x __attribute__((vector_size(16)));
#define SDOT(c) __asm__ volatile(".arch_extension dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(c) : "w"(x), "w"(y));
CHAINS(sdot, i4x, , SDOT)

static void print_products(int threads)
{
    printf(", \"sdot\": %.1f", products(sdot, 16, threads));
}
#endif

int main(int argc, char **argv)
{
    const char *file = NULL;
    int threads = 1, mib = 1024;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--file") == 0) file = argv[i + 1];
        if (strcmp(argv[i], "--mib") == 0) mib = atoi(argv[i + 1]);
    }
    if (argc % 2 != 1 || threads < 1 || threads > MOST_THREADS || mib < 1 || mib > 1 << 16)
        return fprintf(stderr, "usage: roofline [--threads N] [--file MODEL] [--mib N]\n"), 2;
    printf("{\"threads\": %d, \"anonymous\": %.2f", threads, anonymous((size_t)mib << 20, threads));
    if (file != NULL) printf(", \"mapped\": %.2f", mapped(file, threads));
    print_products(threads);
    printf("}\n");
    return 0;
}
