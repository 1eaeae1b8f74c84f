/* like_ggml.c - five things that ggml's CPU code does in another way than docs/ARITHMETIC.md, each by itself.
 *
 *   attention     one pass over all positions: the query as halves; the running sum of values as halves, rounded anew at
 *                 each position; rescaled whenever a larger score appears
 *   scales        the scale of an activation block is a half (and so is, for Q4_1 and Q5_1, its product with the sum)
 *   gelu          a table of 65,536 halves, looked up by the half nearest to the argument
 *   activations   rounded to halves where the weight is F16, to bfloat16 where it is BF16
 *   rope          the angle of each pair is the one before it times a constant, in binary32
 *
 * Functions (exp, tanh, cos, ...) and all other orders of sums are the oracle's own, so a result shows the named
 * difference alone and is the same on every machine.
 */
#include "oracle/like_ggml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float as_half(float x)
{
    return vb_oracle_from_half(vb_oracle_to_half(x));
}

/* To nearest, ties to even. */
static float as_bfloat(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* --- what can be asked for -------------------------------------------------------------------------------------- */

VB_API const char *vb_ggml_name(int difference)
{
    switch (difference) {
    case VB_GGML_ATTENTION: return "attention";
    case VB_GGML_SCALES: return "scales";
    case VB_GGML_GELU: return "gelu";
    case VB_GGML_ACTIVATIONS: return "activations";
    case VB_GGML_ROPE: return "rope";
    default: return NULL;
    }
}

vb_status vb_like_ggml_check(int differences, vb_err *err)
{
    if ((differences & ~VB_GGML_ALL) == 0) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "like_ggml: expected a sum of differences up to %d, found %d", VB_GGML_ALL, differences);
}

vb_status vb_like_ggml_check_kv(int differences, vb_kv kv, vb_err *err)
{
    if ((differences & VB_GGML_ATTENTION) == 0 || kv == VB_KV_F16) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED, "attention like ggml's: expected keys and values of type f16, found %s",
            kv == VB_KV_F32 ? "f32" : "q8_0");
}

/* --- attention -------------------------------------------------------------------------------------------------- */

/* One head of the query as halves, the key and value of one position, and what it sees. */
typedef struct {
    const vb_oracle_cache *cache;
    const vb_heads *shape;
    const float *sink; /* NULL: none */
    int kv_head, first, position;
    float *q, *k, *v;
} head;

static void read_head(const head *h, int position)
{
    const vb_heads *s = h->shape;
    const uint8_t *keys = h->cache->keys, *values = h->cache->values;
    int64_t row = (int64_t)position * s->kv_heads + h->kv_head;
    vb_oracle_kv_read(VB_KV_F16, keys + vb_oracle_kv_size(VB_KV_F16, row * s->dim_k), s->dim_k, h->k);
    vb_oracle_kv_read(VB_KV_F16, values + vb_oracle_kv_size(VB_KV_F16, row * s->dim_v), s->dim_v, h->v);
}

static float score(const head *h)
{
    const vb_heads *s = h->shape;
    float dot = vb_oracle_dot(h->q, h->k, s->dim_k);
    if (s->softcap == 0.0f) return dot * s->scale;
    return s->softcap * vb_oracle_tanh(dot * (s->scale / s->softcap));
}

typedef struct {
    float most, sum;
} softmax;

/* One more score. What there was is to be multiplied by *kept, the new value by *added; one of them is 1. */
static void meet(softmax *all, float s, float *kept, float *added)
{
    *kept = s > all->most ? vb_oracle_exp(all->most - s) : 1.0f;
    *added = s > all->most ? 1.0f : vb_oracle_exp(s - all->most);
    if (s > all->most) all->most = s;
    all->sum = all->sum * *kept + *added;
}

/* out[d] is a half all the time. The sum is rounded to it without being rounded to binary32, as by a fused operation. */
static void add_value(float *out, const head *h, float kept, float added)
{
    for (int d = 0; d < h->shape->dim_v; d++) {
        if (kept != 1.0f) out[d] = as_half(out[d] * kept);
        out[d] = as_half((float)((double)out[d] + (double)h->v[d] * (double)added));
    }
}

static int attend_head(const head *h, float *out)
{
    int dim = h->shape->dim_v;
    softmax all = {-INFINITY, 0.0f};
    float kept, added;
    for (int d = 0; d < dim; d++) out[d] = 0.0f;
    for (int j = h->first; j <= h->position; j++) {
        read_head(h, j);
        float s = score(h);
        if (!isfinite(s)) return 0;
        meet(&all, s, &kept, &added);
        add_value(out, h, kept, added);
    }
    if (h->sink != NULL) {
        meet(&all, *h->sink, &kept, &added);
        for (int d = 0; d < dim; d++) out[d] = out[d] * kept;
    }
    float inverse = 1.0f / all.sum;
    for (int d = 0; d < dim; d++) out[d] = vb_oracle_guard(out[d] * inverse);
    return 1;
}

vb_status vb_like_ggml_attend(float *out, const float *q, const vb_oracle_cache *cache, const vb_heads *shape,
                              const float *sinks, int position)
{
    float *room = malloc((size_t)(2 * shape->dim_k + shape->dim_v) * sizeof *room);
    vb_status status = room == NULL ? VB_E_MEMORY : VB_OK;
    int window = shape->window;
    for (int i = 0; i < shape->heads && status == VB_OK; i++) {
        head h = {.cache = cache, .shape = shape, .position = position, .q = room};
        h.k = h.q + shape->dim_k;
        h.v = h.k + shape->dim_k;
        h.sink = sinks != NULL ? sinks + i : NULL;
        h.kv_head = i / (shape->heads / shape->kv_heads);
        h.first = window > 0 && position >= window ? position - window + 1 : 0;
        for (int k = 0; k < shape->dim_k; k++) h.q[k] = as_half(q[i * shape->dim_k + k]);
        if (!attend_head(&h, out + i * shape->dim_v)) status = VB_E_FORMAT;
    }
    free(room);
    return status;
}

/* --- matrices --------------------------------------------------------------------------------------------------- */

/* Activations as they meet an F16 or BF16 weight. */
static vb_status multiply_rounded(float *y, const vb_tensor *weight, const vb_tensor *bias, const float *x,
                                  vb_arith arith)
{
    float *rounded = malloc((size_t)weight->cols * sizeof *rounded);
    if (rounded == NULL) return VB_E_MEMORY;
    for (int64_t i = 0; i < weight->cols; i++)
        rounded[i] = weight->format == VB_FMT_F16 ? as_half(x[i]) : as_bfloat(x[i]);
    vb_status status = vb_oracle_linear(y, weight, bias, rounded, arith);
    free(rounded);
    return status;
}

enum { BLOCK = 32, BLOCK_MOST = 64, LANES = 8 };

/* The formats with a minimum keep it as the second half of a block. What it is multiplied by is a half of its own. */
static float term(vb_format format, const uint8_t *block, const int8_t *q, float d)
{
    uint8_t without[BLOCK_MOST];
    int bytes = vb_format_of(format)->bytes, sum = 0;
    if (format != VB_FMT_Q4_1 && format != VB_FMT_Q5_1) return vb_oracle_term(format, block, q, as_half(d));
    memcpy(without, block, (size_t)bytes);
    without[2] = without[3] = 0;
    for (int i = 0; i < BLOCK; i++) sum += q[i];
    float minimum = vb_oracle_from_half((uint16_t)(block[2] | block[3] << 8));
    return vb_oracle_term(format, without, q, as_half(d)) + minimum * as_half(d * (float)sum);
}

/* D1 */
static float row_of_blocks(const vb_tensor *t, const uint8_t *row, const int8_t *q, const float *d)
{
    int bytes = vb_format_of(t->format)->bytes;
    float a[LANES] = {0};
    for (int64_t b = 0; b < t->cols / BLOCK; b++)
        a[b % LANES] = a[b % LANES] + term(t->format, row + b * bytes, q + b * BLOCK, d[b]);
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

static vb_status multiply_scaled(float *y, const vb_tensor *weight, const vb_tensor *bias, const float *x,
                                 vb_arith arith)
{
    int8_t *q = malloc((size_t)weight->cols);
    float *d = malloc((size_t)(weight->cols / BLOCK) * sizeof *d);
    vb_status status = q == NULL || d == NULL ? VB_E_MEMORY : VB_OK;
    (void)arith;
    if (status == VB_OK) vb_oracle_quantize(x, weight->cols, BLOCK, q, d);
    for (int64_t r = 0; status == VB_OK && r < weight->rows; r++) {
        float sum = row_of_blocks(weight, (const uint8_t *)weight->data + (size_t)r * weight->row_bytes, q, d);
        y[r] = vb_oracle_guard(bias != NULL ? sum + ((const float *)bias->data)[r] : sum);
    }
    free(q);
    free(d);
    return status;
}

vb_oracle_multiply *vb_like_ggml_multiply(int differences, const vb_tensor *weight, vb_arith arith)
{
    int is_half = weight->format == VB_FMT_F16 || weight->format == VB_FMT_BF16;
    int has_scales = arith == VB_ARITH_INT8 && vb_format_of(weight->format)->act == VB_ACT_Q32;
    if ((differences & VB_GGML_ACTIVATIONS) != 0 && is_half) return multiply_rounded;
    if ((differences & VB_GGML_SCALES) != 0 && has_scales) return multiply_scaled;
    return vb_oracle_linear;
}

/* --- gelu ------------------------------------------------------------------------------------------------------- */

static float table_gelu(float x)
{
    if (x <= -10.0f) return 0.0f;
    if (x >= 10.0f) return x;
    return as_half(vb_oracle_gelu_tanh(as_half(x)));
}

void vb_like_ggml_glu(float *y, const float *gate, const float *up, int n, vb_glu act)
{
    if (act != VB_GLU_GELU_TANH) {
        vb_oracle_glu(y, gate, up, n, act);
        return;
    }
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(table_gelu(gate[i]) * up[i]);
}

void vb_like_ggml_act(float *y, const float *x, int n, vb_curve curve)
{
    if (curve != VB_CURVE_GELU_TANH) {
        vb_oracle_act(y, x, n, curve);
        return;
    }
    for (int i = 0; i < n; i++) y[i] = vb_oracle_guard(table_gelu(x[i]));
}

/* --- rope ------------------------------------------------------------------------------------------------------- */

/* Yarn: the pair that turns so often in the original context. */
static float pair_of_turns(const vb_rope *r, float turns)
{
    float waves = (float)r->context / (turns * 2.0f * 0x1.921fb6p+1f);
    float log_waves = (float)vb_oracle_log64((double)waves), log_base = (float)vb_oracle_log64(r->base);
    return (float)r->n_rot * log_waves / (2.0f * log_base);
}

/* How much of the unscaled angle pair i keeps. */
static float yarn_mix(const vb_rope *r, int i)
{
    float low = fmaxf(0.0f, floorf(pair_of_turns(r, (float)r->beta_fast)));
    float high = fminf((float)(r->n_rot - 1), ceilf(pair_of_turns(r, (float)r->beta_slow)));
    float y = ((float)i - low) / fmaxf(0.001f, high - low);
    return 1.0f - fminf(1.0f, fmaxf(0.0f, y));
}

void vb_like_ggml_rope_table(float *cos, float *sin, const vb_rope *rope, int position)
{
    double exponent = (double)(-2.0f / (float)rope->n_rot);
    float step = (float)vb_oracle_exp64(exponent * vb_oracle_log64(rope->base));
    int scaled = rope->scaling == VB_SCALING_LINEAR || rope->scaling == VB_SCALING_YARN;
    float scale = scaled ? 1.0f / (float)rope->factor : 1.0f;
    float magnitude = (float)rope->attn_factor, angle = (float)position;
    if (rope->scaling == VB_SCALING_YARN && rope->factor > 1.0)
        magnitude = magnitude * (1.0f + 0.1f * (float)vb_oracle_log64((double)(1.0f / scale)));
    for (int i = 0; i < rope->n_rot / 2; i++) {
        float own = rope->factors != NULL ? angle / ((const float *)rope->factors->data)[i] : angle;
        float theta = scale * own;
        if (rope->scaling == VB_SCALING_YARN) {
            float mix = yarn_mix(rope, i);
            theta = theta * (1.0f - mix) + own * mix;
        }
        cos[i] = vb_oracle_guard((float)vb_oracle_cos64((double)theta) * magnitude);
        sin[i] = vb_oracle_guard((float)vb_oracle_sin64((double)theta) * magnitude);
        angle = angle * step;
    }
}
