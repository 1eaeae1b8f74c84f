/* taps.c - named values watched and changed through the public interface, on every player. */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GEMMA "tests/golden/gemma3/model.gguf"
#define MOE "tests/golden/qwen3moe/model.gguf"

static const vb_token IDS[6] = {1, 5, 9, 2, 40, 41};

typedef struct {
    const char *name;
    int layer, position, element;
    float to;           /* used instead of the next float when `set` */
    int set, seen, all; /* values of that name, layer and position; all values */
} change;

/* Moves one element to the next larger float, or sets it. */
static void plant(void *ud, const vb_tap *t)
{
    change *c = ud;
    c->all++;
    if (c->name == NULL || strcmp(t->name, c->name) != 0 || t->layer != c->layer || t->position != c->position) return;
    c->seen++;
    t->x[c->element] = c->set ? c->to : nextafterf(t->x[c->element], INFINITY);
}

typedef struct {
    vb_model *model;
    vb_session *session;
} running;

static running start(const char *player, const char *isa, const char *cache)
{
    running r;
    vb_err err = {0};
    vb_model_opts m = {.player = player, .isa = isa, .threads = 2};
    vb_session_opts s = {.context = 64, .batch = 4, .cache = cache};
    cr_assert_eq(vb_model_open(&r.model, GEMMA, &m, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&r.session, r.model, &s, &err), VB_OK, "%s", err.text);
    return r;
}

static void stop(running *r)
{
    vb_session_close(r->session);
    vb_model_close(r->model);
}

/* The logits of the last of the tokens, with a change or none; to be freed. */
static float *logits_with(const char *player, const char *isa, change *c)
{
    running r = start(player, isa, NULL);
    vb_err err = {0};
    int n;
    if (c != NULL) cr_assert_eq(vb_session_tap(r.session, plant, c, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_sync(r.session, IDS, 6, &err), VB_OK, "%s", err.text);
    const float *logits = vb_session_logits(r.session, &n);
    float *copy = malloc((size_t)n * sizeof *copy);
    memcpy(copy, logits, (size_t)n * sizeof *copy);
    stop(&r);
    return copy;
}

static int same_logits(const float *a, const float *b)
{
    return memcmp(a, b, 64 * sizeof *a) == 0;
}

Test(taps, a_change_is_the_same_for_the_players)
{
    static const char *const isas[2] = {"portable", NULL};
    for (int at = 0; at < 2; at++) {
        change base = {.name = "l_out", .layer = 1, .position = 5, .element = 3}, c;
        if (at == 1) base = (change){.name = "l_out", .layer = 0, .position = 2, .element = 3, .set = 1, .to = 2.0f};
        c = base;
        float *plain = logits_with("oracle", NULL, NULL), *oracle = logits_with("oracle", NULL, &c);
        cr_expect_eq(c.seen, 1);
        cr_expect(!same_logits(plain, oracle), "nothing changed at position %d", base.position);
        for (int i = 0; i < 2; i++) {
            change d = base, e = {.name = NULL};
            float *cpu = logits_with("cpu", isas[i], &d), *watched = logits_with("cpu", isas[i], &e);
            cr_expect(d.seen == 1 && d.all == c.all && e.all == c.all, "%d of %d and %d", d.all, c.all, e.all);
            cr_expect(same_logits(oracle, cpu), "cpu %d at position %d", i, base.position);
            cr_expect(same_logits(plain, watched), "watching changed bits");
            free(cpu);
            free(watched);
        }
        free(plain);
        free(oracle);
    }
}

Test(taps, blas_is_watched_too)
{
    change c = {.name = "l_out", .layer = 1, .position = 5, .set = 1, .to = 100.0f};
    const char *isa = "openblas";
    float *plain = logits_with("blas", isa, NULL), *changed = logits_with("blas", isa, &c);
    cr_expect_eq(c.seen, 1);
    cr_expect(!same_logits(plain, changed));
    free(plain);
    free(changed);
}

typedef struct {
    int calls, last_of_first;
} order;

static void first(void *ud, const vb_tap *t)
{
    order *o = ud;
    o->last_of_first = o->calls++;
    t->x[0] = 0.25f;
}

static void second(void *ud, const vb_tap *t)
{
    order *o = ud;
    cr_expect_eq(o->calls++, o->last_of_first + 1);
    cr_expect(t->x[0] == 0.25f);
}

Test(taps, up_to_four_in_their_order)
{
    running r = start(NULL, NULL, NULL);
    order o = {0, 0};
    change none = {.name = NULL};
    vb_err err = {0};
    cr_assert_eq(vb_session_tap(r.session, plant, &none, &err), VB_OK);
    cr_assert_eq(vb_session_tap(r.session, first, &o, &err), VB_OK);
    cr_assert_eq(vb_session_tap(r.session, second, &o, &err), VB_OK);
    cr_assert_eq(vb_session_tap(r.session, plant, NULL, &err), VB_OK);
    cr_assert_eq(vb_session_tap(r.session, plant, &none, &err), VB_E_FULL);
    cr_expect_str_eq(err.text, "tap: expected at most 4 for one session, found 5");
    vb_session_untap(r.session, plant, NULL);
    vb_session_untap(r.session, plant, &o);
    vb_session_untap(r.session, plant, &none);
    cr_assert_eq(vb_session_sync(r.session, IDS, 3, &err), VB_OK, "%s", err.text);
    cr_expect(o.calls > 20 && o.calls % 2 == 0 && none.all == 0);
    vb_session_untap(r.session, first, &o);
    vb_session_untap(r.session, second, &o);
    int calls = o.calls;
    cr_assert_eq(vb_session_sync(r.session, IDS, 6, &err), VB_OK, "%s", err.text);
    cr_expect_eq(o.calls, calls);
    stop(&r);
}

/* Two sessions evaluated together: the change is seen in the one that is tapped, and so are its values alone. */
Test(taps, belong_to_one_session_of_a_batch)
{
    change c = {.name = "l_out", .layer = 0, .position = 4, .element = 7}, alone = c;
    float *plain = logits_with(NULL, NULL, NULL), *changed = logits_with(NULL, NULL, &alone);
    running r = start(NULL, NULL, NULL);
    vb_session *other;
    vb_err err = {0};
    cr_assert_eq(vb_session_fork(&other, r.session, &err), VB_OK);
    cr_assert_eq(vb_session_tap(other, plant, &c, &err), VB_OK);
    vb_work work[2] = {{.session = r.session, .ids = IDS, .n = 6}, {.session = other, .ids = IDS, .n = 6}};
    cr_assert_eq(vb_eval(work, 2, &err), VB_OK, "%s", err.text);
    cr_expect_eq(c.all, alone.all);
    cr_expect(same_logits(vb_session_logits(r.session, NULL), plain));
    cr_expect(same_logits(vb_session_logits(other, NULL), changed));
    vb_session_close(other);
    stop(&r);
    free(plain);
    free(changed);
}

Test(taps, what_steps_cannot_bear_is_an_error)
{
    static const char *const players[3] = {"cpu", "oracle", "blas"};
    for (int i = 0; i < 3; i++) {
        vb_model_opts m = {.player = players[i], .threads = 1};
        change nan = {.name = "l_out", .layer = 1, .position = 2, .element = 4, .set = 1, .to = NAN};
        change expert = {.name = "ffn_moe_topk", .layer = 0, .position = 1, .element = 0, .set = 1, .to = 1e6f};
        vb_session *s;
        vb_model *model;
        vb_err err = {0};
        cr_assert_eq(vb_model_open(&model, MOE, &m, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_session_open(&s, model, NULL, &err), VB_OK);
        cr_assert_eq(vb_session_tap(s, plant, &nan, &err), VB_OK);
        cr_expect_eq(vb_session_sync(s, IDS, 6, &err), VB_E_ARGUMENT);
        cr_expect(strncmp(err.text, "tap l_out (layer 1) at position 2: element 4: expected a finite", 63) == 0, "%s",
                  err.text);
        vb_session_untap(s, plant, &nan);
        cr_assert_eq(vb_session_tap(s, plant, &expert, &err), VB_OK);
        cr_expect_eq(vb_session_sync(s, IDS, 6, &err), VB_E_ARGUMENT);
        cr_expect(strncmp(err.text, "tap ffn_moe_topk (layer 0) at position 1: expected increasing", 61) == 0, "%s",
                  err.text);
        expert.to = 0.5f;
        cr_expect_eq(vb_session_sync(s, IDS, 6, &err), VB_E_ARGUMENT);
        expert.to = 0.0f; /* each once: not behind expert 0 or a higher one */
        expert.element = 1;
        cr_expect_eq(vb_session_sync(s, IDS, 6, &err), VB_E_ARGUMENT);
        vb_session_untap(s, plant, &expert);
        cr_expect_eq(vb_session_sync(s, IDS, 6, &err), VB_OK, "%s", err.text);
        vb_session_close(s);
        vb_model_close(model);
    }
}

Test(taps, nothing_watched_reaches_a_cache)
{
    char folder[] = "/tmp/vb-taps-XXXXXX", command[64];
    cr_assert_not_null(mkdtemp(folder));
    change c = {.name = "l_out", .layer = 0, .position = 1, .element = 0, .set = 1, .to = 2.0f};
    float *plain = logits_with(NULL, NULL, NULL);
    for (int tapped = 1; tapped >= 0; tapped--) {
        running r = start(NULL, NULL, folder);
        vb_err err = {0};
        if (tapped) cr_assert_eq(vb_session_tap(r.session, plant, &c, &err), VB_OK);
        cr_assert_eq(vb_session_sync(r.session, IDS, 6, &err), VB_OK);
        cr_expect_eq(same_logits(vb_session_logits(r.session, NULL), plain), !tapped);
        stop(&r);
    }
    free(plain);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* Each token is shown once, in its order: no guess is. */
static void follow(void *ud, const vb_tap *t)
{
    int *next = ud;
    if (t->layer != 0 || strcmp(t->name, "l_out") != 0) return;
    cr_expect_eq(t->position, *next);
    *next = t->position + 1;
}

Test(taps, a_watched_generation_does_not_guess)
{
    running r = start(NULL, NULL, NULL);
    vb_generation how = {.max_tokens = 30, .speculate = VB_SPECULATE_NGRAM};
    vb_generated made;
    vb_stats stats;
    vb_err err = {0};
    int next = 0;
    cr_assert_eq(vb_session_tap(r.session, follow, &next, &err), VB_OK);
    cr_assert_eq(vb_session_sync(r.session, IDS, 6, &err), VB_OK);
    cr_assert_eq(vb_generate(r.session, &how, &made, &err), VB_OK, "%s", err.text);
    vb_session_stats(r.session, &stats);
    cr_expect_eq(stats.drafted, 0);
    cr_expect(made.tokens > 1 && next == 6 + made.tokens - 1, "%d tokens, %d seen", made.tokens, next);
    stop(&r);
}
