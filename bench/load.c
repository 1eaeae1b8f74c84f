/* load.c - decoding while other programs want the same cores: speed should fall with the share of the processor that
 * is left, not faster.
 *
 *   load MODEL [--rounds N] [--threads N]
 *
 * For 0, 2 and 4 busy processes, in turns: as many free-running threads as the player has see what share of the cores
 * they get; then tokens are decoded for as long. "kept" is the speed relative to no busy process, divided by the same
 * ratio of the shares: 1 is exactly in proportion. Medians over the rounds.
 */
#include "verbatim.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOADS = 3, MOST_HOGS = 4, MOST_ROUNDS = 99, MOST_THREADS = 64, CONTEXT = 512 };
static const int hogs_of[LOADS] = {0, 2, 4};
static const double slice = 0.4; /* seconds */

typedef struct {
    double speed[MOST_ROUNDS], share[MOST_ROUNDS], cpu[MOST_ROUNDS]; /* tokens/s; cores; tokens/s of processor time */
} figures;

static double clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

/* --- other programs ------------------------------------------------------------------------------------------ */

static pid_t start_hog(void)
{
    pid_t pid = fork();
    if (pid < 0) fatal("cannot fork");
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile unsigned long n = 0;; n++) continue;
}

static void let_run(const pid_t *hogs, int n)
{
    for (int i = 0; i < MOST_HOGS; i++) kill(hogs[i], i < n ? SIGCONT : SIGSTOP);
    usleep(20000);
}

/* --- what there is to get ------------------------------------------------------------------------------------- */

static void *count(void *opaque)
{
    double end = clock_of(CLOCK_MONOTONIC) + slice / 2;
    while (clock_of(CLOCK_MONOTONIC) < end) continue;
    *(double *)opaque = clock_of(CLOCK_THREAD_CPUTIME_ID) / (slice / 2);
    return NULL;
}

/* Cores that so many threads get together. */
static double share(int threads)
{
    pthread_t t[MOST_THREADS];
    double got[MOST_THREADS], sum = 0.0;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, count, &got[i]) != 0) fatal("cannot start a thread");
    for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < threads; i++) sum += got[i];
    return sum;
}

/* --- decoding ------------------------------------------------------------------------------------------------- */

static void decode(vb_session *s, int vocab, double *speed, double *cpu)
{
    vb_err err;
    int n = 0;
    vb_session_rewind(s, 0, NULL);
    double begin = clock_of(CLOCK_MONOTONIC), used = clock_of(CLOCK_PROCESS_CPUTIME_ID), took = 0.0;
    for (; n < CONTEXT && took < slice; n++) {
        vb_token id = (vb_token)((n * 7919 + 11) % vocab);
        vb_work work = {.session = s, .ids = &id, .n = 1};
        if (vb_eval(&work, 1, &err) < 0) fatal(err.text);
        took = clock_of(CLOCK_MONOTONIC) - begin;
    }
    *speed = n / took;
    *cpu = n / (clock_of(CLOCK_PROCESS_CPUTIME_ID) - used);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

static void measure(const char *path, int threads, int rounds, const pid_t *hogs)
{
    static figures f[LOADS];
    vb_err err;
    vb_model *m;
    vb_session *s;
    vb_model_info info;
    vb_model_opts o = {.threads = threads};
    vb_session_opts so = {.context = CONTEXT};
    if (vb_model_open(&m, path, &o, &err) < 0 || vb_session_open(&s, m, &so, &err) < 0) fatal(err.text);
    vb_model_describe(m, &info);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < LOADS; i++) {
            let_run(hogs, hogs_of[i]);
            f[i].share[r] = share(threads);
            decode(s, info.vocab, &f[i].speed[r], &f[i].cpu[r]);
        }
    let_run(hogs, 0);
    double speed = median(f[0].speed, rounds), cores = median(f[0].share, rounds);
    for (int i = 0; i < LOADS; i++) {
        double v = median(f[i].speed, rounds), c = median(f[i].share, rounds);
        printf("%d threads, %d busy processes: %.2f cores to get, %.1f tokens/s, %.1f a second of processor time, "
               "kept %.2f\n", threads, hogs_of[i], c, v, median(f[i].cpu, rounds), v / speed / (c / cores));
    }
    vb_session_close(s);
    vb_model_close(m);
}

static int option(int argc, char **argv, const char *name, int otherwise)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return atoi(argv[i + 1]);
    return otherwise;
}

int main(int argc, char **argv)
{
    pid_t hogs[MOST_HOGS];
    if (argc < 2) return fprintf(stderr, "usage: load MODEL [--rounds N] [--threads N]\n"), 2;
    int rounds = option(argc, argv, "--rounds", 5), only = option(argc, argv, "--threads", 0);
    if (rounds < 1 || rounds > MOST_ROUNDS || only < 0 || only > MOST_THREADS) fatal("a number is out of range");
    for (int i = 0; i < MOST_HOGS; i++) hogs[i] = start_hog();
    let_run(hogs, 0);
    for (int t = only > 0 ? only : 1; t <= (only > 0 ? only : 2); t++) measure(argv[1], t, rounds, hogs);
    for (int i = 0; i < MOST_HOGS; i++) {
        kill(hogs[i], SIGKILL);
        waitpid(hogs[i], NULL, 0);
    }
    return 0;
}
