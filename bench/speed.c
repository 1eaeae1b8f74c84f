/* speed.c - tokens per second of the cpu player, prefill and decode, beside the scalar oracle in the same run.
 *
 *   speed MODEL [--threads N] [--prompt N] [--tokens N] [--least-ratio R]
 *
 * cpu and oracle take turns, three rounds; medians are printed. With --least-ratio the program fails unless the cpu
 * player is at least R times as fast as the oracle on one token.
 */
#include "verbatim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 3, MOST = 4096 };

typedef struct {
    vb_model *model;
    vb_session *session;
    double prefill[ROUNDS], decode[ROUNDS]; /* seconds a token */
} runner;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void start(runner *r, const char *path, const char *player, int threads, int context)
{
    vb_err err;
    vb_model_opts o = {.player = player, .threads = threads};
    vb_session_opts so = {.context = context};
    if (vb_model_open(&r->model, path, &o, &err) == VB_OK &&
        vb_session_open(&r->session, r->model, &so, &err) == VB_OK)
        return;
    fprintf(stderr, "speed: %s\n", err.text);
    exit(1);
}

/* Seconds a token for n tokens in one evaluation. */
static double eval(runner *r, const vb_token *ids, int n)
{
    vb_err err;
    vb_work work = {.session = r->session, .ids = ids, .n = n};
    double begin = now();
    if (vb_eval(&work, 1, &err) < 0) {
        fprintf(stderr, "speed: %s\n", err.text);
        exit(1);
    }
    return (now() - begin) / n;
}

static void one_round(runner *r, int round, const vb_token *ids, int prompt, int tokens)
{
    double sum = 0.0;
    vb_session_rewind(r->session, 0, NULL);
    r->prefill[round] = eval(r, ids, prompt);
    for (int i = 0; i < tokens; i++) sum += eval(r, ids + prompt + i, 1);
    r->decode[round] = sum / tokens;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *seconds)
{
    qsort(seconds, ROUNDS, sizeof *seconds, ascending);
    return seconds[ROUNDS / 2];
}

static double option(int argc, char **argv, const char *name, double otherwise)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return atof(argv[i + 1]);
    return otherwise;
}

int main(int argc, char **argv)
{
    runner cpu = {0}, oracle = {0};
    static vb_token ids[MOST];
    vb_model_info info;
    if (argc < 2) return fprintf(stderr, "usage: speed MODEL [--threads N] [--prompt N] [--tokens N]\n"), 2;
    int threads = (int)option(argc, argv, "--threads", 0), prompt = (int)option(argc, argv, "--prompt", 64);
    int tokens = (int)option(argc, argv, "--tokens", 16);
    double least = option(argc, argv, "--least-ratio", 0.0);
    if (prompt < 1 || tokens < 1 || prompt + tokens > MOST) return fprintf(stderr, "speed: too many tokens\n"), 2;
    start(&cpu, argv[1], "cpu", threads, MOST);
    start(&oracle, argv[1], "oracle", 1, 8);
    vb_model_describe(cpu.model, &info);
    for (int i = 0; i < MOST; i++) ids[i] = (vb_token)((i * 7919 + 11) % info.vocab);
    for (int i = 0; i < ROUNDS; i++) {
        one_round(&oracle, i, ids, 1, 1);
        one_round(&cpu, i, ids, prompt, tokens);
    }
    double decode = median(cpu.decode), slow = median(oracle.decode), ratio = slow / decode;
    printf("%s: %s %s %s, %d threads: prefill %.1f tokens/s (%d tokens), decode %.1f tokens/s; oracle %.2f tokens/s; "
           "cpu is %.1f times the oracle\n", argv[1], info.name, info.format, info.isa, info.threads,
           1.0 / median(cpu.prefill), prompt, 1.0 / decode, 1.0 / slow, ratio);
    vb_session_close(cpu.session);
    vb_session_close(oracle.session);
    vb_model_close(cpu.model);
    vb_model_close(oracle.model);
    return ratio >= least ? 0 : 1;
}
