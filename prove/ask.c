/* ask.c - a question under one condition: how long before it was asked, in which pieces, beside whom, under which
 * rounding, and whether tokens are guessed ahead. None of it may change a bit.
 *
 *   prepare   a session that holds nothing, or the first half of the tokens by the named history
 *   feed      the rest, in chunks; neighbours evaluate other texts in the same rounds
 *   compare   the rows that were evaluated, as bytes
 */
#include "prove/ask.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOGETHER = 8 };

__attribute__((format(printf, 2, 3))) static void differ(char out[VB_DIFFERENCE], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(out, VB_DIFFERENCE, fmt, args);
    va_end(args);
}

/* --- sessions ------------------------------------------------------------------------------------------------ */

static vb_status open_session(const vb_question *q, vb_model *m, const char *cache, vb_session **out, vb_err *err)
{
    vb_session_opts o = {.context = q->n + 8, .kv = q->kv, .cache = cache};
    return vb_session_open(out, m, &o, err);
}

/* Another text with the same beginning, then back to the common prefix. */
static vb_status stray(const vb_question *q, vb_session *s, int keep, vb_err *err)
{
    vb_work past = {.session = s, .ids = q->ids, .n = keep};
    vb_token other[3] = {q->ids[0], q->ids[1], q->ids[0]};
    vb_work wrong = {.session = s, .ids = other, .n = 3};
    vb_status status = vb_eval(&past, 1, err);
    if (status == VB_OK) status = vb_eval(&wrong, 1, err);
    return status == VB_OK ? vb_session_rewind(s, keep, err) : status;
}

/* The first to come keeps the prefix; it and all others, whatever their instruction set, read it back. */
static vb_status from_disk(const vb_question *q, vb_model *m, int keep, vb_session **out, char *difference, vb_err *err)
{
    int held = 0;
    vb_session *first;
    vb_status status = open_session(q, m, q->cache, &first, err);
    if (status < 0) return status;
    status = vb_session_sync(first, q->ids, keep, err);
    vb_session_close(first);
    if (status == VB_OK) status = open_session(q, m, q->cache, out, err);
    if (status == VB_OK) status = vb_session_recall(*out, q->ids, q->n, &held, err);
    if (status == VB_OK && held != keep) differ(difference, "expected %d tokens on disk, found %d", keep, held);
    return status;
}

/* A session that already holds the first `from` tokens of the question, by the named history. */
static vb_status prepare(const vb_question *q, vb_model *m, vb_history how, int from, vb_session **out,
                         char *difference, vb_err *err)
{
    vb_session *copy = NULL;
    if (from > 0 && how == VB_FROM_DISK) return from_disk(q, m, from, out, difference, err);
    vb_status status = open_session(q, m, NULL, out, err);
    if (status < 0 || how == VB_FRESH) return status;
    status = stray(q, *out, from, err);
    if (status < 0 || how != VB_FORKED) return status;
    status = vb_session_fork(&copy, *out, err);
    vb_session_close(*out);
    *out = copy;
    return status;
}

/* --- evaluation ---------------------------------------------------------------------------------------------- */

/* Neighbours evaluate the same text from elsewhere on, a few tokens a round. */
static void feed_neighbours(const vb_question *q, vb_work *work, int n, vb_token text[MOST_TOGETHER][3])
{
    for (int i = 0; i < n; i++) {
        int held, some = 1 + i % 3;
        vb_session_tokens(work[i].session, &held);
        work[i].n = held + some <= q->n ? some : 0;
        work[i].ids = text[i];
        for (int k = 0; k < some; k++) text[i][k] = q->ids[(held + k + 7 * i + 1) % q->n];
    }
}

/* Evaluates the tokens from `from` on in chunks; logits of the last `want` of the whole row go to `out`. */
static vb_status feed(const vb_question *q, vb_session **sessions, const vb_condition *c, int from, float *out,
                      vb_err *err)
{
    int first = q->n - q->want, place = c->chunk % c->together;
    for (int at = from; at < q->n;) {
        vb_work work[MOST_TOGETHER] = {{0}};
        vb_token text[MOST_TOGETHER][3];
        int len = c->chunk == 0 || c->chunk > q->n - at ? q->n - at : c->chunk;
        int want = at + len - (at > first ? at : first);
        if (want < 0) want = 0;
        for (int i = 0; i < c->together; i++) work[i].session = sessions[i];
        feed_neighbours(q, work, c->together, text);
        float *to = want > 0 ? out + (size_t)(at + len - want - first) * (size_t)q->row : NULL;
        work[place] = (vb_work){.session = sessions[place], .ids = q->ids + at, .n = len, .logits = to, .want = want};
        vb_status status = vb_eval(work, c->together, err);
        if (status < 0) return status;
        at += len;
    }
    return VB_OK;
}

/* Texts as wholes, one round: the question's, and beside it others of other lengths. */
static vb_status feed_texts(const vb_question *q, vb_session **sessions, const vb_condition *c, float *out, vb_err *err)
{
    vb_token text[MOST_TOGETHER][4];
    vb_work work[MOST_TOGETHER] = {{0}};
    int place = c->chunk % c->together;
    for (int i = 0; i < c->together; i++) {
        for (int k = 0; k < 4; k++) text[i][k] = q->ids[(k + 7 * i + 1) % q->n];
        work[i] = (vb_work){.session = sessions[i], .ids = text[i], .n = 1 + i % 4};
    }
    work[place] = (vb_work){.session = sessions[place], .ids = q->ids, .n = q->n, .logits = out, .want = q->want};
    return vb_eval(work, c->together, err);
}

/* Of the wanted rows, those from token `from` on: the ones that a kept prefix did not spare. */
static void compare(const vb_question *q, int from, char difference[VB_DIFFERENCE])
{
    int first = q->n - q->want, skipped = from > first ? from - first : 0;
    size_t n = (size_t)q->want * (size_t)q->row, at = (size_t)skipped * (size_t)q->row;
    memcpy(q->found, q->expected, at * sizeof(float));
    if (memcmp(q->expected + at, q->found + at, (n - at) * sizeof(float)) == 0) return;
    while (memcmp(q->expected + at, q->found + at, sizeof(float)) == 0) at++;
    differ(difference, "row %zu, logit %zu: expected %a, found %a", at / (size_t)q->row, at % (size_t)q->row,
           (double)q->expected[at], (double)q->found[at]);
}

static vb_status ask_rows(const vb_question *q, vb_model *m, const vb_condition *c, char *difference, vb_err *err)
{
    vb_status status = VB_OK;
    int place = c->chunk % c->together, from = c->how == VB_FRESH || q->encoder ? 0 : q->n / 2;
    vb_session *sessions[MOST_TOGETHER] = {NULL};
    memset(q->found, 0xff, (size_t)q->want * (size_t)q->row * sizeof(float));
    vb_fp_set(c->fp);
    for (int i = 0; i < c->together && status == VB_OK; i++) {
        if (i == place) status = prepare(q, m, c->how, from, &sessions[i], difference, err);
        else status = open_session(q, m, NULL, &sessions[i], err);
    }
    if (status == VB_OK)
        status = q->encoder ? feed_texts(q, sessions, c, q->found, err) : feed(q, sessions, c, from, q->found, err);
    int kept = vb_fp_is(c->fp);
    vb_fp_set(VB_FP_USUAL);
    for (int i = 0; i < c->together; i++) vb_session_close(sessions[i]);
    if (status == VB_OK) compare(q, from, difference);
    if (!kept) differ(difference, "the caller's %s was not given back", vb_fp_names[c->fp]);
    return status;
}

/* --- generation ---------------------------------------------------------------------------------------------- */

static vb_status play(const vb_question *q, vb_session *s, vb_session *draft, vb_speculate speculate, vb_answered *out,
                      vb_err *err)
{
    int prompt = q->n / 2, n;
    vb_generation how = {.sampling = {.temperature = 0.9f, .seed = 7}, .max_tokens = VB_ANSWER,
                         .speculate = speculate, .draft = draft};
    vb_work last = {.session = s};
    vb_status status = vb_session_sync(s, q->ids, prompt, err);
    if (status == VB_OK) status = vb_generate(s, &how, NULL, err);
    if (status == VB_OK) status = vb_eval(&last, 1, err);
    if (status < 0) return status;
    const vb_token *held = vb_session_tokens(s, &n);
    out->n = n - prompt;
    memcpy(out->ids, held + prompt, (size_t)out->n * sizeof *held);
    memcpy(out->logits, vb_session_logits(s, NULL), (size_t)q->row * sizeof(float));
    return VB_OK;
}

static vb_status generate(const vb_question *q, vb_model *m, vb_speculate speculate, vb_answered *out, vb_err *err)
{
    vb_session_opts o = {.context = q->n / 2 + VB_ANSWER + 2, .kv = q->kv};
    vb_session *s = NULL, *draft = NULL;
    vb_status status = vb_session_open(&s, m, &o, err);
    if (status == VB_OK && speculate == VB_SPECULATE_DRAFT) status = vb_session_open(&draft, m, &o, err);
    if (status == VB_OK) status = play(q, s, draft, speculate, out, err);
    vb_session_close(draft);
    vb_session_close(s);
    return status;
}

/* Tokens guessed ahead, by n-grams and by a draft model, change neither a token nor a logit. */
static vb_status ask_generation(const vb_question *q, vb_model *m, const vb_condition *c, char *difference, vb_err *err)
{
    const vb_answered *x = &q->generated;
    vb_answered a = {.logits = q->found};
    vb_status status = generate(q, m, vb_speculations[c->speculation], &a, err);
    if (status < 0) return status;
    if (a.n != x->n || memcmp(a.ids, x->ids, (size_t)a.n * sizeof *a.ids) != 0)
        differ(difference, "other tokens than expected were generated");
    else if (memcmp(a.logits, x->logits, (size_t)q->row * sizeof(float)) != 0)
        differ(difference, "other logits than expected behind the generated tokens");
    return VB_OK;
}

vb_status vb_ask(const vb_question *q, vb_model *m, const vb_condition *c, char difference[VB_DIFFERENCE], vb_err *err)
{
    difference[0] = 0;
    return c->generates ? ask_generation(q, m, c, difference, err) : ask_rows(q, m, c, difference, err);
}

void vb_condition_text(char *buf, size_t cap, const vb_question *q, const vb_condition *c)
{
    int n = snprintf(buf, cap, "%s %s %d threads%s%s%s%s", q->arith == VB_ARITH_F32 ? "f32" : "int8",
                     c->isa != NULL ? c->isa : c->device, c->threads, c->hard != NULL ? ", by chance " : "",
                     c->hard != NULL ? c->hard : "", c->layers != NULL ? ", gpu layers " : "",
                     c->layers != NULL ? c->layers : "");
    if (n < 0 || (size_t)n >= cap) return;
    if (c->generates)
        snprintf(buf + n, cap - (size_t)n, ", generation, speculation %s", vb_speculation_names[c->speculation]);
    else
        snprintf(buf + n, cap - (size_t)n, ", chunk %d, %s, %d together, %s", c->chunk, vb_history_names[c->how],
                 c->together, vb_fp_names[c->fp]);
}

/* --- the question -------------------------------------------------------------------------------------------- */

static vb_status no_memory(const vb_question *q, vb_err *err)
{
    if (err != NULL) {
        err->code = VB_E_MEMORY;
        snprintf(err->text, sizeof err->text, "%.400s: out of memory", q->path);
    }
    return VB_E_MEMORY;
}

vb_status vb_question_open(vb_question *q, vb_err *err)
{
    vb_model *m;
    vb_model_info info;
    vb_model_opts o = {.threads = 1};
    vb_status status = vb_model_open(&m, q->path, &o, err);
    if (status < 0) return status;
    vb_model_describe(m, &info);
    vb_model_close(m);
    q->row = info.embeds ? info.width : info.vocab;
    q->layers = info.layers;
    q->encoder = info.encoder;
    if (q->want <= 0 || q->want > q->n) q->want = q->n;
    q->expected = calloc((size_t)q->want * (size_t)q->row, sizeof(float));
    q->found = calloc((size_t)q->want * (size_t)q->row, sizeof(float));
    q->generated.logits = calloc((size_t)q->row, sizeof(float));
    if (q->expected != NULL && q->found != NULL && q->generated.logits != NULL) return VB_OK;
    vb_question_close(q);
    return no_memory(q, err);
}

void vb_question_close(vb_question *q)
{
    free(q->expected);
    free(q->found);
    free(q->generated.logits);
    q->expected = q->found = q->generated.logits = NULL;
}

vb_status vb_question_settle(vb_question *q, vb_err *err)
{
    vb_model *m;
    vb_session *s = NULL;
    vb_model_opts o = {.player = "oracle", .arith = q->arith};
    vb_condition plain = {.together = 1};
    vb_status status = vb_model_open(&m, q->path, &o, err);
    if (status < 0) return status;
    status = open_session(q, m, NULL, &s, err);
    if (status == VB_OK) status = feed(q, &s, &plain, 0, q->expected, err);
    vb_session_close(s);
    if (status == VB_OK && !q->encoder) status = generate(q, m, VB_SPECULATE_OFF, &q->generated, err);
    vb_model_close(m);
    return status;
}

vb_status vb_question_digest(const vb_question *q, const float *rows, uint8_t out[16], vb_err *err)
{
    vb_digest *d;
    vb_status status = vb_digest_open(&d, err);
    if (status < 0) return status;
    vb_digest_add(d, rows, (size_t)q->want * (size_t)q->row * sizeof(float));
    vb_digest_get(d, out);
    vb_digest_close(d);
    return VB_OK;
}
