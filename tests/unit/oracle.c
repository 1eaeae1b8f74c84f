/* oracle.c - the reference arithmetic judged from outside: by published vectors, by the system's mathematical library
 * in binary64, by direct formulas; and the second text of it (base/canon.h, canon64.h) on a sample of inputs.
 */
#include "oracle/oracle.h"

#include "base/canon.h"
#include "base/canon64.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* --- the two texts ------------------------------------------------------------------------------------------ */

enum { STEP = 4099 }; /* over all bit patterns: about 2^20 inputs */

static void same(const char *name, float (*fast)(float), float (*slow)(float), float lowest, float highest)
{
    int64_t tried = 0;
    for (uint64_t i = 0; i < 0x100000000u; i += STEP) {
        float x = asf((uint32_t)i);
        if (!(x >= lowest && x <= highest)) continue;
        tried++;
        cr_assert_eq(asu(fast(x)), asu(slow(x)), "%s(%a) is %a and %a", name, (double)x, (double)fast(x),
                     (double)slow(x));
    }
    cr_assert_gt(tried, 100000);
}

Test(oracle, two_texts_one_function)
{
    float most = 0x1.fffffep+127f;
    same("guard", c_guard, vb_oracle_guard, -most, most);
    same("exp", c_exp, vb_oracle_exp, -most, most);
    same("recip", c_recip, vb_oracle_recip, 0x1p-100f, 0x1p100f);
    same("sigmoid", c_sigmoid, vb_oracle_sigmoid, -most, most);
    same("silu", c_silu, vb_oracle_silu, -most, most);
    same("gelu_tanh", c_gelu_tanh, vb_oracle_gelu_tanh, -most, most);
    same("tanh", c_tanh, vb_oracle_tanh, -most, most);
    same("log", c_log, vb_oracle_log, 0x1p-126f, most);
    same("erf", c_erf, vb_oracle_erf, -most, most);
}

Test(oracle, two_texts_in_binary64)
{
    rng r = {1};
    for (int i = 0; i < 1 << 18; i++) {
        double x = ((double)rng_word(&r) + (double)rng_word(&r) * 0x1p-32) * 0x1p-5; /* below 2^27 */
        double y = (x * 0x1p-26 - 1.0) * 700.0;
        cr_assert_eq(asu64(c64_sin(x)), asu64(vb_oracle_sin64(x)), "sin %a", x);
        cr_assert_eq(asu64(c64_cos(x)), asu64(vb_oracle_cos64(x)), "cos %a", x);
        cr_assert_eq(asu64(c64_exp(y)), asu64(vb_oracle_exp64(y)), "exp %a", y);
        cr_assert_eq(asu64(c64_log(x + 1e-9)), asu64(vb_oracle_log64(x + 1e-9)), "log %a", x);
        cr_assert_eq(asu64(c64_log(c64_exp(y))), asu64(vb_oracle_log64(vb_oracle_exp64(y))), "log %a", y);
    }
}

/* --- accuracy ------------------------------------------------------------------------------------------------ */

static double ulps(float y, double exact)
{
    float near = fabsf((float)exact);
    double spacing = (double)nextafterf(near, INFINITY) - (double)near;
    return fabs((double)y - exact) / spacing;
}

static double worst(float (*f)(float), double (*exact)(double), float lowest, float highest)
{
    double most = 0.0;
    for (uint64_t i = 0; i < 0x100000000u; i += STEP) {
        float x = asf((uint32_t)i);
        if (!(x >= lowest && x <= highest) || fabsf(x) < 0x1p-60f) continue;
        double e = ulps(f(x), exact((double)x));
        if (e > most) most = e;
    }
    return most;
}

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

Test(oracle, errors_are_as_documented)
{
    cr_assert_lt(worst(vb_oracle_exp, exp, -40.0f, 60.0f), 0.98);
    cr_assert_lt(worst(vb_oracle_sigmoid, exact_sigmoid, -40.0f, 1e30f), 2.8);
    cr_assert_lt(worst(vb_oracle_log, log, 0x1p-126f, 3e38f), 0.80);
    cr_assert_lt(worst(vb_oracle_erf, erf, -10.0f, 10.0f), 1.3);
    cr_assert_lt(worst(vb_oracle_tanh, tanh, -0x1.fffffep-7f, 0x1.fffffep-7f), 0.51);
}

Test(oracle, binary64_is_near_the_system_library)
{
    rng r = {2};
    for (int i = 0; i < 1 << 18; i++) {
        double x = ((double)rng_word(&r) + (double)rng_word(&r) * 0x1p-32) * 0x1p-5, y = (x * 0x1p-26 - 1.0) * 700.0;
        cr_assert_lt(fabs(vb_oracle_sin64(x) - sin(x)), 2.3e-16);
        cr_assert_lt(fabs(vb_oracle_cos64(x) - cos(x)), 2.3e-16);
        cr_assert_lt(fabs(vb_oracle_exp64(y) / exp(y) - 1.0), 4.5e-16);
        cr_assert_lt(fabs(vb_oracle_log64(x + 2.0) / log(x + 2.0) - 1.0), 4.5e-16);
    }
}

/* --- halves, rounding, sums ----------------------------------------------------------------------------------- */

Test(oracle, every_half_survives)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        float x = vb_oracle_from_half((uint16_t)h);
        cr_assert_eq(asu(x), asu(c_h2f(h)));
        if (isnan(x)) continue;
        cr_assert_eq(vb_oracle_to_half(x), h);
        cr_assert_eq(c_f2h(x), h);
    }
}

/* Between two neighbouring halves: the middle goes to the even one, anything beside it to the nearer one. */
Test(oracle, halves_round_to_nearest_even)
{
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = vb_oracle_from_half((uint16_t)h), high = vb_oracle_from_half((uint16_t)(h + 1));
        float middle = 0.5f * (low + high);
        cr_assert_eq(vb_oracle_to_half(middle), h + (h & 1));
        cr_assert_eq(vb_oracle_to_half(nextafterf(middle, 0.0f)), h);
        cr_assert_eq(vb_oracle_to_half(nextafterf(middle, 1e6f)), h + 1);
    }
    cr_assert_eq(vb_oracle_to_half(65519.99f), 0x7bff);
    cr_assert_eq(vb_oracle_to_half(65520.0f), 0x7c00);
}

Test(oracle, quantisation_rounds_ties_to_even)
{
    float x[32] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.5f, 126.5f}, d;
    int8_t q[32], expected[8] = {127, 0, 2, 2, 0, -2, -126, 126};
    vb_oracle_quantize(x, 32, 32, q, &d);
    cr_assert_eq(memcmp(q, expected, 8), 0);
    cr_assert_eq(asu(d), asu(127.0f * asf(0x3c010204u)));
    for (int i = 0; i < 32; i++) x[i] = 0x1p-61f;
    vb_oracle_quantize(x, 32, 32, q, &d);
    cr_assert_eq(asu(d), 0);
    cr_assert_eq(q[0], 0);
}

/* 2^24 swallows a 1 added to it, but not a 2: the results tell in which order lanes were added. */
Test(oracle, sums_go_by_lanes)
{
    float ones[64], x[64] = {0};
    for (int i = 0; i < 64; i++) ones[i] = 1.0f;
    x[0] = 0x1p24f;
    x[16] = x[32] = 1.0f; /* lane 0, one after the other: both are lost */
    cr_assert_eq(vb_oracle_dot(x, ones, 64), 0x1p24f);
    x[16] = x[32] = 0.0f;
    x[4] = x[12] = 1.0f; /* lane 4 takes lane 12 before lane 0 takes lane 4 */
    cr_assert_eq(vb_oracle_dot(x, ones, 64), 16777218.0f);
    x[4] = x[12] = 0.0f;
    x[8] = x[4] = 1.0f; /* lane 0 takes lane 8 first: lost, and lane 4 after it */
    cr_assert_eq(vb_oracle_dot(x, ones, 64), 0x1p24f);
}

Test(oracle, philox_known_answers)
{
    static const struct {
        uint32_t key[2], counter[4], expected[4];
    } known[] = {
        {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u}, {~0u, ~0u, ~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0xa4093822, 0x299f31d0},
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        vb_oracle_philox(known[i].key, known[i].counter, out);
        cr_assert_eq(memcmp(out, known[i].expected, sizeof out), 0, "vector %d", i);
    }
}

/* --- weights, rope, attention ---------------------------------------------------------------------------------- */

/* A block's integer term is the sum over its dequantised elements, up to the rounding of a few products. */
Test(oracle, terms_are_dot_products)
{
    rng r = {3};
    for (int f = VB_FMT_Q4_0; f < VB_FORMATS; f++) {
        const vb_format_info *info = vb_format_of((vb_format)f);
        uint8_t block[256];
        int8_t q[256];
        for (int round = 0; info->act != VB_ACT_F32 && round < 2000; round++) {
            double sum = 0.0, size = 0.0;
            rng_blocks(&r, (vb_format)f, block, 1);
            for (int i = 0; i < info->block; i++) {
                q[i] = (int8_t)((int)(rng_word(&r) % 255) - 127);
                double product = (double)vb_oracle_element((vb_format)f, block, i) * (double)q[i] * 0.01;
                sum += product;
                size += fabs(product);
            }
            double term = (double)vb_oracle_term((vb_format)f, block, q, 0.01f);
            cr_assert_leq(fabs(term - sum), 1e-6 * size + 1e-12, "%s: %g, not %g", info->name, term, sum);
        }
    }
}

Test(oracle, rope_is_a_rotation_by_position)
{
    vb_rope rope = {.n_rot = 64, .base = 5e5, .factor = 1, .attn_factor = 1};
    float cosine[32], sine[32];
    for (int position = 0; position < 4000000; position += 39999) {
        vb_oracle_rope_table(cosine, sine, &rope, position);
        for (int i = 0; i < 32; i++) {
            double angle = position * pow(5e5, -2.0 * i / 64.0);
            cr_assert_lt(fabs((double)cosine[i] - cos(angle)), 6e-8 + 1e-15 * angle);
            cr_assert_lt(fabs((double)sine[i] - sin(angle)), 6e-8 + 1e-15 * angle);
        }
    }
}

/* The published formula: interpolated and extrapolated frequency mixed by a ramp between two corrected dimensions. */
static double yarn_angle(int i, int position)
{
    double base = 1e6, factor = 4, f = pow(base, -i / 64.0);
    double low = floor(128 * log(32768 / (32 * 2 * M_PI)) / (2 * log(base)));
    double high = ceil(128 * log(32768 / (1 * 2 * M_PI)) / (2 * log(base)));
    double ramp = fmin(1.0, fmax(0.0, (i - low) / (high - low)));
    return position * (f / factor * ramp + f * (1 - ramp));
}

Test(oracle, yarn_is_the_published_formula)
{
    vb_rope rope = {.n_rot = 128, .base = 1e6, .scaling = VB_SCALING_YARN, .factor = 4, .context = 32768,
                    .attn_factor = 1, .beta_fast = 32, .beta_slow = 1};
    float cosine[64], sine[64];
    for (int position = 0; position < 131072; position += 1111) {
        vb_oracle_rope_table(cosine, sine, &rope, position);
        for (int i = 0; i < 64; i++) {
            double m = 0.1 * log(4) + 1, angle = yarn_angle(i, position);
            cr_assert_lt(fabs((double)cosine[i] - m * cos(angle)), 1.3e-7, "pair %d at %d", i, position);
            cr_assert_lt(fabs((double)sine[i] - m * sin(angle)), 1.3e-7, "pair %d at %d", i, position);
        }
    }
}

enum { POSITIONS = 300, HEADS = 6, KV_HEADS = 2, DIM = 32 };

/* Softmax attention as textbooks write it, in binary64 over the stored keys and values. */
static double textbook(const float *q, const float *k, const float *v, const vb_heads *s, int at, int head, int d)
{
    double sum = 0.0, out = 0.0;
    int kv = head / (s->heads / s->kv_heads), row = s->kv_heads * DIM;
    for (int j = s->window > 0 && at >= s->window ? at - s->window + 1 : 0; j <= at; j++) {
        double score = 0.0;
        for (int i = 0; i < DIM; i++) score += (double)q[head * DIM + i] * (double)k[j * row + kv * DIM + i];
        double p = exp(score * (double)s->scale);
        sum += p;
        out += p * (double)v[j * row + kv * DIM + d];
    }
    return out / sum;
}

static void attend_like_textbook(vb_kv kv, int window)
{
    static float k[POSITIONS * KV_HEADS * DIM], v[POSITIONS * KV_HEADS * DIM];
    static uint8_t keys[sizeof k], values[sizeof v];
    float q[HEADS * DIM], out[HEADS * DIM];
    int all = POSITIONS * KV_HEADS * DIM;
    vb_heads shape = {HEADS, KV_HEADS, DIM, DIM, window, 0.3f, 0.0f, 0};
    vb_oracle_cache cache = {kv, keys, values};
    rng r = {4};
    rng_floats(&r, k, all, 2.0f);
    rng_floats(&r, v, all, 2.0f);
    rng_floats(&r, q, HEADS * DIM, 2.0f);
    cr_assert_eq(vb_oracle_kv_write(kv, keys, k, all), VB_OK);
    cr_assert_eq(vb_oracle_kv_write(kv, values, v, all), VB_OK);
    vb_oracle_kv_read(kv, keys, all, k);
    vb_oracle_kv_read(kv, values, all, v);
    for (int at = 0; at < POSITIONS; at += 23) {
        cr_assert_eq(vb_oracle_attend(out, q, &cache, &shape, NULL, at), VB_OK);
        for (int i = 0; i < HEADS * DIM; i++)
            cr_assert_lt(fabs((double)out[i] - textbook(q, k, v, &shape, at, i / DIM, i % DIM)), 2e-6);
    }
}

Test(oracle, attention_is_softmax)
{
    for (int kv = VB_KV_F16; kv <= VB_KV_Q8_0; kv++) {
        attend_like_textbook((vb_kv)kv, 0);
        attend_like_textbook((vb_kv)kv, 1);
        attend_like_textbook((vb_kv)kv, 100);
    }
}

Test(oracle, stored_values_must_fit)
{
    uint8_t to[128];
    float x[32] = {65520.0f};
    cr_assert_eq(vb_oracle_kv_write(VB_KV_F16, to, x, 32), VB_E_FORMAT);
    cr_assert_eq(vb_oracle_kv_write(VB_KV_F32, to, x, 32), VB_OK);
    cr_assert_eq(vb_oracle_kv_write(VB_KV_Q8_0, to, x, 32), VB_OK);
    x[0] = 1e7f; /* its scale is above the largest half */
    cr_assert_eq(vb_oracle_kv_write(VB_KV_Q8_0, to, x, 32), VB_E_FORMAT);
}

/* --- players --------------------------------------------------------------------------------------------------- */

/* A plan of two steps over a table of two rows, the second of which holds a NaN. */
Test(oracle, players_stop_at_what_is_not_finite)
{
    static const vb_player *const players[] = {&vb_oracle_player, &vb_blas_player};
    float table[2][4] = {{1, 2, 3, 4}, {1, NAN, 3, 4}}, logits[4];
    vb_tensor t = {.name = "token_embd.weight", .format = VB_FMT_F32, .cols = 4, .rows = 2, .row_bytes = 16, .data = table};
    vb_step steps[2] = {{.op = VB_OP_EMBED, .layer = -1, .out = 0, .in = {-1, -1, -1}, .weight = &t},
                        {.op = VB_OP_WANTED, .layer = -1, .out = 1, .in = {0, -1, -1}}};
    vb_value values[2] = {{.width = 4, .last_use = 1}, {.width = 4, .wanted = 1, .step = 1, .last_use = 2}};
    vb_plan plan = {.steps = steps, .values = values, .n_steps = 2, .n_values = 2, .output = 1, .vocab = 4, .out_width = 4};
    vb_play_opts opts = {.threads = 1};
    vb_token ids[2] = {0, 1};
    for (int i = 0; i < 2; i++) {
        void *player, *state;
        vb_err err;
        cr_assert_eq(players[i]->open(&player, &plan, &opts, &err), VB_OK);
        cr_assert_eq(players[i]->state_open(&state, player, 8, VB_KV_F32, &err), VB_OK);
        vb_part good = {state, 3, ids, 1, logits, 1, NULL}, bad = {state, 3, ids, 2, logits, 1, NULL};
        cr_assert_eq(players[i]->eval(player, &good, 1, &err), VB_OK);
        cr_assert_eq(memcmp(logits, table[0], sizeof logits), 0);
        cr_assert_eq(players[i]->eval(player, &bad, 1, &err), VB_E_FORMAT);
        cr_assert_str_eq(err.text, "step embed (layer -1) at position 4: not a finite number");
        players[i]->state_close(state);
        players[i]->close(player);
    }
}
