/* speculate.c - speculation changes nothing but time: the same ids, text and trace with every source of drafts, at any
 * temperature, whatever ends the answer; and what the index proposes, and when a draft is held to pay.
 */
#include "session/lookup.h"
#include "session/payoff.h"
#include "verbatim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char target[] = "tests/golden/llama-gqa/model.gguf", stranger[] = "tests/golden/llama-f16/model.gguf";
static const vb_token prompt[] = {1, 99, 37, 55, 85, 258, 8, 75, 99, 37, 55, 85, 258, 8, 75, 99, 37, 55};
enum { PROMPT = sizeof prompt / sizeof prompt[0], MOST = 512 };

/* --- the index --------------------------------------------------------------------------------------------- */

Test(lookup, proposes_what_followed_the_longest_agreement)
{
    /*                       the longest agreement v              a later, shorter one v */
    static const vb_token row[] = {9, 1, 2, 3, 4, 5, 50, 51, 52, 7, 7, 2, 3, 4, 5, 60, 61, 9, 1, 2, 3, 4, 5};
    vb_token out[4];
    int match;
    vb_lookup *l = vb_lookup_open(64);
    vb_lookup_follow(l, row, (int)(sizeof row / sizeof row[0]));
    cr_assert_eq(vb_lookup_propose(l, out, 4, &match), 4);
    cr_assert_eq(match, 6);
    cr_assert(out[0] == 50 && out[1] == 51 && out[2] == 52 && out[3] == 7);
    vb_lookup_close(l);
}

Test(lookup, repeats_a_row_that_repeats_itself)
{
    static const vb_token row[] = {8, 1, 2, 3, 1, 2, 3}, expected[] = {1, 2, 3, 1, 2, 3, 1, 2};
    vb_token out[8];
    int match;
    vb_lookup *l = vb_lookup_open(7);
    vb_lookup_follow(l, row, 7);
    cr_assert_eq(vb_lookup_propose(l, out, 8, &match), 8);
    cr_assert_eq(memcmp(out, expected, sizeof expected), 0);
    cr_assert_eq(match, 3);
    vb_lookup_close(l);
}

static uint32_t next_random(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 16;
}

/* An index that followed rows being rewound and rewritten proposes what a new index of the last row does. */
Test(lookup, forgets_what_was_rewound)
{
    vb_token row[MOST], a[6], b[6];
    uint32_t x = 1;
    int n = 0, some = 0;
    vb_lookup *old = vb_lookup_open(MOST);
    for (int round = 0; round < 300; round++) {
        n = (int)(next_random(&x) % (uint32_t)(n + 1));
        while (n < 20 || (n < MOST && next_random(&x) % 30 != 0)) row[n++] = (vb_token)(next_random(&x) % 5);
        int p, q, m, k;
        vb_lookup *fresh = vb_lookup_open(MOST);
        vb_lookup_follow(old, row, n);
        vb_lookup_follow(fresh, row, n);
        p = vb_lookup_propose(old, a, 6, &m);
        q = vb_lookup_propose(fresh, b, 6, &k);
        cr_assert(p == q && m == k && memcmp(a, b, (size_t)p * sizeof *a) == 0, "round %d", round);
        some += p > 0;
        vb_lookup_close(fresh);
    }
    cr_assert_gt(some, 200);
    vb_lookup_close(old);
}

/* --- what pays ---------------------------------------------------------------------------------------------- */

Test(payoff, a_batch_that_costs_all_its_tokens_is_given_up)
{
    vb_payoff f;
    double gain;
    int tried = 0;
    vb_payoff_start(&f, 1);
    vb_payoff_timed(&f, 1, 100.0);
    for (int i = 0; i < 1000; i++) {
        int k = vb_payoff_choose(&f, 40, 15, &gain);
        tried += k > 0;
        vb_payoff_learn(&f, 40, i % 2);
        vb_payoff_timed(&f, k + 1, 100.0 * (k + 1));
        vb_payoff_settle(&f, k + 1, 1, 0, 100.0 * (k + 1));
    }
    cr_assert(tried > 0 && tried < 20, "%d", tried);
}

Test(payoff, long_drafts_where_agreement_holds_and_batches_are_cheap)
{
    vb_payoff f;
    double gain;
    vb_payoff_start(&f, 1);
    cr_assert_eq(vb_payoff_choose(&f, 40, 15, &gain), 0, "nothing is known before one token is measured");
    vb_payoff_timed(&f, 1, 100.0);
    for (int b = 2; b <= VB_BATCH_MOST; b++) vb_payoff_timed(&f, b, 100.0 + 5.0 * b);
    for (int i = 0; i < 200; i++) vb_payoff_learn(&f, 40, 1);
    cr_assert_eq(vb_payoff_choose(&f, 40, 15, &gain), 15);
    cr_assert_gt(gain, 8.0);
    cr_assert_eq(vb_payoff_choose(&f, 40, 3, &gain), 3);
    for (int i = 0; i < 200; i++) vb_payoff_learn(&f, 2, 0);
    cr_assert_eq(vb_payoff_choose(&f, 2, 15, &gain), 0);
}

/* --- the same answer ---------------------------------------------------------------------------------------- */

typedef struct {
    vb_model *model, *other;
    vb_session *session, *draft;
    vb_generated out;
    vb_stats stats;
    uint8_t digest[32];
    char text[16384];
    int n, shown, most;
    vb_token ids[MOST];
} run;

static vb_session *open_session(vb_model **model, const char *path, int context)
{
    vb_err err = {0};
    vb_session *s;
    vb_model_opts o = {.threads = 1};
    vb_session_opts so = {.context = context};
    cr_assert_eq(vb_model_open(model, path, &o, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&s, *model, &so, &err), VB_OK, "%s", err.text);
    return s;
}

static run *start(const char *draft, int context, int draft_context)
{
    run *r = calloc(1, sizeof *r);
    r->session = open_session(&r->model, target, context);
    if (draft != NULL) r->draft = open_session(&r->other, draft, draft_context);
    cr_assert_eq(vb_session_sync(r->session, prompt, PROMPT, NULL), VB_OK);
    return r;
}

static int show(void *ud, const char *text, size_t len)
{
    run *r = ud;
    strncat(r->text, text, len);
    return ++r->shown == r->most;
}

/* Generates with a trace beside it. */
static void generate(run *r, vb_generation how)
{
    vb_err err = {0};
    vb_trace *trace;
    char path[64];
    vb_trace_opts opts = {.sampling = how.sampling};
    snprintf(path, sizeof path, "/tmp/verbatim-speculate-%d.trace", (int)getpid());
    unlink(path);
    cr_assert_eq(vb_trace_open(&trace, path, r->session, &opts, &err), VB_OK, "%s", err.text);
    how.trace = trace;
    how.draft = r->draft;
    how.on_text = show;
    how.ud = r;
    cr_assert_eq(vb_generate(r->session, &how, &r->out, &err), VB_OK, "%s", err.text);
    vb_trace_digest(trace, r->digest);
    cr_assert_eq(vb_trace_close(trace, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_replay(path, target, NULL, &(vb_diff){0}, &err), VB_OK, "%s", err.text);
    vb_session_stats(r->session, &r->stats);
    const vb_token *ids = vb_session_tokens(r->session, &r->n);
    memcpy(r->ids, ids, (size_t)r->n * sizeof *ids);
    unlink(path);
}

static void finish(run *r)
{
    vb_session_close(r->session);
    vb_session_close(r->draft);
    vb_model_close(r->model);
    vb_model_close(r->other);
    free(r);
}

static void same(const run *a, const run *b, const char *what)
{
    cr_assert(a->n == b->n && memcmp(a->ids, b->ids, (size_t)a->n * sizeof *a->ids) == 0, "%s: other tokens", what);
    cr_assert_str_eq(a->text, b->text, "%s", what);
    cr_assert_eq(memcmp(a->digest, b->digest, 32), 0, "%s: another trace", what);
    cr_assert(a->out.tokens == b->out.tokens && a->out.end == b->out.end, "%s: another end", what);
    cr_assert_eq(a->stats.decode_tokens, b->stats.decode_tokens, "%s: %d and %d decoded", what,
                 (int)a->stats.decode_tokens, (int)b->stats.decode_tokens);
    cr_assert_eq(vb_session_logits(a->session, NULL) == NULL, vb_session_logits(b->session, NULL) == NULL, "%s", what);
}

typedef struct {
    const char *name, *draft;
    vb_speculate speculate;
} source;
static const source sources[] = {{"off", NULL, VB_SPECULATE_OFF},
                                 {"auto", NULL, VB_SPECULATE_AUTO},
                                 {"n-gram", NULL, VB_SPECULATE_NGRAM},
                                 {"the same model", target, VB_SPECULATE_DRAFT},
                                 {"another model", stranger, VB_SPECULATE_DRAFT},
                                 {"all", stranger, VB_SPECULATE_AUTO}};
enum { SOURCES = sizeof sources / sizeof sources[0] };

/* The same question to every source; *stats of each. */
static void ask_all(vb_generation how, int context, int most, vb_stats *stats)
{
    run *expected = NULL;
    for (int i = 0; i < SOURCES; i++) {
        run *r = start(sources[i].draft, context, context);
        r->most = most;
        how.speculate = sources[i].speculate;
        generate(r, how);
        stats[i] = r->stats;
        if (i == 0) {
            expected = r;
            continue;
        }
        same(expected, r, sources[i].name);
        finish(r);
    }
    finish(expected);
}

Test(speculate, no_source_changes_a_byte_at_any_temperature)
{
    static const float temperatures[] = {0.0f, 0.8f, 1.5f};
    vb_stats stats[SOURCES];
    uint64_t looked = 0, itself = 0, right = 0, wrong = 0;
    for (int t = 0; t < 3; t++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            vb_generation how = {.max_tokens = 150, .sampling = {.temperature = temperatures[t], .seed = seed}};
            if (seed == 2) how.sampling.repeat = 1.1f;
            if (seed > 2) how.sampling.top_k = 3;
            ask_all(how, 256, 0, stats);
            cr_assert_eq(stats[0].drafted, 0);
            looked += stats[2].accepted;
            itself += stats[3].accepted;
            cr_assert_eq(stats[3].accepted, stats[3].drafted, "a model agrees with itself");
            right += stats[4].accepted;
            wrong += stats[4].drafted - stats[4].accepted;
        }
    cr_assert(looked > 20 && itself > 500, "n-grams: %d, itself: %d", (int)looked, (int)itself);
    cr_assert(wrong > 20 && wrong > right, "another model: %d right, %d wrong", (int)right, (int)wrong);
}

Test(speculate, stop_texts_callbacks_and_the_ends_of_answer_and_context)
{
    vb_stats stats[SOURCES];
    vb_generation how = {.max_tokens = 150};
    run *r = start(NULL, 256, 0);
    generate(r, how);
    for (size_t at = 1; at < 60 && r->text[at + 2] != 0; at += 7) {
        char stop[3] = {r->text[at], r->text[at + 1], 0};
        const char *stops[] = {stop, "never said"};
        vb_generation stopped = how;
        stopped.stops = stops;
        stopped.n_stops = 2;
        ask_all(stopped, 256, 0, stats);
        ask_all(how, 256, (int)at, stats);
    }
    finish(r);
    for (int most = 1; most < 40; most += 3) ask_all((vb_generation){.max_tokens = most}, 256, 0, stats);
    for (int context = PROMPT; context < PROMPT + 40; context += 3) ask_all((vb_generation){0}, context, 0, stats);
}

/* A generation in pieces, with a rewind between them, is the one without speculation. */
Test(speculate, goes_on_after_any_piece)
{
    run *a = start(NULL, 400, 0), *b = start(target, 400, 400);
    for (int i = 0; i < 30; i++) {
        vb_generation how = {.max_tokens = 1 + i % 7, .sampling = {.temperature = 0.7f, .seed = 3}};
        how.speculate = VB_SPECULATE_OFF;
        cr_assert_eq(vb_generate(a->session, &how, NULL, NULL), VB_OK);
        how.speculate = i % 3 == 0 ? VB_SPECULATE_NGRAM : i % 3 == 1 ? VB_SPECULATE_DRAFT : VB_SPECULATE_AUTO;
        how.draft = b->draft;
        cr_assert_eq(vb_generate(b->session, &how, NULL, NULL), VB_OK);
        const vb_token *x = vb_session_tokens(a->session, &a->n), *y = vb_session_tokens(b->session, &b->n);
        cr_assert(a->n == b->n && memcmp(x, y, (size_t)a->n * sizeof *x) == 0, "piece %d", i);
        if (i % 5 != 4) continue;
        cr_assert_eq(vb_session_rewind(a->session, a->n - 6, NULL), VB_OK);
        cr_assert_eq(vb_session_rewind(b->session, a->n - 6, NULL), VB_OK);
    }
    finish(a);
    finish(b);
}

Test(speculate, a_draft_model_without_room_is_left_alone)
{
    vb_generation how = {.max_tokens = 100, .speculate = VB_SPECULATE_OFF};
    run *a = start(NULL, 256, 0), *b = start(target, 256, PROMPT + 40);
    generate(a, how);
    how.speculate = VB_SPECULATE_DRAFT;
    generate(b, how);
    same(a, b, "full draft");
    cr_assert_gt(b->stats.accepted, 15);
    finish(a);
    finish(b);
}

Test(speculate, what_cannot_be_is_refused_with_reasons)
{
    vb_err err = {0};
    vb_generation how = {.max_tokens = 4, .speculate = VB_SPECULATE_DRAFT};
    run *r = start("tests/golden/gemma3/model.gguf", 64, 64);
    cr_assert_eq(vb_generate(r->session, &how, NULL, &err), VB_E_ARGUMENT);
    cr_assert(strstr(err.text, "found none") != NULL, "%s", err.text);
    how.draft = r->draft;
    cr_assert_eq(vb_generate(r->session, &how, NULL, &err), VB_E_ARGUMENT);
    cr_assert(strstr(err.text, "llama-gqa") != NULL && strstr(err.text, "gemma3") != NULL, "%s", err.text);
    how.draft = r->session;
    cr_assert_eq(vb_generate(r->session, &how, NULL, &err), VB_E_ARGUMENT);
    how.speculate = (vb_speculate)4;
    cr_assert_eq(vb_generate(r->session, &how, NULL, &err), VB_E_ARGUMENT);
    finish(r);
}
