/* matrix.c - one digest a model: the oracle plays some tokens, then every condition of tests/conditions.h plays them
 * again on the cpu player, in both arithmetic modes and with each KV type. All logits must have the same bytes.
 *
 *   matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--kv TYPE] [--quick] [--every N]
 *
 * An encoder reads a text only as a whole: its conditions are histories, neighbours with other texts and floating point,
 * and nothing is generated.
 *
 * TOKENS.json is an array of ids; `-` makes N ids spread over the vocabulary. --want compares the logits of the last
 * tokens only (large vocabularies). --quick takes fewer thread counts and one chunk size beside all; --every N asks
 * one in N of the conditions.
 */
#include "tests/conditions.h"
#include "tests/ids.h"
#include "tests/tally.h"
#include "verbatim.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TOGETHER = 8, ANSWER = 16 };

/* What a generation leaves behind. */
typedef struct {
    vb_token ids[ANSWER];
    int n;
    float *logits; /* behind the last token, [vocab] */
} answer;

typedef struct {
    const char *path;
    ids tokens;
    int want, quick, every;
    unsigned asked;
    vb_arith arith;
    vb_kv kv;
    int vocab, encoder; /* vocab: floats of a row */
    float *expected, *found; /* want x vocab */
    char dir[64];            /* kept prefixes */
    answer generated;        /* by the oracle */
} question;

/* One way to ask it. */
typedef struct {
    const char *isa;
    int threads, chunk, together;
    vb_history how;
    vb_fp_mode fp;
} condition;

__attribute__((noreturn)) static void fatal(const vb_err *err)
{
    fprintf(stderr, "matrix: %s\n", err->text);
    exit(1);
}

/* --- sessions ------------------------------------------------------------------------------------------------ */

static vb_session *open_session(const question *q, vb_model *m, const char *cache)
{
    vb_err err;
    vb_session *s;
    vb_session_opts o = {.context = q->tokens.n + 8, .kv = q->kv, .cache = cache};
    if (vb_session_open(&s, m, &o, &err) < 0) fatal(&err);
    return s;
}

/* Another text with the same beginning, then back to the common prefix. */
static void stray(const question *q, vb_session *s, int keep)
{
    vb_err err;
    vb_work past = {.session = s, .ids = q->tokens.id, .n = keep};
    vb_token other[3] = {q->tokens.id[0], q->tokens.id[1], q->tokens.id[0]};
    vb_work wrong = {.session = s, .ids = other, .n = 3};
    if (vb_eval(&past, 1, &err) < 0 || vb_eval(&wrong, 1, &err) < 0) fatal(&err);
    if (vb_session_rewind(s, keep, &err) < 0) fatal(&err);
}

/* The first to come keeps the prefix; it and all others, whatever their instruction set, read it back. */
static vb_session *from_disk(const question *q, vb_model *m, int keep)
{
    vb_err err;
    int held;
    vb_session *s = open_session(q, m, q->dir);
    if (vb_session_sync(s, q->tokens.id, keep, &err) < 0) fatal(&err);
    vb_session_close(s);
    s = open_session(q, m, q->dir);
    if (vb_session_recall(s, q->tokens.id, q->tokens.n, &held, &err) < 0) fatal(&err);
    if (held != keep) failed("%s: expected %d tokens on disk, found %d", q->path, keep, held);
    return s;
}

/* A session that already holds a prefix of the question, by the named history; *from is where to go on. */
static vb_session *prepare(const question *q, vb_model *m, vb_history how, int *from)
{
    vb_err err;
    vb_session *s, *f = NULL;
    *from = how == VB_FRESH || q->encoder ? 0 : q->tokens.n / 2;
    if (how == VB_FROM_DISK && !q->encoder) return from_disk(q, m, *from);
    s = open_session(q, m, NULL);
    if (how == VB_FRESH) return s;
    stray(q, s, *from);
    if (how == VB_CACHED) return s;
    if (vb_session_fork(&f, s, &err) < 0) fatal(&err);
    vb_session_close(s);
    return f;
}

/* --- evaluation ---------------------------------------------------------------------------------------------- */

/* Neighbours evaluate the same text from elsewhere on, a few tokens a round. */
static void feed_neighbours(const question *q, vb_work *work, int n, vb_token text[MOST_TOGETHER][3])
{
    for (int i = 0; i < n; i++) {
        int held, some = 1 + i % 3;
        vb_session_tokens(work[i].session, &held);
        work[i].n = held + some <= q->tokens.n ? some : 0;
        work[i].ids = text[i];
        for (int k = 0; k < some; k++) text[i][k] = q->tokens.id[(held + k + 7 * i + 1) % q->tokens.n];
    }
}

/* Evaluates ids[from..) in chunks; logits of the last `want` tokens of the whole row go to `out`. */
static void feed(const question *q, vb_session **sessions, int together, int from, int chunk, float *out)
{
    vb_err err;
    int n = q->tokens.n, first = n - q->want, place = chunk % together;
    for (int at = from; at < n;) {
        vb_work work[MOST_TOGETHER] = {{0}};
        vb_token text[MOST_TOGETHER][3];
        int len = chunk == 0 || chunk > n - at ? n - at : chunk;
        int want = at + len - (at > first ? at : first);
        if (want < 0) want = 0;
        for (int i = 0; i < together; i++) work[i].session = sessions[i];
        feed_neighbours(q, work, together, text);
        float *to = want > 0 ? out + (size_t)(at + len - want - first) * (size_t)q->vocab : NULL;
        work[place] = (vb_work){.session = sessions[place], .ids = q->tokens.id + at, .n = len, .logits = to, .want = want};
        if (vb_eval(work, together, &err) < 0) fatal(&err);
        at += len;
    }
}

/* Of the wanted rows, those from token `from` on: the ones that a kept prefix did not spare. */
static void compare(const question *q, int from, const condition *c)
{
    int first = q->tokens.n - q->want, skipped = from > first ? from - first : 0;
    size_t n = (size_t)q->want * (size_t)q->vocab, at = (size_t)skipped * (size_t)q->vocab;
    if (memcmp(q->expected + at, q->found + at, (n - at) * sizeof(float)) == 0) {
        passed();
        return;
    }
    while (memcmp(q->expected + at, q->found + at, sizeof(float)) == 0) at++;
    failed("%s: %s %s %d threads, chunk %d, %s, %d together, %s: row %zu, logit %zu: oracle %a, found %a", q->path,
           q->arith == VB_ARITH_F32 ? "f32" : "int8", c->isa, c->threads, c->chunk, vb_history_names[c->how], c->together,
           vb_fp_names[c->fp], at / (size_t)q->vocab, at % (size_t)q->vocab, (double)q->expected[at],
           (double)q->found[at]);
}

/* Texts as wholes, one round: the question's, and beside it others of other lengths. */
static void feed_texts(const question *q, vb_session **sessions, const condition *c, float *out)
{
    vb_err err;
    vb_token text[MOST_TOGETHER][4];
    vb_work work[MOST_TOGETHER] = {{0}};
    int place = c->chunk % c->together;
    for (int i = 0; i < c->together; i++) {
        for (int k = 0; k < 4; k++) text[i][k] = q->tokens.id[(k + 7 * i + 1) % q->tokens.n];
        work[i] = (vb_work){.session = sessions[i], .ids = text[i], .n = 1 + i % 4};
    }
    work[place] = (vb_work){.session = sessions[place], .ids = q->tokens.id, .n = q->tokens.n,
                            .logits = out, .want = q->want};
    if (vb_eval(work, c->together, &err) < 0) fatal(&err);
}

static void ask_one(question *q, vb_model *m, const condition *c)
{
    int from = 0, place = c->chunk % c->together;
    vb_session *sessions[MOST_TOGETHER];
    vb_fp_set(c->fp);
    for (int i = 0; i < c->together; i++)
        sessions[i] = i == place ? prepare(q, m, c->how, &from) : open_session(q, m, NULL);
    memset(q->found, 0xff, (size_t)q->want * (size_t)q->vocab * sizeof(float));
    if (q->encoder)
        feed_texts(q, sessions, c, q->found);
    else
        feed(q, sessions, c->together, from, c->chunk, q->found);
    if (!vb_fp_is(c->fp)) failed("%s: the caller's %s was not given back", q->path, vb_fp_names[c->fp]);
    vb_fp_set(VB_FP_USUAL);
    compare(q, from, c);
    for (int i = 0; i < c->together; i++) vb_session_close(sessions[i]);
}

/* By chance, as each N-th would meet the same values of a dimension again and again. */
static int left_out(question *q)
{
    return (++q->asked * 2654435761u >> 16) % (unsigned)q->every != 0;
}

/* Two of the dimensions are dealt: each value meets each of the others as the walk goes on. */
static void ask_chunks(question *q, vb_model *m, condition c, unsigned *deal)
{
    for (int i = 0; i < VB_COUNT(vb_chunks); i++)
        for (c.how = 0; c.how < VB_HISTORIES; c.how++, ++*deal) {
            c.chunk = vb_chunks[i];
            if (q->quick && c.chunk != 0 && c.chunk != 5) continue;
            if (left_out(q)) continue;
            unsigned x = *deal * 2654435761u >> 16;
            c.together = vb_together[x % VB_COUNT(vb_together)];
            c.fp = (vb_fp_mode)(x / VB_COUNT(vb_together) % VB_FP_MODES);
            ask_one(q, m, &c);
        }
}

/* --- generation ---------------------------------------------------------------------------------------------- */

static void generate(const question *q, vb_model *m, vb_speculate speculate, answer *out)
{
    vb_err err;
    int prompt = q->tokens.n / 2, n;
    vb_session_opts o = {.context = prompt + ANSWER + 2, .kv = q->kv};
    vb_session *s, *draft = NULL;
    vb_generation how = {.sampling = {.temperature = 0.9f, .seed = 7}, .max_tokens = ANSWER, .speculate = speculate};
    if (vb_session_open(&s, m, &o, &err) < 0) fatal(&err);
    if (speculate == VB_SPECULATE_DRAFT && vb_session_open(&draft, m, &o, &err) < 0) fatal(&err);
    how.draft = draft;
    vb_work last = {.session = s};
    if (vb_session_sync(s, q->tokens.id, prompt, &err) < 0 || vb_generate(s, &how, NULL, &err) < 0 ||
        vb_eval(&last, 1, &err) < 0)
        fatal(&err);
    const vb_token *held = vb_session_tokens(s, &n);
    out->n = n - prompt;
    memcpy(out->ids, held + prompt, (size_t)out->n * sizeof *held);
    memcpy(out->logits, vb_session_logits(s, NULL), (size_t)q->vocab * sizeof(float));
    vb_session_close(draft);
    vb_session_close(s);
}

/* Tokens guessed ahead, by n-grams and by a draft model, change neither a token nor a logit. */
static void ask_generations(question *q, vb_model *m, const char *isa, int threads)
{
    answer a = {.logits = q->found};
    for (int i = 0; i < VB_COUNT(vb_speculations); i++) {
        if (left_out(q)) continue;
        generate(q, m, vb_speculations[i], &a);
        if (a.n == q->generated.n && memcmp(a.ids, q->generated.ids, (size_t)a.n * sizeof *a.ids) == 0 &&
            memcmp(a.logits, q->generated.logits, (size_t)q->vocab * sizeof(float)) == 0)
            passed();
        else
            failed("%s: %s %s %d threads, speculation %s: not the oracle's answer", q->path,
                   q->arith == VB_ARITH_F32 ? "f32" : "int8", isa, threads, vb_speculation_names[i]);
    }
}

/* --- players ------------------------------------------------------------------------------------------------- */

static void ask_oracle(question *q)
{
    vb_err err;
    vb_model *m;
    vb_session *s;
    vb_model_opts o = {.player = "oracle", .arith = q->arith};
    if (vb_model_open(&m, q->path, &o, &err) < 0) fatal(&err);
    s = open_session(q, m, NULL);
    feed(q, &s, 1, 0, 0, q->expected);
    vb_session_close(s);
    if (!q->encoder) generate(q, m, VB_SPECULATE_OFF, &q->generated);
    vb_model_close(m);
}

/* The model too is opened under the caller's floating point. */
static int ask_cpu(question *q, const char *isa, int threads, unsigned *deal)
{
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.arith = q->arith, .isa = isa, .threads = threads};
    vb_fp_set((vb_fp_mode)(*deal % VB_FP_MODES));
    vb_status s = vb_model_open(&m, q->path, &o, &err);
    vb_fp_set(VB_FP_USUAL);
    if (s == VB_E_UNSUPPORTED) return 0; /* this machine has no such instruction set */
    if (s < 0) fatal(&err);
    ask_chunks(q, m, (condition){.isa = isa, .threads = threads}, deal);
    if (!q->encoder) ask_generations(q, m, isa, threads);
    vb_model_close(m);
    return 1;
}

static void remove_tree(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    if (system(command) != 0) exit(1);
}

/* Chance decides about order, sizes and batches. */
static void ask_hard(question *q, unsigned *deal)
{
    for (int h = 0; h < VB_COUNT(vb_hard_seeds); h++) {
        setenv("VB_HARD", vb_hard_seeds[h], 1);
        for (int i = 0; i < VB_COUNT(vb_isas); i++) ask_cpu(q, vb_isas[i], VB_HARD_THREADS, deal);
    }
    unsetenv("VB_HARD");
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
    unsigned deal = 0;
    strcpy(q->dir, "/tmp/verbatim-matrix-XXXXXX");
    if (mkdtemp(q->dir) == NULL) exit(1);
    for (int i = 0; i < VB_COUNT(vb_isas); i++)
        for (int t = 0; t < VB_COUNT(vb_thread_counts); t++)
            if ((!q->quick || t % 2 == 0) && !ask_cpu(q, vb_isas[i], vb_thread_counts[t], &deal)) break;
    ask_hard(q, &deal);
    remove_tree(q->dir);
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
    q->vocab = info.embeds ? info.width : info.vocab;
    q->encoder = info.encoder;
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
    question q = {.every = 1};
    const char *kv = "default";
    int limit = 0;
    if (argc < 3) return fprintf(stderr, "usage: matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--quick] [--every N]\n"), 2;
    q.path = argv[1];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) q.quick = 1;
        if (i + 1 < argc && strcmp(argv[i], "--tokens") == 0) limit = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--every") == 0) q.every = atoi(argv[i + 1]);
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
    q.generated.logits = malloc((size_t)q.vocab * sizeof(float));
    if (q.expected == NULL || q.found == NULL || q.generated.logits == NULL) return 1;
    for (int a = 0; a < 2; a++) {
        q.arith = a == 0 ? VB_ARITH_INT8 : VB_ARITH_F32;
        ask(&q);
    }
    free(q.expected);
    free(q.found);
    free(q.generated.logits);
    free(q.tokens.id);
    return verdict();
}
