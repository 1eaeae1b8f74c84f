/* session.c - sync, rewind, fork, generation: what a session holds after each call, and what it refuses. */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const path = "tests/golden/llama-gqa/model.gguf";
static const vb_token text[] = {1, 99, 37, 55, 85, 258, 8, 75, 197, 294};
enum { N = sizeof text / sizeof text[0], VOCAB = 384 };

static vb_model *model;

static void open_model(void)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = 2};
    cr_assert_eq(vb_model_open(&model, path, &o, &err), VB_OK, "%s", err.text);
}

static void close_model(void)
{
    vb_model_close(model);
}

TestSuite(session, .init = open_model, .fini = close_model);

static vb_session *open_session(int context)
{
    vb_err err = {0};
    vb_session *s;
    vb_session_opts o = {.context = context};
    cr_assert_eq(vb_session_open(&s, model, &o, &err), VB_OK, "%s", err.text);
    return s;
}

static void logits_after(const vb_token *ids, int n, float *out)
{
    vb_session *s = open_session(64);
    cr_assert_eq(vb_session_sync(s, ids, n, NULL), VB_OK);
    memcpy(out, vb_session_logits(s, NULL), VOCAB * sizeof *out);
    vb_session_close(s);
}

static void same_logits(const vb_session *s, const float *expected, const char *what)
{
    const float *found = vb_session_logits(s, NULL);
    cr_assert_not_null(found, "%s: no logits", what);
    cr_assert_eq(memcmp(found, expected, VOCAB * sizeof *found), 0, "%s: other bits", what);
}

Test(session, sync_keeps_the_common_prefix)
{
    float expected[VOCAB];
    vb_stats stats;
    vb_token other[N];
    vb_session *s = open_session(64);
    memcpy(other, text, sizeof other);
    other[6] = 200;
    logits_after(other, N, expected);
    cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
    cr_assert_eq(vb_session_sync(s, other, N, NULL), VB_OK);
    same_logits(s, expected, "after a change at 6");
    vb_session_stats(s, &stats);
    cr_assert_eq(stats.reused, 6);
    cr_assert_eq(stats.evaluated, N + N - 6);
    vb_session_close(s);
}

Test(session, sync_to_a_prefix_or_to_the_same_tokens)
{
    float expected[VOCAB];
    vb_stats stats;
    vb_session *s = open_session(64);
    logits_after(text, 4, expected);
    cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
    cr_assert_eq(vb_session_sync(s, text, 4, NULL), VB_OK);
    same_logits(s, expected, "prefix of 4");
    cr_assert_eq(vb_session_sync(s, text, 4, NULL), VB_OK);
    vb_session_stats(s, &stats);
    cr_assert_eq(stats.evaluated, N + 1, "nothing is evaluated twice for the same tokens");
    vb_session_close(s);
}

Test(session, a_fork_goes_its_own_way)
{
    float expected[VOCAB], mine[VOCAB];
    vb_token other[N];
    vb_err err = {0};
    vb_session *s = open_session(64), *f;
    memcpy(other, text, sizeof other);
    other[N - 1] = 7;
    logits_after(other, N, expected);
    logits_after(text, N, mine);
    cr_assert_eq(vb_session_sync(s, text, N - 1, NULL), VB_OK);
    cr_assert_eq(vb_session_fork(&f, s, &err), VB_OK, "%s", err.text);
    vb_work both[2] = {{.session = s, .ids = text + N - 1, .n = 1}, {.session = f, .ids = other + N - 1, .n = 1}};
    cr_assert_eq(vb_eval(both, 2, &err), VB_OK, "%s", err.text);
    same_logits(s, mine, "original");
    same_logits(f, expected, "fork");
    vb_session_close(s);
    vb_session_close(f);
}

Test(session, batch_size_changes_no_bit)
{
    float expected[VOCAB];
    logits_after(text, N, expected);
    for (int batch = 1; batch <= N; batch++) {
        vb_session *s;
        vb_session_opts o = {.context = 64, .batch = batch};
        cr_assert_eq(vb_session_open(&s, model, &o, NULL), VB_OK);
        cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
        same_logits(s, expected, "another batch");
        vb_session_close(s);
    }
}

Test(session, mistakes_are_refused_with_reasons)
{
    vb_err err = {0};
    vb_session *s = open_session(4);
    vb_token bad = VOCAB;
    vb_work work = {.session = s, .ids = &bad, .n = 1};
    cr_assert_eq(vb_eval(&work, 1, &err), VB_E_ARGUMENT);
    cr_assert(strstr(err.text, "found 384") != NULL, "%s", err.text);
    cr_assert_eq(vb_session_sync(s, text, N, &err), VB_E_FULL);
    cr_assert_eq(vb_session_rewind(s, 1, &err), VB_E_ARGUMENT);
    vb_work twice[2] = {{.session = s, .ids = text, .n = 1}, {.session = s, .ids = text, .n = 1}};
    cr_assert_eq(vb_eval(twice, 2, &err), VB_E_ARGUMENT);
    cr_assert_null(vb_session_logits(s, NULL));
    vb_session_opts q8 = {.context = 4, .kv = VB_KV_Q8_0};
    vb_session *none;
    cr_assert_eq(vb_session_open(&none, model, &q8, &err), VB_E_UNSUPPORTED);
    cr_assert(strstr(err.text, "found 16") != NULL, "%s", err.text);
    cr_assert_null(none);
    vb_session_close(s);
}

static int keep(void *ud, const char *bytes, size_t len)
{
    strncat(ud, bytes, len);
    return 0;
}

Test(session, generation_is_the_same_however_it_is_cut)
{
    vb_err err = {0};
    vb_token first[24];
    int n;
    for (int cut = 1; cut <= 8; cut *= 2) {
        vb_session *s = open_session(64);
        vb_generation how = {.max_tokens = 24 / cut, .sampling = {.temperature = 0.9f, .top_k = 20, .seed = 42}};
        cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
        for (int i = 0; i < cut; i++) cr_assert_eq(vb_generate(s, &how, NULL, &err), VB_OK, "%s", err.text);
        const vb_token *ids = vb_session_tokens(s, &n);
        if (cut == 1 && n == N + 24) memcpy(first, ids + N, sizeof first);
        if (n == N + 24) cr_assert_eq(memcmp(first, ids + N, sizeof first), 0, "cut in %d", cut);
        vb_session_close(s);
    }
}

Test(session, a_stop_text_ends_the_answer_and_is_not_shown)
{
    char whole[1024] = "", shown[1024] = "", stop[8] = "";
    vb_generated out;
    vb_generation how = {.max_tokens = 40, .on_text = keep, .ud = whole};
    vb_session *s = open_session(64);
    cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
    cr_assert_eq(vb_generate(s, &how, &out, NULL), VB_OK);
    /* this model babbles; the first plain letter after some text will do */
    size_t at = 3;
    while (whole[at] != 0 && (whole[at] < 'a' || whole[at] > 'z' || memchr(whole, whole[at], at) != NULL)) at++;
    cr_assert_neq(whole[at], 0, "this model says too little: \"%s\"", whole);
    stop[0] = whole[at];
    const char *stops[] = {stop};
    how.stops = stops;
    how.n_stops = 1;
    how.ud = shown;
    cr_assert_eq(vb_session_sync(s, text, N, NULL), VB_OK);
    cr_assert_eq(vb_generate(s, &how, &out, NULL), VB_OK);
    cr_assert_eq(out.end, VB_END_STOP);
    cr_assert_eq(strlen(shown), (size_t)(strstr(whole, stop) - whole));
    cr_assert_eq(strncmp(whole, shown, strlen(shown)), 0);
    vb_session_close(s);
}

Test(session, an_unknown_model_says_what_was_looked_for)
{
    vb_err err = {0};
    vb_model *none;
    cr_assert_lt(vb_model_open(&none, "tests/golden/no-such/model.gguf", NULL, &err), 0);
    cr_assert(strstr(err.text, "no-such") != NULL, "%s", err.text);
    cr_assert_null(none);
}
