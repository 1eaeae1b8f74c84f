/* cast_deadline.c - a frame loop keeps its time: how long a step goes on behind its deadline.
 *
 *   cast_deadline MODEL [MICROSECONDS [LINES]]
 *
 * Other programs may take the processor away in a step, so what counts here is the time that the step itself has used up
 * beyond its budget. The strict measurement by the clock is the frame loop among the examples.
 */
#include "tests/tally.h"
#include "verbatim_dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 100000, LIMIT_US = 1000, FAR_US = 6000 };

static double over_us[MOST];

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "cast_deadline: %s\n", why);
    exit(1);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void request_all(vb_cast *c, int lines)
{
    static const char *const texts[] = {"Where is the treasure?", "Who are you?", "Is it far to the old mill by the river?"};
    vb_err err;
    for (int i = 0; i < lines; i++) {
        vb_line_request q = {.key = {1, (uint64_t)i, 1, 0}, .text = texts[i % 3]};
        if (vb_cast_request(c, &q, &err) < 0) fatal(err.text);
    }
}

/* Steps until all is said; returns how many. */
static int run(vb_cast *c, int budget_us)
{
    vb_err err;
    int n = 0, left;
    do {
        double before = cpu_us();
        left = vb_cast_step(c, 0, vb_cast_now() + (int64_t)budget_us * 1000, &err);
        if (left < 0) fatal(err.text);
        double over = cpu_us() - before - budget_us;
        if (n < MOST) over_us[n++] = over > 0 ? over : 0;
    } while (left > 0);
    return n;
}

int main(int argc, char **argv)
{
    static const vb_persona man = {.name = "man", .prompt = "A man was asked \"${text}\". He smiled and said, \"",
                                   .sampling = {.temperature = 0.9f, .top_k = 40}};
    int budget = argc > 2 ? atoi(argv[2]) : 2000, lines = argc > 3 ? atoi(argv[3]) : 256, late = 0;
    vb_model_opts mo = {.threads = 1};
    vb_cast_opts o = {.personas = &man, .n_personas = 1};
    vb_err err;
    vb_model *m;
    vb_cast *c;
    if (argc < 2) return fprintf(stderr, "usage: cast_deadline MODEL [MICROSECONDS [LINES]]\n"), 2;
    if (vb_model_open(&m, argv[1], &mo, &err) < 0 || vb_cast_open(&c, m, &o, &err) < 0) fatal(err.text);
    request_all(c, lines);
    int n = run(c, budget);
    qsort(over_us, (size_t)n, sizeof *over_us, ascending);
    for (int i = 0; i < n; i++) late += over_us[i] > LIMIT_US;
    printf("%d steps of %d us: over by %.0f us (half), %.0f us (99 %%), %.0f us (99.9 %%), %.0f us (most)\n", n, budget,
           over_us[n / 2], over_us[n * 99 / 100], over_us[(int)(n * 0.999)], over_us[n - 1]);
    if (n > 20 && late * 100 <= n && over_us[n - 1] < FAR_US) passed();
    else failed("expected steps that are over by at most %d us, found %d of %d that are not", LIMIT_US, late, n);
    vb_cast_close(c);
    vb_model_close(m);
    return verdict();
}
