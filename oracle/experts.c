/* experts.c - mixtures of experts (docs/ARITHMETIC.md J4): who is chosen, each chosen expert's own matrix, their sum.
 *
 *   logits [E] -> route: used numbers, used weights -> a matrix for each number -> sum of weight * row
 */
#include "oracle/oracle.h"

#include <stdlib.h>

/* 1: expert a stands before expert b: the larger logit, of equals the lower number. */
static int before(const float *logits, int a, int b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static int is_chosen(const float *logits, int experts, int used, int e)
{
    int better = 0;
    for (int i = 0; i < experts; i++) better += before(logits, i, e);
    return better < used;
}

/* E1 over n numbers. */
static float total(const float *x, int n)
{
    float lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] = lane[i % 16] + x[i];
    return vb_oracle_tree(lane);
}

/* Shares of the softmax over `n` logits, in place. */
static void softmax(float *x, int n)
{
    float most = x[0];
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) x[i] = vb_oracle_exp(x[i] - most);
    float inverse = 1.0f / total(x, n);
    for (int i = 0; i < n; i++) x[i] = x[i] * inverse;
}

static void normalise(float *w, int n)
{
    float sum = total(w, n);
    float inverse = 1.0f / (sum > 0x1p-14f ? sum : 0x1p-14f);
    for (int i = 0; i < n; i++) w[i] = w[i] * inverse;
}

vb_status vb_oracle_route(float *y, const float *logits, const vb_oracle_routing *how)
{
    int used = how->used, n = 0;
    float *shares = malloc((size_t)how->experts * sizeof *shares), *w = y + used;
    if (shares == NULL) return VB_E_MEMORY;
    for (int e = 0; e < how->experts; e++) shares[e] = logits[e];
    if (how->how != VB_ROUTE_CHOSEN) softmax(shares, how->experts);
    for (int e = 0; e < how->experts; e++)
        if (is_chosen(logits, how->experts, used, e)) {
            y[n] = (float)e;
            w[n++] = shares[e];
        }
    free(shares);
    if (how->how == VB_ROUTE_CHOSEN) softmax(w, used);
    if (how->how == VB_ROUTE_NORMALISED) normalise(w, used);
    for (int i = 0; i < used; i++) {
        if (how->factors != NULL) w[i] = w[i] * how->factors[(int)y[i]];
        w[i] = vb_oracle_guard(w[i]);
    }
    return VB_OK;
}

vb_status vb_oracle_linear_experts(float *y, const vb_step *s, const float *x, const vb_oracle_chosen *chosen)
{
    int used = s->u.experts.used, rows = s->u.experts.rows;
    for (int i = 0; i < used; i++) {
        size_t first = (size_t)chosen->route[i] * (size_t)s->u.experts.total + (size_t)s->u.experts.from;
        vb_tensor weight = *s->weight, bias = {.format = VB_FMT_F32, .cols = rows, .rows = 1};
        weight.rows = rows;
        weight.data = (const uint8_t *)s->weight->data + first * s->weight->row_bytes;
        if (s->bias != NULL) bias.data = (const float *)s->bias->data + first;
        const float *own = chosen->parts > 1 ? x + (size_t)i * (size_t)weight.cols : x;
        const vb_tensor *own_bias = s->bias != NULL ? &bias : NULL;
        VB_TRY(chosen->multiply(y + (size_t)i * (size_t)rows, &weight, own_bias, own, chosen->arith));
    }
    return VB_OK;
}

void vb_oracle_mix(float *y, const float *x, const float *route, int used, int n)
{
    for (int i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int e = 0; e < used; e++) {
            float product = route[used + e] * x[(size_t)e * (size_t)n + (size_t)i];
            sum = sum + product;
        }
        y[i] = vb_oracle_guard(sum);
    }
}
