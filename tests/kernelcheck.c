/* kernelcheck.c - every kernel of every instruction set of this machine against the oracle, bit for bit.
 *
 *   kernelcheck [--isa NAME] [--filter TEXT] [--seed N] [--repeat N] [--every N] [--bench]
 *
 * A run without a filter fails if it does not meet the number of kernels in tests/kernelcheck.counts, or makes fewer checks
 * than stand there (their number moves a little with the seed), so that no check is lost unseen. --repeat goes on with N seeds, --every makes one in N of the slow checks. --bench measures instead. Ends with "N passed, N failed".
 */
#include "check/kernelcheck.h"
#include "simd/kernels.h"
#include "tests/kernelbench.h"
#include "tests/tally.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    const char *isa, *filter;
    uint64_t seed;
    int repeat, every, bench;
} request;

static void print_difference(void *ud, const char *kernel, const char *what)
{
    int *printed = ud;
    if ((*printed)++ < 20) printf("FAIL %s: %s\n", kernel, what);
}

/* What tests/kernelcheck.counts expects of an instruction set; 0: it has no line there. */
static int expected_counts(const char *isa, int *kernels, long long *checks)
{
    char line[128], name[32];
    int found = 0;
    FILE *f = fopen("tests/kernelcheck.counts", "r");
    while (!found && f != NULL && fgets(line, sizeof line, f) != NULL)
        found = sscanf(line, "%31s %d %lld", name, kernels, checks) == 3 && strcmp(name, isa) == 0;
    if (f != NULL) fclose(f);
    return found;
}

static void check_count(const char *isa, const request *r, const vb_check_counts *counts)
{
    int kernels;
    long long checks;
    if (r->filter != NULL || r->every > 1) return;
    if (!expected_counts(isa, &kernels, &checks))
        failed("%s: no counts in tests/kernelcheck.counts", isa);
    else if (counts->kernels != kernels)
        failed("%s: expected %d kernels, met %d", isa, kernels, counts->kernels);
    else if (counts->made < checks)
        failed("%s: expected at least %lld checks, made %lld", isa, checks, (long long)counts->made);
}

static void check_isa(const char *isa, const request *r)
{
    for (int i = 0; i < r->repeat; i++) {
        int printed = 0;
        vb_err err;
        vb_check_counts counts;
        vb_check_opts o = {.isa = isa, .filter = r->filter, .seed = r->seed + (uint64_t)i, .every = r->every,
                           .differs = print_difference, .ud = &printed};
        vb_status s = vb_check_kernels(&o, &counts, &err);
        if (s == VB_E_UNSUPPORTED) {
            printf("%-9s skipped: %s\n", isa, err.text);
            return;
        }
        printf("%-9s seed %llu: %lld checks of %d kernels, %lld differ\n", isa, (unsigned long long)o.seed,
               (long long)counts.made, counts.kernels, (long long)counts.failed);
        if (s < 0 && s != VB_E_DIFFERS) failed("%s: %s", isa, err.text);
        tally.passed += (int)(counts.made - counts.failed);
        tally.failed += (int)counts.failed;
        check_count(isa, r, &counts);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: kernelcheck [--isa NAME] [--filter TEXT] [--seed N] [--repeat N] [--every N] [--bench]\n");
    return 2;
}

static int parse(request *r, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0) {
            r->bench = 1;
            continue;
        }
        if (value == NULL) return 0;
        if (strcmp(argv[i], "--isa") == 0)
            r->isa = value;
        else if (strcmp(argv[i], "--filter") == 0)
            r->filter = value;
        else if (strcmp(argv[i], "--seed") == 0)
            r->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--repeat") == 0)
            r->repeat = atoi(value);
        else if (strcmp(argv[i], "--every") == 0)
            r->every = atoi(value);
        else
            return 0;
        i++;
    }
    return r->repeat > 0;
}

int main(int argc, char **argv)
{
    request r = {.seed = (uint64_t)time(NULL), .repeat = 1};
    int known = 0;
    if (!parse(&r, argc, argv)) return usage();
    if (r.bench) return vb_bench_kernels(r.isa, r.filter);
    for (int i = 0; vb_kernels_at(i) != NULL; i++) {
        const char *isa = vb_kernels_at(i)->isa;
        if (r.isa != NULL && strcmp(isa, r.isa) != 0) continue;
        known = 1;
        check_isa(isa, &r);
    }
    if (!known) failed("%s: this build has no such instruction set", r.isa);
    return verdict();
}
