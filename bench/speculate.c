/* speculate.c - what speculation brings: the same answers with and without it, taking turns in one run.
 *
 *   speculate MODEL [--draft MODEL] [--threads N] [--tokens N] [--rounds N] [--most-lost R]
 *
 * Texts that repeat (an edit of code, records in JSON) and prose that does not. First the cost of an evaluation of
 * several tokens in evaluations of one, then for each text the median ratio of times over rounds in which both run,
 * CPU time where one thread computes. Every speculated answer must have the tokens of the other; with --most-lost the
 * program fails when a text takes more than 1/R of its time without speculation.
 */
#include "verbatim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROUNDS = 99, CONTEXT = 4096, LARGEST = 16 };

/* The texts that repeat are begun answers, so that a small model goes on with them. */
#define CLASS(sum) \
    "class Invoice:\n    def __init__(self, customer, items):\n        self.customer = customer\n" \
    "        self.items = items\n\n    def net(self):\n        " sum " = 0\n        for item in self.items:\n" \
    "            " sum " = " sum " + item.price * item.count\n        return " sum "\n\n    def tax(self, rate):\n"
#define REST(sum) \
    "        " sum " = 0\n        for item in self.items:\n            if item.taxed:\n" \
    "                " sum " = " sum " + item.price * item.count * rate\n        return " sum "\n\n" \
    "    def gross(self, rate):\n        return self.net() + self.tax(rate)\n\n" \
    "    def report(self, rate):\n        print('customer:', self.customer)\n" \
    "        for item in self.items:\n            print(item.name, item.count, item.price)\n" \
    "        print('net:', self.net())\n        print('tax:', self.tax(rate))\n" \
    "        print('gross:', self.gross(rate))\n"
static const char code[] = "# invoice.py, before\n\n" CLASS("total") REST("total")
                           "\n\n# invoice.py, after renaming total to sum\n\n" CLASS("sum");
static const char json[] =
    "Before:\n"
    "[\n  {\"id\": 1, \"name\": \"Anna Berg\", \"city\": \"Oslo\", \"active\": true, \"roles\": [\"reader\"]},\n"
    "  {\"id\": 2, \"name\": \"Carlos Diaz\", \"city\": \"Lima\", \"active\": true, \"roles\": [\"writer\"]},\n"
    "  {\"id\": 3, \"name\": \"Emi Fujita\", \"city\": \"Kyoto\", \"active\": true, \"roles\": [\"reader\"]},\n"
    "  {\"id\": 4, \"name\": \"Greta Holm\", \"city\": \"Malmo\", \"active\": true, \"roles\": [\"admin\"]},\n"
    "  {\"id\": 5, \"name\": \"Ivan Jovic\", \"city\": \"Split\", \"active\": true, \"roles\": [\"writer\"]},\n"
    "  {\"id\": 6, \"name\": \"Kate Lloyd\", \"city\": \"Cardiff\", \"active\": true, \"roles\": [\"reader\"]}\n]\n\n"
    "After setting active to false:\n"
    "[\n  {\"id\": 1, \"name\": \"Anna Berg\", \"city\": \"Oslo\", \"active\": false, \"roles\": [\"reader\"]},\n";
static const char story[] = "Tell a story of a lighthouse keeper who finds a letter in a bottle.";
static const char essay[] = "Explain how glaciers shape a landscape, in plain words.";

typedef struct {
    const char *name, *text;
    float temperature;
    int raw; /* no chat template */
} question;
static const question questions[] = {{"code edit", code, 0.0f, 1},
                                     {"JSON edit", json, 0.0f, 1},
                                     {"prose", story, 0.8f, 0},
                                     {"prose", essay, 0.8f, 0},
                                     {"prose, greedy", essay, 0.0f, 0}};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

typedef struct {
    vb_model *model, *draft_model;
    vb_session *session, *draft;
    int threads, tokens, rounds, worst;
    double most_lost;
} bench;

static void fatal(const vb_err *err)
{
    fprintf(stderr, "speculate: %s\n", err->text);
    exit(1);
}

static double now(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
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

/* --- what a batch costs ------------------------------------------------------------------------------------ */

static void costs(const bench *b)
{
    static double seconds[LARGEST + 1][MOST_ROUNDS];
    vb_err err = {0};
    vb_model_info info;
    vb_token ids[CONTEXT / 8];
    int past = CONTEXT / 8 - LARGEST;
    vb_model_describe(b->model, &info);
    float *logits = malloc((size_t)info.vocab * LARGEST * sizeof *logits);
    if (logits == NULL) exit(1);
    for (int i = 0; i < CONTEXT / 8; i++) ids[i] = (vb_token)((i * 7919 + 11) % info.vocab);
    if (vb_session_sync(b->session, ids, past, &err) < 0) fatal(&err);
    for (int round = 0; round < b->rounds; round++)
        for (int n = 1; n <= LARGEST; n++) {
            vb_work work = {.session = b->session, .ids = ids + past, .n = n, .logits = logits, .want = n};
            double start = now(b->threads);
            if (vb_eval(&work, 1, &err) < 0) fatal(&err);
            seconds[n][round] = now(b->threads) - start;
            vb_session_rewind(b->session, past, NULL);
        }
    double one = median(seconds[1], b->rounds);
    printf("one token %.2f ms; a batch of", one * 1e3);
    for (int n = 2; n <= LARGEST; n += n < 8 ? 1 : 4) printf(" %d: %.2f", n, median(seconds[n], b->rounds) / one);
    printf("\n");
    free(logits);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

typedef struct {
    vb_token ids[CONTEXT];
    int n;
    double seconds;
    uint64_t drafted, accepted;
} answer;

static int encode(const bench *b, const question *q, vb_token *ids)
{
    vb_err err = {0};
    vb_message message = {"user", q->text};
    int64_t n = q->raw ? vb_tokenize(b->model, q->text, strlen(q->text), VB_ADD_SPECIAL, ids, CONTEXT, &err)
                       : vb_chat_encode(b->model, &message, 1, ids, CONTEXT, &err);
    if (n < 1 || n + b->tokens > CONTEXT) fatal(&err);
    return (int)n;
}

static void generate(const bench *b, const question *q, vb_speculate speculate, uint64_t seed, answer *a)
{
    vb_err err = {0};
    vb_stats before, after;
    vb_generation how = {.max_tokens = b->tokens,
                         .sampling = {.temperature = q->temperature, .seed = seed},
                         .speculate = speculate,
                         .draft = b->draft};
    a->n = encode(b, q, a->ids);
    if (vb_session_rewind(b->session, 0, &err) < 0 || vb_session_sync(b->session, a->ids, a->n, &err) < 0 ||
        (b->draft != NULL && vb_session_sync(b->draft, a->ids, a->n, &err) < 0))
        fatal(&err);
    vb_session_stats(b->session, &before);
    double start = now(b->threads);
    if (vb_generate(b->session, &how, NULL, &err) < 0) fatal(&err);
    a->seconds = now(b->threads) - start;
    vb_session_stats(b->session, &after);
    a->drafted = after.drafted - before.drafted;
    a->accepted = after.accepted - before.accepted;
    const vb_token *ids = vb_session_tokens(b->session, &a->n);
    memcpy(a->ids, ids, (size_t)a->n * sizeof *ids);
}

static void ask(bench *b, const question *q)
{
    static answer plain, fast;
    double ratios[MOST_ROUNDS], spent[MOST_ROUNDS];
    uint64_t drafted = 0, accepted = 0;
    int start = encode(b, q, plain.ids), tokens = 0;
    for (int i = 0; i < b->rounds; i++) {
        uint64_t seed = (uint64_t)i;
        generate(b, q, i % 2 == 0 ? VB_SPECULATE_OFF : VB_SPECULATE_AUTO, seed, i % 2 == 0 ? &plain : &fast);
        generate(b, q, i % 2 == 0 ? VB_SPECULATE_AUTO : VB_SPECULATE_OFF, seed, i % 2 == 0 ? &fast : &plain);
        if (plain.n != fast.n || memcmp(plain.ids, fast.ids, (size_t)plain.n * sizeof *plain.ids) != 0) {
            fprintf(stderr, "speculate: %s: other tokens\n", q->name);
            exit(1);
        }
        ratios[i] = plain.seconds / fast.seconds;
        spent[i] = plain.seconds / (plain.n - start);
        tokens += plain.n - start;
        drafted += fast.drafted;
        accepted += fast.accepted;
    }
    double ratio = median(ratios, b->rounds);
    printf("%-14s %4d tokens at %7.1f/s   x%.2f   %llu of %llu drafted accepted\n", q->name, tokens / b->rounds,
           1.0 / median(spent, b->rounds), ratio, (unsigned long long)accepted, (unsigned long long)drafted);
    fflush(stdout);
    if (ratio < b->most_lost) b->worst = 1;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

static void open_all(bench *b, const char *path, const char *draft)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = b->threads};
    vb_session_opts so = {.context = CONTEXT};
    if (vb_model_open(&b->model, path, &o, &err) < 0 || vb_session_open(&b->session, b->model, &so, &err) < 0)
        fatal(&err);
    if (draft != NULL && (vb_model_open(&b->draft_model, draft, &o, &err) < 0 ||
                          vb_session_open(&b->draft, b->draft_model, &so, &err) < 0))
        fatal(&err);
}

int main(int argc, char **argv)
{
    bench b = {0};
    if (argc < 2)
        return fprintf(stderr, "usage: speculate MODEL [--draft MODEL] [--threads N] [--tokens N] [--rounds N]\n"), 2;
    b.threads = atoi(option(argc, argv, "--threads", "1"));
    b.tokens = atoi(option(argc, argv, "--tokens", "256"));
    b.rounds = atoi(option(argc, argv, "--rounds", "5"));
    b.most_lost = atof(option(argc, argv, "--most-lost", "0"));
    if (b.rounds < 1 || b.rounds > MOST_ROUNDS || b.tokens < 1 || b.tokens > CONTEXT / 2)
        return fprintf(stderr, "speculate: rounds 1 to %d, tokens 1 to %d\n", MOST_ROUNDS, CONTEXT / 2), 2;
    open_all(&b, argv[1], option(argc, argv, "--draft", NULL));
    costs(&b);
    for (int i = 0; i < QUESTIONS; i++) ask(&b, &questions[i]);
    vb_session_close(b.draft);
    vb_session_close(b.session);
    vb_model_close(b.draft_model);
    vb_model_close(b.model);
    return b.worst;
}
