/* matrix.c - one digest a model: the oracle plays some tokens, then every condition of tests/conditions.h plays them
 * again on the cpu player, in both arithmetic modes and with each KV type. All logits must have the same bytes.
 *
 *   matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--kv TYPE] [--quick]
 *
 * TOKENS.json is an array of ids; `-` makes N ids spread over the vocabulary. --want compares the logits of the last
 * tokens only (large vocabularies). --quick takes one thread count beside 1 and one chunk size beside all.
 */
#include "tests/conditions.h"
#include "tests/ids.h"
#include "tests/tally.h"
#include "verbatim.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *path;
    ids tokens;
    int want, quick;
    vb_arith arith;
    vb_kv kv;
    int vocab;
    float *expected, *found; /* want x vocab */
} question;

__attribute__((noreturn)) static void fatal(const vb_err *err)
{
    fprintf(stderr, "matrix: %s\n", err->text);
    exit(1);
}

/* Evaluates ids[from..) in chunks; logits of the last `want` tokens of the whole row go to `out`. */
static void feed(question *q, vb_session *s, int from, int chunk, float *out)
{
    vb_err err;
    int n = q->tokens.n, first = n - q->want;
    for (int at = from; at < n;) {
        int len = chunk == 0 || chunk > n - at ? n - at : chunk;
        int want = at + len - (at > first ? at : first);
        if (want < 0) want = 0;
        float *to = want > 0 ? out + (size_t)(at + len - want - first) * (size_t)q->vocab : NULL;
        vb_work work = {.session = s, .ids = q->tokens.id + at, .n = len, .logits = to, .want = want};
        if (vb_eval(&work, 1, &err) < 0) fatal(&err);
        at += len;
    }
}

/* A session that already holds a prefix of the question, by the named history; *from is where to go on. */
static vb_session *prepare(question *q, vb_model *m, vb_history how, int *from)
{
    vb_err err;
    vb_session *s = NULL, *f = NULL;
    vb_session_opts o = {.context = q->tokens.n + 8, .kv = q->kv};
    int keep = q->tokens.n / 2;
    if (vb_session_open(&s, m, &o, &err) < 0) fatal(&err);
    *from = 0;
    if (how == VB_FRESH) return s;
    /* another text with the same beginning, then back to the common prefix */
    vb_work past = {.session = s, .ids = q->tokens.id, .n = keep};
    vb_token other[3] = {q->tokens.id[0], q->tokens.id[1], q->tokens.id[0]};
    vb_work wrong = {.session = s, .ids = other, .n = 3};
    if (vb_eval(&past, 1, &err) < 0 || vb_eval(&wrong, 1, &err) < 0) fatal(&err);
    if (vb_session_rewind(s, keep, &err) < 0) fatal(&err);
    *from = keep;
    if (how == VB_CACHED) return s;
    if (vb_session_fork(&f, s, &err) < 0) fatal(&err);
    vb_session_close(s);
    return f;
}

/* Of the wanted rows, those from token `from` on: the ones that a kept prefix did not spare. */
static void compare(question *q, int from, const char *isa, int threads, int chunk, vb_history how)
{
    int first = q->tokens.n - q->want, skipped = from > first ? from - first : 0;
    size_t n = (size_t)q->want * (size_t)q->vocab, at = (size_t)skipped * (size_t)q->vocab;
    if (memcmp(q->expected + at, q->found + at, (n - at) * sizeof(float)) == 0) {
        passed();
        return;
    }
    while (memcmp(q->expected + at, q->found + at, sizeof(float)) == 0) at++;
    failed("%s: %s %s %d threads, chunk %d, %s: row %zu, logit %zu: oracle %a, found %a", q->path,
           q->arith == VB_ARITH_F32 ? "f32" : "int8", isa, threads, chunk, vb_history_names[how],
           at / (size_t)q->vocab, at % (size_t)q->vocab, (double)q->expected[at], (double)q->found[at]);
}

static void ask_chunks(question *q, vb_model *m, const char *isa, int threads)
{
    for (int c = 0; c < VB_COUNT(vb_chunks); c++) {
        if (q->quick && vb_chunks[c] != 0 && vb_chunks[c] != 3) continue;
        for (vb_history how = 0; how < VB_HISTORIES; how++) {
            int from;
            if (q->quick && how != VB_FRESH && vb_chunks[c] == 0) continue;
            vb_session *s = prepare(q, m, how, &from);
            memset(q->found, 0xff, (size_t)q->want * (size_t)q->vocab * sizeof(float));
            feed(q, s, from, vb_chunks[c], q->found);
            compare(q, from, isa, threads, vb_chunks[c], how);
            vb_session_close(s);
        }
    }
}

static void ask_oracle(question *q)
{
    vb_err err;
    vb_model *m;
    vb_session *s;
    vb_model_opts o = {.player = "oracle", .arith = q->arith};
    vb_session_opts so = {.context = q->tokens.n + 8, .kv = q->kv};
    if (vb_model_open(&m, q->path, &o, &err) < 0 || vb_session_open(&s, m, &so, &err) < 0) fatal(&err);
    feed(q, s, 0, 0, q->expected);
    vb_session_close(s);
    vb_model_close(m);
}

static int ask_cpu(question *q, const char *isa, int threads)
{
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.arith = q->arith, .isa = isa, .threads = threads};
    vb_status s = vb_model_open(&m, q->path, &o, &err);
    if (s == VB_E_UNSUPPORTED) return 0; /* this machine has no such instruction set */
    if (s < 0) fatal(&err);
    ask_chunks(q, m, isa, threads);
    vb_model_close(m);
    return 1;
}

static void ask(question *q)
{
    uint8_t digest[16];
    vb_digest *d;
    ask_oracle(q);
    if (vb_digest_open(&d, NULL) < 0) exit(1);
    vb_digest_add(d, q->expected, (size_t)q->want * (size_t)q->vocab * sizeof(float));
    vb_digest_get(d, digest);
    vb_digest_close(d);
    printf("%s %s: ", q->path, q->arith == VB_ARITH_F32 ? "f32 " : "int8");
    for (int i = 0; i < 16; i++) printf("%02x", digest[i]);
    int before = tally.passed;
    for (int i = 0; i < VB_COUNT(vb_isas); i++)
        for (int t = 0; t < VB_COUNT(vb_thread_counts); t++)
            if ((!q->quick || t % 2 == 0) && !ask_cpu(q, vb_isas[i], vb_thread_counts[t])) break;
    printf("  %d conditions\n", tally.passed - before);
}

static void measure(question *q)
{
    vb_err err;
    vb_model *m;
    vb_model_info info;
    vb_model_opts o = {.threads = 1};
    if (vb_model_open(&m, q->path, &o, &err) < 0) fatal(&err);
    vb_model_describe(m, &info);
    q->vocab = info.vocab;
    vb_model_close(m);
}

static void spread(question *q)
{
    uint32_t x = 12345;
    for (int i = 0; i < q->tokens.n; i++) {
        x = x * 1664525u + 1013904223u;
        q->tokens.id[i] = (vb_token)(x % (uint32_t)q->vocab);
    }
}

int main(int argc, char **argv)
{
    question q = {0};
    const char *kv = "default";
    int limit = 0;
    if (argc < 3) return fprintf(stderr, "usage: matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--quick]\n"), 2;
    q.path = argv[1];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) q.quick = 1;
        if (i + 1 < argc && strcmp(argv[i], "--tokens") == 0) limit = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--want") == 0) q.want = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--kv") == 0) kv = argv[i + 1];
    }
    static const char *const types[] = {"default", "f16", "f32", "q8_0"};
    for (int i = 0; i < 4; i++)
        if (strcmp(types[i], kv) == 0) q.kv = (vb_kv)i;
    measure(&q);
    if (strcmp(argv[2], "-") != 0)
        q.tokens = ids_read(argv[2], limit);
    else if ((q.tokens = ids_make(limit > 0 ? limit : 24)).n > 0)
        spread(&q);
    if (q.tokens.n < 2) return fprintf(stderr, "matrix: expected at least 2 tokens\n"), 2;
    if (q.want == 0 || q.want > q.tokens.n) q.want = q.tokens.n;
    size_t n = (size_t)q.want * (size_t)q.vocab;
    q.expected = malloc(n * sizeof(float));
    q.found = malloc(n * sizeof(float));
    if (q.expected == NULL || q.found == NULL) return 1;
    for (int a = 0; a < 2; a++) {
        q.arith = a == 0 ? VB_ARITH_INT8 : VB_ARITH_F32;
        ask(&q);
    }
    free(q.expected);
    free(q.found);
    free(q.tokens.id);
    return verdict();
}
