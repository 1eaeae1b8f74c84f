/* speculate.c - guess, evaluate ahead, hand out row by row (see speculate.h).
 *
 *   row of tokens   ... x y | z                z was chosen last and is not evaluated yet
 *   guess                     a b c            from the row itself (lookup) or from a draft model
 *   one evaluation          z a b c            four rows of logits
 *   the loop chooses          a                as guessed: the row behind a is there, no evaluation
 *                               b              as guessed
 *                                 d            not c: the row behind c is worthless; d is evaluated next, over c
 *
 * A draft model chooses with the target's own seed, stream and position, so that at any temperature both tend to draw
 * the same token.
 *
 * Invariant: between two calls `tokens`, `n` and `done` of the session are what they would be without speculation,
 * and so are the logits it shows; keys and values behind `done` are nobody's. Only when an evaluation fails is the
 * difference to be undone: then the guess is dropped and the last token alone decides whether there is an error.
 */
#include "session/speculate.h"

#include "base/log.h"
#include "base/os.h"
#include "oracle/oracle.h"
#include "session/lookup.h"
#include "session/payoff.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_token ids[VB_DRAFT_MOST];
    int n;        /* guessed */
    int ahead;    /* of them evaluated */
    int right;    /* of them chosen by now */
    int position; /* of ids[0] */
    int match;    /* tokens of the past that agree; 0: the draft model's guess */
    double ns;    /* spent on it */
} guess;

struct vb_speculation {
    vb_lookup *lookup;
    vb_payoff payoff;
    guess now;
    int use_lookup, use_draft;
    int draft_met; /* in this generation; reading what is there then is not held against it */
    const vb_model *draft_checked; /* known to have the same vocabulary */
    float *own;                    /* the session's own logits */
    float *rows;                   /* [VB_BATCH_MOST][vocab] */
    size_t bytes;
};

static size_t rows_bytes(int vocab)
{
    return (size_t)VB_BATCH_MOST * (size_t)vocab * sizeof(float);
}

uint64_t vb_speculation_bytes(int context, int vocab)
{
    return rows_bytes(vocab) + vb_lookup_bytes(context);
}

void vb_speculation_close(vb_speculation *p)
{
    if (p == NULL) return;
    if (p->rows != NULL) vb_pages_release(p->rows, p->bytes);
    vb_lookup_close(p->lookup);
    free(p);
}

static vb_status make(vb_session *s, vb_err *err)
{
    if (s->speculation != NULL) return VB_OK;
    vb_speculation *p = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "speculation: out of memory");
    p->bytes = rows_bytes(s->model->plan.vocab);
    p->rows = vb_pages_reserve(p->bytes);
    p->lookup = vb_lookup_open(s->context);
    if (p->rows == NULL || p->lookup == NULL) {
        vb_speculation_close(p);
        VB_FAIL(err, VB_E_MEMORY, "speculation: out of memory for %d positions", s->context);
    }
    vb_payoff_start(&p->payoff, 1);
    s->speculation = p;
    return VB_OK;
}

/* --- what was asked for ------------------------------------------------------------------------------------ */

static vb_status check_draft(const vb_session *s, const vb_session *draft, vb_err *err)
{
    vb_speculation *p = s->speculation;
    if (draft == s) VB_FAIL(err, VB_E_ARGUMENT, "draft: expected another session, found the one that generates");
    if (p->draft_checked == draft->model) return VB_OK;
    VB_TRY(vb_draft_check(s->model, draft->model, err));
    p->draft_checked = draft->model;
    return VB_OK;
}

/* The player "blas" alone gives a token other bits in another batch. */
static int depends_on_batch(const vb_session *s)
{
    return s->model->player == &vb_blas_player;
}

vb_status vb_speculate_begin(vb_session *s, const vb_generation *how, vb_err *err)
{
    int asked = how->speculate == VB_SPECULATE_NGRAM || how->speculate == VB_SPECULATE_DRAFT;
    if (how->speculate < VB_SPECULATE_AUTO || how->speculate > VB_SPECULATE_DRAFT)
        VB_FAIL(err, VB_E_ARGUMENT, "speculation: expected auto, off, ngram or draft, found %d", (int)how->speculate);
    if (how->speculate == VB_SPECULATE_DRAFT && how->draft == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "speculation: expected a draft model, found none");
    if (asked && depends_on_batch(s))
        VB_FAIL(err, VB_E_ARGUMENT, "speculation: expected a player whose bits do not depend on the batch, found %s",
                s->model->player->name);
    VB_TRY(make(s, err));
    vb_speculation *p = s->speculation;
    int off = how->speculate == VB_SPECULATE_OFF || depends_on_batch(s) || s->taps.n > 0; /* guesses are not shown */
    p->use_lookup = !off && how->speculate != VB_SPECULATE_DRAFT;
    p->use_draft = !off && how->speculate != VB_SPECULATE_NGRAM && how->draft != NULL;
    p->now = (guess){.n = 0};
    p->draft_met = 0;
    p->own = s->logits;
    if (p->use_draft) VB_TRY(check_draft(s, how->draft, err));
    if (p->payoff.timed == asked) vb_payoff_start(&p->payoff, !asked);
    if (p->use_lookup) vb_lookup_follow(p->lookup, s->tokens, s->n);
    return VB_OK;
}

void vb_speculate_end(vb_session *s)
{
    vb_speculation *p = s->speculation;
    if (p == NULL || p->own == NULL || s->logits == p->own) return;
    if (s->has_logits && s->done == s->n) memcpy(p->own, s->logits, (size_t)s->model->plan.vocab * sizeof *p->own);
    s->logits = p->own;
}

/* --- guessing ---------------------------------------------------------------------------------------------- */

/* A token that ends the answer, or that the target lacks, needs no logits behind it. */
static int useful(const vb_session *s, const vb_token *ids, int n)
{
    int k = 0;
    while (k < n && ids[k] >= 0 && ids[k] < s->model->plan.vocab && !vb_token_ends(s->model, ids[k])) k++;
    return k;
}

static vb_status draft_tokens(vb_session *d, const vb_session *s, const vb_generation *how, guess *g)
{
    uint64_t start = vb_clock_cpu_ns(), caught_up;
    VB_TRY(vb_session_sync(d, s->tokens, s->n, NULL));
    caught_up = vb_clock_cpu_ns();
    for (g->n = 0; g->n < g->ahead; g->n++) {
        vb_work work = {.session = d, .ids = &g->ids[g->n], .n = 1};
        VB_TRY(vb_sample(d, &how->sampling, &g->ids[g->n], NULL));
        if (useful(s, &g->ids[g->n], 1) == 0) break;
        if (g->n + 1 < g->ahead) VB_TRY(vb_eval(&work, 1, NULL));
    }
    uint64_t now = vb_clock_cpu_ns();
    if (s->speculation->draft_met) g->ns = (double)(now - start);
    if (g->ahead > 1) vb_payoff_draft_timed(&s->speculation->payoff, g->ahead - 1, (double)(now - caught_up));
    s->speculation->draft_met = 1;
    return VB_OK;
}

/* A draft model that fails (no room, a number that is not finite) is done with; the answer does not need it. */
static void ask_draft(vb_session *s, const vb_generation *how, guess *g)
{
    vb_session *d = how->draft;
    uint64_t start = vb_clock_ns();
    vb_status status = s->n + g->ahead > d->context ? VB_E_FULL : draft_tokens(d, s, how, g);
    if (status < 0) {
        vb_log(VB_LOG_NOTICE, "draft model %s: %s at token %d; going on without it", vb_gguf_path(d->model->gguf),
               vb_status_name(status), s->n);
        s->speculation->use_draft = 0;
        g->n = 0;
    }
    s->stats.decode_ns += vb_clock_ns() - start;
    g->ahead = g->n;
}

/* How many tokens the draft model would have to read first. A model that lags costs more the longer it is not used. */
static int behind(const vb_session *s, const vb_session *draft)
{
    int lag = s->n - draft->done;
    return s->speculation->draft_met && lag > 0 ? lag : 0;
}

/* The more promising of both sources; g->ahead is 0 when neither is worth it. */
static void make_guess(vb_session *s, const vb_generation *how, int most, guess *g)
{
    vb_speculation *p = s->speculation;
    double gain = 1.0, draft_gain = 1.0;
    *g = (guess){.position = s->n};
    if (p->use_lookup) {
        vb_lookup_grow(p->lookup, s->tokens, s->n);
        g->n = useful(s, g->ids, vb_lookup_propose(p->lookup, g->ids, VB_DRAFT_MOST, &g->match));
        g->ahead = vb_payoff_choose(&p->payoff, g->match, g->n < most ? g->n : most, &gain);
    }
    int drafted = 0;
    if (p->use_draft && vb_payoff_may_lag(&p->payoff, behind(s, how->draft)))
        drafted = vb_payoff_choose(&p->payoff, 0, most, &draft_gain);
    if (drafted == 0 || draft_gain <= gain) return;
    *g = (guess){.position = s->n, .ahead = drafted};
    ask_draft(s, how, g);
}

/* --- evaluating -------------------------------------------------------------------------------------------- */

static vb_status evaluate(vb_session *s, int batch, const vb_work *work, vb_err *err)
{
    vb_speculation *p = s->speculation;
    uint64_t start = vb_clock_cpu_ns();
    VB_TRY(vb_eval(work, 1, err));
    double ns = (double)(vb_clock_cpu_ns() - start);
    vb_payoff_timed(&p->payoff, batch, ns);
    p->now.ns += ns;
    return VB_OK;
}

static vb_status plainly(vb_session *s, vb_err *err)
{
    vb_work rest = {.session = s};
    if (s->done == s->n) s->done--;
    s->done = s->model->player->state_start(s->state, s->done);
    if (s->n - s->done > 1) return vb_eval(&rest, 1, err);
    VB_TRY(evaluate(s, 1, &rest, err));
    return VB_OK;
}

/* The last token and what is guessed behind it; the statistics count what is kept as decoded one by one. */
static vb_status ahead(vb_session *s, guess *g)
{
    vb_speculation *p = s->speculation;
    vb_token ids[VB_BATCH_MOST];
    vb_stats before = s->stats;
    int base = s->n - 1, batch = g->ahead + 1;
    ids[0] = s->tokens[base];
    memcpy(ids + 1, g->ids, (size_t)g->ahead * sizeof *ids);
    s->n = base;
    vb_work work = {.session = s, .ids = ids, .n = batch, .logits = p->rows, .want = batch};
    vb_status status = evaluate(s, batch, &work, NULL);
    uint64_t ns = s->stats.prefill_ns - before.prefill_ns + s->stats.decode_ns - before.decode_ns;
    uint64_t evaluated = s->stats.evaluated;
    s->stats = before;
    s->stats.evaluated = evaluated;
    s->stats.decode_ns += ns;
    s->tokens[base] = ids[0];
    s->n = base + 1;
    if (status < 0) {
        s->done = base;
        return status;
    }
    s->done = s->n;
    s->logits = p->rows;
    s->has_logits = 1;
    s->stats.decode_tokens++;
    s->stats.drafted += (uint64_t)g->ahead;
    return VB_OK;
}

/* --- handing out ------------------------------------------------------------------------------------------- */

/* The last token was guessed and evaluated: its logits are the next row. */
static void advance(vb_session *s, guess *g)
{
    g->right++;
    s->done++;
    s->logits = s->speculation->rows + (size_t)g->right * (size_t)s->model->plan.vocab;
    s->has_logits = 1;
    s->stats.decode_tokens++;
    s->stats.accepted++;
}

/* Looks what became of the guess now that one more token is known. 1: the logits are there. */
static int confirm(vb_session *s)
{
    vb_speculation *p = s->speculation;
    guess *g = &p->now;
    if (g->right < g->n && s->n == g->position + g->right + 1) {
        int hit = s->tokens[s->n - 1] == g->ids[g->right];
        vb_payoff_learn(&p->payoff, g->match == 0 ? 0 : g->match + g->right, hit);
        if (hit && g->right < g->ahead && s->done == s->n - 1) {
            advance(s, g);
            return 1;
        }
    }
    vb_payoff_settle(&p->payoff, g->ahead + 1, g->right + 1, g->match == 0 ? g->ahead : 0, g->ns);
    *g = (guess){.n = 0};
    return 0;
}

static int room(const vb_session *s, int left)
{
    int most = s->context - s->n, batch = s->batch - 1;
    if (left - 1 < most) most = left - 1;
    if (batch < most) most = batch;
    return most < VB_DRAFT_MOST ? most : VB_DRAFT_MOST;
}

vb_status vb_speculate_logits(vb_session *s, const vb_generation *how, int left, vb_err *err)
{
    vb_speculation *p = s->speculation;
    if (s->has_logits && s->done == s->n) return VB_OK;
    if (!p->use_lookup && !p->use_draft) return plainly(s, err);
    if (confirm(s)) return VB_OK;
    s->logits = p->own;
    if (s->n - s->done != 1) return plainly(s, err);
    make_guess(s, how, room(s, left), &p->now);
    if (p->now.ahead > 0 && ahead(s, &p->now) == VB_OK) return VB_OK;
    p->now.ahead = 0;
    s->logits = p->own;
    return plainly(s, err);
}
