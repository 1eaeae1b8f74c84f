/* player.c - the cpu player beside the oracle where tests/matrix.c does not look: taps, several sessions in one batch,
 * copies of states, numbers that are not finite, names, refusals.
 */
#include "arch/arch.h"
#include "oracle/oracle.h"
#include "run/run.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *bytes;
    size_t size;
    vb_gguf *g;
    vb_arena arena;
    vb_params params;
    vb_tensors tensors;
    vb_plan plan;
} opened;

/* A private copy of the file, so that tests may change weights. */
static void open_case(opened *o, const char *name)
{
    char path[128];
    vb_err err = {0};
    memset(o, 0, sizeof *o);
    snprintf(path, sizeof path, "tests/golden/%s/model.gguf", name);
    cr_assert_eq(vb_file_read(path, 1 << 24, &o->bytes, &o->size, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_gguf_open_memory(&o->g, (uint8_t *)o->bytes, o->size, path, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_params_read(&o->params, o->g, &o->arena, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_tensors_open(&o->tensors, o->g, &o->arena, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_arch_find(o->params.arch)->settle(&o->params, &err), VB_OK, "%s", err.text);
    vb_plan_start(&o->plan, &o->tensors, &o->params);
    vb_arch_find(o->params.arch)->emit(&o->plan, &o->params);
    cr_assert_eq(vb_plan_finish(&o->plan, &err), VB_OK, "%s", err.text);
}

static void close_case(opened *o)
{
    vb_plan_free(&o->plan);
    vb_arena_free(&o->arena);
    vb_gguf_close(o->g);
    free(o->bytes);
}

typedef struct {
    const vb_player *type;
    void *player, *state;
    vb_taps taps;
} playing;

static playing start(const vb_player *type, const opened *o, const vb_play_opts *opts)
{
    playing p = {.type = type};
    vb_err err = {0};
    cr_assert_eq(type->open(&p.player, &o->plan, opts, &err), VB_OK, "%s", err.text);
    cr_assert_eq(type->state_open(&p.state, p.player, 64, VB_KV_F16, &err), VB_OK, "%s", err.text);
    return p;
}

static playing start_watched(const vb_player *type, const opened *o, vb_tap_fn fn, void *ud)
{
    playing p = start(type, o, &(vb_play_opts){.threads = 2});
    p.taps = (vb_taps){.of = {{fn, ud}}, .n = 1};
    return p;
}

static void stop(playing *p)
{
    p->type->state_close(p->state);
    p->type->close(p->player);
}

/* Evaluates ids in chunks without logits. */
static vb_status feed(playing *p, const vb_token *ids, int n, int chunk, vb_err *err)
{
    for (int at = 0; at < n; at += chunk) {
        vb_part part = {.state = p->state, .start = at, .ids = ids + at, .n = n - at < chunk ? n - at : chunk,
                        .taps = &p->taps};
        vb_status s = p->type->eval(p->player, &part, 1, err);
        if (s < 0) return s;
    }
    return VB_OK;
}

/* --- taps ------------------------------------------------------------------------------------------------------ */

enum { MOST_TAPS = 2000 };

typedef struct {
    const char *name;
    int layer, position, width;
    float first, last, sum;
} seen;

typedef struct {
    seen all[MOST_TAPS];
    int n;
} notebook;

static void write_down(void *ud, const vb_tap *t)
{
    notebook *b = ud;
    seen s = {t->name, t->layer, t->position, t->width, t->x[0], t->x[t->width - 1], 0.0f};
    for (int i = 0; i < t->width; i++) s.sum += t->x[i];
    cr_assert(b->n < MOST_TAPS);
    b->all[b->n++] = s;
}

static int same(const seen *a, const seen *b)
{
    return strcmp(a->name, b->name) == 0 && a->layer == b->layer && a->position == b->position &&
           a->width == b->width && a->first == b->first && a->last == b->last && a->sum == b->sum;
}

Test(player, taps_show_what_the_oracle_shows)
{
    static const vb_token ids[7] = {1, 5, 9, 2, 40, 41, 3};
    notebook *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    opened o;
    open_case(&o, "gemma3");
    playing oracle = start_watched(&vb_oracle_player, &o, write_down, b);
    playing cpu = start_watched(&vb_cpu_player, &o, write_down, a);
    cr_assert_eq(feed(&oracle, ids, 7, 7, NULL), VB_OK);
    cr_assert_eq(feed(&cpu, ids, 7, 4, NULL), VB_OK);
    cr_assert(a->n > 7 * 10 && a->n == b->n, "%d and %d", a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        int found = 0;
        for (int k = 0; k < b->n; k++) found |= same(&a->all[i], &b->all[k]);
        cr_assert(found, "%s of layer %d at position %d", a->all[i].name, a->all[i].layer, a->all[i].position);
    }
    stop(&oracle);
    stop(&cpu);
    close_case(&o);
    free(a);
    free(b);
}

/* --- weight formats ---------------------------------------------------------------------------------------------- */

/* Gives a matrix random weights of a format; the model goes on pointing at them. */
static void replace(opened *o, const char *name, vb_format format, uint8_t **data)
{
    const vb_format_info *info = vb_format_of(format);
    rng r = {(uint64_t)format + 1};
    for (int i = 0; i < o->tensors.n; i++) {
        vb_tensor *t = &o->tensors.all[i];
        if (strcmp(t->name, name) != 0) continue;
        free(*data);
        *data = rng_matrix(&r, format, t->cols, t->rows);
        cr_assert_not_null(*data);
        t->format = format;
        t->data = *data;
        t->row_bytes = (size_t)(t->cols / info->block * info->bytes);
        return;
    }
    cr_assert(0, "%s is missing", name);
}

static void logits_of(const vb_player *type, const opened *o, vb_arith arith, float *logits)
{
    static const vb_token ids[7] = {1, 5, 9, 2, 40, 41, 3};
    playing p = start(type, o, &(vb_play_opts){.arith = arith, .threads = 2});
    vb_part part = {.state = p.state, .ids = ids, .n = 7, .logits = logits, .want = 1};
    cr_assert_eq(type->eval(p.player, &part, 1, NULL), VB_OK);
    stop(&p);
}

Test(player, matrices_of_every_format)
{
    opened o;
    uint8_t *gate = NULL, *down = NULL;
    open_case(&o, "quant/q-llama-BF16");
    size_t bytes = (size_t)o.plan.vocab * sizeof(float);
    float *expected = malloc(bytes), *found = malloc(bytes);
    for (int f = 0; f < VB_FORMATS; f++) {
        replace(&o, "blk.0.ffn_gate.weight", (vb_format)f, &gate);
        replace(&o, "blk.1.ffn_down.weight", (vb_format)f, &down);
        for (vb_arith arith = VB_ARITH_INT8; arith <= VB_ARITH_F32; arith++) {
            logits_of(&vb_oracle_player, &o, arith, expected);
            logits_of(&vb_cpu_player, &o, arith, found);
            cr_expect(memcmp(expected, found, bytes) == 0, "%s", vb_format_of((vb_format)f)->name);
        }
    }
    close_case(&o);
    free(gate);
    free(down);
    free(expected);
    free(found);
}

/* --- experts ----------------------------------------------------------------------------------------------------- */

Test(player, experts_of_every_format)
{
    opened o;
    uint8_t *up = NULL, *down = NULL;
    open_case(&o, "gpt-oss");
    size_t bytes = (size_t)o.plan.vocab * sizeof(float);
    float *expected = malloc(bytes), *found = malloc(bytes);
    for (int f = 0; f < VB_FORMATS; f++) {
        if (vb_format_of((vb_format)f)->block > 64) continue; /* this model's rows */
        replace(&o, "blk.0.ffn_up_exps.weight", (vb_format)f, &up);
        replace(&o, "blk.1.ffn_down_exps.weight", (vb_format)f, &down);
        for (vb_arith arith = VB_ARITH_INT8; arith <= VB_ARITH_F32; arith++) {
            logits_of(&vb_oracle_player, &o, arith, expected);
            logits_of(&vb_cpu_player, &o, arith, found);
            cr_expect(memcmp(expected, found, bytes) == 0, "%s", vb_format_of((vb_format)f)->name);
        }
    }
    close_case(&o);
    free(up);
    free(down);
    free(expected);
    free(found);
}

enum { LAYERS = 3, EXPERTS = 8 };
static int chosen[LAYERS][EXPERTS];

static void count_chosen(void *ud, const vb_tap *t)
{
    const float *x = t->x;
    (void)ud;
    if (strcmp(t->name, "ffn_moe_topk") != 0) return;
    for (int i = 0; i < t->width / 2; i++) {
        cr_assert(t->layer < LAYERS && x[i] >= 0.0f && x[i] < (float)EXPERTS);
        cr_assert(i == 0 || x[i - 1] < x[i], "numbers do not increase");
        chosen[t->layer][(int)x[i]]++;
    }
}

/* All bytes of an expert's matrix become 0xff, which is NaN. */
static void poison_expert(opened *o, const char *kind, int layer, int expert)
{
    char name[64];
    const vb_tensor *t = NULL;
    snprintf(name, sizeof name, "blk.%d.ffn_%s_exps.weight", layer, kind);
    int64_t cols = strcmp(kind, "down") == 0 ? o->params.expert_ff : o->params.width;
    cr_assert_eq(vb_tensors_take(&o->tensors, name, cols, 0, &t, NULL), VB_OK);
    cr_assert(t != NULL && t->experts == EXPERTS);
    size_t bytes = (size_t)(t->rows / t->experts) * t->row_bytes;
    size_t at = (size_t)((const char *)t->data - o->bytes) + (size_t)expert * bytes;
    memset(o->bytes + at, 0xff, bytes);
}

/* Experts that nobody chose may hold anything; one that somebody chose may not. */
Test(player, unchosen_experts_are_not_read)
{
    static const vb_token ids[7] = {1, 5, 9, 2, 40, 41, 3};
    static const char *const kinds[3] = {"gate", "up", "down"};
    opened o;
    int unchosen = 0, last = -1;
    open_case(&o, "qwen3moe");
    size_t bytes = (size_t)o.plan.vocab * sizeof(float);
    float *expected = malloc(bytes), *found = malloc(bytes);
    playing tapped = start_watched(&vb_cpu_player, &o, count_chosen, NULL);
    cr_assert_eq(feed(&tapped, ids, 7, 3, NULL), VB_OK);
    stop(&tapped);
    logits_of(&vb_cpu_player, &o, VB_ARITH_INT8, expected);
    for (int l = 0; l < LAYERS; l++)
        for (int e = 0; e < EXPERTS; e++) {
            if (l == LAYERS - 1 && chosen[l][e] > 0) last = e;
            if (chosen[l][e] > 0) continue;
            unchosen++;
            for (int k = 0; k < 3; k++) poison_expert(&o, kinds[k], l, e);
        }
    cr_assert(unchosen > 0 && last >= 0, "%d", unchosen);
    logits_of(&vb_cpu_player, &o, VB_ARITH_INT8, found);
    cr_assert(memcmp(expected, found, bytes) == 0);
    poison_expert(&o, "up", LAYERS - 1, last);
    tapped = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 2});
    vb_err err = {0};
    cr_assert_eq(feed(&tapped, ids, 7, 7, &err), VB_E_FORMAT);
    cr_assert(strstr(err.text, "step linear_experts (layer 2)") != NULL, "%s", err.text);
    stop(&tapped);
    close_case(&o);
    free(expected);
    free(found);
}

typedef struct {
    float first, second; /* numbers that every token should choose */
    int seen;
} expectation;

static void compare_chosen(void *ud, const vb_tap *t)
{
    expectation *e = ud;
    if (strcmp(t->name, "ffn_moe_topk") != 0) return;
    e->seen++;
    cr_expect(t->width == 4 && t->x[0] == e->first && t->x[1] == e->second, "layer %d, position %d: %g %g", t->layer,
              t->position, (double)t->x[0], (double)t->x[1]);
}

/* A tensor's floats in the private copy of the file. */
static void overwrite(opened *o, const char *name, int layer, const float *with, int n)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    for (int64_t i = 0; i < o->tensors.n; i++) {
        const vb_tensor *t = &o->tensors.all[i];
        if (strcmp(t->name, full) != 0) continue;
        for (int64_t k = 0; k < t->cols * t->rows; k++) {
            size_t at = (size_t)((const char *)t->data - o->bytes) + (size_t)k * sizeof *with;
            memcpy(o->bytes + at, &with[k % n], sizeof *with);
        }
    }
}

/* Logits that are the router's bias alone: of equal ones the lower number is chosen, and the higher leaves first. */
Test(player, equal_logits_go_to_lower_numbers)
{
    static const vb_token ids[3] = {1, 5, 9};
    static const float zero[1] = {0.0f}, biases[3][4] = {{1, 1, 1, 1}, {1, 1, 1, 2}, {0, 2, 1, 1}};
    static const expectation expected[3] = {{0, 1, 0}, {0, 3, 0}, {1, 2, 0}};
    opened o;
    open_case(&o, "gpt-oss");
    for (int i = 0; i < 3; i++) {
        expectation e = expected[i];
        for (int l = 0; l < o.params.layers; l++) overwrite(&o, "ffn_gate_inp.weight", l, zero, 1);
        for (int l = 0; l < o.params.layers; l++) overwrite(&o, "ffn_gate_inp.bias", l, biases[i], 4);
        playing cpu = start_watched(&vb_cpu_player, &o, compare_chosen, &e);
        playing oracle = start_watched(&vb_oracle_player, &o, compare_chosen, &e);
        cr_assert_eq(feed(&cpu, ids, 3, 3, NULL), VB_OK);
        cr_assert_eq(feed(&oracle, ids, 3, 3, NULL), VB_OK);
        cr_assert_eq(e.seen, 2 * o.params.layers * 3);
        stop(&cpu);
        stop(&oracle);
    }
    close_case(&o);
}

/* --- several sessions -------------------------------------------------------------------------------------------- */

Test(player, sessions_in_one_batch_get_what_they_get_alone)
{
    static const vb_token ids[3][5] = {{1, 2, 3, 4, 5}, {7, 7, 9, 11, 13}, {20, 30, 40, 50, 60}};
    static const int start_at[3] = {4, 0, 2}, wants[3] = {1, 3, 0};
    opened o;
    open_case(&o, "llama-gqa");
    playing together = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 3});
    size_t vocab = (size_t)o.plan.vocab;
    float *alone = malloc(4 * vocab * sizeof *alone), *joint = malloc(4 * vocab * sizeof *joint);
    void *states[3];
    vb_part parts[3];
    size_t row = 0;
    for (int i = 0; i < 3; i++) {
        playing one = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 1});
        vb_part past = {.ids = ids[i], .n = start_at[i]};
        parts[i] = (vb_part){.start = start_at[i], .ids = ids[i] + start_at[i], .n = 5 - start_at[i], .want = wants[i]};
        past.state = parts[i].state = one.state;
        parts[i].logits = alone + row * vocab;
        cr_assert_eq(one.type->eval(one.player, &past, 1, NULL), VB_OK);
        cr_assert_eq(one.type->eval(one.player, &parts[i], 1, NULL), VB_OK);
        stop(&one);
        cr_assert_eq(together.type->state_open(&states[i], together.player, 64, VB_KV_F16, NULL), VB_OK);
        past.state = parts[i].state = states[i];
        parts[i].logits = joint + row * vocab;
        cr_assert_eq(together.type->eval(together.player, &past, 1, NULL), VB_OK);
        row += (size_t)wants[i];
    }
    cr_assert_eq(together.type->eval(together.player, parts, 3, NULL), VB_OK);
    cr_assert(memcmp(alone, joint, 4 * vocab * sizeof *alone) == 0);
    for (int i = 0; i < 3; i++) together.type->state_close(states[i]);
    stop(&together);
    close_case(&o);
    free(alone);
    free(joint);
}

Test(player, a_copied_state_goes_on_alike)
{
    static const vb_token ids[6] = {3, 1, 4, 1, 5, 9};
    opened o;
    open_case(&o, "gemma3");
    playing p = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 2});
    size_t bytes = (size_t)o.plan.vocab * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes);
    void *copy, *small;
    vb_err err = {0};
    cr_assert_eq(feed(&p, ids, 5, 5, NULL), VB_OK);
    cr_assert_eq(p.type->state_open(&copy, p.player, 100, VB_KV_F16, NULL), VB_OK);
    cr_assert_eq(p.type->state_copy(copy, p.state, 5, NULL), VB_OK);
    vb_part part = {.state = p.state, .start = 5, .ids = ids + 5, .n = 1, .logits = a, .want = 1};
    cr_assert_eq(p.type->eval(p.player, &part, 1, NULL), VB_OK);
    part.state = copy;
    part.logits = b;
    cr_assert_eq(p.type->eval(p.player, &part, 1, NULL), VB_OK);
    cr_assert(memcmp(a, b, bytes) == 0);
    cr_assert_eq(p.type->state_open(&small, p.player, 4, VB_KV_F16, NULL), VB_OK);
    cr_assert_eq(p.type->state_copy(small, p.state, 5, &err), VB_E_ARGUMENT);
    p.type->state_close(small);
    p.type->state_close(copy);
    stop(&p);
    close_case(&o);
    free(a);
    free(b);
}

/* --- not finite (A3) --------------------------------------------------------------------------------------------- */

static void poison_row(opened *o, const char *tensor, vb_token id, float with)
{
    const vb_tensor *t = NULL;
    cr_assert_eq(vb_tensors_take(&o->tensors, tensor, o->params.width, 0, &t, NULL), VB_OK);
    cr_assert(t != NULL && t->format == VB_FMT_F32);
    size_t at = (size_t)((const char *)t->data - o->bytes) + (size_t)id * t->row_bytes;
    memcpy(o->bytes + at + 8, &with, sizeof with);
}

static void expect_same_error(opened *o, const vb_token *ids, int n, const char *text)
{
    vb_err err = {0};
    playing oracle = start(&vb_oracle_player, o, &(vb_play_opts){.threads = 1});
    cr_assert_eq(feed(&oracle, ids, n, n, &err), VB_E_FORMAT);
    cr_assert_str_eq(err.text, text);
    stop(&oracle);
    for (int chunk = 1; chunk <= n; chunk++) {
        playing cpu = start(&vb_cpu_player, o, &(vb_play_opts){.threads = 2});
        err.text[0] = 0;
        cr_assert_eq(feed(&cpu, ids, n, chunk, &err), VB_E_FORMAT);
        cr_expect_str_eq(err.text, text, "chunk %d: %s", chunk, err.text);
        stop(&cpu);
    }
}

Test(player, the_first_number_that_is_not_finite_is_named)
{
    static const vb_token ids[6] = {1, 2, 3, 4, 5, 6};
    opened o;
    open_case(&o, "gemma3");
    poison_row(&o, "token_embd.weight", 5, NAN);
    expect_same_error(&o, ids, 6, "step embed (layer -1) at position 4: not a finite number");
    poison_row(&o, "token_embd.weight", 3, 3e38f); /* finite, but not after the scale step */
    expect_same_error(&o, ids, 6, "step scale (layer -1) at position 2: not a finite number");
    close_case(&o);
}

Test(player, keys_too_large_for_halves_are_an_error)
{
    static const vb_token ids[4] = {1, 2, 3, 4};
    opened o;
    open_case(&o, "llama-gqa");
    for (vb_token row = 0; row < 8; row++) poison_row(&o, "blk.1.attn_v.weight", row, 3e6f);
    vb_err err = {0};
    playing cpu = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 1});
    cr_assert_eq(feed(&cpu, ids, 4, 4, &err), VB_E_FORMAT);
    cr_assert(strstr(err.text, "step attend (layer 1)") != NULL, "%s", err.text);
    stop(&cpu);
    expect_same_error(&o, ids, 4, err.text);
    close_case(&o);
}

/* --- names and refusals ------------------------------------------------------------------------------------------- */

Test(player, kernels_have_names)
{
    opened o;
    open_case(&o, "quant/q-llama-Q4_K");
    playing p = start(&vb_cpu_player, &o, &(vb_play_opts){.threads = 1, .isa = "portable"});
    int found = 0;
    for (int i = 0; i < o.plan.n_steps; i++)
        found |= strcmp(p.type->kernel(p.player, &o.plan.steps[i]), "matvec_q4_k/portable") == 0;
    cr_assert(found);
    cr_assert_str_eq(p.type->isa(p.player), "portable");
    stop(&p);
    close_case(&o);
}

Test(player, what_cannot_be_is_refused)
{
    vb_err err = {0};
    void *player, *state;
    opened o;
    open_case(&o, "llama-gqa");
    vb_play_opts opts = {.threads = 1, .isa = "abacus"};
    cr_assert_eq(vb_cpu_player.open(&player, &o.plan, &opts, &err), VB_E_UNSUPPORTED);
    cr_assert(strstr(err.text, "abacus") != NULL, "%s", err.text);
    cr_assert_null(player);
    opts.isa = NULL;
    cr_assert_eq(vb_cpu_player.open(&player, &o.plan, &opts, &err), VB_OK);
    cr_assert_eq(vb_cpu_player.state_open(&state, player, 8, VB_KV_Q8_0, &err), VB_E_UNSUPPORTED, "%s", err.text);
    cr_assert_eq(vb_cpu_player.state_open(&state, player, 8, VB_KV_F32, &err), VB_OK, "%s", err.text);
    cr_assert(vb_cpu_player.scratch_bytes(player, 8, 1) > vb_cpu_player.scratch_bytes(player, 1, 1));
    vb_cpu_player.state_close(state);
    vb_cpu_player.close(player);
    close_case(&o);
}
