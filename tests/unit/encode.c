/* encode.c - floats into weight formats: what comes back through the oracle's decoders, and which bytes stand between.
 *
 * Bytes are compared by a digest of a seeded matrix for each format, so that any compiler and machine that gives
 * others is found; the digests of Q8_0 to Q5_1 are those of the field's reference quantisation.
 */
#include "base/canon.h"
#include "base/hash.h"
#include "oracle/oracle.h"
#include "quantize/encode.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 24, WIDTH = 512, N = ROWS * WIDTH };

/* Sums of four uniform numbers, every 41st ten times as large. */
static float *matrix(void)
{
    rng r = {0x5eed5eed5eedu};
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = (rng_float(&r) + rng_float(&r) + rng_float(&r) + rng_float(&r)) * (i % 41 == 7 ? 0.25f : 0.025f);
    return x;
}

static float *importance(void)
{
    rng r = {0x1337u};
    float *w = malloc(WIDTH * sizeof *w);
    for (int i = 0; i < WIDTH; i++) w[i] = rng_float(&r) * rng_float(&r) * (i % 31 == 3 ? 40.0f : 4.0f);
    for (int i = 0; i < WIDTH; i++) w[i] = w[i] * w[i];
    return w;
}

static uint8_t *encoded(vb_format format, const float *x, const float *w, int threads)
{
    vb_encode_job job = {vb_format_of(format), "m", ROWS, WIDTH, w, threads};
    uint8_t *out = malloc(N * sizeof(float));
    vb_err err = {0};
    cr_assert_eq(vb_encode_tensor(&job, x, out, &err), VB_OK, "%s", err.text);
    return out;
}

/* Root mean square of what is lost, over that of what was there, weighted if w is given. */
static double lost(vb_format format, const float *x, const float *w, const uint8_t *out)
{
    double error = 0, size = 0;
    float *y = malloc(N * sizeof *y);
    vb_oracle_dequantize(format, out, N, y);
    for (int i = 0; i < N; i++) {
        double d = (double)y[i] - (double)x[i], weight = w != NULL ? (double)w[i % WIDTH] : 1.0;
        error += weight * d * d;
        size += weight * (double)x[i] * (double)x[i];
    }
    free(y);
    return sqrt(error / size);
}

/* --- what a format keeps --------------------------------------------------------------------------------------- */

typedef struct {
    vb_format format;
    double plain, weighted; /* the most that may be lost of the matrix, without and with importance */
    const char *digest, *weighted_digest;
} expected;

static const expected table[] = {
    {VB_FMT_F32, 0, 0, "d23c06e4c838abc6", "d23c06e4c838abc6"},
    {VB_FMT_F16, 0.00022, 0.00019, "50107607eb652745", "50107607eb652745"},
    {VB_FMT_BF16, 0.0017, 0.0017, "fdcc8236fd25280f", "fdcc8236fd25280f"},
    {VB_FMT_Q8_0, 0.011, 0.012, "bcb14423b5936296", "bcb14423b5936296"},
    {VB_FMT_Q6_K, 0.031, 0.024, "57c971a20095b09e", "28189f941881986e"},
    {VB_FMT_Q5_K, 0.051, 0.035, "6ec531da5af2aae1", "bd8a294e42983ef0"},
    {VB_FMT_Q5_1, 0.052, 0.025, "c02f662ed14abb42", "6e2a2aafebecfaee"},
    {VB_FMT_Q5_0, 0.085, 0.073, "782ba50c0072744e", "66bf0155fa6f77bd"},
    {VB_FMT_Q4_K, 0.1, 0.057, "1aa273d793e85ee2", "b79f9787fc05bb8c"},
    {VB_FMT_Q4_1, 0.11, 0.049, "80eeff8fd30a2eb5", "da5d18c6239210c2"},
    {VB_FMT_IQ4_XS, 0.13, 0.094, "4686aef2d981a7bc", "6ea42b192227af97"},
    {VB_FMT_IQ4_NL, 0.13, 0.091, "5795acd8ec7bbe06", "08724d7d21f42c80"},
    {VB_FMT_Q4_0, 0.18, 0.15, "ecdb09fd1bcfdf6e", "c68f8ab08badd54b"},
    {VB_FMT_MXFP4, 0.17, 0.15, "5869b6898f458b20", "e83e3096a98de44a"},
    {VB_FMT_Q3_K, 0.22, 0.17, "6eee3980d7fa9894", "6c89cf281f3de401"},
    {VB_FMT_Q2_K, 0.3, 0.2, "57bc23bbd0996b99", "0a2014943144e758"},
};
enum { ENTRIES = sizeof table / sizeof table[0] };

static void check_digest(const expected *e, const float *w, const char *digest, double most)
{
    uint8_t sum[32];
    char hex[65];
    const vb_format_info *f = vb_format_of(e->format);
    float *x = matrix();
    uint8_t *out = encoded(e->format, x, w, 1);
    vb_sha256_of(out, (size_t)vb_encode_bytes(f, ROWS, WIDTH), sum);
    vb_hex(hex, sum, sizeof sum);
    double found = lost(e->format, x, w, out);
    cr_expect_leq(found, most, "%s%s loses %g", f->name, w != NULL ? " by importance" : "", found);
    cr_expect_eq(strncmp(hex, digest, strlen(digest)), 0, "%s%s: %s", f->name, w != NULL ? " by importance" : "", hex);
    cr_expect_eq(strlen(digest), 16, "%s: %.16s", f->name, hex);
    free(x);
    free(out);
}

Test(encode, bytes_and_losses)
{
    float *w = importance();
    for (int i = 0; i < ENTRIES; i++) {
        check_digest(&table[i], NULL, table[i].digest, table[i].plain);
        check_digest(&table[i], w, table[i].weighted_digest, table[i].weighted);
    }
    free(w);
}

Test(encode, fewer_bits_lose_more)
{
    static const vb_format order[] = {VB_FMT_F32,  VB_FMT_F16,  VB_FMT_BF16, VB_FMT_Q8_0, VB_FMT_Q6_K,
                                      VB_FMT_Q5_K, VB_FMT_Q4_K, VB_FMT_Q3_K, VB_FMT_Q2_K};
    float *x = matrix(), *w = importance();
    for (int weighted = 0; weighted < 2; weighted++) {
        double before = -1.0;
        for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
            uint8_t *out = encoded(order[i], x, weighted ? w : NULL, 2);
            double now = lost(order[i], x, weighted ? w : NULL, out);
            cr_expect_gt(now, before * 1.15, "%s loses %g", vb_format_of(order[i])->name, now);
            before = now;
            free(out);
        }
    }
    free(x);
    free(w);
}

Test(encode, importance_moves_the_loss)
{
    static const vb_format all[] = {VB_FMT_Q4_0, VB_FMT_Q4_1, VB_FMT_Q5_0,   VB_FMT_Q5_1,   VB_FMT_Q2_K, VB_FMT_Q3_K,
                                    VB_FMT_Q4_K, VB_FMT_Q5_K, VB_FMT_IQ4_NL, VB_FMT_IQ4_XS, VB_FMT_Q6_K};
    float *x = matrix(), *w = importance();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        uint8_t *without = encoded(all[i], x, NULL, 1), *with = encoded(all[i], x, w, 1);
        cr_expect_lt(lost(all[i], x, w, with), 0.95 * lost(all[i], x, w, without), "%s", vb_format_of(all[i])->name);
        free(without);
        free(with);
    }
    free(x);
    free(w);
}

Test(encode, threads_change_nothing)
{
    float *x = matrix(), *w = importance();
    for (int i = 0; i < ENTRIES; i++) {
        uint8_t *one = encoded(table[i].format, x, w, 1), *many = encoded(table[i].format, x, w, 7);
        int64_t bytes = vb_encode_bytes(vb_format_of(table[i].format), ROWS, WIDTH);
        cr_expect_eq(memcmp(one, many, (size_t)bytes), 0, "%s", vb_format_of(table[i].format)->name);
        free(one);
        free(many);
    }
    free(x);
    free(w);
}

/* --- odd rows -------------------------------------------------------------------------------------------------- */

static void one_row(vb_format format, const float *x, const float *w, float *y)
{
    uint8_t out[WIDTH * sizeof(float)];
    memset(out, 0xa5, sizeof out);
    cr_assert_eq(vb_encode_rows(vb_format_of(format), x, 1, WIDTH, w, out), VB_OK, "%s",
                 vb_format_of(format)->name);
    vb_oracle_dequantize(format, out, WIDTH, y);
}

Test(encode, zeros_and_what_is_nearly_zero)
{
    static const float tiny[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-140f, 0x1p-126f, -1e-20f, 0x1p-30f};
    float x[WIDTH], y[WIDTH], *w = importance();
    for (int i = 0; i < ENTRIES; i++)
        for (size_t k = 0; k < sizeof tiny / sizeof tiny[0]; k++)
            for (int weighted = 0; weighted < 2; weighted++) {
                for (int j = 0; j < WIDTH; j++) x[j] = j % 3 == 0 ? 0.0f : tiny[k];
                one_row(table[i].format, x, weighted ? w : NULL, y);
                for (int j = 0; j < WIDTH; j++)
                    cr_assert(fabsf(y[j] - x[j]) <= 0x1p-25f, "%s: %a becomes %a", vb_format_of(table[i].format)->name,
                              (double)x[j], (double)y[j]);
            }
    free(w);
}

/* One number all over, or one among zeros, is a code times a scale: only the halves round. */
Test(encode, rows_of_one_number)
{
    static const float value[] = {1.0f, -1.0f, 0.1f, -3.3e-3f, 1000.0f, -8000.0f, 60000.0f};
    float x[WIDTH], y[WIDTH];
    for (int i = 0; i < ENTRIES; i++)
        for (size_t k = 0; k < sizeof value / sizeof value[0]; k++)
            for (int step = 1; step <= 256; step *= 4) {
                float most = fabsf(value[k]) * (table[i].format == VB_FMT_MXFP4 ? 0.15f : 0.04f);
                for (int j = 0; j < WIDTH; j++) x[j] = j % step == 0 ? value[k] : 0.0f;
                one_row(table[i].format, x, NULL, y);
                for (int j = 0; j < WIDTH; j++)
                    cr_assert(fabsf(y[j] - x[j]) <= most, "%s: step %d: %g becomes %g",
                              vb_format_of(table[i].format)->name, step, (double)x[j], (double)y[j]);
            }
}

Test(encode, importance_of_zero_is_no_importance)
{
    float *x = matrix(), w[WIDTH] = {0}, y[WIDTH];
    for (int i = 0; i < ENTRIES; i++) {
        double error = 0, size = 0;
        one_row(table[i].format, x, w, y);
        for (int j = 0; j < WIDTH; j++) {
            error += ((double)y[j] - (double)x[j]) * ((double)y[j] - (double)x[j]);
            size += (double)x[j] * (double)x[j];
        }
        cr_expect_leq(sqrt(error / size), 1.3 * table[i].plain, "%s loses %g", vb_format_of(table[i].format)->name,
                      sqrt(error / size));
    }
    free(x);
}

/* --- what is refused ------------------------------------------------------------------------------------------- */

static void refused(vb_format format, float value, const char *said)
{
    float *x = matrix();
    uint8_t *out = malloc(N * sizeof(float));
    vb_encode_job job = {vb_format_of(format), "blk.0.ffn_up.weight", ROWS, WIDTH, NULL, 2};
    vb_err err = {0};
    x[3 * WIDTH + 100] = value;
    cr_expect_eq(vb_encode_tensor(&job, x, out, &err), VB_E_FORMAT, "%s took %g", job.format->name, (double)value);
    cr_expect_not_null(strstr(err.text, "blk.0.ffn_up.weight: element 1636"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, said), "%s", err.text);
    free(x);
    free(out);
}

Test(encode, what_is_no_number_is_refused)
{
    for (int i = 0; i < ENTRIES; i++) {
        refused(table[i].format, INFINITY, "finite");
        refused(table[i].format, -INFINITY, "finite");
        refused(table[i].format, NAN, "finite");
    }
}

Test(encode, what_a_format_cannot_hold_is_refused)
{
    refused(VB_FMT_F16, 65520.0f, "F16 can hold");
    refused(VB_FMT_BF16, 3.4e38f, "BF16 can hold");
    refused(VB_FMT_Q4_0, 1e6f, "Q4_0 can hold");
    refused(VB_FMT_Q8_0, -9e6f, "Q8_0 can hold");
    refused(VB_FMT_Q5_1, 3e38f, "Q5_1 can hold");
}

Test(encode, formats_without_an_encoder_are_named)
{
    vb_encode_job job = {vb_format_of(VB_FMT_IQ1_S), "t", 1, 256, NULL, 1};
    float x[256] = {0};
    uint8_t out[256];
    vb_err err = {0};
    cr_assert_eq(vb_encode_tensor(&job, x, out, &err), VB_E_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "Q8_0"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "IQ1_S"), "%s", err.text);
    job = (vb_encode_job){vb_format_of(VB_FMT_Q8_0), "t", 1, 33, NULL, 1};
    cr_assert_eq(vb_encode_tensor(&job, x, out, &err), VB_E_ARGUMENT);
}

/* --- halves ---------------------------------------------------------------------------------------------------- */

Test(encode, halves_are_the_oracles)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        float x = vb_oracle_from_half((uint16_t)h), y = c_h2f((uint16_t)h);
        cr_assert(memcmp(&x, &y, sizeof x) == 0 || (x != x && y != y), "%x", h);
    }
    for (uint32_t bits = 0x30000000u; bits < 0x49000000u; bits += 0x199) {
        float x = asf(bits);
        cr_assert_eq((uint16_t)c_f2h(x), vb_oracle_to_half(x), "%a", (double)x);
        cr_assert_eq((uint16_t)c_f2h(-x), vb_oracle_to_half(-x), "%a", (double)-x);
    }
}
