/* trace_session.c - traces of real sessions, made by hand and by vb_generate: they replay, whatever the player, and a
 * session that went another way than its trace is refused.
 */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char model_path[] = "tests/golden/llama-gqa/model.gguf";
static const vb_token prompt[] = {1, 20, 300, 41, 5};
enum { PROMPT = sizeof prompt / sizeof prompt[0] };

typedef struct {
    vb_model *model;
    vb_session *session;
    vb_trace *trace;
    char path[64];
    vb_err err;
} fixture;

static void open_all(fixture *f, const vb_trace_opts *opts)
{
    static int number;
    memset(f, 0, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/verbatim-unit-%d-%d.trace", (int)getpid(), number++);
    unlink(f->path);
    cr_assert_eq(vb_model_open(&f->model, model_path, NULL, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_session_open(&f->session, f->model, NULL, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_session_sync(f->session, prompt, PROMPT, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_trace_open(&f->trace, f->path, f->session, opts, &f->err), VB_OK, "%s", f->err.text);
}

static void close_all(fixture *f)
{
    cr_assert_eq(vb_trace_close(f->trace, &f->err), VB_OK, "%s", f->err.text);
    vb_session_close(f->session);
    vb_model_close(f->model);
}

static void append(fixture *f, vb_token id)
{
    vb_work work = {.session = f->session, .ids = &id, .n = 1};
    cr_assert_eq(vb_eval(&work, 1, &f->err), VB_OK, "%s", f->err.text);
}

/* Chooses by hand, as the header says or, with `other`, the second best. */
static void choose(fixture *f, const vb_sampling *sampling, int other)
{
    vb_token id;
    vb_choice top[2];
    cr_assert_eq(vb_sample(f->session, sampling, &id, &f->err), VB_OK);
    cr_assert_eq(vb_top(f->session, top, 2), 2);
    if (other) id = top[1].id;
    cr_assert_eq(vb_trace_add(f->trace, f->session, id, &f->err), VB_OK, "%s", f->err.text);
    append(f, id);
}

static vb_status replay(fixture *f, const char *player, vb_diff *d)
{
    vb_model_opts opts = {.player = player, .threads = 3};
    return vb_trace_replay(f->path, NULL, &opts, d, &f->err);
}

Test(trace_session, chosen_and_given_tokens_by_hand_replay)
{
    static const char *const players[] = {NULL, "oracle"};
    vb_trace_opts opts = {.top = 3, .sampling = {.temperature = 0.9f, .seed = 5, .top_k = 50}};
    fixture f;
    vb_diff d;
    open_all(&f, &opts);
    for (int i = 0; i < 90; i++) {
        if (i % 40 > 37) append(&f, i);
        else choose(&f, &opts.sampling, 0);
    }
    append(&f, 7); /* nothing is chosen behind it: no record */
    close_all(&f);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(replay(&f, players[i], &d), VB_OK, "%s", f.err.text);
        cr_assert(!d.differs && d.records == 1 + PROMPT + 90, "%d records", (int)d.records);
    }
    unlink(f.path);
}

Test(trace_session, a_choice_that_the_sampler_would_not_make_is_found)
{
    vb_trace_opts opts = {.prompt = "by hand"};
    fixture f;
    vb_diff d;
    open_all(&f, &opts);
    for (int i = 0; i < 70; i++) choose(&f, &opts.sampling, i == 61);
    close_all(&f);
    cr_assert_eq(replay(&f, NULL, &d), VB_E_DIFFERS);
    cr_assert_str_eq(d.field, "id");
    cr_assert(d.position == PROMPT + 61 && d.record == PROMPT + 62, "position %d", (int)d.position);
    unlink(f.path);
}

Test(trace_session, another_model_differs_in_the_header)
{
    fixture f;
    vb_diff d;
    open_all(&f, NULL);
    close_all(&f);
    cr_assert_eq(vb_trace_replay(f.path, "tests/golden/gemma3/model.gguf", NULL, &d, &f.err), VB_E_DIFFERS);
    cr_assert_str_eq(d.field, "model");
    cr_assert_eq(d.record, 0);
    unlink(f.path);
}

Test(trace_session, the_digest_does_not_depend_on_who_recorded)
{
    uint8_t digests[2][32];
    vb_sampling sampling = {.temperature = 1.0f, .seed = 11};
    for (int i = 0; i < 2; i++) {
        vb_trace_opts opts = {.sampling = sampling, .prompt = i ? "one" : "two"};
        fixture f;
        open_all(&f, &opts);
        vb_generation how = {.sampling = sampling, .max_tokens = 20, .trace = f.trace};
        if (i) cr_assert_eq(vb_generate(f.session, &how, NULL, &f.err), VB_OK);
        else for (int k = 0; k < 20; k++) choose(&f, &sampling, 0);
        vb_trace_digest(f.trace, digests[i]);
        close_all(&f);
        unlink(f.path);
    }
    cr_assert_eq(memcmp(digests[0], digests[1], 32), 0);
}

Test(trace_session, what_cannot_be_recorded_is_refused)
{
    vb_trace_opts opts = {.top = 300};
    vb_trace *second;
    vb_token other = 9;
    fixture f;
    open_all(&f, NULL);
    cr_assert_eq(vb_trace_open(&second, f.path, f.session, NULL, &f.err), VB_E_IO);
    cr_assert(second == NULL && strstr(f.err.text, "never overwritten"), "%s", f.err.text);
    cr_assert_eq(vb_trace_open(&second, "/tmp/none/x.trace", f.session, NULL, &f.err), VB_E_IO);
    cr_assert_eq(vb_trace_open(&second, "/tmp/x.trace", f.session, &opts, &f.err), VB_E_ARGUMENT);
    cr_assert_eq(vb_trace_add(f.trace, f.session, 384, &f.err), VB_E_ARGUMENT);
    cr_assert_eq(vb_trace_add(f.trace, f.session, -1, &f.err), VB_E_ARGUMENT);
    choose(&f, &opts.sampling, 0);
    cr_assert_eq(vb_session_rewind(f.session, PROMPT, &f.err), VB_OK);
    cr_assert_eq(vb_trace_add(f.trace, f.session, 3, &f.err), VB_E_ARGUMENT, "a session without logits");
    int n;
    const vb_token *now = vb_session_tokens(f.session, &n);
    vb_token last = now[PROMPT];
    append(&f, other == last ? 10 : 9);
    cr_assert_eq(vb_trace_add(f.trace, f.session, 3, &f.err), VB_E_ARGUMENT, "a session that went another way");
    cr_assert_not_null(strstr(f.err.text, "found it changed"), "%s", f.err.text);
    close_all(&f);
    unlink(f.path);
}
