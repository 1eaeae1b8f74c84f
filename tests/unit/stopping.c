/* stopping.c - evaluations that are stopped between two steps and go on later, and states that are copied. */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

static const vb_token text[] = {1, 99, 37, 55, 85, 58, 8, 75, 97, 94};
enum { N = sizeof text / sizeof text[0], MOST_VOCAB = 4096 };

static const char *const paths[] = {"tests/golden/gptneo/model.gguf", "tests/golden/gemma3/model.gguf",
                                    "tests/golden/qwen35/model.gguf", "tests/golden/mixtral/model.gguf"};

typedef struct {
    vb_model *model;
    vb_session *a, *b;
    int vocab;
} two;

static void open_two(two *t, const char *path, int threads)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = threads};
    vb_session_opts so = {.context = 64};
    cr_assert_eq(vb_model_open(&t->model, path, &o, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&t->a, t->model, &so, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&t->b, t->model, &so, &err), VB_OK, "%s", err.text);
}

static void close_two(two *t)
{
    vb_session_close(t->a);
    vb_session_close(t->b);
    vb_model_close(t->model);
}

static void eval(vb_session *s, const vb_token *ids, int n)
{
    vb_err err = {0};
    vb_work w = {.session = s, .ids = ids, .n = n};
    cr_assert_eq(vb_eval(&w, 1, &err), VB_OK, "%s", err.text);
}

static void same(const vb_session *s, const float *expected, const char *what)
{
    int n;
    const float *found = vb_session_logits(s, &n);
    cr_assert_not_null(found, "%s: no logits", what);
    cr_assert_eq(memcmp(found, expected, (size_t)n * sizeof *found), 0, "%s: other bits", what);
}

static void keep(const vb_session *s, float *out)
{
    int n;
    const float *x = vb_session_logits(s, &n);
    cr_assert(n <= MOST_VOCAB);
    memcpy(out, x, (size_t)n * sizeof *x);
}

/* Stops each evaluation at every `every`-th call. */
typedef struct {
    int every, calls;
} breaks;

static int take_break(void *ud)
{
    breaks *b = ud;
    return ++b->calls % b->every == 0;
}

/* How often both sessions' next tokens were stopped before they were evaluated. */
static int eval_in_pieces(two *t, const vb_token *ids, int n)
{
    vb_work w[2] = {{.session = t->a, .ids = ids, .n = n}, {.session = t->b, .ids = ids, .n = n}};
    vb_err err = {0};
    int stops = 0, held, before;
    vb_session_tokens(t->a, &before);
    for (;; stops++) {
        vb_status s = vb_eval(w, 2, &err);
        if (s == VB_OK) return stops;
        cr_assert_eq(s, VB_E_STOPPED, "%s", err.text);
        vb_session_tokens(t->a, &held);
        cr_assert_eq(held, before, "expected %d tokens, found %d", before, held);
        cr_assert(stops < 10000, "an evaluation that does not end");
    }
}

static int calls_of_one(two *t)
{
    breaks b = {1 << 30, 0};
    vb_session_between(t->a, take_break, &b);
    eval(t->a, text, N);
    vb_session_between(t->a, NULL, NULL);
    cr_assert_eq(vb_session_rewind(t->a, 0, NULL), VB_OK);
    return b.calls;
}

static void go_on(const char *path, int threads)
{
    float expected[MOST_VOCAB], first[MOST_VOCAB];
    two t;
    open_two(&t, path, threads);
    int calls = calls_of_one(&t);
    eval(t.a, text, N - 1);
    keep(t.a, first);
    eval(t.a, text + N - 1, 1);
    keep(t.a, expected);
    for (int every = 1; every < 8; every += 3) {
        breaks b = {every, 0};
        vb_session_rewind(t.a, 0, NULL);
        vb_session_rewind(t.b, 0, NULL);
        vb_session_between(t.a, take_break, &b);
        int stops = eval_in_pieces(&t, text, N - 1);
        cr_assert_eq(b.calls, calls, "%s: every %d: expected %d steps, found %d", path, every, calls, b.calls);
        cr_assert_eq(stops, calls / every, "%s: every %d: %d stops", path, every, stops);
        same(t.a, first, path);
        eval_in_pieces(&t, text + N - 1, 1);
        same(t.a, expected, path);
        same(t.b, expected, path);
        vb_session_between(t.a, NULL, NULL);
    }
    close_two(&t);
}

Test(stopping, the_same_evaluation_goes_on)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) go_on(paths[i], 1 + (int)(i & 1));
}

/* A model with memories has to evaluate some tokens once more after a rewind: those are not lost either. */
static void go_on_after_rewind(const char *path)
{
    float expected[MOST_VOCAB];
    breaks b = {1, 0};
    two t;
    open_two(&t, path, 1);
    for (int i = 0; i < N; i++) eval(t.b, text + i, 1);
    eval(t.b, text + 3, 1);
    vb_session_rewind(t.b, 0, NULL);
    eval(t.b, text, 5);
    eval(t.b, text + 3, 1);
    keep(t.b, expected);
    eval(t.a, text, N);
    vb_session_rewind(t.a, 5, NULL);
    vb_session_rewind(t.b, 5, NULL);
    vb_session_between(t.a, take_break, &b);
    eval_in_pieces(&t, text + 3, 1);
    vb_session_between(t.a, NULL, NULL);
    same(t.a, expected, path);
    same(t.b, expected, path);
    close_two(&t);
}

Test(stopping, a_rewound_evaluation_goes_on)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) go_on_after_rewind(paths[i]);
}

/* What was stopped is forgotten as soon as anything else happens to the model or the state. */
static void disturbed(two *t, const char *path, int how)
{
    static const vb_token other[] = {5, 6, 7, 8, 9};
    float expected[MOST_VOCAB];
    breaks b = {7, 0};
    vb_session_rewind(t->a, 0, NULL);
    vb_session_rewind(t->b, 0, NULL);
    eval(t->a, text, N);
    keep(t->a, expected);
    vb_session_rewind(t->a, 4, NULL);
    vb_session_between(t->a, take_break, &b);
    vb_work w = {.session = t->a, .ids = text + 4, .n = N - 4};
    cr_assert_eq(vb_eval(&w, 1, NULL), VB_E_STOPPED);
    vb_session_between(t->a, NULL, NULL);
    if (how == 0) eval(t->b, other, 5);
    if (how == 1) {
        vb_session_rewind(t->a, 0, NULL);
        eval(t->a, text, 4);
    }
    eval(t->a, text + 4, N - 4);
    same(t->a, expected, path);
}

Test(stopping, what_is_disturbed_begins_again)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        two t;
        open_two(&t, paths[i], 1);
        for (int how = 0; how < 2; how++) disturbed(&t, paths[i], how);
        close_two(&t);
    }
}

/* The same tokens behind another past, which nobody has evaluated meanwhile. */
static void displaced(const char *path)
{
    static const vb_token other[] = {5, 6, 7, 8};
    float expected[MOST_VOCAB];
    breaks b = {7, 0};
    two t;
    open_two(&t, path, 1);
    eval(t.b, other, 4);
    eval(t.b, text + 4, N - 4);
    keep(t.b, expected);
    eval(t.a, text, 4);
    vb_session_between(t.a, take_break, &b);
    vb_work w = {.session = t.a, .ids = text + 4, .n = N - 4};
    cr_assert_eq(vb_eval(&w, 1, NULL), VB_E_STOPPED);
    vb_session_between(t.a, NULL, NULL);
    cr_assert_eq(vb_session_adopt(t.a, t.b, 4, NULL), VB_OK);
    eval(t.a, text + 4, N - 4);
    same(t.a, expected, path);
    close_two(&t);
}

Test(stopping, another_past_begins_again)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) displaced(paths[i]);
}

/* A copied beginning is worth one that was evaluated, whatever the state held before. */
static void adopts(const char *path, int n)
{
    float expected[MOST_VOCAB], all[MOST_VOCAB];
    static const vb_token other[] = {9, 8, 7, 6, 5, 4, 3, 2, 9, 8, 7};
    two t;
    open_two(&t, path, 1);
    eval(t.a, text, N);
    keep(t.a, all);
    eval(t.b, other, 11);
    cr_assert_eq(vb_session_adopt(t.b, t.a, n, NULL), VB_OK);
    cr_assert_eq(vb_session_logits(t.b, NULL) != NULL, n == N);
    if (n == N) same(t.b, all, path);
    eval(t.b, other, 3);
    keep(t.b, expected);
    vb_session_rewind(t.a, 0, NULL);
    vb_session_rewind(t.b, 0, NULL);
    if (n > 0) eval(t.a, text, n);
    eval(t.a, other, 3);
    same(t.a, expected, path);
    close_two(&t);
}

Test(stopping, a_session_adopts_what_another_holds)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (int n = 0; n <= N; n += 5) adopts(paths[i], n);
}

Test(stopping, what_cannot_be_adopted)
{
    vb_err err = {0};
    two t;
    vb_session *small;
    vb_session_opts so = {.context = 4}, f32 = {.context = 64, .kv = VB_KV_F32};
    open_two(&t, paths[0], 1);
    eval(t.a, text, N);
    cr_assert_eq(vb_session_open(&small, t.model, &so, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_adopt(small, t.a, 5, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_session_adopt(small, t.a, 4, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_adopt(t.b, t.a, N + 1, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_session_adopt(t.a, t.a, 1, &err), VB_E_ARGUMENT);
    vb_session_close(small);
    cr_assert_eq(vb_session_open(&small, t.model, &f32, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_adopt(small, t.a, 4, &err), VB_E_ARGUMENT);
    vb_session_close(small);
    close_two(&t);
}
