/* trace_diff.c - recordings with taps beside each other: other players and machines say the same, a change of one unit in
 * the last place in one layer is found and named, and drift is counted as far as both computed the same thing.
 */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GEMMA "tests/golden/gemma3/model.gguf"
#define LLAMA "tests/golden/llama-gqa/model.gguf"

enum { PROMPT = 5, NEW = 6, PLANTED_LAYER = 1, PLANTED_POSITION = 6, PLANTED_ELEMENT = 11 };

typedef struct {
    const char *model, *player, *isa;
    int taps, plant; /* plant: ulps */
    vb_token last;   /* of the prompt; 0: 40 */
    float temperature;
} recording;

static uint32_t planted[2];

static void plant(void *ud, const vb_tap *t)
{
    const int *ulps = ud;
    if (strcmp(t->name, "l_out") != 0 || t->layer != PLANTED_LAYER || t->position != PLANTED_POSITION) return;
    float *x = &t->x[PLANTED_ELEMENT];
    memcpy(&planted[0], x, sizeof *x);
    for (int i = 0; i < *ulps; i++) *x = nextafterf(*x, INFINITY);
    memcpy(&planted[1], x, sizeof *x);
}

static void record(const char *path, recording r)
{
    vb_token ids[PROMPT] = {1, 5, 9, 2, r.last == 0 ? 40 : r.last};
    vb_model_opts m = {.player = r.player, .isa = r.isa, .threads = 2};
    vb_trace_opts o = {.taps = r.taps, .sampling = {.temperature = r.temperature}};
    vb_model *model;
    vb_session *session;
    vb_trace *trace;
    vb_err err = {0};
    unlink(path);
    cr_assert_eq(vb_model_open(&model, r.model == NULL ? GEMMA : r.model, &m, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&session, model, NULL, &err), VB_OK, "%s", err.text);
    if (r.plant > 0) cr_assert_eq(vb_session_tap(session, plant, &r.plant, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_sync(session, ids, PROMPT, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_open(&trace, path, session, &o, &err), VB_OK, "%s", err.text);
    vb_generation how = {.max_tokens = NEW, .trace = trace, .sampling = o.sampling};
    cr_assert_eq(vb_generate(session, &how, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_close(trace, &err), VB_OK, "%s", err.text);
    vb_session_close(session);
    vb_model_close(model);
}

static char A[64], B[64];

static void name_files(void)
{
    snprintf(A, sizeof A, "/tmp/vb-diff-a-%d", (int)getpid());
    snprintf(B, sizeof B, "/tmp/vb-diff-b-%d", (int)getpid());
}

static void remove_files(void)
{
    unlink(A);
    unlink(B);
}

TestSuite(trace_diff, .init = name_files, .fini = remove_files);

static vb_status compare(recording a, recording b, int taps, vb_contrast *out, vb_err *err)
{
    record(A, a);
    record(B, b);
    return vb_trace_contrast(A, B, taps, out, err);
}

Test(trace_diff, players_and_kernels_are_equal_inside)
{
    static const recording others[] = {{.player = "oracle"}, {.isa = "portable"}, {.model = NULL}};
    for (int taps = VB_TAPS_LAYERS; taps <= VB_TAPS_ALL; taps++)
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            recording b = others[i];
            vb_contrast c;
            vb_err err = {0};
            b.taps = taps;
            cr_assert_eq(compare((recording){.taps = taps}, b, 1, &c, &err), VB_OK, "%s", err.text);
            cr_expect(!c.header.differs && !c.tokens.differs && c.fields == 0 && c.differing == 0 && c.unmatched == 0);
            cr_expect_eq(c.positions, PROMPT + NEW - 1);
            cr_expect_geq(c.compared, c.positions * (taps == VB_TAPS_ALL ? 10 : 3));
            for (int k = 0; k < c.n_drift; k++)
                cr_expect(c.drift[k].max == 0.0 && c.drift[k].rms == 0.0 && c.drift[k].elements > 0);
            vb_contrast_free(&c);
        }
}

Test(trace_diff, a_planted_ulp_is_found_and_named)
{
    static const char *const players[2] = {"cpu", "oracle"};
    for (int i = 0; i < 2; i++) {
        vb_contrast c;
        vb_err err = {0};
        recording with = {.player = players[i], .taps = VB_TAPS_ALL, .plant = 1};
        cr_assert_eq(compare((recording){.taps = VB_TAPS_LAYERS}, with, 1, &c, &err), VB_E_DIFFERS);
        cr_expect_str_eq(c.first.name, "l_out");
        cr_expect_eq(c.first.layer, PLANTED_LAYER);
        cr_expect_eq(c.first.position, PLANTED_POSITION);
        cr_expect_eq(c.first.element, PLANTED_ELEMENT);
        cr_expect(c.first.a == planted[0] && c.first.b == planted[1] && planted[0] != planted[1], "%08x %08x", c.first.a,
                  c.first.b);
        cr_expect(c.header.differs && c.fields == 1);
        cr_expect_str_eq(c.header.field, "taps");
        cr_expect_gt(c.unmatched, 0, "what only one of them has");
        for (int k = 0; k < c.n_drift; k++) {
            const vb_drift *d = &c.drift[k];
            int behind = d->layer > PLANTED_LAYER || (d->layer == PLANTED_LAYER && strcmp(d->name, "l_out") == 0);
            if (d->layer >= 0 && !behind) cr_expect(d->differing == 0, "%s of layer %d", d->name, d->layer);
            cr_expect(d->rms <= d->max && (d->differing > 0) == (d->max > 0.0), "%s of layer %d", d->name, d->layer);
        }
        vb_contrast_free(&c);
    }
}

/* Another last token of the prompt: what stands before it is compared, what it changes is not. */
Test(trace_diff, another_token_ends_what_can_be_compared)
{
    vb_contrast c;
    vb_err err = {0};
    cr_assert_eq(compare((recording){.taps = VB_TAPS_LAYERS}, (recording){.taps = VB_TAPS_LAYERS, .last = 41}, 1, &c, &err),
                 VB_E_DIFFERS);
    cr_expect(!c.header.differs && c.tokens.differs && c.tokens.record == PROMPT && c.tokens.position == PROMPT - 1);
    cr_expect_str_eq(c.tokens.field, "id");
    cr_expect(c.positions == PROMPT - 1 && c.differing == 0, "%d positions", c.positions);
    vb_contrast_free(&c);
}

/* Another temperature is in the header alone, as long as the same tokens are drawn. */
Test(trace_diff, tokens_are_compared_though_the_headers_differ)
{
    vb_contrast c;
    vb_diff d;
    vb_err err = {0};
    recording cold = {.temperature = 0.0001f};
    cr_assert_eq(compare((recording){.temperature = 0.0f}, cold, 0, &c, &err), VB_E_DIFFERS);
    cr_expect(c.header.differs && c.fields == 1 && c.header.record == 0 && !c.tokens.differs, "%s", c.tokens.field);
    cr_expect_str_eq(c.header.field, "temperature");
    cr_expect_eq(c.tokens.records, 1 + PROMPT + NEW + 1);
    cr_assert_eq(vb_trace_diff(A, B, &d, &err), VB_E_DIFFERS);
    cr_expect_str_eq(d.field, "temperature");
    vb_contrast_free(&c);
}

Test(trace_diff, other_models_have_other_values)
{
    vb_contrast c;
    vb_err err = {0};
    recording llama = {.model = LLAMA, .taps = VB_TAPS_LAYERS};
    cr_assert_eq(compare((recording){.taps = VB_TAPS_LAYERS}, llama, 1, &c, &err), VB_E_DIFFERS);
    cr_expect(c.header.differs && c.fields >= 2 && c.tokens.differs);
    cr_expect_gt(c.compared + c.unmatched, 0);
    vb_contrast_free(&c);
    cr_assert_eq(compare((recording){.taps = VB_TAPS_LAYERS}, (recording){.taps = VB_TAPS_NONE}, 1, &c, &err),
                 VB_E_NOT_FOUND);
    cr_expect(strstr(err.text, "expected a trace with taps") != NULL, "%s", err.text);
    vb_contrast_free(&c);
}
