/* conditions.h - the one table of conditions that must not change a bit. Every harness that asks "one digest?" walks
 * it: devices, instruction sets, threads, tokens an evaluation, histories of a session; and, dealt out over these so that each
 * meets each, how many sessions are evaluated together and what the caller has made of its floating point.
 */
#ifndef VB_PROVE_CONDITIONS_H
#define VB_PROVE_CONDITIONS_H
#include "verbatim.h"

#include <stdint.h>

/* Who plays, and where: those that owe the oracle's bits. Only the first one has instruction sets to choose from. */
static const char *const vb_devices[] = {"cpu"};
static const char *const vb_isas[] = {"portable", "avx2", "avxvnni", "avx512", "neon"};
static const int vb_thread_counts[] = {1, 2, 3, 5, 7};
static const int vb_chunks[] = {1, 2, 5, 16, 64, 0}; /* tokens an evaluation; 0: all at once */
typedef enum { VB_FRESH, VB_CACHED, VB_FORKED, VB_FROM_DISK, VB_HISTORIES } vb_history;
static const char *const vb_history_names[] = {"fresh", "cached prefix", "forked", "prefix from disk"};
/* Seeds of VB_HARD (src/run/hard.h), where chance decides about order, sizes of tiles and batches. */
static const char *const vb_hard_seeds[] = {"1", "2"};
enum { VB_HARD_THREADS = 3 };
static const int vb_together[] = {1, 2, 5, 8}; /* sessions */

/* Who guesses tokens ahead. */
static const vb_speculate vb_speculations[] = {VB_SPECULATE_OFF, VB_SPECULATE_NGRAM, VB_SPECULATE_DRAFT};
static const char *const vb_speculation_names[] = {"off", "n-gram", "draft"};

/* What a host may have set: rounding, subnormals to zero (ARITHMETIC A1). */
typedef enum { VB_FP_USUAL, VB_FP_FLUSH, VB_FP_DOWN, VB_FP_UP, VB_FP_TO_ZERO, VB_FP_MODES } vb_fp_mode;
static const char *const vb_fp_names[] = {"usual rounding", "flush to zero", "rounding down", "rounding up",
                                          "rounding to zero"};

#define VB_COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#if defined(__x86_64__)
#include <xmmintrin.h>
static inline void vb_fp_set(vb_fp_mode mode)
{
    static const unsigned csr[VB_FP_MODES] = {0x1f80, 0x9fc0, 0x3f80, 0x5f80, 0x7f80};
    _mm_setcsr(csr[mode]);
}
static inline int vb_fp_is(vb_fp_mode mode)
{
    static const unsigned csr[VB_FP_MODES] = {0x1f80, 0x9fc0, 0x3f80, 0x5f80, 0x7f80};
    return (_mm_getcsr() & 0xffc0) == csr[mode];
}
#elif defined(__aarch64__)
static const uint64_t vb_fpcr[] = {0, 1u << 24, 2u << 22, 1u << 22, 3u << 22};
static inline void vb_fp_set(vb_fp_mode mode)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(vb_fpcr[mode]));
}
static inline int vb_fp_is(vb_fp_mode mode)
{
    uint64_t now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    return now == vb_fpcr[mode];
}
#endif

#endif
