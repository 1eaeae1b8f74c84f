/* sample.c - choosing a token, the naive way: sort everything, then apply one rule after the other
 * (docs/ARITHMETIC.md J6). Sums are binary64, one term after the other in candidate order.
 */
#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int id, order; /* order: place among the candidates, 0 the best */
    float l, p;    /* logit; exp(l - best logit), later the weight of the draw */
    double q, surprise, distance;
} candidate;

typedef struct {
    candidate *c;
    int n;
} list;

static int by_logit(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->l != y->l) return x->l > y->l ? -1 : 1;
    return x->id - y->id;
}

static int by_distance(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->order - y->order;
}

static int by_order(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->order - y->order;
}

static int count_of(const vb_token *past, int n, int id)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        if (past[i] == id) count++;
    return count;
}

/* (a) for one id that stands `count` times in the window. */
static float penalised(float l, int count, const vb_sampling *s)
{
    if (s->repeat != 0.0f && s->repeat != 1.0f) {
        float inverse = 1.0f / s->repeat;
        l = l > 0.0f ? l * inverse : l * s->repeat;
    }
    if (s->frequency != 0.0f) {
        float total = (float)count * s->frequency;
        l = l - total;
    }
    if (s->presence != 0.0f) l = l - s->presence;
    return l;
}

static void penalise(const list *all, const vb_token *past, int n_past, const vb_sampling *s)
{
    int window = s->repeat_last == 0 ? 64 : s->repeat_last;
    if (window < 0 || window > n_past) window = n_past;
    for (int i = 0; i < all->n; i++) {
        int count = count_of(past + n_past - window, window, all->c[i].id);
        if (count > 0) all->c[i].l = penalised(all->c[i].l, count, s);
    }
}

/* (c), (d) */
static void sort(list *all, const vb_sampling *s)
{
    qsort(all->c, (size_t)all->n, sizeof *all->c, by_logit);
    if (s->top_k > 0 && s->top_k < all->n) all->n = s->top_k;
    for (int i = 0; i < all->n; i++) {
        all->c[i].order = i;
        all->c[i].p = vb_oracle_exp(all->c[i].l - all->c[0].l);
    }
}

static double sum_of(const list *all)
{
    double sum = 0.0;
    for (int i = 0; i < all->n; i++) sum = sum + (double)all->c[i].p;
    return sum;
}

/* (e) */
static void typical(list *all, double t)
{
    double sum = sum_of(all), entropy = 0.0, mass = 0.0;
    int kept = 0;
    for (int i = 0; i < all->n; i++) {
        candidate *c = &all->c[i];
        c->q = (double)c->p / sum;
        c->surprise = vb_oracle_log64(sum) - (double)(c->l - all->c[0].l);
        entropy = entropy + c->q * c->surprise;
    }
    for (int i = 0; i < all->n; i++) all->c[i].distance = fabs(all->c[i].surprise - entropy);
    qsort(all->c, (size_t)all->n, sizeof *all->c, by_distance);
    do {
        mass = mass + all->c[kept].q;
        kept++;
    } while (kept < all->n && !(mass > t));
    all->n = kept;
    qsort(all->c, (size_t)all->n, sizeof *all->c, by_order);
}

/* (f) */
static void top_p(list *all, double t)
{
    double target = t * sum_of(all), sum = 0.0;
    for (int i = 0; i < all->n; i++) {
        sum = sum + (double)all->c[i].p;
        if (sum >= target) all->n = i + 1;
    }
}

/* (g) */
static void min_p(list *all, float least)
{
    int kept = 1;
    for (int i = 1; i < all->n; i++)
        if (all->c[i].p >= least) all->c[kept++] = all->c[i];
    all->n = kept;
}

static double uniform(const vb_sampling *s, int position)
{
    uint32_t key[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)}, word[4];
    uint32_t counter[4] = {(uint32_t)s->stream, (uint32_t)(s->stream >> 32), (uint32_t)position, 0};
    vb_oracle_philox(key, counter, word);
    return ldexp((double)(word[0] >> 8), -24);
}

/* (h), (i); differences to the best logit that is left. */
static vb_token draw(const list *all, const vb_sampling *s, int position)
{
    float inverse = 1.0f / s->temperature, best = all->c[0].l;
    double sum = 0.0;
    int last = 0;
    for (int i = 0; i < all->n; i++) {
        float scaled = (all->c[i].l - best) * inverse;
        all->c[i].p = vb_oracle_exp(scaled);
    }
    double target = uniform(s, position) * sum_of(all);
    for (int i = 0; i < all->n; i++) {
        sum = sum + (double)all->c[i].p;
        if (sum > target) return all->c[i].id;
        if (all->c[i].p > 0.0f) last = i;
    }
    return all->c[last].id;
}

static vb_token choose(list *all, const vb_sampling *s, int position)
{
    if (s->typical > 0.0f && s->typical < 1.0f) typical(all, (double)s->typical);
    if (s->top_p > 0.0f && s->top_p < 1.0f) top_p(all, (double)s->top_p);
    if (s->min_p > 0.0f) min_p(all, s->min_p);
    return draw(all, s, position);
}

vb_status vb_oracle_sample(const float *logits, int n_vocab, const vb_token *past, int n_past, const vb_sampling *s,
                           vb_token *out)
{
    list all = {calloc((size_t)n_vocab, sizeof *all.c), n_vocab};
    if (all.c == NULL) return VB_E_MEMORY;
    for (int i = 0; i < n_vocab; i++) {
        all.c[i].id = i;
        all.c[i].l = logits[i];
    }
    penalise(&all, past, n_past, s);
    sort(&all, s);
    *out = s->temperature < 0x1p-60f ? all.c[0].id : choose(&all, s, n_past); /* (b) */
    free(all.c);
    return VB_OK;
}

float vb_oracle_logprob(const float *logits, int n_vocab, vb_token id)
{
    float best = logits[0];
    double sum = 0.0;
    for (int i = 1; i < n_vocab; i++)
        if (logits[i] > best) best = logits[i];
    for (int i = 0; i < n_vocab; i++) sum = sum + (double)vb_oracle_exp(logits[i] - best);
    return (float)((double)(logits[id] - best) - vb_oracle_log64(sum));
}
