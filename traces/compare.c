/* compare.c - the recorded tokens are evaluated again, and everything that was recorded of them is compared.
 *
 *   records    given given given chosen chosen chosen given given chosen ...
 *   evaluated  \_____ one piece: up to `most` rows of logits ___/  \__ next piece
 *
 * The tokens are evaluated in pieces, not one by one: batching cannot change a bit, so the logits behind every recorded
 * choice come out as if it were made again, only sooner. From each row the token is chosen anew with the recorded
 * sampling, and id, text, largest logits, digest and proof must be equal. Rows are independent of each other, so threads
 * share them. A grammar is walked along, and each row gets its own place in it. Of a token that is not to be checked all is compared that needs no logits.
 *
 * Invariant: a piece starts at token `done` and its last row is the one that the record behind the piece came from.
 */
#include "traces/diff.h"
#include "traces/rerun.h"
#include "traces/retap.h"
#include "traces/token.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_BYTES = 160 << 20, ROWS_LEAST = 16, ROWS_MOST = 256, MOST_THREADS = 64 };

/* A chosen token of the piece and the logits that it must have come from. */
typedef struct {
    vb_trace_token was;
    const uint8_t *link; /* before its record */
    const float *logits;
    vb_grammar *held;    /* where it stood; NULL: nothing holds the token */
    vb_status status;
    vb_err err;
    vb_diff diff;
} row;

typedef struct {
    vb_rerun *r;
    vb_session *session;
    vb_trace_reader reader; /* once more from the beginning */
    const vb_token *ids;    /* [r->n] */
    vb_retap *taps;         /* NULL: none were recorded */
    vb_bias *biases;        /* NULL: none */
    vb_grammar *grammar;    /* behind the tokens whose records were taken; NULL: none */
    float *logits;          /* [most][vocab] */
    row *rows;              /* [most] */
    int most, last;         /* tokens from `last` on need no evaluation */
    vb_err *err;
} comparison;

/* --- one row --------------------------------------------------------------------------------------------- */

/* Everything about the token itself is right; so if this is not, something before it was changed. */
static void compare_proof(vb_diff *d, const vb_trace_token *was, const vb_trace_token *now)
{
    if (memcmp(was->proof, now->proof, sizeof was->proof) == 0) return;
    *d = (vb_diff){.differs = 1, .record = was->position + 1, .position = was->position, .field = "proof"};
    vb_hex(d->a, was->proof, sizeof was->proof);
    vb_hex(d->b, now->proof, sizeof now->proof);
}

static vb_status compare_row(const comparison *c, row *x, char *room)
{
    const vb_trace_header *h = c->r->header;
    const vb_trace_token *was = &x->was;
    vb_trace_token now = {.chosen = 1, .position = was->position};
    vb_token id;
    vb_sample_input from = {.logits = x->logits, .n_vocab = c->r->vocab, .past = c->ids, .n_past = was->position,
                            .biases = c->biases, .n_biases = c->reader.rules.n_biases, .grammar = x->held};
    VB_TRY(vb_sample_given(&from, &h->sampling, &id, &x->err));
    vb_trace_token_name(&now, c->r->model, id, room);
    vb_trace_token_logits(&now, x->logits, c->r->vocab, h->top);
    if (vb_trace_diff_token(&x->diff, was->position + 1, was, &now) || c->reader.version < 2) return VB_OK;
    vb_trace_token_proof(&now, x->logits, c->r->vocab, x->link);
    compare_proof(&x->diff, was, &now);
    return VB_OK;
}

typedef struct {
    const comparison *c;
    int n;
    atomic_int next;
} share;

static void *compare_rows(void *arg)
{
    share *s = arg;
    char room[VB_TRACE_TOKEN_TEXT_MOST];
    for (int i; (i = atomic_fetch_add(&s->next, 1)) < s->n;)
        s->c->rows[i].status = compare_row(s->c, &s->c->rows[i], room);
    return NULL;
}

/* The threads of the model rest now. One that cannot be had leaves its rows to the others. */
static void compare_in_threads(const comparison *c, int n)
{
    pthread_t others[MOST_THREADS];
    share s = {.c = c, .n = n};
    int threads = c->r->threads < n ? c->r->threads : n, helpers = 0;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    while (helpers < threads - 1 && pthread_create(&others[helpers], NULL, compare_rows, &s) == 0) helpers++;
    compare_rows(&s);
    for (int i = 0; i < helpers; i++) pthread_join(others[i], NULL);
}

/* --- one piece ------------------------------------------------------------------------------------------- */

/* Whether the logits of token i-1, from which record i came, are needed. Values behind the last layer exist only where
 * logits are wanted, so recorded taps need them everywhere. */
static int wanted(const comparison *c, int i)
{
    return i == c->last || c->taps != NULL || c->r->tokens[i].check;
}

/* Tokens from `done` on that are evaluated together; *rows of their last ones have logits. */
static int piece(const comparison *c, int done, int *rows)
{
    int end = done + 1;
    while (!wanted(c, end)) end++;
    *rows = 1;
    while (end < c->last && wanted(c, end + 1) && *rows < c->most) {
        end++;
        ++*rows;
    }
    return end - done;
}

/* A given token has no logits, but its text must be what the model's tokenizer says; of a chosen one that is not checked
 * the logits are believed, as far as they can be any. */
static void compare_unchecked(comparison *c, const vb_trace_token *was)
{
    char room[VB_TRACE_TOKEN_TEXT_MOST];
    const vb_rerun *r = c->r;
    vb_trace_token now = *was;
    if (was->chosen) now.n_top = r->header->top < r->vocab ? r->header->top : r->vocab;
    vb_trace_token_name(&now, r->model, was->id, room);
    vb_trace_diff_token(r->out, was->position + 1, was, &now);
}

/* A token that the grammar does not allow ends the walk: no choice would have taken it. */
static vb_status walk_on(comparison *c, const vb_trace_token *was)
{
    vb_diff *d = c->r->out;
    vb_err why;
    if (c->grammar == NULL || was->position < c->reader.rules.from || d->differs) return VB_OK;
    vb_status s = vb_grammar_accept(c->grammar, was->id, &why);
    if (s != VB_E_ARGUMENT) {
        if (s < 0 && c->err != NULL) *c->err = why;
        return s;
    }
    int64_t records = d->records;
    *d = (vb_diff){.differs = 1, .record = was->position + 1, .position = was->position, .records = records, .field = "rules"};
    snprintf(d->a, sizeof d->a, "id %d", was->id);
    snprintf(d->b, sizeof d->b, "a token that the grammar allows");
    return VB_OK;
}

/* Record i; logits NULL: not checked. *n_rows counts those that wait for their comparison. */
static vb_status take_record(comparison *c, int i, const float *logits, int *n_rows)
{
    vb_trace_record record;
    int more;
    VB_TRY(vb_trace_next(&c->reader, &record, &more, c->err));
    c->r->out->records++;
    if (logits == NULL || !c->r->tokens[i].check) {
        compare_unchecked(c, &record.as.token);
        return walk_on(c, &record.as.token);
    }
    row *x = &c->rows[(*n_rows)++];
    *x = (row){.was = record.as.token, .link = c->reader.data + c->r->tokens[i].link, .logits = logits};
    if (c->grammar != NULL && i >= c->reader.rules.from) VB_TRY(vb_grammar_fork(&x->held, c->grammar, c->err));
    return walk_on(c, &record.as.token);
}

/* The first difference counts, wherever it was found. */
static void keep_first(vb_diff *out, const vb_diff *found)
{
    if (!found->differs || (out->differs && out->record <= found->record)) return;
    int64_t records = out->records;
    *out = *found;
    out->records = records;
}

/* What the rows have found. */
static vb_status gather(comparison *c, int n)
{
    vb_status s = VB_OK;
    for (int i = 0; i < n; i++) {
        row *x = &c->rows[i];
        vb_grammar_close(x->held);
        x->held = NULL;
        if (x->status < 0 && s == VB_OK) s = vb_fail(c->err, x->status, "%s: %s", c->reader.name, x->err.text);
        keep_first(c->r->out, &x->diff);
    }
    return s;
}

/* Tokens done .. done+n are evaluated, records done+1 .. done+n compared as far as they are below `to`. */
static vb_status run_piece(comparison *c, int done, int n, int rows, int to)
{
    vb_work work = {.session = c->session, .ids = c->ids + done, .n = n, .logits = c->logits, .want = rows};
    int waiting = 0;
    VB_TRY(vb_eval(&work, 1, c->err));
    for (int i = done + 1; i <= done + n && i < to && !c->r->out->differs; i++) {
        int at = i - 1 - done - (n - rows);
        VB_TRY(take_record(c, i, at < 0 ? NULL : c->logits + (size_t)at * (size_t)c->r->vocab, &waiting));
    }
    compare_in_threads(c, waiting);
    VB_TRY(gather(c, waiting));
    if (c->taps != NULL) keep_first(c->r->out, vb_retap_verdict(c->taps, done, done + n));
    return VB_OK;
}

/* --- all of them ----------------------------------------------------------------------------------------- */

/* The number of tokens whose evaluation shows something: up to the last checked record or the last tap. */
static int last_needed(const vb_rerun *r, int to)
{
    int last = to;
    while (last > 0 && !(last < to && r->tokens[last].check) && r->tokens[last - 1].n_taps == 0) last--;
    return last;
}

static vb_status prepare(comparison *c, int to, vb_token *ids)
{
    vb_rerun *r = c->r;
    size_t most = (size_t)ROWS_BYTES / sizeof(float) / (size_t)r->vocab;
    for (int i = 0; i < r->n; i++) ids[i] = r->tokens[i].id;
    c->ids = ids;
    c->last = last_needed(r, to);
    c->most = most < ROWS_LEAST ? ROWS_LEAST : most > ROWS_MOST ? ROWS_MOST : (int)most;
    if (c->most > to) c->most = to;
    c->logits = malloc((size_t)c->most * (size_t)r->vocab * sizeof *c->logits);
    c->rows = calloc((size_t)c->most, sizeof *c->rows);
    if (c->logits == NULL || c->rows == NULL) VB_FAIL(c->err, VB_E_MEMORY, "%s: out of memory", r->file.reader.name);
    VB_TRY(vb_rerun_session(&c->session, r, NULL, c->err));
    VB_TRY(vb_rerun_grammar(&c->grammar, r, c->err));
    VB_TRY(vb_rerun_biases(&c->biases, r, c->err));
    if (r->header->taps != VB_TAPS_NONE) VB_TRY(vb_retap_open(&c->taps, r, c->session, c->err));
    return vb_trace_reader_start(&c->reader, r->file.reader.name, r->file.reader.data, r->file.reader.size, c->err);
}

static vb_status compare(comparison *c, int to, vb_token *ids)
{
    int done = 0, n, rows, ignored = 0;
    VB_TRY(prepare(c, to, ids));
    VB_TRY(take_record(c, 0, NULL, &ignored));
    for (; done < c->last && !c->r->out->differs; done += n) {
        n = piece(c, done, &rows);
        VB_TRY(run_piece(c, done, n, rows, to));
    }
    for (int i = done + 1; i < to && !c->r->out->differs; i++) VB_TRY(take_record(c, i, NULL, &ignored));
    return VB_OK;
}

vb_status vb_rerun_compare(vb_rerun *r, int to, vb_err *err)
{
    comparison c = {.r = r, .err = err};
    vb_token *ids = malloc(((size_t)r->n + 1) * sizeof *ids);
    if (ids == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", r->file.reader.name);
    vb_status s = to > 0 ? compare(&c, to, ids) : VB_OK;
    vb_retap_close(c.taps);
    for (int i = 0; c.rows != NULL && i < c.most; i++) vb_grammar_close(c.rows[i].held);
    vb_grammar_close(c.grammar);
    vb_session_close(c.session);
    free(c.biases);
    free(c.rows);
    free(c.logits);
    free(ids);
    return s;
}
