/* recurrent.c - checks of the kernels that remember (J3): some tokens one after the other, so that what they leave behind
 * is compared too.
 */
#include "check/check.h"

#include <string.h>

enum { Y, X, WEIGHT, TURNED, EXPECTED, MEMORY, MATRIX, QK, V, DECAY, TOKENS = 4 };

static void judge(vb_check *c, const float *expected, const float *y, int n, uint32_t bad)
{
    vb_check_compare(c, expected, y, n, bad);
    if (!vb_check_intact(c, Y, (size_t)n * sizeof *y)) vb_check_fail(c, "wrote before its output");
}

/* The kernel sees the tokens before the first as zeros in rows of their own. */
static void conv_once(vb_check *c, int n, int taps, vb_fill fill)
{
    size_t row = (size_t)n * sizeof(float), kept = (size_t)(taps - 1) * row;
    float *x = vb_check_float_buffer(c, X, n * (TOKENS + taps - 1), fill), *memory = vb_check_buffer(c, MEMORY, kept);
    const float *w = vb_check_float_buffer(c, WEIGHT, n * taps, fill);
    float *turned = vb_check_buffer(c, TURNED, (size_t)taps * row);
    memset(x, 0, kept);
    memset(memory, 0, kept);
    for (int i = 0; i < n * taps; i++) turned[i % taps * n + i / taps] = w[i];
    for (int t = 0; t < TOKENS; t++) {
        const float *past[VB_MOST_TAPS];
        float *y = vb_check_buffer(c, Y, row), *expected = vb_check_buffer(c, EXPECTED, row);
        for (int i = 0; i < taps; i++) past[i] = x + (t + i) * n;
        uint32_t bad = c->k->conv(y, past, turned, (size_t)n, taps, n);
        vb_oracle_conv(expected, past[taps - 1], w, memory, taps, n);
        judge(c, expected, y, n, bad);
    }
}

void vb_check_conv(vb_check *c, int which)
{
    static const int lengths[] = {1, 3, 15, 16, 17, 33, 64, 100, 255, 576};
    (void)which;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int taps = 2; taps <= 5; taps++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) conv_once(c, lengths[i], taps, fill);
}

/* What one head has: `whole` columns, of which the kernel takes those between at and at + n. */
typedef struct {
    int dim, at, n;
    float *expected; /* [dim][dim], after each token */
    float *matrix;   /* of the kernel */
} head;

static int delta_token(vb_check *c, head *h, vb_fill fill)
{
    int dim = h->dim;
    size_t bytes = (size_t)dim * sizeof(float);
    float *qk = vb_check_float_buffer(c, QK, 2 * dim, VB_FILL_PLAIN), *v = vb_check_float_buffer(c, V, dim, fill);
    float *y = vb_check_buffer(c, Y, (size_t)h->n * sizeof *y), *expected = vb_check_buffer(c, EXPECTED, bytes);
    float decay[2] = {(float)vb_check_random(c, 1000) * 0.001f, (float)vb_check_random(c, 1000) * 0.001f};
    const float *in[3] = {qk, v, decay};
    vb_delta_heads shape = {1, 1, dim, 0.25f};
    vb_delta d = {.from = h->matrix + h->at, .to = h->matrix + h->at, .q = qk, .k = qk + dim, .v = v + h->at, .out = y,
                  .rows = dim, .cols = h->n, .stride = dim, .stays = decay[0], .learns = decay[1], .scale = 0.25f};
    for (int i = 0; i < 2 * dim; i++) qk[i] *= 0.25f;
    uint32_t bad = c->k->delta(&d);
    vb_oracle_delta(expected, in, h->expected, &shape);
    judge(c, expected + h->at, y, h->n, bad);
    return bad == 0;
}

static void delta_once(vb_check *c, int dim, vb_fill fill)
{
    size_t bytes = (size_t)dim * (size_t)dim * sizeof(float);
    head h = {.dim = dim, .matrix = vb_check_float_buffer(c, MATRIX, dim * dim, fill)};
    h.expected = vb_check_buffer(c, MEMORY, bytes);
    memcpy(h.expected, h.matrix, bytes);
    h.at = (int)vb_check_random(c, (uint32_t)dim);
    h.n = 1 + (int)vb_check_random(c, (uint32_t)(dim - h.at));
    if (vb_check_random(c, 2)) h.at = 0, h.n = dim;
    int finite = 1;
    for (int t = 0; t < TOKENS && finite; t++) finite = delta_token(c, &h, fill);
    for (int i = 0; i < dim && finite; i++) {
        int at = i * dim + h.at;
        vb_check_bytes(c, h.expected + at, h.matrix + at, (size_t)h.n * sizeof(float));
    }
}

void vb_check_delta(vb_check *c, int which)
{
    static const int dims[] = {1, 2, 7, 16, 17, 32, 50, 64, 96, 128};
    (void)which;
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++)
        for (int again = 0; again < 3; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) delta_once(c, dims[i], fill);
}
