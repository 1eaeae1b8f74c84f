/* memories.c - models that remember cannot be cut anywhere: wherever a session goes back to, on which ways ever, what
 * it says next is what a session says that never was elsewhere.
 */
#include "session/model.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 384, MOST = 2200 };
static vb_model *model;
static char dir[64];
static vb_token text[MOST];
static float expected[VOCAB];

static void begin(void)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = 2};
    strcpy(dir, "/tmp/verbatim-memories-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(vb_model_open(&model, "tests/golden/qwen35/model.gguf", &o, &err), VB_OK, "%s", err.text);
    for (int i = 0; i < MOST; i++) text[i] = (i * 7919 + i / 5 * 31) % VOCAB;
}

static void end(void)
{
    char command[128];
    vb_model_close(model);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_expect_eq(system(command), 0);
}

TestSuite(memories, .init = begin, .fini = end);

static vb_session *open_session(const char *cache)
{
    vb_err err = {0};
    vb_session *s;
    vb_session_opts o = {.context = MOST, .cache = cache};
    cr_assert_eq(vb_session_open(&s, model, &o, &err), VB_OK, "%s", err.text);
    return s;
}

static void says_as_if_new(vb_session *s, const char *what, int at)
{
    int n;
    const vb_token *ids = vb_session_tokens(s, &n);
    vb_session *fresh = open_session(NULL);
    cr_assert_eq(vb_session_sync(fresh, ids, n, NULL), VB_OK);
    memcpy(expected, vb_session_logits(fresh, NULL), sizeof expected);
    vb_session_close(fresh);
    cr_expect_arr_eq(vb_session_logits(s, NULL), expected, sizeof expected, "%s %d", what, at);
}

static void evaluate(vb_session *s, const vb_token *ids, int n)
{
    vb_err err = {0};
    vb_work work = {.session = s, .ids = ids, .n = n};
    cr_assert_eq(vb_eval(&work, 1, &err), VB_OK, "%s", err.text);
}

/* More single tokens than memories are kept; then back to each place, and on with others. */
Test(memories, a_session_goes_back_to_any_token)
{
    vb_session *s = open_session(NULL);
    evaluate(s, text, 30);
    for (int i = 30; i < 50; i++) evaluate(s, text + i, 1);
    for (int to = 49; to >= 0; to -= 7) {
        cr_assert_eq(vb_session_rewind(s, to, NULL), VB_OK);
        evaluate(s, text + 100 + to, 2);
        says_as_if_new(s, "back to", to);
    }
    vb_session_close(s);
}

/* What lies far back costs more to repeat than what was just there. */
Test(memories, the_last_tokens_stay_near_and_some_of_the_others)
{
    vb_session *s = open_session(NULL);
    evaluate(s, text, 200);
    for (int i = 200; i < 400; i++) evaluate(s, text + i, 1);
    for (int back = 1; back <= 200; back *= 2) {
        int start = model->player->state_start(s->state, 400 - back);
        cr_expect_geq(start, 400 - 8 * back, "%d back: from %d", back, start);
        cr_expect_leq(start, 400 - back);
    }
    cr_expect_eq(model->player->state_start(s->state, 400), 400);
    vb_session_close(s);
}

Test(memories, forks_go_their_own_ways)
{
    vb_session *s = open_session(NULL), *f = NULL;
    evaluate(s, text, 60);
    evaluate(s, text + 60, 1);
    cr_assert_eq(vb_session_rewind(s, 60, NULL), VB_OK);
    cr_assert_eq(vb_session_fork(&f, s, NULL), VB_OK);
    evaluate(s, text + 300, 3);
    evaluate(f, text + 500, 3);
    says_as_if_new(s, "fork", 0);
    says_as_if_new(f, "fork", 1);
    vb_session_close(f);
    vb_session_close(s);
}

/* An evaluation that fails leaves the tokens before it, and they can be gone on from. */
Test(memories, an_error_loses_nothing)
{
    vb_err err = {0};
    vb_token bad = VOCAB;
    vb_session *s = open_session(NULL);
    evaluate(s, text, 20);
    cr_assert_eq(vb_session_rewind(s, 15, NULL), VB_OK);
    vb_work work = {.session = s, .ids = &bad, .n = 1};
    cr_assert_eq(vb_eval(&work, 1, &err), VB_E_ARGUMENT);
    evaluate(s, text + 40, 2);
    int n;
    vb_session_tokens(s, &n);
    cr_expect_eq(n, 17);
    says_as_if_new(s, "error", 0);
    vb_session_close(s);
}

static void finds(const vb_token *ids, int n, int held)
{
    int found;
    vb_session *s = open_session(dir);
    cr_assert_eq(vb_session_recall(s, ids, n, &found, NULL), VB_OK);
    cr_expect_eq(found, held, "of %d tokens: expected %d, found %d", n, held, found);
    cr_assert_eq(vb_session_sync(s, ids, n, NULL), VB_OK);
    says_as_if_new(s, "from disk", n);
    vb_session_close(s);
}

/* A block of 1024 tokens is of use as a whole, and a leaf as long as the text begins with all of it. */
Test(memories, blocks_on_disk_are_used_as_a_whole)
{
    vb_token other[MOST];
    memcpy(other, text, sizeof text);
    other[1500] = (other[1500] + 1) % VOCAB;
    finds(text, 1600, 0);
    finds(text, 1600, 1600);
    finds(text, 2100, 1600);
    finds(other, 2100, 1024);
    finds(text, 1000, 0);
}

/* A session that was elsewhere takes a prefix from disk and goes back into it: nothing of elsewhere is left. */
Test(memories, a_prefix_from_disk_replaces_what_was_known)
{
    vb_token other[MOST];
    vb_session *s = open_session(dir);
    cr_assert_eq(vb_session_sync(s, text, 1100, NULL), VB_OK);
    vb_session_close(s);
    s = open_session(dir);
    for (int i = 0; i < MOST; i++) other[i] = text[(i * 3 + 1) % MOST];
    memcpy(other, text, 50 * sizeof *other);
    cr_assert_eq(vb_session_sync(s, other, 600, NULL), VB_OK);
    cr_assert_eq(vb_session_sync(s, text, 1200, NULL), VB_OK);
    says_as_if_new(s, "disk", 1200);
    cr_assert_eq(vb_session_rewind(s, 700, NULL), VB_OK);
    evaluate(s, text + 5, 3);
    says_as_if_new(s, "disk", 700);
    vb_session_close(s);
}
