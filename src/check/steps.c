/* steps.c - checks of the kernels of all other steps. */
#include "check/check.h"

#include <string.h>

enum { Y, A, B, EXPECTED, KEYS, VALUES, PART, TABLE };

static const int lengths[] = {1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 255, 576, 1000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static float *output(vb_check *c, int n)
{
    return vb_check_buffer(c, Y, (size_t)n * sizeof(float));
}

static void judge(vb_check *c, const float *expected, const float *y, int n, uint32_t bad)
{
    vb_check_compare(c, expected, y, n, bad);
    if (!vb_check_intact(c, Y, (size_t)n * sizeof *y)) vb_check_fail(c, "wrote before its output");
}

static void element_once(vb_check *c, int which, int n, vb_fill fill)
{
    const float *a = vb_check_float_buffer(c, A, n, fill), *b = vb_check_float_buffer(c, B, n, fill);
    float *y = output(c, n), *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected), by = 0.0f;
    uint32_t bad = 0;
    while (!(by > 0.0f)) vb_check_floats(c, &by, 1, VB_FILL_PLAIN);
    if (vb_check_random(c, 2)) by = 0.125f;
    switch (which) {
    case VB_ELEMENT_ADD:
        bad = c->k->add(y, a, b, n);
        vb_oracle_add(expected, a, b, n);
        break;
    case VB_ELEMENT_SCALE:
        bad = c->k->scale(y, a, by, n);
        vb_oracle_scale(expected, a, by, n);
        break;
    case VB_ELEMENT_SILU:
        bad = c->k->glu_silu(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_SILU);
        break;
    case VB_ELEMENT_GELU_TANH:
        bad = c->k->glu_gelu_tanh(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_GELU_TANH);
        break;
    default:
        bad = c->k->softcap(y, a, by * 8.0f, n);
        vb_oracle_softcap(expected, a, by * 8.0f, n);
    }
    judge(c, expected, y, n, bad);
}

void vb_check_element(vb_check *c, int which)
{
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) element_once(c, which, lengths[i], fill);
}

/* With a bias it is an addition, without one the guard alone: adding +0 says the same. */
void vb_check_settle(vb_check *c, int which)
{
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int with_bias = 0; with_bias < 2; with_bias++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = lengths[i];
                size_t bytes = (size_t)n * sizeof(float);
                const float *x = vb_check_float_buffer(c, A, n, fill);
                float *bias = vb_check_float_buffer(c, B, n, fill), *y = output(c, n);
                float *expected = vb_check_buffer(c, EXPECTED, bytes);
                if (!with_bias) memset(bias, 0, bytes);
                memcpy(y, x, bytes);
                vb_oracle_add(expected, x, bias, n);
                judge(c, expected, y, n, c->k->settle(y, with_bias ? bias : NULL, n));
            }
}

void vb_check_norm(vb_check *c, int which)
{
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = lengths[i];
                vb_oracle_norm how = {n, n, again % 2 == 0 ? 1e-5f : 1e-6f};
                const float *x = vb_check_float_buffer(c, A, n, fill), *w = vb_check_float_buffer(c, B, n, fill);
                float *y = output(c, n), *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected);
                uint32_t bad = c->k->norm_rms(y, x, w, n, how.eps);
                vb_oracle_norm_rms(expected, x, w, &how);
                judge(c, expected, y, n, bad);
            }
}

static void rope_once(vb_check *c, int pairing, int n_rot, int head_dim)
{
    vb_rope rope = {.n_rot = n_rot, .pairing = (vb_pairing)pairing, .base = 10000.0, .factor = 1.0, .attn_factor = 1.0};
    vb_oracle_turn how = {head_dim, head_dim, n_rot, (vb_pairing)pairing};
    for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
        const float *x = vb_check_float_buffer(c, A, head_dim, fill);
        float *y = output(c, head_dim), *expected = vb_check_buffer(c, EXPECTED, (size_t)head_dim * sizeof *expected);
        float *cos = vb_check_buffer(c, B, (size_t)n_rot / 2 * sizeof *cos);
        float *sin = vb_check_buffer(c, TABLE, (size_t)n_rot / 2 * sizeof *sin);
        vb_turn turn = {cos, sin, n_rot, head_dim};
        vb_oracle_rope_table(cos, sin, &rope, (int)vb_check_random(c, 100000));
        uint32_t bad = (pairing == VB_PAIR_NORM ? c->k->rope_norm : c->k->rope_neox)(y, x, &turn);
        vb_oracle_rope(expected, x, cos, sin, &how);
        judge(c, expected, y, head_dim, bad);
    }
}

void vb_check_rope(vb_check *c, int pairing)
{
    static const int shapes[][2] = {{2, 2},   {4, 5},   {16, 16}, {20, 32},  {30, 33},   {32, 32},  {32, 80},
                                    {34, 50}, {64, 64}, {64, 96}, {96, 128}, {128, 128}, {256, 256}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) rope_once(c, pairing, shapes[i][0], shapes[i][1]);
}

/* Some numbers too large for a half, in one of four tries. */
static void too_large(vb_check *c, float *x, int n)
{
    if (vb_check_random(c, 4) == 0) x[vb_check_random(c, (uint32_t)n)] = vb_check_random(c, 2) ? 65520.0f : -1e9f;
}

void vb_check_kv_write(vb_check *c, int kv)
{
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = kv == VB_KV_Q8_0 ? (lengths[i] + 31) / 32 * 32 : lengths[i];
                size_t bytes = vb_oracle_kv_size((vb_kv)kv, n);
                float *x = vb_check_float_buffer(c, A, n, fill);
                uint8_t *found = vb_check_buffer(c, Y, bytes), *expected = vb_check_buffer(c, EXPECTED, bytes);
                too_large(c, x, n);
                uint32_t bad = c->k->kv_write[kv](found, x, n);
                vb_status s = vb_oracle_kv_write((vb_kv)kv, expected, x, n);
                vb_check_bytes(c, expected, found, bytes);
                if ((s < 0) != (bad != 0)) vb_check_fail(c, "%d numbers that do not fit: expected %d", n, s < 0);
                if (!vb_check_intact(c, Y, bytes)) vb_check_fail(c, "wrote before its output");
            }
}

/* Rows before the window are forbidden memory for the kernel's eyes: it gets NaN there. */
static void spoil(void *rows, size_t stride, int n)
{
    memset(rows, 0xff, stride * (size_t)n);
}

static void attend_once(vb_check *c, vb_kv kv, const vb_heads *shape, int position)
{
    size_t k = vb_oracle_kv_size(kv, shape->dim_k), v = vb_oracle_kv_size(kv, shape->dim_v), n = (size_t)position + 1;
    vb_fill fill = vb_check_random(c, 4) == 0 ? VB_FILL_WILD : VB_FILL_PLAIN;
    vb_oracle_cache cache = {kv, vb_check_buffer(c, KEYS, k * n), vb_check_buffer(c, VALUES, v * n)};
    float *row = vb_check_buffer(c, TABLE, (size_t)(shape->dim_k + shape->dim_v) * sizeof *row);
    for (size_t p = 0; p < n; p++) {
        vb_check_floats(c, row, shape->dim_k + shape->dim_v, fill);
        for (int i = 0; fill == VB_FILL_WILD && i < shape->dim_k + shape->dim_v; i++) row[i] *= 0x1p-12f;
        vb_oracle_kv_write(kv, (uint8_t *)cache.keys + p * k, row, shape->dim_k);
        vb_oracle_kv_write(kv, (uint8_t *)cache.values + p * v, row + shape->dim_k, shape->dim_v);
    }
    const float *q = vb_check_float_buffer(c, A, shape->dim_k, fill);
    float *y = output(c, shape->dim_v), *expected = vb_check_buffer(c, EXPECTED, (size_t)shape->dim_v * sizeof *y);
    vb_query h = {.q = q, .keys = cache.keys, .values = cache.values, .key_stride = k, .value_stride = v,
                  .dim_k = shape->dim_k, .dim_v = shape->dim_v, .last = position, .scale = shape->scale};
    h.first = shape->window > 0 && position >= shape->window ? position - shape->window + 1 : 0;
    h.part = vb_check_buffer(c, PART, (size_t)shape->dim_v * sizeof(float));
    vb_status s = vb_oracle_attend(expected, q, &cache, shape, position);
    spoil(cache.keys, k, h.first);
    spoil(cache.values, v, h.first);
    uint32_t bad = c->k->attend[kv](y, &h);
    if (s == VB_OK) judge(c, expected, y, shape->dim_v, bad);
    if (s == VB_E_FORMAT) {
        c->counts->made++;
        if (bad == 0) vb_check_fail(c, "position %d: expected an infinite score", position);
    }
}

void vb_check_attend(vb_check *c, int kv)
{
    static const int dims[][2] = {{16, 16}, {64, 64}, {128, 128}, {80, 96}, {256, 64}, {20, 33}, {1, 1}, {7, 130}};
    static const int full[][2] = {{32, 32}, {64, 64}, {128, 128}, {96, 160}};
    static const int positions[] = {0, 1, 2, 15, 16, 62, 63, 64, 65, 127, 128, 200, 300};
    static const int windows[] = {0, 1, 5, 64, 100};
    int n = kv == VB_KV_Q8_0 ? 4 : 8;
    for (int d = 0; d < n; d++)
        for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++)
            for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
                const int *dim = kv == VB_KV_Q8_0 ? full[d] : dims[d];
                vb_heads shape = {1, 1, dim[0], dim[1], windows[w], 0.125f};
                attend_once(c, (vb_kv)kv, &shape, positions[p]);
            }
}
