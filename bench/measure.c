/* measure.c - one measurement in a process of its own, told as one line of JSON; bench/table.py starts many of them.
 *
 *   measure MODEL [--threads N] [--prompt N] [--tokens N] [--depth N] [--sessions N] [--isa NAME] [--device NAME]
 *
 * Prefill: `prompt` tokens in one evaluation from an empty context. Decode: `tokens` evaluations of one token in each
 * of `sessions` sessions, behind `depth` tokens. Everything runs once before it is timed. The ids are arbitrary and
 * nothing is sampled, as in llama-bench, whose measurements these are. --device: all of it by that GPU.
 *
 * read_bytes is what decoding one token must read of the weights at least, macs what it multiplies; kv_bytes what a
 * token of the past adds to it.
 */
#include "verbatim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_SESSIONS = 64, PART = 512 };

typedef struct {
    vb_model *model;
    vb_session *sessions[MOST_SESSIONS];
    vb_token *ids;
    int threads, prompt, tokens, depth, n_sessions, context;
} job;

typedef struct {
    double wall, cpu;
} span;

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "measure: %s\n", why);
    exit(1);
}

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static span now(void)
{
    return (span){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static void eval(const vb_work *work, int n)
{
    vb_err err;
    if (vb_eval(work, n, &err) < 0) fatal(err.text);
}

static void rewind_to(job *j, int n)
{
    for (int i = 0; i < j->n_sessions; i++) vb_session_rewind(j->sessions[i], n, NULL);
}

static span prefill(job *j)
{
    vb_work work = {.session = j->sessions[0], .ids = j->ids, .n = j->prompt};
    rewind_to(j, 0);
    span begin = now();
    eval(&work, 1);
    span end = now();
    return (span){end.wall - begin.wall, end.cpu - begin.cpu};
}

static void fill(job *j)
{
    rewind_to(j, 0);
    for (int i = 0; i < j->n_sessions; i++)
        for (int at = 0; at < j->depth; at += PART) {
            int n = j->depth - at < PART ? j->depth - at : PART;
            vb_work work = {.session = j->sessions[i], .ids = j->ids + at, .n = n};
            eval(&work, 1);
        }
}

static span decode(job *j, int tokens)
{
    vb_work work[MOST_SESSIONS];
    rewind_to(j, j->depth);
    span begin = now();
    for (int t = 0; t < tokens; t++) {
        for (int i = 0; i < j->n_sessions; i++)
            work[i] = (vb_work){.session = j->sessions[i], .ids = j->ids + j->depth + (t + i) % j->tokens, .n = 1};
        eval(work, j->n_sessions);
    }
    span end = now();
    return (span){end.wall - begin.wall, end.cpu - begin.cpu};
}

/* --- what the model is --------------------------------------------------------------------------------------- */

typedef struct {
    double layers, head; /* elements of matrices */
    double read_bytes;
    int tied;
} size_of_model;

/* What a token uses of a tensor: all of it, or as many of its experts as are chosen. */
static double share_of(const vb_model *m, const vb_tensor_info *t)
{
    char arch[64] = "", key[96], used[24];
    if (t->n_dims < 3 || strstr(t->name, "_exps.") == NULL) return 1.0;
    vb_model_meta(m, "general.architecture", arch, sizeof arch);
    snprintf(key, sizeof key, "%s.expert_used_count", arch);
    if (vb_model_meta(m, key, used, sizeof used) < 0) return 1.0;
    return atof(used) / (double)t->ne[2];
}

static size_of_model measure_model(const vb_model *m)
{
    size_of_model s = {.tied = 1};
    vb_tensor_info t;
    double embedding_bytes = 0.0, embedding = 0.0;
    for (int i = 0; vb_model_tensor_at(m, i, &t); i++) {
        double share = share_of(m, &t), n = (double)t.ne[0] * (double)t.ne[1] * (double)t.ne[2] * (double)t.ne[3] * share;
        s.read_bytes += (double)t.bytes * share;
        if (strcmp(t.name, "output.weight") == 0) {
            s.tied = 0;
            s.head = n;
        } else if (strcmp(t.name, "token_embd.weight") == 0) {
            embedding = n;
            embedding_bytes = (double)t.bytes;
        } else if (t.n_dims > 1) {
            s.layers += n;
        }
    }
    if (s.tied) s.head = embedding;
    if (!s.tied) s.read_bytes -= embedding_bytes;
    return s;
}

static void open_all(job *j, const char *path, const char *isa, const char *device)
{
    vb_err err;
    vb_model_info info;
    vb_model_opts o = {.threads = j->threads, .isa = isa, .player = device != NULL ? "vulkan" : NULL, .gpu_device = device};
    j->context = j->depth + j->tokens > j->prompt ? j->depth + j->tokens : j->prompt;
    vb_session_opts so = {.context = j->context};
    if (vb_model_open(&j->model, path, &o, &err) < 0) fatal(err.text);
    for (int i = 0; i < j->n_sessions; i++)
        if (vb_session_open(&j->sessions[i], j->model, &so, &err) < 0) fatal(err.text);
    vb_model_describe(j->model, &info);
    j->ids = calloc((size_t)j->context + 1, sizeof *j->ids);
    if (j->ids == NULL) fatal("out of memory");
    for (int i = 0; i < j->context; i++) j->ids[i] = (vb_token)(((int64_t)i * 7919 + 11) % info.vocab);
}

static void close_all(job *j)
{
    for (int i = 0; i < j->n_sessions; i++) vb_session_close(j->sessions[i]);
    vb_model_close(j->model);
    free(j->ids);
}

static void report(const job *j, span pp, span tg)
{
    vb_model_info info;
    vb_stats stats;
    size_of_model s = measure_model(j->model);
    double n = (double)j->tokens * j->n_sessions;
    vb_model_describe(j->model, &info);
    vb_session_stats(j->sessions[0], &stats);
    printf("{\"format\": \"%s\", \"isa\": \"%s\", \"threads\": %d, \"layer_macs\": %.0f, \"head_macs\": %.0f, "
           "\"read_bytes\": %.0f, \"kv_bytes\": %.0f", info.format, info.isa, info.threads, s.layers, s.head,
           s.read_bytes, (double)stats.kv_bytes / stats.context);
    if (j->prompt > 0)
        printf(", \"prefill\": %.6g, \"prefill_cpu\": %.6g", j->prompt / pp.wall, j->prompt / pp.cpu);
    if (j->tokens > 0) printf(", \"decode\": %.6g, \"decode_cpu\": %.6g", n / tg.wall, n / tg.cpu);
    printf("}\n");
}

static int option(int argc, char **argv, const char *name, int otherwise, int most)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) != 0) continue;
        char *end;
        long n = strtol(argv[i + 1], &end, 10);
        if (*argv[i + 1] == 0 || *end != 0 || n < 0 || n > most) fatal("a number is out of range");
        return (int)n;
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    span pp = {0}, tg = {0};
    const char *isa = NULL, *device = NULL;
    if (argc < 2 || argc % 2 != 0)
        return fprintf(stderr, "usage: measure MODEL [--threads N] [--prompt N] [--tokens N] [--depth N] "
                               "[--sessions N] [--isa NAME] [--device NAME]\n"), 2;
    for (int i = 2; i < argc; i += 2)
        if (strcmp(argv[i], "--isa") == 0) isa = argv[i + 1];
        else if (strcmp(argv[i], "--device") == 0) device = argv[i + 1];
    job j = {.threads = option(argc, argv, "--threads", 0, 1024), .prompt = option(argc, argv, "--prompt", 0, 1 << 20),
             .tokens = option(argc, argv, "--tokens", 0, 1 << 20), .depth = option(argc, argv, "--depth", 0, 1 << 20),
             .n_sessions = option(argc, argv, "--sessions", 1, MOST_SESSIONS)};
    if (j.n_sessions < 1 || j.prompt + j.tokens < 1) fatal("expected --prompt or --tokens");
    open_all(&j, argv[1], isa, device);
    for (int i = 0; i < 2 && j.prompt > 0; i++) pp = prefill(&j);
    if (j.tokens > 0) {
        fill(&j);
        decode(&j, 1);
        tg = decode(&j, j.tokens);
    }
    report(&j, pp, tg);
    close_all(&j);
    return 0;
}
