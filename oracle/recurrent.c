/* recurrent.c - steps that remember (docs/ARITHMETIC.md J3), one token at a time, and what they remember.
 *
 *   memory of a convolution   [taps - 1][channels]    inputs of the last tokens, oldest first
 *   memory of a delta rule    [head][key][value]      a matrix a head
 *
 * Both plain players keep the memories of one position alone: whoever starts elsewhere starts at 0, where they are 0.
 */
#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vb_oracle_slice(float *y, const float *x, int n, int group, int from, int len)
{
    for (int g = 0; g < n / group; g++)
        for (int i = 0; i < len; i++) y[g * len + i] = x[g * group + from + i];
}

void vb_oracle_conv(float *y, const float *x, const float *weight, float *memory, int taps, int n)
{
    for (int c = 0; c < n; c++) {
        float sum = 0.0f;
        for (int t = 0; t < taps; t++) sum = sum + weight[c * taps + t] * (t < taps - 1 ? memory[t * n + c] : x[c]);
        y[c] = vb_oracle_guard(vb_oracle_silu(sum));
        if (!isfinite(sum)) y[c] = sum;
    }
    for (int t = 0; t + 1 < taps; t++)
        for (int c = 0; c < n; c++) memory[t * n + c] = t + 2 < taps ? memory[(t + 1) * n + c] : x[c];
}

void vb_oracle_decay(float *y, const float *x, const float *z, const vb_tensor *rate, const vb_tensor *bias)
{
    const float *a = rate->data, *b = bias->data;
    int heads = (int)rate->cols;
    for (int h = 0; h < heads; h++) {
        float g = a[h] * vb_oracle_softplus(x[h] + b[h]);
        y[h] = isfinite(g) ? vb_oracle_guard(vb_oracle_exp(g)) : g;
        y[heads + h] = vb_oracle_guard(vb_oracle_sigmoid(z[h]));
    }
}

/* One head: its matrix m forgets, learns v under key k, and is asked by q. */
typedef struct {
    const float *q, *k, *v;
    float *m, *y;
    float stays, learns, scale;
    int dim;
} head;

static void delta_head(const head *h)
{
    for (int c = 0; c < h->dim; c++) {
        float known = 0.0f, sum = 0.0f;
        for (int i = 0; i < h->dim; i++) {
            float *m = &h->m[i * h->dim + c];
            *m = *m * h->stays;
            known = known + h->k[i] * *m;
        }
        float u = h->learns * (h->v[c] - known);
        for (int i = 0; i < h->dim; i++) {
            float *m = &h->m[i * h->dim + c];
            *m = vb_oracle_guard(*m + h->k[i] * u);
            sum = sum + h->q[i] * *m;
        }
        h->y[c] = vb_oracle_guard(sum * h->scale);
    }
}

void vb_oracle_delta(float *y, const float *const in[3], float *memory, const vb_delta_heads *shape)
{
    int dim = shape->dim, keys = shape->key_heads, values = shape->value_heads;
    for (int j = 0; j < values; j++) {
        head h = {.q = in[0] + j % keys * dim, .k = in[0] + (keys + j % keys) * dim, .v = in[1] + j * dim,
                  .m = memory + (size_t)j * (size_t)dim * (size_t)dim, .y = y + j * dim, .stays = in[2][j],
                  .learns = in[2][values + j], .scale = shape->scale, .dim = dim};
        delta_head(&h);
    }
}

/* --- memories of one position -------------------------------------------------------------------------------------- */

static size_t bytes_of(const vb_plan *plan, int i)
{
    return (size_t)plan->memories[i].floats * sizeof(float);
}

int vb_oracle_memories_open(vb_oracle_memories *m, const vb_plan *plan)
{
    m->plan = plan;
    m->at = calloc((size_t)plan->n_memories + 1, sizeof *m->at);
    for (int i = 0; m->at != NULL && i < plan->n_memories; i++) {
        m->at[i] = calloc(1, bytes_of(plan, i));
        if (m->at[i] == NULL) return 0;
    }
    return m->at != NULL;
}

void vb_oracle_memories_close(vb_oracle_memories *m)
{
    for (int i = 0; m->at != NULL && i < m->plan->n_memories; i++) free(m->at[i]);
    free(m->at);
}

int vb_oracle_memories_start(const vb_oracle_memories *m, int n)
{
    if (m->plan->n_memories == 0) return n;
    return m->position >= 0 && m->position <= n ? m->position : 0;
}

void vb_oracle_memories_copy(vb_oracle_memories *to, const vb_oracle_memories *from, int n)
{
    to->position = vb_oracle_memories_start(from, n);
    for (int i = 0; to->position > 0 && i < from->plan->n_memories; i++)
        memcpy(to->at[i], from->at[i], bytes_of(from->plan, i));
}

vb_status vb_oracle_memories_begin(vb_oracle_memories *m, int position, vb_err *err)
{
    if (m->plan->n_memories > 0 && position > 0 && position != m->position)
        VB_FAIL(err, VB_E_ARGUMENT, "evaluation at position %d: expected one where memories are kept, found %d",
                position, m->position);
    for (int i = 0; position == 0 && i < m->plan->n_memories; i++) memset(m->at[i], 0, bytes_of(m->plan, i));
    m->position = -1;
    return VB_OK;
}
