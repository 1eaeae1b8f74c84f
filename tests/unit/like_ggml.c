/* like_ggml.c - the oracle's switches: each does what it says to the step it names, and nothing to anything else. */
#include "oracle/like_ggml.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static float half(float x)
{
    return vb_oracle_from_half(vb_oracle_to_half(x));
}

Test(like_ggml, gelu_comes_from_a_table_of_halves)
{
    rng r = {1};
    int moved = 0;
    for (int i = 0; i < 2000; i++) {
        float x = rng_float(&r) * 12.0f, one = 1.0f, y, own;
        vb_like_ggml_glu(&y, &x, &one, 1, VB_GLU_GELU_TANH);
        vb_oracle_glu(&own, &x, &one, 1, VB_GLU_GELU_TANH);
        if (x <= -10.0f) cr_expect(y == 0.0f);
        else if (x >= 10.0f) cr_expect(y == x);
        else cr_expect(y == half(y), "%g is no half", (double)y);
        cr_expect(fabsf(y - own) <= 0x1p-9f * (1.0f + fabsf(own)), "gelu(%g): %g and %g", (double)x, (double)y, (double)own);
        moved += y != own;
        float z, w;
        vb_like_ggml_act(&z, &x, 1, VB_CURVE_GELU_TANH);
        cr_expect(z == vb_oracle_guard(y));
        vb_like_ggml_glu(&z, &x, &one, 1, VB_GLU_SILU);
        vb_oracle_glu(&w, &x, &one, 1, VB_GLU_SILU);
        cr_expect(z == w, "silu has no table");
        vb_like_ggml_act(&z, &x, 1, VB_CURVE_GELU_ERF);
        vb_oracle_act(&w, &x, 1, VB_CURVE_GELU_ERF);
        cr_expect(z == w, "the gelu of erf has no table");
    }
    cr_expect_gt(moved, 1000);
}

/* Each angle from the one before it: the error grows with the pairs and with the position. */
Test(like_ggml, angles_by_repeated_multiplication)
{
    static const float factors[32] = {1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8,
                                      8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};
    vb_tensor t = {.format = VB_FMT_F32, .cols = 32, .rows = 1, .data = factors};
    float own_cos[32], own_sin[32], cos[32], sin[32];
    int moved = 0;
    for (int kind = 0; kind < 4; kind++) {
        vb_rope rope = {.n_rot = 64, .base = 10000, .attn_factor = 1, .factor = 4, .context = 4096, .beta_fast = 32,
                        .beta_slow = 1};
        if (kind == 1) rope.factors = &t;
        if (kind == 2) rope.scaling = VB_SCALING_LINEAR;
        if (kind == 3) rope.scaling = VB_SCALING_YARN;
        for (int position = 0; position < 8000; position += 777) {
            vb_oracle_rope_table(own_cos, own_sin, &rope, position);
            vb_like_ggml_rope_table(cos, sin, &rope, position);
            for (int i = 0; i < 32; i++) {
                double most = 1e-6 + 4e-7 * position;
                cr_expect_lt(fabs((double)cos[i] - (double)own_cos[i]), most, "kind %d: pair %d at %d", kind, i, position);
                cr_expect_lt(fabs((double)sin[i] - (double)own_sin[i]), most, "kind %d: pair %d at %d", kind, i, position);
                moved += cos[i] != own_cos[i];
            }
        }
    }
    cr_expect_gt(moved, 500);
}

enum { COLS = 256, ROWS = 5 };

static vb_tensor random_matrix(rng *r, vb_format format)
{
    const vb_format_info *info = vb_format_of(format);
    vb_tensor t = {.name = "w", .format = format, .cols = COLS, .rows = ROWS, .data = rng_matrix(r, format, COLS, ROWS)};
    t.row_bytes = (size_t)(COLS / info->block * info->bytes);
    return t;
}

Test(like_ggml, only_the_named_matrices_are_multiplied_otherwise)
{
    rng r = {2};
    float x[COLS], own[ROWS], y[ROWS];
    for (int f = 0; f < VB_FORMATS; f++) {
        vb_tensor t = random_matrix(&r, (vb_format)f);
        int act = vb_format_of((vb_format)f)->act, floats = f == VB_FMT_F16 || f == VB_FMT_BF16;
        rng_floats(&r, x, COLS, 3.0f);
        for (int d = 1; d <= VB_GGML_ALL; d *= 2) {
            int expected = (d == VB_GGML_SCALES && act == VB_ACT_Q32) || (d == VB_GGML_ACTIVATIONS && floats);
            vb_oracle_multiply *m = vb_like_ggml_multiply(d, &t, VB_ARITH_INT8);
            cr_expect_eq(m != vb_oracle_linear, expected, "%s: %s", vb_format_of((vb_format)f)->name, vb_ggml_name(d));
            if (!expected) continue;
            cr_assert_eq(m(y, &t, NULL, x, VB_ARITH_INT8), VB_OK);
            cr_assert_eq(vb_oracle_linear(own, &t, NULL, x, VB_ARITH_INT8), VB_OK);
            float size = 0.0f, far = 0.0f;
            for (int i = 0; i < ROWS; i++) {
                size = fmaxf(size, fabsf(own[i]));
                far = fmaxf(far, fabsf(y[i] - own[i]));
            }
            cr_expect(far > 0.0f && far < 0.02f * size, "%s: %g of %g", vb_format_of((vb_format)f)->name, (double)far,
                      (double)size);
        }
        cr_expect(vb_like_ggml_multiply(VB_GGML_SCALES, &t, VB_ARITH_F32) == vb_oracle_linear);
        free((void *)(uintptr_t)t.data);
    }
}

/* One block whose only activation is 1: what comes out is the scale, as a half, times the rest. */
Test(like_ggml, a_scale_is_a_half)
{
    uint8_t block[34] = {0x00, 0x3c}; /* Q8_0 with scale 1 */
    vb_tensor t = {.format = VB_FMT_Q8_0, .cols = 32, .rows = 1, .row_bytes = sizeof block, .data = block};
    float x[32] = {1.0f}, y, own;
    block[2] = 1;
    cr_assert_eq(vb_like_ggml_multiply(VB_GGML_SCALES, &t, VB_ARITH_INT8)(&y, &t, NULL, x, VB_ARITH_INT8), VB_OK);
    cr_assert_eq(vb_oracle_linear(&own, &t, NULL, x, VB_ARITH_INT8), VB_OK);
    cr_expect(own == 0x1.020408p-7f * 127.0f && y == half(0x1.020408p-7f) * 127.0f, "%a %a", (double)own, (double)y);
    uint8_t with[20] = {0x00, 0x3c, 0x00, 0x3c}; /* Q4_1: scale 1, minimum 1, all nibbles 0 */
    t = (vb_tensor){.format = VB_FMT_Q4_1, .cols = 32, .rows = 1, .row_bytes = sizeof with, .data = with};
    x[1] = 0.5f; /* 64 of 127 */
    x[2] = 0.3f; /* 38 */
    cr_assert_eq(vb_like_ggml_multiply(VB_GGML_SCALES, &t, VB_ARITH_INT8)(&y, &t, NULL, x, VB_ARITH_INT8), VB_OK);
    cr_expect(y == half(0x1.020408p-7f * 229.0f) && y != 0x1.020408p-7f * 229.0f, "%a", (double)y);
}

enum { POSITIONS = 90, HEADS = 4, KV_HEADS = 2, DIM = 32 };

Test(like_ggml, attention_adds_values_as_halves)
{
    static float kv[POSITIONS * KV_HEADS * DIM];
    static uint8_t keys[sizeof kv / 2], values[sizeof kv / 2];
    static const vb_heads shapes[3] = {{HEADS, KV_HEADS, DIM, DIM, 0, 0.2f, 0.0f, 0},
                                       {HEADS, KV_HEADS, DIM, DIM, 20, 0.2f, 0.0f, 0},
                                       {HEADS, KV_HEADS, DIM, DIM, 0, 0.2f, 5.0f, 0}};
    static const float sinks[HEADS] = {0.5f, -1.0f, 9.0f, 0.0f};
    float q[HEADS * DIM], own[HEADS * DIM], y[HEADS * DIM];
    vb_oracle_cache cache = {VB_KV_F16, keys, values};
    rng r = {3};
    int all = POSITIONS * KV_HEADS * DIM, moved = 0;
    rng_floats(&r, kv, all, 2.0f);
    cr_assert_eq(vb_oracle_kv_write(VB_KV_F16, keys, kv, all), VB_OK);
    rng_floats(&r, kv, all, 2.0f);
    cr_assert_eq(vb_oracle_kv_write(VB_KV_F16, values, kv, all), VB_OK);
    for (int at = 0; at < POSITIONS; at += 11)
        for (int i = 0; i < 6; i++) {
            const float *sink = i % 2 == 1 ? sinks : NULL;
            rng_floats(&r, q, HEADS * DIM, 2.0f);
            cr_assert_eq(vb_oracle_attend(own, q, &cache, &shapes[i / 2], sink, at), VB_OK);
            cr_assert_eq(vb_like_ggml_attend(y, q, &cache, &shapes[i / 2], sink, at), VB_OK);
            for (int d = 0; d < HEADS * DIM; d++) {
                cr_expect(fabsf(y[d] - own[d]) < 0.02f, "%d at %d: %g and %g", i, at, (double)y[d], (double)own[d]);
                moved += y[d] != own[d];
            }
        }
    cr_expect_gt(moved, 3000);
    memset(q, 0, sizeof q); /* equal weights: half of the sum of two values is a half if the sum is one */
    cr_assert_eq(vb_like_ggml_attend(y, q, &cache, &shapes[0], NULL, 1), VB_OK);
    for (int d = 0; d < HEADS * DIM; d++) cr_expect(y[d] == half(y[d]), "%a", (double)y[d]);
    cr_assert_eq(vb_like_ggml_attend(y, q, &cache, &shapes[0], NULL, 0), VB_OK);
    cr_assert_eq(vb_oracle_attend(own, q, &cache, &shapes[0], NULL, 0), VB_OK);
    cr_expect(memcmp(y, own, sizeof y) == 0, "one position is its value");
}

/* --- through the public interface ------------------------------------------------------------------------------- */

static vb_status run(const char *path, int differences, vb_kv kv, float *logits, vb_err *err)
{
    static const vb_token ids[6] = {1, 5, 9, 2, 40, 41};
    vb_model_opts opts = {.player = "oracle", .like_ggml = differences};
    vb_session_opts s = {.context = 32, .kv = kv};
    vb_model *model;
    vb_session *session = NULL;
    vb_status status = vb_model_open(&model, path, &opts, err);
    if (status == VB_OK) status = vb_session_open(&session, model, &s, err);
    if (status == VB_OK) status = vb_session_sync(session, ids, 6, err);
    if (status == VB_OK) memcpy(logits, vb_session_logits(session, NULL), 64 * sizeof *logits);
    vb_session_close(session);
    vb_model_close(model);
    return status;
}

/* Whether each difference moves the logits of some models; -1: it may be lost in rounding to eight bits. */
static const struct {
    const char *path;
    int moved[5];
} cases[] = {
    {"tests/golden/gemma3/model.gguf", {1, 0, 1, 0, 1}},
    {"tests/golden/llama-f16/model.gguf", {1, 0, 0, 1, 1}},
    {"tests/golden/quant/q-llama-Q4_1/model.gguf", {1, 1, 0, 0, -1}},
    {"tests/golden/quant/q-llama-Q6_K/model.gguf", {1, 0, 0, 0, -1}},
    {"tests/golden/quant/q-llama-BF16/model.gguf", {1, 0, 0, 1, 1}},
};

Test(like_ggml, each_difference_moves_what_it_should)
{
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float plain[64], y[64];
        vb_err err = {0};
        cr_assert_eq(run(cases[c].path, 0, VB_KV_F16, plain, &err), VB_OK, "%s", err.text);
        for (int d = 0; d < 5; d++) {
            cr_assert_eq(run(cases[c].path, 1 << d, VB_KV_F16, y, &err), VB_OK, "%s", err.text);
            if (cases[c].moved[d] < 0) continue;
            cr_expect_eq(memcmp(plain, y, sizeof y) != 0, cases[c].moved[d], "%s: %s", cases[c].path, vb_ggml_name(1 << d));
        }
    }
}

Test(like_ggml, what_cannot_be_is_an_error)
{
    const char *path = "tests/golden/gemma3/model.gguf";
    float logits[64];
    vb_err err = {0};
    vb_model *model;
    cr_expect_eq(run(path, VB_GGML_ATTENTION, VB_KV_F32, logits, &err), VB_E_UNSUPPORTED);
    cr_expect_str_eq(err.text, "attention like ggml's: expected keys and values of type f16, found f32");
    cr_expect_eq(run(path, VB_GGML_SCALES, VB_KV_F32, logits, &err), VB_OK);
    cr_expect_eq(run(path, 32, VB_KV_F16, logits, &err), VB_E_ARGUMENT);
    cr_expect_eq(vb_model_open(&model, path, &(vb_model_opts){.like_ggml = VB_GGML_GELU}, &err), VB_E_UNSUPPORTED);
    cr_expect_str_eq(err.text, "like_ggml: expected player oracle, found cpu");
    vb_trace *trace;
    vb_session *session;
    cr_assert_eq(vb_model_open(&model, path, &(vb_model_opts){.player = "oracle", .like_ggml = VB_GGML_ROPE}, &err), VB_OK);
    cr_assert_eq(vb_session_open(&session, model, NULL, &err), VB_OK);
    cr_expect_eq(vb_trace_open(&trace, "/tmp/none.vbt", session, NULL, &err), VB_E_UNSUPPORTED);
    cr_expect_str_eq(err.text, "/tmp/none.vbt: a trace of a run like ggml's: expected the arithmetic as it is defined");
    cr_expect_eq(access("/tmp/none.vbt", F_OK), -1);
    vb_session_close(session);
    vb_model_close(model);
    cr_expect_null(vb_ggml_name(3));
    cr_expect_null(vb_ggml_name(32));
}
