/* envelope.c - how far numbers may move without anybody being wrong, measured on the model at hand.
 *
 *   plain      layer 0 ------ layer 1 ------ layer 2 ... logits      the same tokens, the same arithmetic
 *   disturbed  layer 0 -+-1 - layer 1 -+-1 - layer 2 ... logits      but every number of every layer's output is moved
 *                                                                    up, down or not at all, by its last bit
 *
 * Another order of summation is such a disturbance, and no more: it moves last bits. The eight-bit rounding of
 * activations makes steps of it here and there, and a step is what spreads. Both sessions are evaluated side by side,
 * so the cost is two prefills of the sample for each seed.
 *
 * The same walk compares two models: ours and the oracle with a documented difference to ggml switched on.
 */
#include "parity/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 32 };

/* --- the disturbance --------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t seed;
} disturber;

/* SplitMix64's mixing: a good random number for each place. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The next float up or down; zero and what is not finite stays. */
static float moved(float x, int up)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t size = bits & 0x7fffffffu;
    if (size == 0 || size >= 0x7f7fffffu) return x;
    bits = up == (bits >> 31 == 0) ? bits + 1 : bits - 1;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void disturb(void *ud, const vb_tap *tap)
{
    const disturber *d = ud;
    if (tap->layer < 0 || strcmp(tap->name, "l_out") != 0) return;
    uint64_t place = mix(d->seed ^ mix((uint64_t)tap->layer << 32 ^ (uint64_t)tap->position)), word = 0;
    for (int i = 0; i < tap->width; i++, word >>= 2) {
        if (i % 32 == 0) word = mix(place + (uint64_t)(i / 32));
        if (word & 1) tap->x[i] = moved(tap->x[i], (word & 2) != 0);
    }
}

/* --- two sessions side by side ----------------------------------------------------------------------------------- */

typedef struct {
    vb_model *model;
    int vocab;
    double *drift, *margin; /* of every position */
    int n, flips;
} sample;

static void one_position(sample *s, const float *plain, const float *moved_row, int vocab, vb_token next)
{
    vb_token best[2], other;
    vb_top_ids(plain, vocab, best, 2);
    vb_top_ids(moved_row, vocab, &other, 1);
    double before = (double)plain[best[0]] - (double)plain[best[1]];
    double after = (double)moved_row[best[0]] - (double)moved_row[best[1]];
    s->drift[s->n] = fabs((double)vb_logprob(plain, vocab, next) - (double)vb_logprob(moved_row, vocab, next));
    s->margin[s->n] = fabs(before - after);
    s->flips += other != best[0];
    s->n++;
}

static int grow(sample *s, int more)
{
    int cap = s->n + more;
    double *drift = realloc(s->drift, (size_t)cap * sizeof *drift);
    if (drift != NULL) s->drift = drift;
    double *margin = realloc(s->margin, (size_t)cap * sizeof *margin);
    if (margin != NULL) s->margin = margin;
    return drift != NULL && margin != NULL;
}

/* Evaluates ids in both sessions and compares what is predicted from position `from` on. */
static vb_status walk(sample *s, vb_session *pair[2], const vb_envelope_text *text, float *rows, vb_err *err)
{
    vb_status status = VB_OK;
    int together = vb_session_model(pair[0]) == vb_session_model(pair[1]), vocab = s->vocab;
    for (int at = 0; at + 1 < text->n && status == VB_OK;) {
        int n = text->n - 1 - at < PIECE ? text->n - 1 - at : PIECE;
        int want = at + n < text->from ? 0 : at + n - text->from + 1;
        if (want > n) want = n;
        vb_work work[2];
        for (int i = 0; i < 2; i++)
            work[i] = (vb_work){pair[i], text->ids + at, n, rows + (size_t)i * PIECE * (size_t)vocab, want};
        status = vb_eval(work, together ? 2 : 1, err);
        if (status == VB_OK && !together) status = vb_eval(work + 1, 1, err);
        for (int i = 0; i < want && status == VB_OK; i++)
            one_position(s, work[0].logits + (size_t)i * (size_t)vocab, work[1].logits + (size_t)i * (size_t)vocab,
                         vocab, text->ids[at + n - want + i + 1]);
        at += n;
    }
    return status;
}

/* `other` computes the second side; NULL: the same model, disturbed. */
static vb_status one_text(sample *s, const vb_envelope_text *text, vb_model *other, uint64_t seed, vb_err *err)
{
    vb_session *pair[2] = {NULL, NULL};
    vb_session_opts opts = {.context = text->n};
    disturber d = {seed};
    float *rows = calloc((size_t)2 * PIECE * (size_t)s->vocab, sizeof *rows);
    vb_status status = rows != NULL && grow(s, text->n) ? VB_OK : vb_parity_no_memory(err);
    if (status == VB_OK) status = vb_session_open(&pair[0], s->model, &opts, err);
    if (status == VB_OK) status = vb_session_open(&pair[1], other ? other : s->model, &opts, err);
    if (status == VB_OK && other == NULL) status = vb_session_tap(pair[1], disturb, &d, err);
    if (status == VB_OK) status = walk(s, pair, text, rows, err);
    for (int i = 0; i < 2; i++) vb_session_close(pair[i]);
    free(rows);
    return status;
}

/* --- statistics -------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

vb_spread vb_spread_of(double *values, int n)
{
    if (n == 0) return (vb_spread){0};
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (vb_spread){n, values[n / 2], values[(int64_t)n * 95 / 100], values[(int64_t)n * 99 / 100], values[n - 1]};
}

static sample sample_of(vb_model *model)
{
    vb_model_info info;
    vb_model_describe(model, &info);
    return (sample){.model = model, .vocab = info.vocab};
}

static void conclude(sample *s, vb_envelope *out, vb_status status)
{
    if (status == VB_OK) {
        out->flips = s->flips;
        out->drift = vb_spread_of(s->drift, s->n);
        out->margin = vb_spread_of(s->margin, s->n);
    }
    free(s->drift);
    free(s->margin);
}

vb_status vb_envelope_measure(vb_envelope *out, vb_model *model, const vb_envelope_text *texts, int n, int seeds, vb_err *err)
{
    sample s = sample_of(model);
    vb_status status = VB_OK;
    *out = (vb_envelope){.texts = n, .seeds = seeds};
    for (int i = 0; i < n && status == VB_OK; i++)
        for (int k = 0; k < seeds && status == VB_OK; k++)
            status = one_text(&s, &texts[i], NULL, mix((uint64_t)i * 64 + (uint64_t)k), err);
    conclude(&s, out, status);
    return status;
}

vb_status vb_envelope_between(vb_envelope *out, vb_model *model, vb_model *other, const vb_envelope_text *texts, int n, vb_err *err)
{
    sample s = sample_of(model);
    vb_status status = VB_OK;
    *out = (vb_envelope){.texts = n};
    for (int i = 0; i < n && status == VB_OK; i++) status = one_text(&s, &texts[i], other, 0, err);
    conclude(&s, out, status);
    return status;
}
