/* canon_all.c - the two texts of the canonical functions, base/canon.inc and oracle/, over every input there is; and
 * base/exact.inc against the processor's division and square root.
 *
 *   canon_all [--stride N]      every N-th bit pattern; without it all 2^32, a few minutes on two threads
 *
 * Each function of one argument is compared bit for bit on its domain; what lies outside is skipped. One line per
 * function counts as one test.
 */
#include "base/canon.h"
#include "base/fp.h"
#include "oracle/arith.h"
#include "tests/tally.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2 };

typedef struct {
    const char *name;
    /* Compares from..2^32 in steps; returns the number of differences, *at the first input that differs. */
    uint64_t (*compare)(uint64_t from, uint64_t step, uint32_t *at, uint64_t *tried);
} function;

typedef struct {
    const function *f;
    uint64_t from, step, different, tried;
    uint32_t at;
} job;

#define COMPARE(NAME, LOWEST, HIGHEST, FAST, SLOW)                                                   \
    static uint64_t compare_##NAME(uint64_t from, uint64_t step, uint32_t *at, uint64_t *tried)      \
    {                                                                                                \
        uint64_t different = 0;                                                                      \
        for (uint64_t i = from; i < 0x100000000u; i += step) {                                       \
            float x = asf((uint32_t)i);                                                              \
            if (!(x >= (LOWEST) && x <= (HIGHEST))) continue;                                        \
            ++*tried;                                                                                \
            if ((FAST) == (SLOW)) continue;                                                          \
            if (different++ == 0) *at = (uint32_t)i;                                                 \
        }                                                                                            \
        return different;                                                                            \
    }

#define LARGEST 0x1.fffffep+127f
COMPARE(guard, -LARGEST, LARGEST, asu(c_guard(x)), asu(vb_oracle_guard(x)))
COMPARE(f2h, -LARGEST, LARGEST, c_f2h(x), vb_oracle_to_half(x))
COMPARE(rint, -0x1p22f, 0x1p22f, c_rint(x), vb_oracle_round(x))
COMPARE(recip, 0x1p-100f, 0x1p100f, asu(c_recip(x)), asu(vb_oracle_recip(x)))
COMPARE(exp, -LARGEST, LARGEST, asu(c_exp(x)), asu(vb_oracle_exp(x)))
COMPARE(sigmoid, -LARGEST, LARGEST, asu(c_sigmoid(x)), asu(vb_oracle_sigmoid(x)))
COMPARE(silu, -LARGEST, LARGEST, asu(c_silu(x)), asu(vb_oracle_silu(x)))
COMPARE(gelu_tanh, -LARGEST, LARGEST, asu(c_gelu_tanh(x)), asu(vb_oracle_gelu_tanh(x)))
COMPARE(tanh, -LARGEST, LARGEST, asu(c_tanh(x)), asu(vb_oracle_tanh(x)))
COMPARE(log, 0x1p-126f, LARGEST, asu(c_log(x)), asu(vb_oracle_log(x)))
COMPARE(erf, -LARGEST, LARGEST, asu(c_erf(x)), asu(vb_oracle_erf(x)))

COMPARE(inverse, 0x1p-126f, 0x1p126f, asu(c_div_exact(1.0f, x)), asu(1.0f / x))
COMPARE(inverse_q8, 0x1p-121f, LARGEST, asu(c_div_exact(127.0f, x)), asu(127.0f / x))
COMPARE(sqrt, 0x1p-126f, LARGEST, asu(c_sqrt_exact(x)), asu(sqrtf(x)))

static uint64_t compare_h2f(uint64_t from, uint64_t step, uint32_t *at, uint64_t *tried)
{
    uint64_t different = 0;
    (void)step;
    for (uint32_t h = 0; h < 0x10000 && from == 0; h++) {
        ++*tried;
        if (asu(c_h2f(h)) == asu(vb_oracle_from_half((uint16_t)h))) continue;
        if (different++ == 0) *at = h;
    }
    return different;
}

#define FUNCTION(NAME) {#NAME, compare_##NAME}
static const function functions[] = {FUNCTION(guard), FUNCTION(h2f),     FUNCTION(f2h),  FUNCTION(rint),
                                     FUNCTION(recip), FUNCTION(exp),     FUNCTION(sigmoid), FUNCTION(silu),
                                     FUNCTION(gelu_tanh), FUNCTION(tanh), FUNCTION(log), FUNCTION(erf),
                                     FUNCTION(inverse), FUNCTION(inverse_q8), FUNCTION(sqrt)};

static void *work(void *opaque)
{
    job *j = opaque;
    vb_fp_enter();
    j->different = j->f->compare(j->from, j->step, &j->at, &j->tried);
    return NULL;
}

static void judge(const function *f, uint64_t stride)
{
    pthread_t threads[THREADS];
    job jobs[THREADS];
    uint64_t tried = 0, different = 0;
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){.f = f, .from = (uint64_t)i * stride, .step = THREADS * stride};
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) exit(1);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        tried += jobs[i].tried;
        different += jobs[i].different;
        if (jobs[i].different > 0) printf("%s: first difference of thread %d at 0x%08x\n", f->name, i, jobs[i].at);
    }
    printf("%-10s %10llu inputs, %llu differ\n", f->name, (unsigned long long)tried, (unsigned long long)different);
    if (tried > 0 && different == 0)
        passed();
    else
        failed("%s", f->name);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t stride = argc == 3 && strcmp(argv[1], "--stride") == 0 ? strtoull(argv[2], NULL, 10) : 1;
    if ((argc != 1 && argc != 3) || stride == 0) {
        fprintf(stderr, "usage: canon_all [--stride N]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) judge(&functions[i], stride);
    return verdict();
}
