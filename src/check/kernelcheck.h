/* kernelcheck.h - every kernel of an instruction set against the oracle, bit for bit, on random input.
 *
 * Input is made from a seed: odd lengths, buffers that end where the next page may not be touched, blocks of zeros,
 * largest and smallest scales, subnormal numbers, largest sums. One comparison of one kernel call is one check.
 */
#ifndef VB_CHECK_KERNELCHECK_H
#define VB_CHECK_KERNELCHECK_H
#include "base/err.h"

typedef struct {
    const char *isa;    /* NULL: the best of this machine */
    const char *filter; /* only kernels whose name ("matvec_q4_k/avx2") contains it; NULL: all */
    uint64_t seed;
    int rounds; /* how often each shape is tried; 0: once */
    int every;  /* > 1: of the slow checks, matrices and attention, one in so many, by chance */
    /* Called for each check that fails (may be NULL): the kernel and what differs. */
    void (*differs)(void *ud, const char *kernel, const char *what);
    void *ud;
} vb_check_opts;

typedef struct {
    int64_t made, failed;
    int kernels; /* how many had at least one check */
} vb_check_counts;

/* VB_E_DIFFERS: at least one check failed, err names the first. VB_E_UNSUPPORTED: this machine lacks the set. */
vb_status vb_check_kernels(const vb_check_opts *opts, vb_check_counts *counts, vb_err *err);

#endif
