/* gpu_attend.h - keys, values and attention on a device against the oracle, bit for bit, through the pool of pages.
 *
 *   a case   a plan of two steps, attend and attend_kept, of a random shape; some states, a pool that is small at first
 *   a turn   states go back, positions are evaluated elsewhere, then a batch of tokens of some states on the device
 *
 * After each turn the outputs, the notes and all rows of the host's states are those of the oracle.
 */
#ifndef VB_TESTS_GPU_ATTEND_H
#define VB_TESTS_GPU_ATTEND_H
#include "base/kv.h"
#include "gpu/pages.h"
#include "gpu/table.h"
#include "oracle/oracle.h"
#include "tests/random.h"
#include "tests/tally.h"

#include <math.h>
#include <string.h>

enum { AT_STATES = 5, AT_CONTEXT = 44 * VB_KEYS, AT_MOST_ROW = 2048, AT_TURNS = 6, AT_POISON = 0x7fa5a5a5, AT_NOTES = 4 };
enum { AT_Q, AT_K, AT_V, AT_OUT, AT_Q2, AT_OUT2, AT_VALUES, AT_ROWS = AT_VALUES, AT_NOTE, AT_SINKS, AT_PARTS };

typedef struct at_case at_case;
typedef struct {
    const at_case *of;
    uint64_t id;
    int n; /* positions 0 .. n - 1 are known */
    uint8_t *keys, *values;           /* the host's: head by head */
    uint8_t *true_keys, *true_values; /* the oracle's: position by position */
} at_state;

struct at_case {
    vb_gpu *g;
    rng random;
    vb_plan plan;
    vb_step steps[2];
    vb_value values[AT_VALUES];
    vb_slot slot;
    vb_tensor sinks;
    vb_kv kv;
    vb_heads shape, kept; /* kept: of the second step */
    size_t key_bytes, value_bytes;
    at_state states[AT_STATES];
    vb_gpu_pages *pages;
    vb_gpu_weight of_sinks;
    vb_gpu_window window;
    int huge;   /* 0, or a power of two by which some of a turn's keys and values, or queries, are too large */
    int huge_queries;
    float unit; /* not 0: a turn's numbers lie half way between two integers of q8_0 */
    /* of a turn */
    vb_device_row rows[VB_GPU_MOST_ROWS];
    int tokens, bucket, wanted[VB_GPU_MOST_ROWS], n_wanted;
    vb_gpu_buffer up, down;
    size_t at[AT_PARTS], size[AT_PARTS], all; /* words */
    uint32_t *expected;
};

static int at_below(at_case *c, int n)
{
    return (int)(rng_word(&c->random) % (uint32_t)n);
}

/* --- a case ------------------------------------------------------------------------------------------------------ */

static int at_dim(at_case *c)
{
    static const int any[] = {4, 6, 16, 30, 64, 64, 80, 96, 128, 128, 256, 512}, blocks[] = {32, 64, 96, 128, 160, 256};
    return c->kv == VB_KV_Q8_0 ? blocks[at_below(c, 6)] : any[at_below(c, 12)];
}

static vb_heads at_heads(at_case *c, const vb_heads *like)
{
    vb_heads h = {.kv_heads = like != NULL ? like->kv_heads : 1 + at_below(c, 4), .dim_k = at_dim(c)};
    h.heads = h.kv_heads * (1 + at_below(c, 5));
    h.dim_v = at_below(c, 3) ? h.dim_k : at_dim(c);
    if (like != NULL) {
        h.dim_k = like->dim_k;
        h.dim_v = like->dim_v;
    }
    h.window = at_below(c, 2) ? 0 : 1 + at_below(c, at_below(c, 2) ? 40 : 400);
    h.scale = 1.0f / sqrtf((float)h.dim_k);
    if (at_below(c, 3) == 0) h.softcap = at_below(c, 2) ? 50.0f : 3.7f;
    return h;
}

static void at_step(at_case *c, int i, const vb_heads *h)
{
    vb_step *s = &c->steps[i];
    *s = (vb_step){.op = i == 0 ? VB_OP_ATTEND : VB_OP_ATTEND_KEPT, .out = i == 0 ? AT_OUT : AT_OUT2,
                   .in = {i == 0 ? AT_Q : AT_Q2, i == 0 ? AT_K : -1, i == 0 ? AT_V : -1}};
    s->u.attend.heads = h->heads;
    s->u.attend.kv_heads = h->kv_heads;
    s->u.attend.dim_k = h->dim_k;
    s->u.attend.dim_v = h->dim_v;
    s->u.attend.window = h->window;
    s->u.attend.scale = h->scale;
    s->u.attend.softcap = h->softcap;
}

static void at_plan(at_case *c)
{
    c->kv = (vb_kv)(VB_KV_F16 + at_below(c, 3));
    c->shape = at_heads(c, NULL);
    c->kept = at_heads(c, &c->shape);
    at_step(c, 0, &c->shape);
    at_step(c, 1, &c->kept);
    if (at_below(c, 3) == 0) c->steps[0].weight = &c->sinks;
    c->sinks = (vb_tensor){.format = VB_FMT_F32, .cols = c->shape.heads};
    c->slot = (vb_slot){0, c->shape.kv_heads, c->shape.dim_k, c->shape.dim_v};
    c->values[AT_Q].width = c->shape.heads * c->shape.dim_k;
    c->values[AT_K].width = c->shape.kv_heads * c->shape.dim_k;
    c->values[AT_V].width = c->shape.kv_heads * c->shape.dim_v;
    c->values[AT_OUT].width = c->shape.heads * c->shape.dim_v;
    c->values[AT_Q2].width = c->kept.heads * c->kept.dim_k;
    c->values[AT_OUT2].width = c->kept.heads * c->kept.dim_v;
    c->values[AT_Q2].wanted = c->values[AT_OUT2].wanted = at_below(c, 2);
    c->plan = (vb_plan){.steps = c->steps, .values = c->values, .slots = &c->slot, .n_steps = 2, .n_values = AT_VALUES,
                        .n_slots = 1, .output = -1};
    c->key_bytes = vb_oracle_kv_size(c->kv, c->shape.dim_k);
    c->value_bytes = vb_oracle_kv_size(c->kv, c->shape.dim_v);
}

/* --- states ------------------------------------------------------------------------------------------------------ */

static vb_head_rows at_head(const void *state, int slot, int head)
{
    const at_state *s = state;
    const at_case *c = s->of;
    size_t skip = (size_t)head * AT_CONTEXT;
    (void)slot;
    return (vb_head_rows){s->keys + skip * c->key_bytes, s->values + skip * c->value_bytes, c->key_bytes,
                          c->value_bytes};
}

static int at_states_open(at_case *c)
{
    size_t rows = (size_t)c->shape.kv_heads * AT_CONTEXT;
    for (int i = 0; i < AT_STATES; i++) {
        at_state *s = &c->states[i];
        *s = (at_state){c, 100 + (uint64_t)i, 0, malloc(rows * c->key_bytes), malloc(rows * c->value_bytes),
                        malloc(rows * c->key_bytes), malloc(rows * c->value_bytes)};
        if (s->keys == NULL || s->values == NULL || s->true_keys == NULL || s->true_values == NULL) return 0;
        memset(s->keys, 0x7e, rows * c->key_bytes);
        memset(s->values, 0x7e, rows * c->value_bytes);
    }
    return 1;
}

static void at_states_close(at_case *c)
{
    for (int i = 0; i < AT_STATES; i++) {
        at_state *s = &c->states[i];
        free(s->keys);
        free(s->values);
        free(s->true_keys);
        free(s->true_values);
    }
}

/* The oracle's rows of a position; 0: something does not fit its type. */
static int at_write(const at_case *c, at_state *s, int position, const float *k, const float *v)
{
    size_t heads = (size_t)c->shape.kv_heads, at = (size_t)position;
    vb_status a = vb_oracle_kv_write(c->kv, s->true_keys + at * heads * c->key_bytes, k, c->values[AT_K].width);
    vb_status b = vb_oracle_kv_write(c->kv, s->true_values + at * heads * c->value_bytes, v, c->values[AT_V].width);
    return a == VB_OK && b == VB_OK;
}

/* A position that the oracle knows, as the host's rows. */
static int at_host(const at_case *c, const at_state *s, int position, int compare)
{
    size_t heads = (size_t)c->shape.kv_heads, at = (size_t)position;
    int same = 1;
    for (size_t h = 0; h < heads; h++) {
        vb_head_rows to = at_head(s, 0, (int)h);
        uint8_t k[AT_MOST_ROW], *v = to.values + at * to.value_stride;
        vb_keys_get(to.keys, position, 1, k, sizeof k, c->key_bytes, c->kv);
        const uint8_t *tk = s->true_keys + (at * heads + h) * c->key_bytes;
        const uint8_t *tv = s->true_values + (at * heads + h) * c->value_bytes;
        same = same && memcmp(k, tk, c->key_bytes) == 0 && memcmp(v, tv, c->value_bytes) == 0;
        if (!compare) {
            vb_keys_put(to.keys, position, 1, tk, c->key_bytes, c->key_bytes, c->kv);
            memcpy(v, tv, c->value_bytes);
        }
    }
    return same;
}

static float at_number(at_case *c, int part)
{
    int is_query = part == AT_Q || part == AT_Q2;
    float x = rng_float(&c->random);
    if (c->unit != 0.0f && at_below(c, 9) > 0) return c->unit * (((float)at_below(c, 127) + 0.5f) / 127.0f);
    if (c->unit != 0.0f) return -c->unit;
    int e = at_below(c, 8) == 0 ? -at_below(c, 40) : at_below(c, 3);
    if (at_below(c, 16) == 0) return 0.0f;
    if (c->huge > 0 && is_query == c->huge_queries && at_below(c, 60) == 0) e = c->huge;
    return ldexpf(x, e); /* halves may be subnormal */
}

/* Positions that somebody else evaluates. */
static void at_elsewhere(at_case *c, at_state *s, int n)
{
    float k[4 * 512], v[4 * 512];
    vb_gpu_pages_forget(c->pages, s->id, s->n);
    for (; n > 0 && s->n < AT_CONTEXT; n--, s->n++) {
        rng_floats(&c->random, k, c->values[AT_K].width, 2.0f);
        rng_floats(&c->random, v, c->values[AT_V].width, 2.0f);
        at_write(c, s, s->n, k, v);
        at_host(c, s, s->n, 0);
    }
}

/* --- a batch ----------------------------------------------------------------------------------------------------- */

static void at_rows(at_case *c)
{
    int most = at_below(c, 3) == 0 ? 70 : at_below(c, 2) ? 12 : 1 + at_below(c, 3);
    c->tokens = c->n_wanted = 0;
    for (int i = 0; i < AT_STATES; i++) {
        at_state *s = &c->states[i];
        int n = at_below(c, 3) == 0 && i > 0 ? 0 : 1 + at_below(c, most);
        if (at_below(c, 3) == 0) s->n = at_below(c, s->n + 1);
        if (at_below(c, 2) == 0) at_elsewhere(c, s, at_below(c, i == 0 ? AT_CONTEXT : at_below(c, 2) ? 300 : 20));
        vb_gpu_pages_forget(c->pages, s->id, s->n);
        for (int j = 0; j < n && s->n + j < AT_CONTEXT; j++)
            c->rows[c->tokens++] = (vb_device_row){1, s->n + j, s->n + j, s, s->id};
    }
    for (c->bucket = 1; c->bucket < c->tokens;) c->bucket *= 2;
    for (int i = 0; i < c->tokens; i++)
        if (at_below(c, 2)) c->wanted[c->n_wanted++] = i;
}

static size_t at_words(const at_case *c, int value)
{
    return (size_t)c->bucket * vb_gpu_stride(c->values[value].width);
}

static const float *at_value(const at_case *c, int value, int row)
{
    const uint32_t *w = c->expected + c->at[value] + (size_t)row * vb_gpu_stride(c->values[value].width);
    return (const float *)(const void *)w;
}

static void at_place(at_case *c, const vb_batch *b)
{
    for (int i = 0; i < AT_VALUES; i++) c->size[i] = at_words(c, i);
    c->size[AT_ROWS] = VB_GPU_ROWS_WORDS + (size_t)c->bucket * (VB_GPU_ROW_WORDS + 1) +
                       (size_t)vb_gpu_pages_words(b);
    c->size[AT_NOTE] = AT_NOTES;
    c->size[AT_SINKS] = (size_t)c->shape.heads;
    c->all = 0;
    for (int i = 0; i < AT_PARTS; i++) {
        c->at[i] = c->all + (size_t)at_below(c, 30);
        c->all = c->at[i] + c->size[i];
    }
}

static void at_batch(at_case *c, const vb_batch *b)
{
    uint32_t *w = c->expected + c->at[AT_ROWS], *rows = w + VB_GPU_ROWS_WORDS;
    size_t list = VB_GPU_ROWS_WORDS + (size_t)c->bucket * VB_GPU_ROW_WORDS, tables = list + (size_t)c->bucket;
    w[0] = (uint32_t)c->tokens;
    w[1] = (uint32_t)c->n_wanted;
    w[2] = (uint32_t)list;
    w[3] = (uint32_t)tables;
    for (int i = 0; i < c->tokens; i++) {
        rows[i * VB_GPU_ROW_WORDS + 1] = (uint32_t)c->rows[i].position;
        rows[i * VB_GPU_ROW_WORDS + 2] = (uint32_t)c->rows[i].last;
    }
    for (int i = 0; i < c->n_wanted; i++) w[list + (size_t)i] = (uint32_t)c->wanted[i];
    vb_gpu_pages_tables(c->pages, b, rows, w + tables);
}

static int at_fill(at_case *c, const vb_batch *b)
{
    at_place(c, b);
    free(c->expected);
    c->expected = malloc(c->all * sizeof *c->expected);
    if (c->expected == NULL) return 0;
    for (size_t i = 0; i < c->all; i++) c->expected[i] = AT_POISON;
    c->huge_queries = at_below(c, 2);
    c->huge = at_below(c, 5) > 0 ? 0 : c->huge_queries ? 127 : 70;
    c->unit = c->huge == 0 && at_below(c, 3) == 0 ? 1.0f + (float)(rng_word(&c->random) >> 9) * 0x1p-23f : 0.0f;
    for (int part = 0; part < AT_PARTS; part++)
        for (size_t i = 0; part != AT_OUT && part != AT_OUT2 && i < c->size[part]; i++) {
            float x = part == AT_SINKS ? rng_float(&c->random) * 4.0f : vb_oracle_guard(at_number(c, part));
            memcpy(&c->expected[c->at[part] + i], &x, sizeof x);
        }
    memset(c->expected + c->at[AT_NOTE], 0xff, AT_NOTES * sizeof *c->expected);
    c->sinks.data = c->expected + c->at[AT_SINKS];
    at_batch(c, b);
    return 1;
}

/* --- on the device ----------------------------------------------------------------------------------------------- */

static vb_gpu_range at_range(const at_case *c, const vb_gpu_buffer *b, int part)
{
    return (vb_gpu_range){b, c->at[part] * 4, c->size[part] * 4};
}

static vb_gpu_range at_device_value(const void *player, vb_val v)
{
    const at_case *c = player;
    return at_range(c, v == AT_OUT || v == AT_OUT2 ? &c->down : &c->up, v);
}

static const vb_gpu_slot *at_device_slot(const void *player, int slot)
{
    return vb_gpu_pages_slot(((const at_case *)player)->pages, slot);
}

static const vb_gpu_weight *at_device_weight(const void *player, const vb_tensor *t)
{
    (void)t;
    return &((const at_case *)player)->of_sinks;
}

static vb_status at_record(at_case *c, vb_gpu_tape *t, vb_err *err)
{
    uint64_t bytes = c->all * 4;
    vb_gpu_recording r = {.gpu = c->g, .plan = &c->plan, .kv = c->kv, .tape = t, .bucket = c->bucket,
                          .wanted_bucket = c->bucket, .value = at_device_value, .weight = at_device_weight,
                          .slot = at_device_slot, .player = c};
    c->window = (vb_gpu_window){0, 1, at_range(c, &c->up, AT_SINKS)};
    c->of_sinks = (vb_gpu_weight){&c->sinks, &c->window, 1};
    r.rows = at_range(c, &c->up, AT_ROWS);
    r.notes = at_range(c, &c->down, AT_NOTE);
    VB_TRY(vb_gpu_tape_copy(t, (vb_gpu_range){&c->down, 0, bytes}, (vb_gpu_range){&c->up, 0, bytes}, err));
    VB_TRY(vb_gpu_record_attend(&r, &c->steps[0], 1, err));
    VB_TRY(vb_gpu_record_attend(&r, &c->steps[1], 2, err));
    return vb_gpu_tape_end(t, err);
}

static vb_status at_play(at_case *c, vb_err *err)
{
    vb_gpu_tape *t = NULL;
    vb_status s = VB_OK;
    VB_TRY_OUT(s, vb_gpu_alloc(&c->up, c->g, VB_GPU_UP, c->all * 4, err));
    VB_TRY_OUT(s, vb_gpu_alloc(&c->down, c->g, VB_GPU_DOWN, c->all * 4, err));
    memcpy(c->up.host, c->expected, c->all * 4);
    VB_TRY_OUT(s, vb_gpu_tape_open(&t, c->g, err));
    VB_TRY_OUT(s, at_record(c, t, err));
    VB_TRY_OUT(s, vb_gpu_play(c->g, t, c->all * 4, err));
    VB_TRY_OUT(s, vb_gpu_wait(c->g, err));
out:
    vb_gpu_tape_close(t);
    return s;
}

/* --- what it must be --------------------------------------------------------------------------------------------- */

/* Returns 0 if the row is not finite. */
static int at_expect_row(at_case *c, int step, int row)
{
    const vb_device_row *of = &c->rows[step == 1 && c->values[AT_OUT2].wanted ? c->wanted[row] : row];
    at_state *s = (at_state *)(void *)(uintptr_t)of->state;
    vb_oracle_cache cache = {c->kv, s->true_keys, s->true_values};
    int out = step == 0 ? AT_OUT : AT_OUT2;
    float *y = (float *)(void *)(uintptr_t)at_value(c, out, row);
    const float *sinks = c->steps[step].weight != NULL ? c->sinks.data : NULL;
    if (step == 0 && !at_write(c, s, of->position, at_value(c, AT_K, row), at_value(c, AT_V, row))) return 0;
    return vb_oracle_attend(y, at_value(c, step == 0 ? AT_Q : AT_Q2, row), &cache, step == 0 ? &c->shape : &c->kept,
                            sinks, of->position) == VB_OK &&
           vb_oracle_finite(y, c->values[out].width);
}

/* Returns 1 if all rows of the step are finite. */
static int at_expect(at_case *c, int step)
{
    int n = step == 1 && c->values[AT_OUT2].wanted ? c->n_wanted : c->tokens;
    for (int row = 0; row < n; row++)
        if (!at_expect_row(c, step, row)) {
            c->expected[c->at[AT_NOTE] + 1 + (size_t)step] = (uint32_t)row;
            return 0;
        }
    return 1;
}

static void at_fail(const at_case *c, const char *what, long long at)
{
    const vb_heads *h = &c->shape, *k = &c->kept;
    failed("attend: KV %d, heads %d/%d of %d and %d, kept %d, windows %d %d, caps %g %g, %d tokens, %s %lld",
           (int)c->kv, h->heads, h->kv_heads, h->dim_k, h->dim_v, k->heads, h->window, k->window, (double)h->softcap,
           (double)k->softcap, c->tokens, what, at);
}

static void at_compare(at_case *c, int finite)
{
    static const int parts[] = {AT_NOTE, AT_OUT, AT_OUT2};
    static const char *const names[] = {"note", "output, word", "kept output, word"};
    const uint32_t *found = (const uint32_t *)(const void *)c->down.host;
    for (int p = 0; p < (finite ? 3 : 1); p++)
        for (size_t i = 0; i < (finite ? c->size[parts[p]] : 2); i++)
            if (found[c->at[parts[p]] + i] != c->expected[c->at[parts[p]] + i]) {
                at_fail(c, names[p], (long long)i);
                return;
            }
    for (int r = 0; finite && r < c->tokens; r++)
        if (!at_host(c, c->rows[r].state, c->rows[r].position, 1)) {
            at_fail(c, "the host's rows at", c->rows[r].position);
            return;
        }
    passed();
}

static vb_status at_turn(at_case *c, vb_err *err)
{
    at_rows(c);
    vb_batch b = {.rows = c->rows, .tokens = c->tokens, .wanted = c->wanted, .n_wanted = c->n_wanted, .kv = c->kv,
                  .head = at_head};
    vb_status s = vb_gpu_pages_begin(c->pages, &b, 0, 2, c->bucket, err);
    if (s == VB_E_MEMORY) return VB_OK; /* all at once are more than the pool may hold */
    VB_TRY(s);
    if (!at_fill(c, &b)) return VB_E_MEMORY;
    s = at_play(c, err);
    if (s == VB_OK) {
        int finite = at_expect(c, 0) && at_expect(c, 1);
        if (finite) vb_gpu_pages_end(c->pages, &b, 0, 2);
        at_compare(c, finite);
        for (int r = 0; finite && r < c->tokens; r++)
            ((at_state *)(void *)(uintptr_t)c->rows[r].state)->n = c->rows[r].position + 1;
    }
    vb_gpu_free(c->g, &c->up);
    vb_gpu_free(c->g, &c->down);
    return s;
}

static void at_check(vb_gpu *g, uint64_t seed)
{
    static at_case c;
    vb_err err = {0};
    c = (at_case){.g = g, .random = {seed}};
    at_plan(&c);
    const uint8_t on = 1;
    uint64_t most = vb_gpu_pages_need(&c.plan, &on, c.kv, 64 * (4 + at_below(&c, 60)));
    vb_gpu_pages_opts opts = {g, &c.plan, &on, 64 * (1 + at_below(&c, 8)), at_below(&c, 2) ? most : 0};
    if (!vb_gpu_has_attend(g, &c.plan, &c.steps[0], c.kv)) return;
    vb_status s = at_states_open(&c) ? vb_gpu_pages_open(&c.pages, &opts, &err) : VB_E_MEMORY;
    for (int turn = 0; turn < AT_TURNS && s == VB_OK; turn++) s = at_turn(&c, &err);
    if (s < 0) failed("attend: %s", err.text);
    vb_gpu_pages_close(c.pages);
    at_states_close(&c);
    free(c.expected);
}

static void check_gpu_attend(vb_gpu *g, uint64_t seed, int rounds)
{
    rng r = {seed};
    for (int i = 0; i < rounds; i++) at_check(g, (uint64_t)rng_word(&r) << 32 | rng_word(&r) | 1);
}

#endif
