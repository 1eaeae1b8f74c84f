/* steps.c - one plain loop nest per kind of step (base/ops.def); attention has its own file, attend.c. */
#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>

/* D1, D2: 8 interleaved accumulators for blocks of 32, one for blocks of 256. */
static float quantized_row(const vb_tensor *t, const uint8_t *row, const int8_t *q, const float *d)
{
    const vb_format_info *f = vb_format_of(t->format);
    int lanes = f->block == 32 ? 8 : 1;
    float a[8] = {0};
    for (int64_t b = 0; b < t->cols / f->block; b++)
        a[b % lanes] = a[b % lanes] + vb_oracle_term(t->format, row + b * f->bytes, q + b * f->block, d[b]);
    if (lanes == 1) return a[0];
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

/* C6, E1: weights dequantised element by element, 16 lanes. */
static float float_row(const vb_tensor *t, const uint8_t *row, const float *x)
{
    const vb_format_info *f = vb_format_of(t->format);
    float lane[16] = {0};
    for (int64_t i = 0; i < t->cols; i++) {
        float product = vb_oracle_element(t->format, row + i / f->block * f->bytes, (int)(i % f->block)) * x[i];
        lane[i % 16] = lane[i % 16] + product;
    }
    return vb_oracle_tree(lane);
}

static const uint8_t *row_of(const vb_tensor *t, int64_t r)
{
    return (const uint8_t *)t->data + (size_t)r * t->row_bytes;
}

static float finished(float sum, const vb_tensor *bias, int64_t r)
{
    if (bias != NULL) sum = sum + ((const float *)bias->data)[r];
    return vb_oracle_guard(sum);
}

static vb_status quantized_linear(float *y, const vb_tensor *weight, const vb_tensor *bias, const float *x)
{
    int block = vb_format_of(weight->format)->block;
    int8_t *q = malloc((size_t)weight->cols);
    float *d = malloc((size_t)(weight->cols / block) * sizeof *d);
    vb_status status = q == NULL || d == NULL ? VB_E_MEMORY : VB_OK;
    if (status == VB_OK) vb_oracle_quantize(x, weight->cols, block, q, d);
    for (int64_t r = 0; status == VB_OK && r < weight->rows; r++)
        y[r] = finished(quantized_row(weight, row_of(weight, r), q, d), bias, r);
    free(q);
    free(d);
    return status;
}

vb_status vb_oracle_linear(float *y, const vb_tensor *weight, const vb_tensor *bias, const float *x, vb_arith arith)
{
    if (arith == VB_ARITH_INT8 && vb_format_of(weight->format)->act != VB_ACT_F32)
        return quantized_linear(y, weight, bias, x);
    for (int64_t r = 0; r < weight->rows; r++) y[r] = finished(float_row(weight, row_of(weight, r), x), bias, r);
    return VB_OK;
}

void vb_oracle_embed(float *y, const vb_tensor *table, vb_token id)
{
    vb_oracle_dequantize(table->format, row_of(table, id), table->cols, y);
    for (int64_t i = 0; i < table->cols; i++) y[i] = vb_oracle_guard(y[i]);
}

void vb_oracle_add(float *y, const float *a, const float *b, int n)
{
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(a[i] + b[i]);
}

void vb_oracle_scale(float *y, const float *x, float by, int n)
{
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(x[i] * by);
}

/* E4: the only square root and, with B3, G and J6, one of few divisions. */
void vb_oracle_norm_rms(float *y, const float *x, const float *weight, const vb_oracle_norm *how)
{
    float inverse_n = 1.0f / (float)how->group;
    for (int g = 0; g < how->n; g += how->group) {
        float squares = vb_oracle_dot(x + g, x + g, how->group);
        float mean = squares * inverse_n;
        float r = 1.0f / sqrtf(mean + how->eps);
        for (int i = 0; i < how->group; i++) y[g + i] = vb_oracle_guard(weight != NULL ? (x[g + i] * r) * weight[i] : x[g + i] * r);
    }
}

/* J1 */
void vb_oracle_norm_layer(float *y, const float *x, const vb_step *s, int n)
{
    const float *weight = s->weight->data, *bias = s->bias->data;
    float inverse_n = 1.0f / (float)n, lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] = lane[i % 16] + x[i];
    float mean = vb_oracle_tree(lane) * inverse_n;
    for (int i = 0; i < n; i++) y[i] = x[i] - mean;
    float variance = vb_oracle_dot(y, y, n) * inverse_n;
    float r = 1.0f / sqrtf(variance + s->u.norm.eps);
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard((y[i] * r) * weight[i] + bias[i]);
}

void vb_oracle_rope(float *y, const float *x, const float *cos, const float *sin, const vb_oracle_turn *how)
{
    int pairs = how->n_rot / 2;
    for (int h = 0; h < how->n; h += how->head_dim) {
        for (int i = how->n_rot; i < how->head_dim; i++) y[h + i] = vb_oracle_guard(x[h + i]);
        for (int i = 0; i < pairs; i++) {
            int first = h + (how->pairing == VB_PAIR_NORM ? 2 * i : i);
            int second = how->pairing == VB_PAIR_NORM ? first + 1 : first + pairs;
            float x0 = x[first], x1 = x[second];
            y[first] = vb_oracle_guard(x0 * cos[i] - x1 * sin[i]);
            y[second] = vb_oracle_guard(x0 * sin[i] + x1 * cos[i]);
        }
    }
}

static float activation(float x, vb_glu act)
{
    if (act == VB_GLU_SIGMOID) return vb_oracle_sigmoid(x);
    return act == VB_GLU_SILU ? vb_oracle_silu(x) : vb_oracle_gelu_tanh(x);
}

/* F3: the gate from above, up from both sides. */
static float clamped(float gate, float up)
{
    float g = gate > 7.0f ? 7.0f : gate, u = up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up;
    float a = g < -60.0f ? 0.0f : g * vb_oracle_sigmoid(1.702f * g);
    return (u + 1.0f) * a;
}

void vb_oracle_glu(float *y, const float *gate, const float *up, int n, vb_glu act)
{
    for (int i = 0; i < n; i++)
        y[i] = vb_oracle_guard(act == VB_GLU_CLAMPED ? clamped(gate[i], up[i]) : activation(gate[i], act) * up[i]);
}

void vb_oracle_gate(float *y, float gate, const float *x, int n)
{
    float s = vb_oracle_sigmoid(gate);
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(s * x[i]);
}

void vb_oracle_act(float *y, const float *x, int n, vb_curve curve)
{
    static float (*const curves[])(float) = {vb_oracle_silu, vb_oracle_gelu_tanh, vb_oracle_gelu_erf};
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(curves[curve](x[i]));
}

void vb_oracle_softcap(float *y, const float *x, float cap, int n)
{
    float inverse = 1.0f / cap;
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(cap * vb_oracle_tanh(x[i] * inverse));
}
