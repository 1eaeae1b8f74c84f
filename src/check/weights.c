/* weights.c - checks of what touches weights: rows times activations, dequantisation, quantisation. */
#include "check/check.h"

#include <string.h>

enum { Y, WEIGHTS, X, ACT, BIAS, EXPECTED, MORE };

static const int block_counts[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 33};
static const int float_counts[] = {1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 257, 1000};
enum { SHAPES = sizeof block_counts / sizeof block_counts[0] };
_Static_assert(SHAPES == sizeof float_counts / sizeof float_counts[0], "one list of lengths a kind of format");

static int cols_of(vb_format format, int shape)
{
    int block = vb_format_of(format)->block;
    if (block == 1) return float_counts[shape];
    return block * (block == 256 && shape > 8 ? block_counts[shape] / 3 : block_counts[shape]);
}

static vb_tensor random_tensor(vb_check *c, vb_format format, int cols, int rows, vb_fill fill)
{
    const vb_format_info *f = vb_format_of(format);
    vb_tensor t = {.name = "random", .format = format, .cols = cols, .rows = rows};
    t.row_bytes = (size_t)(cols / f->block * f->bytes);
    uint8_t *w = vb_check_buffer(c, WEIGHTS, t.row_bytes * (size_t)rows);
    vb_check_blocks(c, format, w, cols / f->block * rows, fill);
    t.data = w;
    return t;
}

static void matvec_once(vb_check *c, const vb_tensor *t, vb_fill fill)
{
    int cols = (int)t->cols, rows = (int)t->rows;
    vb_act_kind kind = vb_format_of(t->format)->act;
    const float *x = vb_check_float_buffer(c, X, cols, fill);
    float *bias = vb_check_float_buffer(c, BIAS, rows, VB_FILL_PLAIN);
    float *expected = vb_check_buffer(c, EXPECTED, (size_t)rows * sizeof *expected);
    float *y = vb_check_buffer(c, Y, (size_t)rows * sizeof *y);
    vb_tensor b = {.name = "bias", .format = VB_FMT_F32, .cols = rows, .rows = 1, .data = bias};
    int with_bias = (int)vb_check_random(c, 2);
    vb_rows w = {t->data, t->row_bytes, rows};
    vb_act a;
    vb_act_place(&a, vb_check_buffer(c, ACT, vb_act_bytes(cols)), cols);
    a.x = x;
    if (kind != VB_ACT_F32) c->k->quantize[kind](&a);
    c->k->matvec[t->format](y, &w, &a);
    uint32_t bad = c->k->settle(y, with_bias ? bias : NULL, rows);
    if (vb_oracle_linear(expected, t, with_bias ? &b : NULL, x, VB_ARITH_INT8) < 0) return;
    vb_check_compare(c, expected, y, rows, bad);
    if (!vb_check_intact(c, Y, (size_t)rows * sizeof *y)) vb_check_fail(c, "wrote before its output");
}

void vb_check_matvec(vb_check *c, int format)
{
    static const int row_counts[] = {1, 2, 3, 4, 5, 7, 8, 13};
    const vb_format_info *f = vb_format_of((vb_format)format);
    if (f->act == VB_ACT_F32 && f->block > 1) return; /* becomes F32 first */
    for (int shape = 0; shape < SHAPES; shape++)
        for (int i = 0; i < 8; i++)
            for (vb_fill w = 0; w < VB_FILLS; w++)
                for (vb_fill x = 0; x < VB_FILLS; x++) {
                    if (vb_check_leaves_out(c)) continue;
                    int cols = cols_of((vb_format)format, shape);
                    vb_tensor t = random_tensor(c, (vb_format)format, cols, row_counts[i], w);
                    matvec_once(c, &t, x);
                }
}

/* Four activations and four outputs, each in guarded memory of its own. */
static void matvec4_once(vb_check *c, const vb_tensor *t, vb_fill fill)
{
    enum { YS = Y + 8, ACTS = YS + 4 };
    int cols = (int)t->cols;
    size_t bytes = (size_t)t->rows * sizeof(float);
    float *expected = vb_check_buffer(c, EXPECTED, bytes), *x = vb_check_float_buffer(c, X, 4 * cols, fill), *y[4];
    vb_rows w = {t->data, t->row_bytes, (int)t->rows};
    vb_act a[4];
    for (int i = 0; i < 4; i++) {
        y[i] = vb_check_buffer(c, YS + i, bytes);
        vb_act_place(&a[i], vb_check_buffer(c, ACTS + i, vb_act_bytes(cols)), cols);
        a[i].x = x + i * cols;
        c->k->quantize[vb_format_of(t->format)->act](&a[i]);
    }
    c->k->matvec4[t->format](y, &w, a);
    for (int i = 0; i < 4; i++) {
        uint32_t bad = c->k->settle(y[i], NULL, (int)t->rows);
        if (vb_oracle_linear(expected, t, NULL, a[i].x, VB_ARITH_INT8) < 0) return;
        vb_check_compare(c, expected, y[i], (int)t->rows, bad);
        if (!vb_check_intact(c, YS + i, bytes)) vb_check_fail(c, "wrote before its output");
    }
}

void vb_check_matvec4(vb_check *c, int format)
{
    if (c->k->matvec4[format] == NULL) return;
    for (int shape = 0; shape < SHAPES; shape++)
        for (int rows = 1; rows < 4; rows++)
            for (vb_fill w = 0; w < VB_FILLS; w++)
                for (vb_fill x = 0; x < VB_FILLS; x++) {
                    if (vb_check_leaves_out(c)) continue;
                    vb_tensor t = random_tensor(c, (vb_format)format, cols_of((vb_format)format, shape), rows, w);
                    matvec4_once(c, &t, x);
                }
}

void vb_check_dequantize(vb_check *c, int format)
{
    for (int shape = 0; shape < SHAPES; shape++)
        for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
            vb_tensor t = random_tensor(c, (vb_format)format, cols_of((vb_format)format, shape), 1, fill);
            size_t bytes = (size_t)t.cols * sizeof(float);
            float *y = vb_check_buffer(c, Y, bytes), *expected = vb_check_buffer(c, EXPECTED, bytes);
            c->k->dequantize[format](y, t.data, (int)t.cols);
            vb_oracle_dequantize(t.format, t.data, t.cols, expected);
            vb_check_bytes(c, expected, y, bytes);
            if (!vb_check_intact(c, Y, bytes)) vb_check_fail(c, "wrote before its output");
        }
}

/* Sums of q over each `step` elements, as the kernels keep them. */
static int sums_agree(const vb_act *a, const int8_t *q, int step, int act)
{
    for (int i = 0; i < a->n / step; i++) {
        int sum = 0, kept = act == VB_ACT_Q32 ? a->sum[i] : step == 16 ? a->sum16[i] : a->sum32[i];
        for (int j = 0; j < step; j++) sum += q[i * step + j];
        if (sum != kept) return 0;
    }
    return 1;
}

static void quantize_once(vb_check *c, int act, int n, vb_fill fill)
{
    int block = act == VB_ACT_Q32 ? 32 : 256;
    size_t blocks = (size_t)(n / block);
    const float *x = vb_check_float_buffer(c, X, n, fill);
    int8_t *q = vb_check_buffer(c, EXPECTED, (size_t)n);
    float *d = vb_check_buffer(c, MORE, blocks * sizeof *d);
    vb_act a;
    vb_act_place(&a, vb_check_buffer(c, ACT, vb_act_bytes(n)), n);
    a.x = x;
    c->k->quantize[act](&a);
    vb_oracle_quantize(x, n, block, q, d);
    vb_check_bytes(c, q, a.q, (size_t)n);
    vb_check_bytes(c, d, a.d, blocks * sizeof *d);
    c->counts->made++;
    int agree = sums_agree(&a, q, 32, act) && (act == VB_ACT_Q32 || sums_agree(&a, q, 16, act));
    if (!agree) vb_check_fail(c, "sums of %d integers differ", n);
}

void vb_check_quantize(vb_check *c, int act)
{
    int block = act == VB_ACT_Q32 ? 32 : 256;
    for (int shape = 0; shape < SHAPES; shape++)
        for (int again = 0; again < 4; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) quantize_once(c, act, block * block_counts[shape], fill);
}
