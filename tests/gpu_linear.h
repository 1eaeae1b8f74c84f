/* gpu_linear.h - matrices, matrices of experts and embeddings on a device against the oracle, bit for bit.
 *
 * One case is a step of a plan made by hand: three values (input, route, output), a weight cut into windows, a bias.
 * The output's block is full of a pattern beforehand, so that what is written beside its rows is seen. Inputs have
 * passed the guard, as all values have; scales are any half, infinite results are found by the note.
 */
#ifndef VB_TESTS_GPU_LINEAR_H
#define VB_TESTS_GPU_LINEAR_H
#include "check/check.h"
#include "gpu/steps.h"
#include "tests/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINEAR_ROOM = 1 << 24, LINEAR_WINDOWS = 16, LINEAR_PATTERN = 0x5a };

typedef struct {
    vb_op op;
    vb_format format;
    vb_arith arith;
    int cols, rows, tokens, wanted;
    int window_rows; /* a multiple of 64; 0: one window */
    int with_bias;
    int experts, used, own, from, total; /* linear_experts */
    vb_embed_by by;                      /* embed */
    vb_fill weights, inputs;
} linear_case;

typedef struct {
    vb_gpu *gpu;
    vb_check c; /* random input */
    vb_gpu_buffer up, down, local;
    uint64_t taken;
    vb_gpu_facts facts; /* as they are */
    int round;
    linear_case how;
    vb_plan plan;
    vb_value values[3];
    vb_step step;
    vb_tensor weight, bias;
    vb_gpu_window windows[LINEAR_WINDOWS], bias_window;
    vb_gpu_weight on_device[2];
    vb_gpu_range value[3], pattern, rows;
    vb_gpu_recording r;
} linear_bench;

static int linear_open(linear_bench *b, vb_gpu *g, uint64_t seed)
{
    vb_err err;
    memset(b, 0, sizeof *b);
    b->gpu = g;
    b->c.random = seed;
    b->facts = *vb_gpu_facts_of(g);
    if (vb_gpu_alloc(&b->up, g, VB_GPU_UP, LINEAR_ROOM, &err) < 0 ||
        vb_gpu_alloc(&b->down, g, VB_GPU_DOWN, LINEAR_ROOM, &err) < 0 ||
        vb_gpu_alloc(&b->local, g, VB_GPU_LOCAL, LINEAR_ROOM, &err) < 0) {
        failed("matrices: %s", err.text);
        return 0;
    }
    return 1;
}

static void linear_close(linear_bench *b)
{
    *(vb_gpu_facts *)(uintptr_t)vb_gpu_facts_of(b->gpu) = b->facts;
    vb_gpu_free(b->gpu, &b->up);
    vb_gpu_free(b->gpu, &b->down);
    vb_gpu_free(b->gpu, &b->local);
}

/* --- the step ---------------------------------------------------------------------------------------------------- */

/* Room for n bytes in the buffer that the host writes, with some words in front that nothing looks at. */
static vb_gpu_range linear_take(linear_bench *b, uint64_t n)
{
    uint64_t at = b->taken + 4 * vb_check_random(&b->c, 5);
    n = (n + 3) & ~(uint64_t)3;
    b->taken = (at + n + 63) & ~(uint64_t)63;
    return (vb_gpu_range){&b->up, at, n};
}

static float *linear_floats(const linear_bench *b, vb_gpu_range r)
{
    return (float *)(void *)(b->up.host + r.at);
}

static int linear_width(const linear_case *how, int v)
{
    if (v == 1) return 2 * how->used;
    if (v == 0) return how->cols * (how->own ? how->used : 1);
    if (how->op == VB_OP_EMBED) return how->cols;
    return how->op == VB_OP_LINEAR ? how->rows : how->rows * how->used;
}

static int64_t linear_weight_rows(const linear_case *how)
{
    return how->op == VB_OP_LINEAR_EXPERTS ? (int64_t)how->experts * how->total : how->rows;
}

static void linear_weight(linear_bench *b)
{
    const linear_case *how = &b->how;
    const vb_format_info *f = vb_format_of(how->format);
    int64_t rows = linear_weight_rows(how), each = how->window_rows > 0 ? how->window_rows : rows;
    size_t row_bytes = (size_t)(how->cols / f->block * f->bytes);
    vb_gpu_range all = linear_take(b, row_bytes * (size_t)rows);
    b->weight = (vb_tensor){.name = "random", .format = how->format, .cols = how->cols, .rows = rows,
                            .experts = how->op == VB_OP_LINEAR_EXPERTS ? how->experts : 1, .row_bytes = row_bytes,
                            .data = b->up.host + all.at};
    vb_check_blocks(&b->c, how->format, b->up.host + all.at, how->cols / f->block * (int)rows, how->weights);
    b->on_device[0] = (vb_gpu_weight){.tensor = &b->weight, .windows = b->windows};
    for (int64_t from = 0; from < rows; from += each) {
        int64_t n = rows - from < each ? rows - from : each;
        uint64_t bytes = ((uint64_t)n * row_bytes + 3) & ~(uint64_t)3;
        b->windows[b->on_device[0].n_windows++] =
            (vb_gpu_window){from, n, {&b->up, all.at + (uint64_t)from * row_bytes, bytes}};
    }
}

static void linear_bias(linear_bench *b)
{
    int64_t n = linear_weight_rows(&b->how);
    vb_gpu_range range = linear_take(b, (uint64_t)n * sizeof(float));
    vb_check_floats(&b->c, linear_floats(b, range), (int)n, VB_FILL_WILD);
    b->bias = (vb_tensor){.name = "bias", .format = VB_FMT_F32, .cols = n, .rows = 1, .experts = 1,
                          .data = linear_floats(b, range)};
    b->bias_window = (vb_gpu_window){0, 1, range};
    b->on_device[1] = (vb_gpu_weight){.tensor = &b->bias, .windows = &b->bias_window, .n_windows = 1};
}

/* Rows of a value, each with its padding. */
static void linear_fill_value(linear_bench *b, int v)
{
    int width = linear_width(&b->how, v), stride = (int)vb_gpu_stride(width);
    b->value[v] = linear_take(b, (uint64_t)stride * (uint64_t)b->how.tokens * sizeof(float));
    float *x = linear_floats(b, b->value[v]);
    for (int t = 0; t < b->how.tokens; t++, x += stride) {
        vb_check_floats(&b->c, x, stride, b->how.inputs);
        for (int i = 0; i < width; i++) x[i] = vb_oracle_guard(x[i]);
    }
}

/* For each token increasing numbers of experts. */
static void linear_fill_route(linear_bench *b)
{
    int stride = (int)vb_gpu_stride(linear_width(&b->how, 1)), left = b->how.experts - b->how.used;
    linear_fill_value(b, 1);
    float *x = linear_floats(b, b->value[1]);
    for (int t = 0; t < b->how.tokens; t++, x += stride) {
        int e = (int)vb_check_random(&b->c, (uint32_t)left + 1), slack = left - e;
        for (int i = 0; i < b->how.used; i++) {
            x[i] = (float)e;
            int skip = (int)vb_check_random(&b->c, (uint32_t)slack + 1);
            slack -= skip;
            e += 1 + skip;
        }
    }
}

/* The batch: a token's id and position are rows of the table. */
static void linear_fill_rows(linear_bench *b)
{
    b->rows = linear_take(b, (VB_GPU_ROWS_WORDS + VB_GPU_ROW_WORDS * (uint64_t)b->how.tokens) * 4);
    uint32_t *words = (uint32_t *)(void *)(b->up.host + b->rows.at), tokens = (uint32_t)b->how.tokens;
    memset(words, 0, b->rows.bytes);
    words[b->how.wanted] = tokens;
    words[!b->how.wanted] = tokens + 3; /* rows of values that this step does not see */
    for (uint32_t t = 0; t < tokens; t++)
        for (uint32_t i = 0; i < 2; i++)
            words[VB_GPU_ROWS_WORDS + VB_GPU_ROW_WORDS * t + i] = vb_check_random(&b->c, (uint32_t)b->how.rows);
}

static void linear_step(linear_bench *b)
{
    const linear_case *how = &b->how;
    b->step = (vb_step){.op = how->op, .layer = -1, .out = 2, .in = {0, 1, -1}, .weight = &b->weight,
                        .bias = how->with_bias ? &b->bias : NULL};
    if (how->op == VB_OP_EMBED) b->step.u.embed.by = how->by;
    if (how->op != VB_OP_LINEAR_EXPERTS) return;
    b->step.u.experts.experts = how->experts;
    b->step.u.experts.used = how->used;
    b->step.u.experts.rows = how->rows;
    b->step.u.experts.from = how->from;
    b->step.u.experts.total = how->total;
}

/* --- on the device ----------------------------------------------------------------------------------------------- */

static vb_gpu_range linear_value_of(const void *player, vb_val v)
{
    return ((const linear_bench *)player)->value[v];
}

static const vb_gpu_weight *linear_weight_of(const void *player, const vb_tensor *t)
{
    const linear_bench *b = player;
    return &b->on_device[t == &b->bias];
}

static void linear_recording(linear_bench *b)
{
    const linear_case *how = &b->how;
    int bucket = how->tokens + (int)vb_check_random(&b->c, 4);
    for (int v = 0; v < 3; v++)
        b->values[v] = (vb_value){.width = linear_width(how, v), .parts = v == 0 && how->own ? how->used : 1,
                                  .wanted = how->wanted};
    b->plan = (vb_plan){.values = b->values, .n_values = 3, .output = -1};
    uint64_t y = (uint64_t)vb_gpu_stride(linear_width(how, 2)) * (uint64_t)bucket * sizeof(float);
    b->value[2] = (vb_gpu_range){&b->down, 64, y};
    b->r = (vb_gpu_recording){.gpu = b->gpu, .plan = &b->plan, .arith = how->arith, .bucket = bucket,
                              .wanted_bucket = bucket, .value = linear_value_of, .weight = linear_weight_of,
                              .player = b, .rows = b->rows, .notes = {&b->down, 0, 64},
                              .acts = {&b->local, 0, LINEAR_ROOM}, .acts_of = -1};
}

/* The pattern over output and notes, then the step. */
static vb_status linear_play(linear_bench *b, vb_err *err)
{
    vb_status status = VB_OK;
    vb_gpu_range all = {&b->down, 0, 64 + b->value[2].bytes};
    b->pattern = linear_take(b, all.bytes);
    b->pattern.bytes = all.bytes;
    memset(b->up.host + b->pattern.at, LINEAR_PATTERN, all.bytes);
    VB_TRY(vb_gpu_tape_open(&b->r.tape, b->gpu, err));
    VB_TRY_OUT(status, vb_gpu_tape_copy(b->r.tape, all, b->pattern, err));
    if (b->how.op == VB_OP_EMBED) VB_TRY_OUT(status, vb_gpu_record_embed(&b->r, &b->step, 5, err));
    if (b->how.op == VB_OP_LINEAR) VB_TRY_OUT(status, vb_gpu_record_linear(&b->r, &b->step, 5, err));
    if (b->how.op == VB_OP_LINEAR_EXPERTS) VB_TRY_OUT(status, vb_gpu_record_experts(&b->r, &b->step, 5, err));
    VB_TRY_OUT(status, vb_gpu_tape_end(b->r.tape, err));
    VB_TRY_OUT(status, vb_gpu_play(b->gpu, b->r.tape, 1 << 20, err));
    VB_TRY_OUT(status, vb_gpu_wait(b->gpu, err));
out:
    vb_gpu_tape_close(b->r.tape);
    return status;
}

/* --- what it must be --------------------------------------------------------------------------------------------- */

static vb_status linear_expected(const linear_bench *b, float *y, int t)
{
    const linear_case *how = &b->how;
    const uint32_t *row = (const uint32_t *)(const void *)(b->up.host + b->rows.at);
    row += VB_GPU_ROWS_WORDS + VB_GPU_ROW_WORDS * t;
    const float *x = linear_floats(b, b->value[0]) + (size_t)t * vb_gpu_stride(linear_width(how, 0));
    if (how->op == VB_OP_EMBED)
        vb_oracle_embed(y, &b->weight, how->by == VB_BY_FIRST ? 0 : (vb_token)row[how->by == VB_BY_POSITION]);
    if (how->op == VB_OP_LINEAR) return vb_oracle_linear(y, &b->weight, b->step.bias, x, how->arith);
    if (how->op != VB_OP_LINEAR_EXPERTS) return VB_OK;
    vb_oracle_chosen chosen = {.route = linear_floats(b, b->value[1]) + (size_t)t * vb_gpu_stride(linear_width(how, 1)),
                               .parts = how->own ? how->used : 1, .arith = how->arith, .multiply = vb_oracle_linear};
    return vb_oracle_linear_experts(y, &b->step, x, &chosen);
}

/* The same bits, or both not finite; behind the row nothing. Returns the first place that differs, -1: none. */
static int linear_differs(const float *expected, const float *found, int width)
{
    const uint8_t *padding = (const uint8_t *)(found + width), *end = (const uint8_t *)(found + vb_gpu_stride(width));
    for (int i = 0; i < width; i++) {
        int finite = isfinite(expected[i]) || isfinite(found[i]);
        if (finite && memcmp(expected + i, found + i, sizeof *found) != 0) return i;
    }
    for (; padding < end; padding++)
        if (*padding != LINEAR_PATTERN) return width;
    return -1;
}

static void linear_compare(const linear_bench *b, const char *name)
{
    int width = linear_width(&b->how, 2), stride = (int)vb_gpu_stride(width);
    const float *found = (const float *)(const void *)(b->down.host + b->value[2].at);
    uint32_t note, none, bad;
    float *expected = malloc((size_t)width * sizeof *expected);
    memset(&none, LINEAR_PATTERN, sizeof none);
    bad = none;
    memcpy(&note, b->down.host + 5 * sizeof note, sizeof note);
    for (int t = 0; t < b->how.tokens && expected != NULL; t++, found += stride) {
        if (linear_expected(b, expected, t) < 0) failed("%s: the oracle has no memory", name);
        if (bad == none && !vb_oracle_finite(expected, width)) bad = (uint32_t)t;
        int at = linear_differs(expected, found, width);
        if (at < 0) continue;
        failed("%s: token %d of %d, element %d of %d: expected %a, found %a", name, t, b->how.tokens, at, width,
               at < width ? (double)expected[at] : 0.0, (double)found[at]);
        break;
    }
    free(expected);
    const uint8_t *end = b->down.host + b->value[2].at + b->value[2].bytes;
    const uint8_t *p = end - (b->r.bucket - b->how.tokens) * stride * 4;
    while (p < end && *p == LINEAR_PATTERN) p++;
    if (p < end) failed("%s: rows behind the batch were written", name);
    if (note != bad) failed("%s: first row that is not finite: expected %x, found %x", name, bad, note);
}

/* Other devices than this one have other variants of the same shaders. */
static void linear_pretend(linear_bench *b)
{
    vb_gpu_facts *facts = (vb_gpu_facts *)(uintptr_t)vb_gpu_facts_of(b->gpu);
    *facts = b->facts;
    if (b->round % 3 == 2) facts->integer_dot = 0;
    if (b->round % 4 >= 2) facts->type = "discrete";
}

static void linear_run(linear_bench *b, const linear_case *how)
{
    vb_err err;
    char name[160];
    int before = tally.failed;
    snprintf(name, sizeof name, "%s %s/%s %d x %d, %d tokens%s, windows of %d%s", vb_op_name(how->op),
             vb_format_of(how->format)->name, how->arith == VB_ARITH_INT8 ? "int8" : "f32", how->rows, how->cols,
             how->tokens, how->with_bias ? ", bias" : "", how->window_rows, how->own ? ", own rows" : "");
    b->how = *how;
    b->taken = 0;
    linear_pretend(b);
    linear_weight(b);
    linear_bias(b);
    linear_fill_value(b, 0);
    linear_fill_route(b);
    linear_fill_rows(b);
    linear_step(b);
    linear_recording(b);
    if (linear_play(b, &err) < 0)
        failed("%s: %s", name, err.text);
    else
        linear_compare(b, name);
    if (tally.failed == before) passed();
}

/* --- the cases --------------------------------------------------------------------------------------------------- */

static const vb_format linear_formats[] = {VB_FMT_F32,  VB_FMT_F16,  VB_FMT_BF16, VB_FMT_Q4_0, VB_FMT_Q4_1,
                                           VB_FMT_Q5_0, VB_FMT_Q8_0, VB_FMT_Q4_K, VB_FMT_Q5_K, VB_FMT_Q6_K};

static int linear_cols(linear_bench *b, vb_format format, int longest)
{
    int block = vb_format_of(format)->block;
    return block * (1 + (int)vb_check_random(&b->c, (uint32_t)(longest / block)));
}

/* Any shape of about so many products for the oracle, which is slow. */
static linear_case linear_any(linear_bench *b, vb_format format, int tokens)
{
    linear_case how = {.op = VB_OP_LINEAR, .format = format, .tokens = tokens};
    int most = vb_check_random(&b->c, 4) == 0 ? 4608 : 800;
    how.cols = linear_cols(b, format, most);
    int rows = 60000 / how.cols / tokens + 1;
    how.rows = 1 + (int)vb_check_random(&b->c, (uint32_t)(rows > 300 ? 300 : rows));
    how.arith = vb_check_random(&b->c, 2) ? VB_ARITH_INT8 : VB_ARITH_F32;
    how.window_rows = vb_check_random(&b->c, 2) ? 64 : 0;
    how.with_bias = (int)vb_check_random(&b->c, 2);
    how.wanted = (int)vb_check_random(&b->c, 2);
    how.weights = (vb_fill)vb_check_random(&b->c, VB_FILLS);
    /* Where products may be subnormal numbers, only a device that keeps them is asked. */
    int subnormals = format == VB_FMT_F32 || format == VB_FMT_BF16;
    if (subnormals && !vb_gpu_keeps_subnormals(b->gpu)) how.weights = VB_FILL_PLAIN;
    how.inputs = (vb_fill)vb_check_random(&b->c, VB_FILLS);
    return how;
}

static linear_case linear_any_experts(linear_bench *b, vb_format format, int tokens)
{
    linear_case how = linear_any(b, format, tokens);
    how.op = VB_OP_LINEAR_EXPERTS;
    how.wanted = 0;
    how.cols = linear_cols(b, format, 600);
    how.rows = 1 + (int)vb_check_random(&b->c, 40);
    how.experts = 1 + (int)vb_check_random(&b->c, 9);
    how.used = 1 + (int)vb_check_random(&b->c, (uint32_t)how.experts);
    how.own = how.used > 1 && vb_check_random(&b->c, 2) > 0;
    how.from = (int)vb_check_random(&b->c, 20);
    how.total = how.from + how.rows + (int)vb_check_random(&b->c, 20);
    return how;
}

static linear_case linear_any_embed(linear_bench *b, vb_format format, int tokens)
{
    linear_case how = linear_any(b, format, tokens);
    how.op = VB_OP_EMBED;
    how.weights = (vb_fill)vb_check_random(&b->c, VB_FILLS);
    how.wanted = how.with_bias = 0;
    how.by = (vb_embed_by)vb_check_random(&b->c, 3);
    how.rows = 1 + (int)vb_check_random(&b->c, 200);
    how.cols = linear_cols(b, format, 1000);
    return how;
}

/* `rounds` times a matrix in both modes, and sometimes experts or an embedding; they differ between formats as much as
 * they can, since a device that is a CPU compiles a shader for a good while. */
static void linear_format(linear_bench *b, int nth, int rounds)
{
    static const int counts[] = {1, 17, 3, 2, 8, 40, 5};
    vb_format format = linear_formats[nth];
    for (int i = nth; i < nth + rounds; i++) {
        b->round = i - nth;
        int tokens = counts[(unsigned)i % (sizeof counts / sizeof counts[0])];
        for (int shape = 0; shape < 10; shape++) {
            linear_case how = linear_any(b, format, tokens);
            how.arith = shape % 2 == 0 ? VB_ARITH_INT8 : VB_ARITH_F32;
            linear_run(b, &how);
        }
        for (int shape = 0; i % 2 == 0 && shape < 5; shape++) {
            linear_case how = i % 4 == 0 ? linear_any_experts(b, format, 1 + (int)vb_check_random(&b->c, 5))
                                         : linear_any_embed(b, format, counts[i % 5]);
            how.arith = i % 8 == 0 ? VB_ARITH_INT8 : VB_ARITH_F32;
            linear_run(b, &how);
        }
    }
}

/* --- what is not taken ------------------------------------------------------------------------------------------- */

static void linear_asks(linear_bench *b, const char *what, int expected)
{
    if (vb_gpu_has_linear(b->gpu, &b->step) == expected)
        passed();
    else
        failed("a matrix %s: expected %s", what, expected ? "a shader" : "none");
}

static void linear_refusals(linear_bench *b)
{
    vb_gpu_facts *facts = (vb_gpu_facts *)(uintptr_t)vb_gpu_facts_of(b->gpu);
    b->weight = (vb_tensor){.format = VB_FMT_Q4_0, .cols = 32, .rows = 3, .row_bytes = 18, .data = b->up.host};
    b->step = (vb_step){.op = VB_OP_LINEAR, .weight = &b->weight};
    linear_asks(b, "of Q4_0", 1);
    b->weight.data = b->up.host + 18;
    linear_asks(b, "that begins within a word", 0);
    b->weight = (vb_tensor){.format = VB_FMT_TQ2_0, .cols = 256, .rows = 1, .data = b->up.host};
    linear_asks(b, "of TQ2_0", 0);
    b->weight.format = VB_FMT_BF16;
    facts->modes &= ~VB_GPU_SUBNORMALS;
    linear_asks(b, "of BF16 where subnormal numbers are lost", 0);
    b->step.op = VB_OP_EMBED;
    linear_asks(b, "of BF16 that is only looked up", 1);
    b->step.op = VB_OP_LINEAR;
    facts->modes |= VB_GPU_SUBNORMALS;
    linear_asks(b, "of BF16 where they are kept", 1);
    *facts = b->facts;
}

static void check_gpu_linear(vb_gpu *g, uint64_t seed, int rounds)
{
    linear_bench b;
    if (linear_open(&b, g, seed)) {
        linear_refusals(&b);
        for (int i = 0; i < (int)(sizeof linear_formats / sizeof linear_formats[0]); i++) linear_format(&b, i, rounds);
    }
    linear_close(&b);
}

#endif
