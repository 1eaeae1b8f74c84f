/* align.c - their tokens' bytes become our ids, our model is fed with them, and every position gives two numbers.
 *
 *   prompt | t0 | t1 | t2 ...          pieces of up to 32 tokens, evaluated at prefill speed; the logits behind each
 *          ^    ^    ^                 token predict the next one
 *
 * An engine that tells bytes and no ids leaves a question where two tokens of ours have the same bytes: a piece then
 * ends in front of it and the likelier one is taken. Bytes that no single token has are several tokens shown as one
 * (Ollama waits until characters are whole): they are tokenized and fed, but their log-probability belongs to one
 * of them only, so they are not compared.
 */
#include "parity/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 32, SPELLING_MAX = 4096 };

typedef struct {
    vb_aligned *out;
    vb_model *model;
    const vb_answer *answer;
    const vb_speller *speller;
    vb_session *session;
    int vocab;
    float *rows;          /* [1 + PIECE, vocab]; row 0: logits that predict the first waiting token */
    vb_token waiting[PIECE];
    int entry[PIECE];     /* which of their tokens each waiting one is */
    int whole[PIECE];     /* 0: a part of it, -1: never shown by them */
    int n_waiting;
    int told;             /* of the answer's list of ids, those that are fed */
    char pending[SPELLING_MAX]; /* their bytes that no entry has shown yet */
    size_t n_pending;
    vb_err *err;
} feeder;

static double their_margin(const vb_answer_token *t)
{
    return t->n_top > 1 ? t->top[0].logprob - t->top[1].logprob : (double)NAN;
}

/* What they think of our token: its log-probability if they told it, else that of the last one they told. */
static double their_view(const vb_model *model, const vb_answer_token *t, vb_token id)
{
    char bytes[SPELLING_MAX];
    int64_t n = vb_token_bytes(model, id, bytes, sizeof bytes);
    for (int i = 0; i < t->n_top; i++) {
        const vb_answer_choice *c = &t->top[i];
        if (c->id >= 0 ? c->id == id : n >= 0 && c->len == (size_t)n && memcmp(c->bytes, bytes, c->len) == 0)
            return c->logprob;
    }
    return t->n_top > 0 ? t->top[t->n_top - 1].logprob : t->chosen.logprob;
}

/* The largest logits; *whole gets the logarithm of the sum over all, for log-probabilities of others. */
static int top_of(const float *logits, int vocab, vb_choice *top, double *whole)
{
    vb_token ids[VB_PARITY_TOP];
    int n = vb_top_ids(logits, vocab, ids, VB_PARITY_TOP);
    *whole = (double)logits[ids[0]] - (double)vb_logprob(logits, vocab, ids[0]);
    for (int i = 0; i < n; i++)
        top[i] = (vb_choice){ids[i], logits[ids[i]], (float)((double)logits[ids[i]] - *whole)};
    return n;
}

static void judge(feeder *f, int entry, vb_token id, const float *logits)
{
    vb_aligned_token *t = &f->out->token[entry];
    const vb_answer_token *theirs = &f->answer->tokens[entry];
    t->id = id;
    double whole;
    t->n_top = top_of(logits, f->vocab, t->top, &whole);
    t->our_margin = t->n_top > 1 ? (double)t->top[0].logprob - (double)t->top[1].logprob : (double)NAN;
    t->their_margin = their_margin(theirs);
    t->theirs = theirs->chosen.logprob;
    t->ours = (double)logits[id] - whole;
    if (!isfinite(t->theirs)) return;
    t->judged = 1;
    t->drift = fabs(t->theirs - t->ours);
    f->out->judged++;
    if (t->top[0].id == id) {
        f->out->agreed++;
        return;
    }
    t->gap = (double)t->top[0].logprob - t->ours + t->theirs - their_view(f->model, theirs, t->top[0].id);
    if (f->out->first < 0) f->out->first = entry;
}

/* A part of a joined entry: only whether our best token is theirs, and by how much we prefer ours. */
static void judge_part(feeder *f, int entry, vb_token id, const float *logits)
{
    vb_aligned_token *t = &f->out->token[entry];
    vb_token best;
    vb_top_ids(logits, f->vocab, &best, 1);
    if (best == id) return;
    t->gap = fmax(t->gap, (double)logits[best] - (double)logits[id]);
    if (f->out->first < 0) f->out->first = entry;
}

/* Evaluates what waits and judges it; row 0 afterwards predicts what comes next. */
static vb_status flush(feeder *f)
{
    size_t vocab = (size_t)f->vocab;
    vb_work work = {f->session, f->waiting, f->n_waiting, f->rows + vocab, f->n_waiting};
    if (f->n_waiting == 0) return VB_OK;
    vb_status status = vb_eval(&work, 1, f->err);
    if (status < 0) return status;
    for (int i = 0; i < f->n_waiting; i++) {
        const float *logits = f->rows + (size_t)i * vocab;
        if (f->whole[i] > 0) judge(f, f->entry[i], f->waiting[i], logits);
        else if (f->whole[i] == 0) judge_part(f, f->entry[i], f->waiting[i], logits);
        f->out->fed[f->out->n_fed++] = f->waiting[i];
    }
    memcpy(f->rows, f->rows + (size_t)f->n_waiting * vocab, vocab * sizeof *f->rows);
    f->n_waiting = 0;
    return VB_OK;
}

static vb_status feed(feeder *f, vb_token id, int entry, int whole)
{
    vb_token *more = realloc(f->out->fed, (size_t)(f->out->n_fed + PIECE + 1) * sizeof *more);
    if (more == NULL) return vb_parity_no_memory(f->err);
    f->out->fed = more;
    f->waiting[f->n_waiting] = id;
    f->whole[f->n_waiting] = whole;
    f->entry[f->n_waiting++] = entry;
    return f->n_waiting == PIECE ? flush(f) : VB_OK;
}

/* The bytes in front of the last of several tokens shown as one, whose id they told; -1: it is no such entry. */
static int64_t in_front_of(const vb_model *model, const vb_answer_choice *c)
{
    char last[SPELLING_MAX];
    int64_t n = vb_token_bytes(model, c->id, last, sizeof last);
    if (n <= 0 || n >= (int64_t)c->len || n > (int64_t)sizeof last) return -1;
    return memcmp(c->bytes + c->len - n, last, (size_t)n) == 0 ? (int64_t)c->len - n : -1;
}

/* 1: several tokens were fed, 0: nothing of ours spells this. */
static int feed_joined(feeder *f, int entry, vb_status *status)
{
    const vb_answer_choice *c = &f->answer->tokens[entry].chosen;
    vb_token part[64];
    json_t *whole = json_stringn(c->bytes, c->len); /* NULL: not UTF-8, so nobody waited until it was */
    json_decref(whole);
    int64_t len = c->id >= 0 ? in_front_of(f->model, c) : (int64_t)c->len;
    if (whole == NULL || len < 0) return 0;
    int64_t n = vb_tokenize(f->model, c->bytes, (size_t)len, 0, part, 63, NULL);
    if (n >= 1 && n < 64 && c->id >= 0) part[n++] = c->id;
    if (n < 2 || n > 64) return 0;
    f->out->joined++;
    for (int i = 0; i < n && *status == VB_OK; i++) *status = feed(f, part[i], entry, 0);
    return 1;
}

static int is_replaced(const vb_answer_choice *c)
{
    return c->id < 0 && c->len >= 3 && memmem(c->bytes, c->len, "\xEF\xBF\xBD", 3) != NULL;
}

/* Where in the list of all their ids the one stands that this entry shows, behind those that it shows joined with it: a
 * server that waits for whole characters, or for what may become a stop text, sends the bytes of several tokens with the
 * last one's id and log-probability. -1: the list does not spell it. */
static int told_at(feeder *f, int entry)
{
    const vb_answer *a = f->answer;
    const vb_answer_choice *c = &a->tokens[entry].chosen;
    for (int i = f->told; i < a->n_ids && i - f->told < SPELLING_MAX / 64; i++) {
        size_t room = sizeof f->pending - f->n_pending;
        int64_t n = vb_token_ends(f->model, a->ids[i]) ? 0 : vb_token_bytes(f->model, a->ids[i], f->pending + f->n_pending, room);
        if (n < 0 || (size_t)n > room) return -1;
        f->n_pending += (size_t)n;
        int cut = entry == a->n_tokens - 1 && c->len < f->n_pending; /* in front of a stop text */
        if (a->ids[i] != c->id || (c->len != 0 && c->len != f->n_pending && !cut)) continue;
        if (c->len != 0 && memcmp(c->bytes, f->pending, c->len) != 0) continue;
        if (c->len != 0) f->n_pending = 0;
        return i;
    }
    return -1;
}

static vb_status feed_told(feeder *f, int entry, int at)
{
    vb_status status = VB_OK;
    for (; f->told < at && status == VB_OK; f->told++) status = feed(f, f->answer->ids[f->told], entry, 0);
    if (status == VB_OK) status = feed(f, f->answer->ids[f->told++], entry, 1);
    return status;
}

/* One of their tokens. 0: it cannot be read, and nothing behind it can be. */
static int follow(feeder *f, int entry, vb_status *status)
{
    const vb_answer_choice *c = &f->answer->tokens[entry].chosen;
    const vb_token *ids;
    if (is_replaced(c)) return 0;
    f->out->token[entry] = (vb_aligned_token){.id = -1};
    int at = told_at(f, entry);
    if (at >= 0) return *status = feed_told(f, entry, at), 1;
    f->told = f->answer->n_ids;
    int n = vb_speller_find(f->speller, c->bytes, c->len, &ids);
    for (int i = 0; i < n && c->id >= 0; i++)
        if (ids[i] == c->id) return *status = feed(f, c->id, entry, 1), 1;
    if ((n == 0 || c->id >= 0) && feed_joined(f, entry, status)) return 1;
    if (n == 0 || c->id >= 0) {
        f->out->foreign = entry;
        return 0;
    }
    if (n > 1) *status = flush(f);
    vb_token best = ids[0];
    for (int i = 1; i < n && *status == VB_OK; i++)
        if (f->rows[ids[i]] > f->rows[best]) best = ids[i];
    if (*status == VB_OK) *status = feed(f, best, entry, 1);
    return 1;
}

static vb_status open_feeder(feeder *f)
{
    vb_model_info info;
    vb_aligned *out = f->out;
    vb_session_opts opts = {.context = f->answer->num_ctx};
    vb_model_describe(f->model, &info);
    f->vocab = info.vocab;
    f->rows = calloc((size_t)(1 + PIECE) * (size_t)f->vocab, sizeof *f->rows);
    out->token = calloc((size_t)f->answer->n_tokens + 1, sizeof *out->token);
    out->fed = calloc((size_t)out->n_prompt + PIECE + 1, sizeof *out->fed);
    if (f->rows == NULL || out->token == NULL || out->fed == NULL) return vb_parity_no_memory(f->err);
    memcpy(out->fed, out->prompt_ids, (size_t)out->n_prompt * sizeof *out->fed);
    out->n_fed = out->n_prompt;
    vb_status status = vb_session_open(&f->session, f->model, &opts, f->err);
    if (status == VB_OK) status = vb_session_sync(f->session, out->prompt_ids, out->n_prompt, f->err);
    if (status < 0) return status;
    memcpy(f->rows, vb_session_logits(f->session, NULL), (size_t)f->vocab * sizeof *f->rows);
    return VB_OK;
}

/* What we would say behind their last token. */
static void look_behind(feeder *f)
{
    double best = -(double)INFINITY, whole;
    f->out->n_end = top_of(f->rows, f->vocab, f->out->end, &whole);
    for (vb_token i = 0; i < f->vocab; i++)
        if (vb_token_ends(f->model, i) && (double)f->rows[i] > best) best = (double)f->rows[i];
    f->out->end_best = best - whole;
}

vb_status vb_align(vb_aligned *out, vb_model *model, const vb_speller *speller, const vb_answer *answer, vb_err *err)
{
    feeder f = {.out = out, .model = model, .answer = answer, .speller = speller, .err = err};
    *out = (vb_aligned){.first = -1, .foreign = -1, .prompt_at = -1};
    vb_status status = vb_align_prompt(out, model, answer, err);
    if (status == VB_OK && out->readable && out->n_prompt > 0) {
        status = open_feeder(&f);
        for (int readable = 1; status == VB_OK && readable && out->n < answer->n_tokens; out->n += readable)
            readable = follow(&f, out->n, &status);
        while (status == VB_OK && f.told < answer->n_ids && !vb_token_ends(model, answer->ids[f.told]))
            status = feed(&f, answer->ids[f.told++], out->n, -1); /* a last character that never became whole */
        if (status == VB_OK) status = flush(&f);
        if (status == VB_OK) look_behind(&f);
    }
    vb_session_close(f.session);
    free(f.rows);
    if (status < 0) vb_aligned_free(out);
    return status;
}

void vb_aligned_free(vb_aligned *a)
{
    free(a->prompt_ids);
    free(a->fed);
    free(a->token);
    *a = (vb_aligned){0};
}
