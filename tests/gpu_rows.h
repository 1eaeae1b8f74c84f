/* gpu_rows.h - the shaders of steps by rows against the oracle, bit for bit.
 *
 *   memory   rows | notes | a | b | w | w2 | ropes | out, each at a word of its own, so that no range is aligned by luck
 *   out      poison first: rows that the batch does not have, and what fills a row up, must be as they were
 *
 * A case is a plan of one step with values of random shapes, tokens, wanted rows, and numbers of one of the moods below.
 */
#ifndef VB_TESTS_GPU_ROWS_H
#define VB_TESTS_GPU_ROWS_H
#include "gpu/steps.h"
#include "oracle/oracle.h"
#include "tests/random.h"
#include "tests/tally.h"

#include <math.h>
#include <string.h>

enum { ROWS_BUCKET = 512, ROWS_NOTES = 8, ROWS_POISON = 0x7fa5a5a5, ROWS_GAP = 37 };
/* Numbers of size 1; of any size; around 2^-60; so large that sums overflow; few that are not 0. */
enum { MOOD_PLAIN, MOOD_ANY, MOOD_TINY, MOOD_HUGE, MOOD_SPARSE, MOODS };
enum { PART_ROWS, PART_NOTES, PART_A, PART_B, PART_W, PART_W2, PART_ROPES, PART_OUT, PARTS };

typedef struct {
    rng random;
    int mood;
    vb_plan plan;
    vb_step step;
    vb_value values[3]; /* a, b, out */
    vb_rope rope;
    vb_tensor weight, bias;
    int bucket, wanted_bucket, tokens, n_wanted;
    int wanted[ROWS_BUCKET];
    uint32_t *words; /* the memory before, then what the device made of it */
    size_t at[PARTS], size[PARTS], all;
    vb_gpu_buffer device;
    vb_gpu_weight of_weight, of_bias;
    vb_gpu_window windows[2];
} rows_case;

typedef struct {
    const char *name;
    void (*shape)(rows_case *c);
    void (*expect)(const rows_case *c, float *y, int row);
    void (*fill)(rows_case *c); /* numbers of its own; NULL: by mood */
} rows_kind;

/* --- numbers ------------------------------------------------------------------------------------------------------- */

static int rows_below(rows_case *c, int n)
{
    return (int)(rng_word(&c->random) % (uint32_t)n);
}

static float rows_number(rows_case *c)
{
    int e = c->mood == MOOD_ANY ? rows_below(c, 187) - 60 : c->mood == MOOD_TINY ? rows_below(c, 8) - 60
            : c->mood == MOOD_HUGE ? rows_below(c, 90) + 38 : rows_below(c, 6) - 5;
    float x = ldexpf(1.0f + (float)(rng_word(&c->random) >> 9) * 0x1p-23f, e);
    if (c->mood == MOOD_TINY && rows_below(c, 3) == 0) x = ldexpf(1.0f, -60 + rows_below(c, 3));
    if (c->mood == MOOD_SPARSE && rows_below(c, 8) != 0) return 0.0f;
    return rows_below(c, 2) ? -x : x;
}

/* Weights are not guarded: some are subnormal. */
static void rows_numbers(rows_case *c, int part)
{
    int guarded = part != PART_W && part != PART_W2;
    for (size_t i = 0; i < c->size[part]; i++) {
        float x = rows_number(c);
        if (!guarded && rows_below(c, 8) == 0) x *= x * 0x1p-126f;
        memcpy(&c->words[c->at[part] + i], &x, sizeof x);
    }
}

static const float *rows_floats(const rows_case *c, int part)
{
    return (const float *)(const void *)(c->words + c->at[part]);
}

static const float *rows_in(const rows_case *c, int i, int row)
{
    return rows_floats(c, i == 0 ? PART_A : PART_B) + (size_t)row * vb_gpu_stride(c->values[i].width);
}

/* How many rows a value has room for, or those that are asked for. */
static int rows_of(const rows_case *c, int value, int asked)
{
    if (c->values[value].wanted) return asked ? c->n_wanted : c->wanted_bucket;
    return asked ? c->tokens : c->bucket;
}

/* --- kinds --------------------------------------------------------------------------------------------------------- */

static int rows_width(rows_case *c)
{
    return 1 + rows_below(c, rows_below(c, 4) == 0 ? 3000 : 200);
}

static void same_widths(rows_case *c, vb_op op)
{
    c->step.op = op;
    c->values[0].width = c->values[1].width = c->values[2].width = rows_width(c);
}

static void shape_add(rows_case *c)
{
    same_widths(c, VB_OP_ADD);
}

static void expect_add(const rows_case *c, float *y, int row)
{
    vb_oracle_add(y, rows_in(c, 0, row), rows_in(c, 1, row), c->values[2].width);
}

static void shape_scale(rows_case *c)
{
    same_widths(c, VB_OP_SCALE);
    c->step.in[1] = -1;
    c->step.u.scale.by = rows_number(c);
}

static void expect_scale(const rows_case *c, float *y, int row)
{
    vb_oracle_scale(y, rows_in(c, 0, row), c->step.u.scale.by, c->values[2].width);
}

static void shape_act(rows_case *c)
{
    same_widths(c, VB_OP_ACT);
    c->step.in[1] = -1;
    c->step.u.act.curve = (vb_curve)rows_below(c, 3);
}

static void expect_act(const rows_case *c, float *y, int row)
{
    vb_oracle_act(y, rows_in(c, 0, row), c->values[2].width, c->step.u.act.curve);
}

static void shape_glu(rows_case *c)
{
    same_widths(c, VB_OP_GLU);
    c->step.u.glu.act = (vb_glu)rows_below(c, 4);
}

static void expect_glu(const rows_case *c, float *y, int row)
{
    vb_oracle_glu(y, rows_in(c, 0, row), rows_in(c, 1, row), c->values[2].width, c->step.u.glu.act);
}

static void shape_softcap(rows_case *c)
{
    same_widths(c, VB_OP_SOFTCAP);
    c->step.in[1] = -1;
    c->step.u.softcap.cap = rows_below(c, 2) ? 30.0f : ldexpf(1.0f + rng_float(&c->random) / 2, rows_below(c, 78) - 39);
}

static void expect_softcap(const rows_case *c, float *y, int row)
{
    vb_oracle_softcap(y, rows_in(c, 0, row), c->step.u.softcap.cap, c->values[2].width);
}

static void shape_gate(rows_case *c)
{
    same_widths(c, VB_OP_GATE);
    c->values[0].width = 1;
}

static void expect_gate(const rows_case *c, float *y, int row)
{
    vb_oracle_gate(y, *rows_in(c, 0, row), rows_in(c, 1, row), c->values[2].width);
}

static void shape_slice(rows_case *c)
{
    int group = 1 + rows_below(c, 100), groups = 1 + rows_below(c, 9), len = 1 + rows_below(c, group);
    c->step.op = VB_OP_SLICE;
    c->step.in[1] = -1;
    c->step.u.slice.group = group;
    c->step.u.slice.len = len;
    c->step.u.slice.from = rows_below(c, group - len + 1);
    c->values[0].width = group * groups;
    c->values[2].width = len * groups;
}

static void expect_slice(const rows_case *c, float *y, int row)
{
    vb_oracle_slice(y, rows_in(c, 0, row), c->values[0].width, c->step.u.slice.group, c->step.u.slice.from,
                    c->step.u.slice.len);
}

static void shape_wanted(rows_case *c)
{
    same_widths(c, VB_OP_WANTED);
    c->step.in[1] = -1;
    c->values[2].wanted = 1;
}

static void expect_wanted(const rows_case *c, float *y, int row)
{
    memcpy(y, rows_in(c, 0, c->wanted[row]), (size_t)c->values[2].width * sizeof *y);
}

static void shape_norm_rms(rows_case *c)
{
    int group = rows_width(c);
    same_widths(c, VB_OP_NORM_RMS);
    c->step.in[1] = -1;
    c->step.u.norm.group = group;
    c->step.u.norm.eps = rows_below(c, 3) ? 1e-6f : 0x1p-100f;
    if (rows_below(c, 3) != 0) c->step.weight = &c->weight;
    c->size[PART_W] = (size_t)group;
    c->values[0].width = c->values[2].width = group * (group > 300 ? 1 : 1 + rows_below(c, 9));
}

static void expect_norm_rms(const rows_case *c, float *y, int row)
{
    vb_oracle_norm how = {c->values[2].width, c->step.u.norm.group, c->step.u.norm.eps};
    vb_oracle_norm_rms(y, rows_in(c, 0, row), c->step.weight != NULL ? c->weight.data : NULL, &how);
}

static void shape_norm_layer(rows_case *c)
{
    same_widths(c, VB_OP_NORM_LAYER);
    c->step.in[1] = -1;
    c->step.u.norm.group = c->values[2].width;
    c->step.u.norm.eps = rows_below(c, 3) ? 1e-5f : 0x1p-100f;
    c->step.weight = &c->weight;
    c->step.bias = &c->bias;
    c->size[PART_W] = c->size[PART_W2] = (size_t)c->values[2].width;
}

/* Weights that a device takes. */
static void fill_norm_layer(rows_case *c)
{
    for (size_t i = 0; i < c->size[PART_W]; i++) {
        float w;
        memcpy(&w, &c->words[c->at[PART_W] + i], sizeof w);
        if (!(fabsf(w) < 0x1p24f)) w = fabsf(w) < INFINITY ? ldexpf(w, -104) : 1.0f;
        memcpy(&c->words[c->at[PART_W] + i], &w, sizeof w);
    }
}

static void expect_norm_layer(const rows_case *c, float *y, int row)
{
    vb_oracle_norm_layer(y, rows_in(c, 0, row), &c->step, c->values[2].width);
}

static void shape_rope(rows_case *c)
{
    int head = 2 + rows_below(c, 130);
    c->step.op = VB_OP_ROPE;
    c->step.in[1] = -1;
    c->step.u.rope.head_dim = head;
    c->rope.n_rot = 2 + 2 * rows_below(c, head / 2);
    c->rope.pairing = (vb_pairing)rows_below(c, 2);
    c->values[0].width = c->values[2].width = head * (1 + rows_below(c, 9));
    c->size[PART_ROPES] = (size_t)(c->bucket * (c->rope.n_rot + 24));
}

static void expect_rope(const rows_case *c, float *y, int row)
{
    int token = c->values[2].wanted ? c->wanted[row] : row, n_rot = c->rope.n_rot;
    const float *cosines = rows_floats(c, PART_ROPES) + (size_t)token * (size_t)(n_rot + 24) + 8;
    vb_oracle_turn how = {c->values[2].width, c->step.u.rope.head_dim, n_rot, c->rope.pairing};
    vb_oracle_rope(y, rows_in(c, 0, row), cosines, cosines + n_rot / 2, &how);
}

static void shape_route(rows_case *c)
{
    int experts = 1 + rows_below(c, rows_below(c, 5) == 0 ? 600 : 130);
    c->step.op = VB_OP_ROUTE;
    c->step.in[1] = -1;
    c->step.u.route.experts = experts;
    c->step.u.route.used = 1 + rows_below(c, experts < 20 ? experts : 20);
    c->step.u.route.how = (vb_routing)rows_below(c, 3);
    if (rows_below(c, 2) != 0) c->step.weight = &c->weight;
    c->size[PART_W] = (size_t)experts;
    c->values[0].width = experts;
    c->values[2].width = 2 * c->step.u.route.used;
}

static void expect_route(const rows_case *c, float *y, int row)
{
    vb_oracle_routing how = {c->step.u.route.experts, c->step.u.route.used, c->step.u.route.how,
                             c->step.weight != NULL ? c->weight.data : NULL};
    if (vb_oracle_route(y, rows_in(c, 0, row), &how) < 0) failed("route: out of memory");
}

static void shape_mix(rows_case *c)
{
    int used = 1 + rows_below(c, 20);
    c->step.op = VB_OP_MIX;
    c->values[2].width = 1 + rows_below(c, 200);
    c->values[0].width = c->values[2].width * used;
    c->values[1].width = 2 * used;
}

static void expect_mix(const rows_case *c, float *y, int row)
{
    vb_oracle_mix(y, rows_in(c, 0, row), rows_in(c, 1, row), c->values[1].width / 2, c->values[2].width);
}

/* --- crumbs: rows whose results hang on a subnormal in between ----------------------------------------------------- */

static float *rows_crumbs(rows_case *c, int part, int i, int row)
{
    return (float *)(void *)(c->words + c->at[part]) + (size_t)row * vb_gpu_stride(c->values[i].width);
}

/* 2^-143 is left of the first two; beside each number that follows it decides which way a tie goes. */
static void fill_mix_crumbs(rows_case *c)
{
    static const float x[] = {0x1.000002p-60f, -0x1p-60f, 0x1.fffffep-59f, 0x1.fffffep-34f, 0x1.fffffep-9f, 0x1.fffffep16f};
    for (int row = 0; row < rows_of(c, 0, 0); row++)
        for (int e = 0; e < 6; e++) {
            float *to = rows_crumbs(c, PART_A, 0, row) + e * c->values[2].width;
            for (int i = 0; i < c->values[2].width; i++) to[i] = row % 2 ? -x[e] : x[e];
            rows_crumbs(c, PART_B, 1, row)[6 + e] = 0x1p-60f;
        }
}

static void shape_mix_crumbs(rows_case *c)
{
    c->step.op = VB_OP_MIX;
    c->values[2].width = 1 + rows_below(c, 200);
    c->values[0].width = c->values[2].width * 6;
    c->values[1].width = 12;
}

/* The mean is 2^-66, whose square is the first term of lane 0; the others were looked for until it decided. */
static void fill_norm_crumbs(rows_case *c)
{
    static const uint32_t x[] = {0x232927eb, 0x252f7315, 0x2755f6bc, 0x29173edd, 0x2b39e8af};
    for (int row = 0; row < rows_of(c, 0, 0); row++) {
        float *to = rows_crumbs(c, PART_A, 0, row);
        for (int i = 0; i < 128; i++) to[i] = 0.0f;
        to[2] = 0x1p-59f;
        for (int i = 0; i < 5; i++) {
            memcpy(&to[16 * i + 16], &x[i], sizeof *x);
            to[16 * i + 17] = -to[16 * i + 16];
        }
    }
    for (int i = 0; i < 128; i++) {
        rows_crumbs(c, PART_W, 0, 0)[i] = 1.0f;
        rows_crumbs(c, PART_W2, 0, 0)[i] = 0.0f;
    }
}

static void shape_norm_crumbs(rows_case *c)
{
    shape_norm_layer(c);
    c->values[0].width = c->values[2].width = c->step.u.norm.group = 128;
    c->size[PART_W] = c->size[PART_W2] = 128;
    c->step.u.norm.eps = 0x1p-100f;
}

static const rows_kind rows_kinds[] = {
    {"add", shape_add, expect_add, NULL},
    {"scale", shape_scale, expect_scale, NULL},
    {"act", shape_act, expect_act, NULL},
    {"glu", shape_glu, expect_glu, NULL},
    {"softcap", shape_softcap, expect_softcap, NULL},
    {"gate", shape_gate, expect_gate, NULL},
    {"slice", shape_slice, expect_slice, NULL},
    {"wanted", shape_wanted, expect_wanted, NULL},
    {"norm_rms", shape_norm_rms, expect_norm_rms, NULL},
    {"norm_layer", shape_norm_layer, expect_norm_layer, fill_norm_layer},
    {"rope", shape_rope, expect_rope, NULL},
    {"route", shape_route, expect_route, NULL},
    {"mix", shape_mix, expect_mix, NULL},
    {"mix of crumbs", shape_mix_crumbs, expect_mix, fill_mix_crumbs},
    {"norm_layer of crumbs", shape_norm_crumbs, expect_norm_layer, fill_norm_crumbs},
};

/* --- one case ------------------------------------------------------------------------------------------------------ */

static void rows_start(rows_case *c, const rows_kind *kind)
{
    c->mood = rows_below(c, MOODS);
    c->bucket = 1 << rows_below(c, rows_below(c, 16) == 0 ? 10 : 7);
    c->tokens = 1 + rows_below(c, c->bucket);
    c->wanted_bucket = 1 << rows_below(c, 7);
    while (c->wanted_bucket > c->bucket) c->wanted_bucket /= 2;
    int all_wanted = rows_below(c, 3) == 0;
    c->values[0].wanted = c->values[1].wanted = c->values[2].wanted = all_wanted;
    for (int i = 0; i < c->tokens && c->n_wanted < c->wanted_bucket; i++)
        if (rows_below(c, 2) != 0) c->wanted[c->n_wanted++] = i;
    c->step = (vb_step){.in = {0, 1, -1}, .out = 2};
    kind->shape(c);
    if (c->step.op == VB_OP_WANTED) c->values[0].wanted = 0;
    c->plan = (vb_plan){.steps = &c->step, .values = c->values, .ropes = &c->rope, .n_steps = 1, .n_values = 3,
                        .n_ropes = 1, .output = -1};
}

static size_t rows_words(const rows_case *c, int value)
{
    return (size_t)rows_of(c, value, 0) * vb_gpu_stride(c->values[value].width);
}

/* Header, tokens, list of wanted rows. */
static void rows_batch(rows_case *c)
{
    uint32_t *w = c->words + c->at[PART_ROWS];
    size_t list = VB_GPU_ROWS_WORDS + (size_t)c->bucket * VB_GPU_ROW_WORDS;
    w[0] = (uint32_t)c->tokens;
    w[1] = (uint32_t)c->n_wanted;
    w[2] = (uint32_t)list;
    for (int i = 0; i < c->n_wanted; i++) w[list + (size_t)i] = (uint32_t)c->wanted[i];
}

static int rows_fill(rows_case *c, const rows_kind *kind)
{
    c->size[PART_ROWS] = VB_GPU_ROWS_WORDS + (size_t)c->bucket * VB_GPU_ROW_WORDS + (size_t)c->wanted_bucket;
    c->size[PART_NOTES] = ROWS_NOTES;
    c->size[PART_A] = rows_words(c, 0);
    c->size[PART_B] = c->step.in[1] >= 0 ? rows_words(c, 1) : 0;
    c->size[PART_OUT] = rows_words(c, 2);
    for (int i = 0; i < PARTS; i++) {
        c->at[i] = c->all + (size_t)rows_below(c, ROWS_GAP);
        c->all = c->at[i] + c->size[i];
    }
    c->words = malloc(c->all * sizeof *c->words);
    if (c->words == NULL) return 0;
    for (size_t i = 0; i < c->all; i++) c->words[i] = ROWS_POISON;
    rows_batch(c);
    memset(c->words + c->at[PART_NOTES], 0xff, ROWS_NOTES * sizeof *c->words);
    for (int i = PART_A; i < PART_OUT; i++) rows_numbers(c, i);
    if (kind->fill != NULL) kind->fill(c);
    c->weight.data = c->words + c->at[PART_W];
    c->weight.cols = (int64_t)c->size[PART_W];
    c->bias.data = c->words + c->at[PART_W2];
    c->bias.cols = (int64_t)c->size[PART_W2];
    return 1;
}

static vb_gpu_range rows_range(const rows_case *c, int part)
{
    return (vb_gpu_range){&c->device, c->at[part] * 4, c->size[part] * 4};
}

static vb_gpu_range rows_value(const void *player, vb_val v)
{
    return rows_range(player, v == 0 ? PART_A : v == 1 ? PART_B : PART_OUT);
}

static const vb_gpu_weight *rows_weight(const void *player, const vb_tensor *t)
{
    const rows_case *c = player;
    return t == &c->weight ? &c->of_weight : &c->of_bias;
}

static vb_status rows_play(rows_case *c, vb_gpu *g, uint32_t note, vb_gpu_buffer host[2], vb_err *err)
{
    const int rope_at = 8;
    uint64_t bytes = c->all * 4;
    vb_gpu_range all = {&c->device, 0, bytes};
    vb_gpu_recording r = {.gpu = g, .plan = &c->plan, .bucket = c->bucket, .wanted_bucket = c->wanted_bucket,
                          .value = rows_value, .weight = rows_weight, .player = c, .rope_at = &rope_at,
                          .rope_floats = c->rope.n_rot + 24};
    VB_TRY(vb_gpu_alloc(&c->device, g, VB_GPU_LOCAL, bytes, err));
    VB_TRY(vb_gpu_alloc(&host[0], g, VB_GPU_UP, bytes, err));
    VB_TRY(vb_gpu_alloc(&host[1], g, VB_GPU_DOWN, bytes, err));
    memcpy(host[0].host, c->words, bytes);
    r.rows = rows_range(c, PART_ROWS);
    r.notes = rows_range(c, PART_NOTES);
    r.ropes = rows_range(c, PART_ROPES);
    c->windows[0] = (vb_gpu_window){0, 1, rows_range(c, PART_W)};
    c->windows[1] = (vb_gpu_window){0, 1, rows_range(c, PART_W2)};
    c->of_weight = (vb_gpu_weight){&c->weight, &c->windows[0], 1};
    c->of_bias = (vb_gpu_weight){&c->bias, &c->windows[1], 1};
    VB_TRY(vb_gpu_tape_open(&r.tape, g, err));
    vb_status s = vb_gpu_tape_copy(r.tape, all, (vb_gpu_range){&host[0], 0, bytes}, err);
    if (s == VB_OK) s = vb_gpu_record(&r, &c->step, note, err);
    if (s == VB_OK) s = vb_gpu_tape_copy(r.tape, (vb_gpu_range){&host[1], 0, bytes}, all, err);
    if (s == VB_OK) s = vb_gpu_tape_end(r.tape, err);
    if (s == VB_OK) s = vb_gpu_play(g, r.tape, bytes, err);
    if (s == VB_OK) s = vb_gpu_wait(g, err);
    vb_gpu_tape_close(r.tape);
    return s;
}

/* What the memory must be; returns the first row that is not finite, or all bits. */
static uint32_t rows_expect(const rows_case *c, const rows_kind *kind)
{
    uint32_t bad = 0xffffffffu;
    float *out = (float *)(void *)(c->words + c->at[PART_OUT]);
    for (int row = 0; row < rows_of(c, 2, 1); row++) {
        float *y = out + (size_t)row * vb_gpu_stride(c->values[2].width);
        kind->expect(c, y, row);
        if (bad == 0xffffffffu && !vb_oracle_finite(y, c->values[2].width)) bad = (uint32_t)row;
    }
    return bad;
}

static int rows_are_same(uint32_t found, uint32_t expected)
{
    int finite = (expected & 0x7f800000u) != 0x7f800000u || expected == ROWS_POISON || expected == 0xffffffffu;
    return finite ? found == expected : (found & 0x7f800000u) == 0x7f800000u && found != ROWS_POISON;
}

static void rows_compare(rows_case *c, const rows_kind *kind, uint32_t note, const uint32_t *found)
{
    uint32_t bad = rows_expect(c, kind);
    c->words[c->at[PART_NOTES] + note] = bad;
    for (size_t i = 0; i < c->all; i++) {
        if (rows_are_same(found[i], c->words[i])) continue;
        failed("%s: mood %d, %d of %d tokens, %d of %d wanted, widths %d %d %d: word %lld of the output, %lld of the "
               "notes: expected %08x, found %08x", kind->name, c->mood, c->tokens, c->bucket, c->n_wanted, c->wanted_bucket,
               c->values[0].width, c->values[1].width, c->values[2].width, (long long)i - (long long)c->at[PART_OUT],
               (long long)i - (long long)c->at[PART_NOTES], c->words[i], found[i]);
        return;
    }
    passed();
}

static void rows_check(vb_gpu *g, const rows_kind *kind, uint64_t seed)
{
    rows_case c = {.random = {seed}};
    vb_gpu_buffer host[2] = {{0}};
    vb_err err;
    rows_start(&c, kind);
    uint32_t note = rng_word(&c.random) % ROWS_NOTES;
    if (!rows_fill(&c, kind))
        failed("%s: out of memory", kind->name);
    else if (!vb_gpu_has_step(g, &c.plan, &c.step))
        failed("%s: mood %d: it is not taken", kind->name, c.mood);
    else if (rows_play(&c, g, note, host, &err) < 0)
        failed("%s: %s", kind->name, err.text);
    else
        rows_compare(&c, kind, note, (const uint32_t *)(const void *)host[1].host);
    for (int i = 0; i < 2; i++) vb_gpu_free(g, &host[i]);
    vb_gpu_free(g, &c.device);
    free(c.words);
}

/* Steps whose numbers might meet subnormals, or that have no shader, and texts as a whole are not taken. */
static void rows_refused(vb_gpu *g)
{
    static const float large[4] = {1.0f, -0x1p24f, 1.0f, 1.0f}, fine[4] = {0x1.fffffep23f, 0.0f, 0x1p-149f, -1.0f};
    vb_value values[3] = {{.width = 4}, {.width = 4}, {.width = 4}};
    vb_tensor bias = {.data = fine, .cols = 4};
    vb_plan plan = {.values = values, .n_values = 3}, whole = {.values = values, .n_values = 3, .whole = 1};
    vb_tensor too_large = {.data = large, .cols = 4};
    const vb_step refused[] = {
        {.op = VB_OP_NORM_RMS, .u.norm = {4, 0x1.fffffep-101f}},
        {.op = VB_OP_NORM_LAYER, .weight = &bias, .bias = &bias, .u.norm = {4, 0x1.fffffep-101f}},
        {.op = VB_OP_NORM_LAYER, .weight = &too_large, .bias = &bias, .u.norm = {4, 1e-5f}},
        {.op = VB_OP_SCALE, .u.scale = {-0x1p-127f}},
        {.op = VB_OP_SOFTCAP, .u.softcap = {0x1p41f}},
        {.op = VB_OP_SOFTCAP, .u.softcap = {0x1p-41f}},
        {.op = VB_OP_ROUTE, .u.route = {.experts = 1025, .used = 2}},
        {.op = VB_OP_CONV},
        {.op = VB_OP_DECAY},
        {.op = VB_OP_DELTA},
    };
    const vb_step taken[] = {
        {.op = VB_OP_NORM_RMS, .u.norm = {4, 0x1p-100f}},
        {.op = VB_OP_NORM_LAYER, .weight = &bias, .bias = &bias, .u.norm = {4, 0x1p-100f}},
        {.op = VB_OP_SCALE, .u.scale = {-0x1p-126f}},
        {.op = VB_OP_SOFTCAP, .u.softcap = {0x1p40f}},
        {.op = VB_OP_ROUTE, .u.route = {.experts = 1024, .used = 2}},
        {.op = VB_OP_ADD},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (vb_gpu_has_step(g, &plan, &refused[i])) failed("step %zu is to be refused", i);
        else passed();
    }
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (!vb_gpu_has_step(g, &plan, &taken[i])) failed("step %zu is to be taken", i);
        else if (vb_gpu_has_step(g, &whole, &taken[i])) failed("step %zu is of texts as a whole", i);
        else passed();
    }
}

/* n cases of each kind. */
static void check_gpu_rows(vb_gpu *g, uint64_t seed, int n)
{
    rng r = {seed};
    rows_refused(g);
    for (size_t k = 0; k < sizeof rows_kinds / sizeof *rows_kinds; k++)
        for (int i = 0; i < n; i++) rows_check(g, &rows_kinds[k], (uint64_t)rng_word(&r) << 32 | rng_word(&r) | 1);
}

#endif
