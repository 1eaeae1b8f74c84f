/* attend.c - keys and values as they are stored (docs/ARITHMETIC.md J5), and attention over them (G).
 *
 *   positions  0 ....... 63 | 64 ...... 127 | 128 ... position
 *              chunk 0        chunk 1         chunk 2           each: scores, its own maximum, sums
 *              -------------- combined in this order --------->
 *
 * The grid of chunks is absolute, so prefill, decode and a reused prefix meet the same sums. A sliding window only
 * leaves out positions of its first chunk.
 */
#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64, BLOCK = 32, BLOCK_BYTES = 34 };

size_t vb_oracle_kv_size(vb_kv kv, int64_t n)
{
    if (kv == VB_KV_F32) return (size_t)n * 4;
    if (kv == VB_KV_Q8_0) return (size_t)(n / BLOCK) * BLOCK_BYTES;
    return (size_t)n * 2;
}

static int write_half(uint8_t *to, float x)
{
    uint16_t half = vb_oracle_to_half(x);
    to[0] = (uint8_t)(half & 255);
    to[1] = (uint8_t)(half >> 8);
    return (half & 0x7c00u) != 0x7c00u;
}

static float read_half(const uint8_t *from)
{
    return vb_oracle_from_half((uint16_t)(from[0] | from[1] << 8));
}

/* Quantised as B, but the scale is kept as a half. */
static int write_block(uint8_t *to, const float *x)
{
    int8_t q[BLOCK];
    float d;
    vb_oracle_quantize(x, BLOCK, BLOCK, q, &d);
    memcpy(to + 2, q, BLOCK);
    return write_half(to, d);
}

vb_status vb_oracle_kv_write(vb_kv kv, void *to, const float *x, int64_t n)
{
    int fits = 1;
    if (kv == VB_KV_F32) memcpy(to, x, (size_t)n * sizeof *x);
    if (kv == VB_KV_F16)
        for (int64_t i = 0; i < n; i++) fits &= write_half((uint8_t *)to + 2 * i, x[i]);
    if (kv == VB_KV_Q8_0)
        for (int64_t b = 0; b < n / BLOCK; b++) fits &= write_block((uint8_t *)to + b * BLOCK_BYTES, x + b * BLOCK);
    return fits ? VB_OK : VB_E_FORMAT;
}

static float stored(vb_kv kv, const uint8_t *from, int64_t i)
{
    float x;
    if (kv == VB_KV_F16) return read_half(from + 2 * i);
    if (kv == VB_KV_Q8_0) {
        const uint8_t *block = from + i / BLOCK * BLOCK_BYTES;
        return read_half(block) * (float)(int8_t)block[2 + i % BLOCK];
    }
    memcpy(&x, from + 4 * i, sizeof x);
    return x;
}

void vb_oracle_kv_read(vb_kv kv, const void *from, int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++) x[i] = stored(kv, from, i);
}

/* One head of the query and the head of keys and values it looks at. */
typedef struct {
    const vb_oracle_cache *cache;
    const vb_heads *shape;
    const float *q, *sink; /* sink: NULL if there is none */
    int kv_head;
} head;

/* Sums over some positions; o is not yet divided by l. */
typedef struct {
    float m, l;
    float *o; /* [dim_v] */
} partial;

static const uint8_t *row_of(const head *h, const void *rows, int dim, int position)
{
    size_t row = vb_oracle_kv_size(h->cache->kv, (int64_t)h->shape->kv_heads * dim);
    size_t before = vb_oracle_kv_size(h->cache->kv, (int64_t)h->kv_head * dim);
    return (const uint8_t *)rows + (size_t)position * row + before;
}

/* q.k by E1, then scaled. */
static float score(const head *h, int position)
{
    const uint8_t *k = row_of(h, h->cache->keys, h->shape->dim_k, position);
    float lane[16] = {0};
    for (int i = 0; i < h->shape->dim_k; i++) {
        float product = h->q[i] * stored(h->cache->kv, k, i);
        lane[i % 16] = lane[i % 16] + product;
    }
    return vb_oracle_tree(lane) * h->shape->scale;
}

static float capped(float score, float cap)
{
    return cap > 0.0f ? cap * vb_oracle_tanh(score * (1.0f / cap)) : score;
}

/* G1 for the positions first..last of one chunk. Returns 0 if a score is not finite. */
static int chunk(const head *h, int first, int last, partial *c)
{
    float s[CHUNK], lane[16] = {0};
    for (int j = first; j <= last; j++) {
        s[j - first] = score(h, j);
        if (!isfinite(s[j - first])) return 0;
        s[j - first] = capped(s[j - first], h->shape->softcap);
        if (j == first || s[j - first] > c->m) c->m = s[j - first];
    }
    for (int d = 0; d < h->shape->dim_v; d++) c->o[d] = 0.0f;
    for (int j = first; j <= last; j++) {
        const uint8_t *v = row_of(h, h->cache->values, h->shape->dim_v, j);
        float p = vb_oracle_exp(s[j - first] - c->m);
        lane[j % 16] = lane[j % 16] + p;
        for (int d = 0; d < h->shape->dim_v; d++) {
            float product = p * stored(h->cache->kv, v, d);
            c->o[d] = c->o[d] + product;
        }
    }
    c->l = vb_oracle_tree(lane);
    return 1;
}

/* G2 */
static void combine(partial *a, const partial *c, int dim)
{
    int keep = c->m <= a->m;
    float f = vb_oracle_exp(keep ? c->m - a->m : a->m - c->m);
    a->l = keep ? a->l + c->l * f : a->l * f + c->l;
    for (int d = 0; d < dim; d++) a->o[d] = keep ? a->o[d] + c->o[d] * f : a->o[d] * f + c->o[d];
    if (!keep) a->m = c->m;
}

/* G4: like a chunk of one position whose value is zero. */
static int join_sink(partial *all, float sink, int dim, partial *one)
{
    one->m = sink;
    one->l = 1.0f;
    for (int d = 0; d < dim; d++) one->o[d] = 0.0f;
    combine(all, one, dim);
    return isfinite(sink);
}

/* `one` has room for a chunk; the sum of all grows in `out`. */
static int attend_head(const head *h, int position, float *out, partial *one)
{
    int window = h->shape->window, dim = h->shape->dim_v;
    int first = window > 0 && position >= window ? position - window + 1 : 0;
    partial all = {.o = out};
    for (int at = first; at <= position; at = at / CHUNK * CHUNK + CHUNK) {
        int last = at / CHUNK * CHUNK + CHUNK - 1;
        if (!chunk(h, at, last < position ? last : position, at == first ? &all : one)) return 0;
        if (at > first) combine(&all, one, dim);
    }
    if (h->sink != NULL && !join_sink(&all, *h->sink, dim, one)) return 0;
    float inverse = 1.0f / all.l; /* F5 */
    for (int d = 0; d < dim; d++) out[d] = vb_oracle_guard(out[d] * inverse);
    return 1;
}

vb_status vb_oracle_attend(float *out, const float *q, const vb_oracle_cache *cache, const vb_heads *shape,
                           const float *sinks, int position)
{
    partial one = {.o = malloc((size_t)shape->dim_v * sizeof(float))};
    vb_status status = one.o == NULL ? VB_E_MEMORY : VB_OK;
    for (int i = 0; i < shape->heads && status == VB_OK; i++) {
        head h = {cache, shape, q + i * shape->dim_k, sinks != NULL ? sinks + i : NULL, i / (shape->heads / shape->kv_heads)};
        if (!attend_head(&h, position, out + i * shape->dim_v, &one)) status = VB_E_FORMAT;
    }
    free(one.o);
    return status;
}
