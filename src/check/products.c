/* products.c - checks of matrices of weights times many activations: token counts around the size of a tile, rows that
 * do not fill a panel, results in the middle of rows that are longer.
 */
#include "check/check.h"

#include <string.h>

enum { YS, WEIGHTS, XS, ACTS, PANEL, EXPECTED, PLACES, BIAS, STRIPS };
enum { TOKENS = 33, BEFORE = 3 };

typedef struct {
    vb_tensor t;
    void (*product)(const vb_product *p);
    int tokens;
    vb_act a[VB_FEW_SHORT];
    float *y[VB_FEW_SHORT];
    int settled; /* by the product itself, which tells in `bad` */
    vb_tensor bias;
    uint32_t bad;
} product;

static void prepare_acts(vb_check *c, product *p, vb_fill fill)
{
    int cols = (int)p->t.cols;
    size_t bytes = vb_act_bytes(cols);
    vb_act_kind kind = vb_format_of(p->t.format)->act;
    float *x = vb_check_float_buffer(c, XS, cols * p->tokens, fill);
    uint8_t *acts = vb_check_buffer(c, ACTS, bytes * (size_t)p->tokens);
    for (int i = 0; i < p->tokens; i++) {
        if (kind == VB_ACT_F32)
            p->a[i] = (vb_act){.n = cols};
        else
            vb_act_place(&p->a[i], acts + bytes * (size_t)i, cols);
        p->a[i].x = x + i * cols;
        if (kind != VB_ACT_F32) c->k->quantize[kind](&p->a[i]);
    }
}

/* Activations side by side, if that is how they are read; nothing but that is written. */
static const uint8_t *lay(vb_check *c, const product *p)
{
    vb_act_kind kind = vb_format_of(p->t.format)->act;
    int strip = c->k->strip[kind];
    if (p->product != c->k->matmul[p->t.format] || c->k->lay[kind] == NULL) return NULL;
    size_t each = vb_strip_bytes(kind, (int)p->t.cols), n = (size_t)((p->tokens + strip - 1) / strip * strip);
    uint8_t *to = vb_check_buffer(c, STRIPS, each * n);
    c->k->lay[kind](to, p->a, p->tokens);
    if (!vb_check_intact(c, STRIPS, each * n)) vb_check_fail(c, "wrote before its strips");
    return to;
}

/* All results, each token's behind BEFORE others that must stay. */
static void multiply(vb_check *c, product *p)
{
    int rows = (int)p->t.rows, stride = BEFORE + rows;
    size_t panel = vb_panel_bytes((int)p->t.cols);
    float *y = vb_check_float_buffer(c, YS, stride * p->tokens, VB_FILL_PLAIN);
    float *before = vb_check_buffer(c, PLACES, (size_t)(stride * p->tokens) * sizeof *y);
    memcpy(before, y, (size_t)(stride * p->tokens) * sizeof *y);
    for (int i = 0; i < p->tokens; i++) p->y[i] = y + i * stride;
    vb_rows w = {p->t.data, p->t.row_bytes, rows};
    vb_product q = {.w = &w, .a = p->a, .tokens = p->tokens, .from = BEFORE, .y = p->y, .strips = lay(c, p),
                    .panel = vb_check_buffer(c, PANEL, panel), .bad = p->settled ? &p->bad : NULL, .bias = p->bias.data};
    p->product(&q);
    for (int i = 0; i < p->tokens; i++) vb_check_bytes(c, before + i * stride, p->y[i], BEFORE * sizeof *y);
    if (!vb_check_intact(c, YS, (size_t)(stride * p->tokens) * sizeof *y)) vb_check_fail(c, "wrote before its output");
    if (!vb_check_intact(c, PANEL, panel)) vb_check_fail(c, "wrote before its panel");
}

static void product_once(vb_check *c, product *p, vb_fill weights, vb_fill fill)
{
    const vb_format_info *f = vb_format_of(p->t.format);
    int rows = (int)p->t.rows, blocks = (int)p->t.cols / f->block;
    uint32_t any = 0;
    float *expected = vb_check_buffer(c, EXPECTED, (size_t)rows * sizeof *expected);
    uint8_t *w = vb_check_buffer(c, WEIGHTS, (size_t)(blocks * f->bytes * rows));
    p->t.row_bytes = (size_t)(blocks * f->bytes);
    p->t.data = w;
    vb_check_blocks(c, p->t.format, w, blocks * rows, weights);
    prepare_acts(c, p, fill);
    p->settled = p->product == c->k->matmul[p->t.format] && vb_check_random(c, 2) > 0;
    if (p->settled && vb_check_random(c, 2) > 0) p->bias.data = vb_check_float_buffer(c, BIAS, rows, fill);
    multiply(c, p);
    for (int i = 0; i < p->tokens; i++) {
        if (vb_oracle_linear(expected, &p->t, p->bias.data != NULL ? &p->bias : NULL, p->a[i].x, VB_ARITH_INT8) < 0)
            return;
        uint32_t bad = p->settled ? !vb_oracle_finite(expected, rows) : c->k->settle(p->y[i] + BEFORE, NULL, rows);
        any |= bad;
        vb_check_compare(c, expected, p->y[i] + BEFORE, rows, bad);
    }
    if (p->settled && (p->bad != 0) != (any != 0)) vb_check_fail(c, "told of no infinite result, or of one not there");
}

static void check_products(vb_check *c, int format, void (*product_of)(const vb_product *p), const int tokens[12])
{
    static const int row_counts[] = {1, 3, 15, 16, 17, 31, 32, 33, 97};
    static const int block_counts[] = {1, 3, 7, 8, 9, 2, 19}, float_counts[] = {1, 15, 16, 33, 100, 257, 1100};
    int block = vb_format_of((vb_format)format)->block;
    if (product_of == NULL) return;
    for (int i = 0; i < 12; i++)
        for (int again = 0; again < 12; again++) {
            if (vb_check_leaves_out(c)) continue;
            uint32_t shape = vb_check_random(c, 7), rows = vb_check_random(c, 9);
            int cols = block == 1 ? float_counts[shape] : block * block_counts[block == 256 ? shape % 3 : shape];
            product p = {.t = {.name = "random", .format = (vb_format)format, .cols = cols, .rows = row_counts[rows]},
                         .product = product_of, .tokens = tokens[i]};
            product_once(c, &p, (vb_fill)(again % VB_FILLS), (vb_fill)(again / VB_FILLS));
        }
}

void vb_check_matmul(vb_check *c, int format)
{
    check_products(c, format, c->k->matmul[format], (const int[12]){1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 32, TOKENS});
}

void vb_check_few(vb_check *c, int format)
{
    check_products(c, format, c->k->few[format], (const int[12]){1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, VB_FEW});
    for (int tokens = 1; tokens <= VB_FEW_SHORT && c->k->few[format] != NULL; tokens += 21) {
        product p = {.t = {.name = "short", .format = (vb_format)format, .cols = 64, .rows = 97},
                     .product = c->k->few[format], .tokens = tokens};
        if (vb_format_of((vb_format)format)->block == 32) product_once(c, &p, VB_FILL_PLAIN, VB_FILL_PLAIN);
    }
}
