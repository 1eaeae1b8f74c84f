/* bits.c - one digest of everything the oracle and base/canon.* compute from fixed inputs; tools/bits.sh builds it with
 * several compilers and flags and wants the same line from each.
 */
#include "base/canon.h"
#include "base/canon64.h"
#include "base/fp.h"
#include "base/hash.h"
#include "oracle/like_ggml.h"
#include "tests/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLS = 1024, ROWS = 24, SCALARS = 200000, POSITIONS = 150, HEADS = 4, KV_HEADS = 2, DIM = 64 };

static vb_sha256 *sum;

static void add(const void *data, size_t bytes)
{
    vb_sha256_add(sum, data, bytes);
}

static void scalars(rng *r)
{
    for (int i = 0; i < SCALARS; i++) {
        float x = rng_float(r) * (i % 3 == 0 ? 1.0f : i % 3 == 1 ? 10.0f : 80.0f), positive = x * x + 0x1p-20f;
        float y[] = {vb_oracle_exp(x),   vb_oracle_sigmoid(x),      vb_oracle_silu(x), vb_oracle_gelu_tanh(x),
                     vb_oracle_tanh(x),  vb_oracle_recip(positive), vb_oracle_erf(x),  vb_oracle_log(positive),
                     vb_oracle_guard(x), vb_oracle_from_half(vb_oracle_to_half(x))};
        float c[] = {c_exp(x),   c_sigmoid(x),      c_silu(x), c_gelu_tanh(x),
                     c_tanh(x),  c_recip(positive), c_erf(x),  c_log(positive),
                     c_guard(x), c_h2f(c_f2h(x))};
        double d = (double)x * 1e5, z[] = {vb_oracle_sin64(d), vb_oracle_cos64(d), vb_oracle_exp64((double)x),
                                           vb_oracle_log64((double)positive), c64_sin(d), c64_cos(d),
                                           c64_exp((double)x), c64_log((double)positive)};
        add(y, sizeof y);
        add(c, sizeof c);
        add(z, sizeof z);
    }
}

static void weights(rng *r)
{
    static float x[COLS], y[ROWS], row[COLS];
    rng_floats(r, x, COLS, 4.0f);
    for (int f = 0; f < VB_FORMATS; f++) {
        const vb_format_info *info = vb_format_of((vb_format)f);
        uint8_t *data = rng_matrix(r, (vb_format)f, COLS, ROWS);
        if (data == NULL) exit(1);
        vb_tensor t = {.name = "w", .format = (vb_format)f, .cols = COLS, .rows = ROWS, .data = data};
        t.row_bytes = (size_t)(COLS / info->block * info->bytes);
        vb_oracle_embed(row, &t, ROWS - 1);
        add(row, sizeof row);
        for (int arith = 0; arith < 2; arith++) {
            if (vb_oracle_linear(y, &t, NULL, x, (vb_arith)arith) != VB_OK) exit(1);
            add(y, sizeof y);
        }
        if (vb_like_ggml_multiply(VB_GGML_ALL, &t, VB_ARITH_INT8)(y, &t, NULL, x, VB_ARITH_INT8) != VB_OK) exit(1);
        add(y, sizeof y);
        free(data);
    }
}

static void rows(rng *r)
{
    static float x[COLS], z[COLS], y[COLS], table[2][DIM / 2];
    vb_oracle_norm norm = {COLS, DIM, 1e-6f};
    vb_rope rope = {.n_rot = DIM, .base = 1e4, .scaling = VB_SCALING_YARN, .factor = 8, .context = 4096,
                    .attn_factor = 1, .beta_fast = 32, .beta_slow = 1};
    rng_floats(r, x, COLS, 6.0f);
    rng_floats(r, z, COLS, 2.0f);
    vb_oracle_norm_rms(y, x, z, &norm);
    add(y, sizeof y);
    for (int act = 0; act < 2; act++) {
        vb_oracle_glu(y, x, z, COLS, (vb_glu)act);
        add(y, sizeof y);
        vb_like_ggml_glu(y, x, z, COLS, (vb_glu)act);
        add(y, sizeof y);
    }
    vb_oracle_softcap(y, x, 30.0f, COLS);
    add(y, sizeof y);
    for (int position = 0; position < 100000; position += 997) {
        vb_oracle_turn turn = {COLS, DIM, DIM, position % 2 == 0 ? VB_PAIR_NORM : VB_PAIR_NEOX};
        vb_oracle_rope_table(table[0], table[1], &rope, position);
        vb_oracle_rope(y, x, table[0], table[1], &turn);
        add(y, sizeof y);
        vb_like_ggml_rope_table(table[0], table[1], &rope, position);
        add(table, sizeof table);
    }
}

static void attention(rng *r)
{
    static float x[POSITIONS * KV_HEADS * DIM], q[HEADS * DIM], out[HEADS * DIM];
    static uint8_t keys[sizeof x], values[sizeof x];
    vb_heads shape = {HEADS, KV_HEADS, DIM, DIM, 0, 0.125f, 0.0f, 0};
    rng_floats(r, q, HEADS * DIM, 3.0f);
    for (int kv = VB_KV_F16; kv <= VB_KV_Q8_0; kv++) {
        vb_oracle_cache cache = {(vb_kv)kv, keys, values};
        rng_floats(r, x, POSITIONS * KV_HEADS * DIM, 2.0f);
        if (vb_oracle_kv_write(cache.kv, keys, x, POSITIONS * KV_HEADS * DIM) != VB_OK) exit(1);
        rng_floats(r, x, POSITIONS * KV_HEADS * DIM, 2.0f);
        if (vb_oracle_kv_write(cache.kv, values, x, POSITIONS * KV_HEADS * DIM) != VB_OK) exit(1);
        for (shape.window = 0; shape.window < 100; shape.window += 33) {
            if (vb_oracle_attend(out, q, &cache, &shape, NULL, POSITIONS - 1) != VB_OK) exit(1);
            add(out, sizeof out);
            if (kv != VB_KV_F16) continue;
            if (vb_like_ggml_attend(out, q, &cache, &shape, NULL, POSITIONS - 1) != VB_OK) exit(1);
            add(out, sizeof out);
        }
    }
}

static void choices(rng *r)
{
    static float logits[COLS];
    vb_sampling s = {.temperature = 0.8f, .top_p = 0.95f, .typical = 0.9f, .min_p = 0.01f, .repeat = 1.1f, .seed = 42};
    vb_token past[64];
    for (int i = 0; i < 64; i++) {
        float p;
        rng_floats(r, logits, COLS, 8.0f);
        if (vb_oracle_sample(logits, COLS, past, i, &s, &past[i]) != VB_OK) exit(1);
        p = vb_oracle_logprob(logits, COLS, past[i]);
        add(&p, sizeof p);
    }
    add(past, sizeof past);
}

int main(void)
{
    rng r = {88172645463325252u};
    uint8_t digest[32];
    char text[65];
    sum = vb_sha256_new();
    if (sum == NULL) return 1;
    vb_fp_enter();
    scalars(&r);
    weights(&r);
    rows(&r);
    attention(&r);
    choices(&r);
    vb_sha256_end(sum, digest);
    vb_hex(text, digest, sizeof digest);
    puts(text);
    return 0;
}
